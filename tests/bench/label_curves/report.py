"""The page of the label-efficiency comparison."""

from typing import Any

import numpy as np

from tests.bench.label_curves.curve import area, labels_to, mean_curve, paired_interval, ranks


def page(results: list[dict[str, Any]], names: list[str], arms: list[str], seeds: int) -> str:
    """Markdown: for every data set a table of arms, and the mean ranks over all."""
    by = {(result["name"], result["arm"]): result for result in results}
    lines = [
        "# Learning curves of selection rules", "",
        "    python -m tests.bench.label_curves --data DIRECTORY", "",
        f"Mean over {seeds} seeds. The evaluated model is a logistic regression (C = 10) on TF-IDF of words and pairs of",
        "words, or on standardised numbers; every arm starts from the same random labels and is trained anew after every batch. Area:",
        "mean score over the curve; beside it the paired difference to random with its 95% interval, in points. Labels to",
        "90, 95 and 99% of the score with the whole pool labelled; “-”: not within the budget.", "",
    ]  # fmt: skip
    places: dict[str, list[float]] = {arm: [] for arm in arms}
    for name in names:
        first = by[name, arms[0]]
        score = "macro-F1" if first["macro_f1"] else "accuracy"
        labels = [point[0] for point in first["curves"][0]]
        lines += [
            f"## {name}", "",
            f"{first['pool']:,} items, {first['classes']} classes, {score}; {labels[0]} to {labels[-1]} labels, batches of "
            f"{first['batch']}; with all labels {first['full']:.4f}.", "",
            "| arm | area | against random | at the end | to 90% | to 95% | to 99% | rank |", "|---|---:|---:|---:|---:|---:|---:|---:|",
        ]  # fmt: skip
        areas = {arm: [area(curve) for curve in by[name, arm]["curves"]] for arm in arms}
        rank = ranks({arm: round(float(np.mean(values)), 6) for arm, values in areas.items()})
        for arm in sorted(arms, key=lambda arm: rank[arm]):
            places[arm].append(rank[arm])
            mean = mean_curve(by[name, arm]["curves"])
            needed = [labels_to(mean, share * first["full"]) for share in (0.9, 0.95, 0.99)]
            cells = ["-" if value is None else f"{value:,.0f}" for value in needed]
            against = "-"
            if "random" in arms and arm != "random":
                difference, low, high = paired_interval(areas[arm], areas["random"])
                against = f"{100 * difference:+.2f} ({100 * low:+.2f} to {100 * high:+.2f})"
            lines.append(
                f"| {arm} | {np.mean(areas[arm]):.4f} | {against} | {mean[-1][1]:.4f} | {' | '.join(cells)} | {rank[arm]:g} |"
            )
        lines.append("")
    lines += ["## Mean rank over the data sets", "", "| arm | mean rank | worst |", "|---|---:|---:|"]
    order = sorted(arms, key=lambda arm: float(np.mean(places[arm])))
    lines += [f"| {arm} | {np.mean(places[arm]):.2f} | {max(places[arm]):g} |" for arm in order]
    return "\n".join(lines) + "\n"
