"""The page of the label-efficiency comparison."""

from typing import Any

import numpy as np

from tests.bench.label_curves.curve import area, labels_to, mean_curve, paired_interval, ranks, within

Curve = list[tuple[int, float]]
DEFAULT, RANDOM = "default policy", "random"
GOAL = 0.65


def page(results: list[dict[str, Any]], names: list[str], arms: list[str], seeds: int, *, folder: str) -> str:
    """Markdown, whose drawings are in `folder`: a summary, for every data set a table of arms, and the mean ranks over all."""
    by = {(result["name"], result["arm"]): result for result in results}
    lines = [
        "# Learning curves of selection rules", "",
        "    python -m tests.bench.label_curves --data DIRECTORY", "",
        f"Mean over {seeds} seeds. The evaluated model is a logistic regression (C = 10) on TF-IDF of words and pairs of",
        "words, or on standardised numbers; every arm starts from the same random labels and is trained anew after every batch.",
        "Area: mean score over the curve up to the budget; beside it the paired difference to random with its 95% interval, in",
        "points. Labels to 90, 95 and 99% of the score with the whole pool labelled; “-”: not within the budget. The arms",
        "“random” and “default policy” are followed beyond the budget until the whole pool is labelled.", "",
    ]  # fmt: skip
    places: dict[str, list[float]] = {arm: [] for arm in arms}
    sections: list[str] = []
    for name in names:
        sections += _section(name, by, arms, places, folder)
    if {DEFAULT, RANDOM} <= set(arms):
        lines += _summary(names, by, places)
    lines += sections
    lines += ["## Mean rank over the data sets", "", "| arm | mean rank | worst |", "|---|---:|---:|"]
    order = sorted(arms, key=lambda arm: float(np.mean(places[arm])))
    lines += [f"| {arm} | {np.mean(places[arm]):.2f} | {max(places[arm]):g} |" for arm in order]
    return "\n".join(lines) + "\n"


def _summary(names: list[str], by: dict[tuple[str, str], dict[str, Any]], places: dict[str, list[float]]) -> list[str]:
    """The default policy against random: area, labels to 95%, and how often its share of random's labels is small."""
    lines = [
        "## The default policy against random", "",
        "| data set | area, points | rank | labels to 95% | random's | share | share by seed |", "|---|---:|---:|---:|---:|---:|---:|",
    ]  # fmt: skip
    shares = []
    for place, name in enumerate(names):
        ours, theirs = by[name, DEFAULT], by[name, RANDOM]
        goal = 0.95 * ours["full"]
        mean = [labels_to(mean_curve(each["curves"]), goal) for each in (ours, theirs)]
        seeds = [
            (labels_to(one, goal) or np.nan) / (labels_to(other, goal) or np.nan)
            for one, other in zip(ours["curves"], theirs["curves"], strict=True)
        ]
        shares.append((mean[0] or np.nan) / (mean[1] or np.nan))
        difference, low, high = paired_interval(_areas(ours), _areas(theirs))
        lines.append(
            f"| {name} | {100 * difference:+.2f} ({100 * low:+.2f} to {100 * high:+.2f}) | {places[DEFAULT][place]:g} | "
            f"{mean[0] or np.nan:,.0f} | {mean[1] or np.nan:,.0f} | {shares[-1]:.0%} | {min(seeds):.0%} to {max(seeds):.0%} |"
        )
    small = sum(share <= GOAL for share in shares)
    lines += [
        "",
        f"At most {GOAL:.0%} of random's labels on {small} of {len(names)} data sets. Mean rank by area "
        f"{np.mean(places[DEFAULT]):.2f} of {len(places)} arms.",
        "",
    ]
    return lines


def _areas(result: dict[str, Any]) -> list[float]:
    return [area(within(curve, result["budget"])) for curve in result["curves"]]


def _section(
    name: str, by: dict[tuple[str, str], dict[str, Any]], arms: list[str], places: dict[str, list[float]], folder: str
) -> list[str]:
    first = by[name, arms[0]]
    score = "macro-F1" if first["macro_f1"] else "accuracy"
    lines = [
        f"## {name}", "",
        f"{first['pool']:,} items, {first['classes']} classes, {score}; {first['curves'][0][0][0]} to {first['budget']} labels, "
        f"batches of {first['batch']}; with all labels {first['full']:.4f}.", "",
        f"![Learning curves on {name}]({folder}/{name}.svg)", "",
        "| arm | area | against random | at the budget | to 90% | to 95% | to 99% | rank |", "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]  # fmt: skip
    areas = {arm: _areas(by[name, arm]) for arm in arms}
    rank = ranks({arm: round(float(np.mean(values)), 6) for arm, values in areas.items()})
    for arm in sorted(arms, key=lambda arm: rank[arm]):
        places[arm].append(rank[arm])
        mean = mean_curve(by[name, arm]["curves"])
        needed = [labels_to(mean, share * first["full"]) for share in (0.9, 0.95, 0.99)]
        cells = ["-" if value is None else f"{value:,.0f}" for value in needed]
        against = "-"
        if RANDOM in arms and arm != RANDOM:
            difference, low, high = paired_interval(areas[arm], areas[RANDOM])
            against = f"{100 * difference:+.2f} ({100 * low:+.2f} to {100 * high:+.2f})"
        last = within(mean, first["budget"])[-1][1]
        lines.append(
            f"| {arm} | {np.mean(areas[arm]):.4f} | {against} | {last:.4f} | {' | '.join(cells)} | {rank[arm]:g} |"
        )
    return [*lines, ""]
