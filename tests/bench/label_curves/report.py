"""The page of the label-efficiency comparison."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tests.bench.label_curves import summary
from tests.bench.label_curves.curve import labels_to, mean_curve, paired_interval, within
from tests.bench.label_curves.names import DEFAULT, RANDOM
from tests.bench.label_curves.runs import About, Case, Failure, Result
from tests.bench.label_curves.summary import Curves


@dataclass(frozen=True)
class Run:
    """How the results came about.

    folder
        Where the drawings are, from the page's own place.
    peers
        The arms that are not ours.
    hand_over
        The labels a class at which cold start ends by default.
    further
        A line that leads on to other measurements.
    decision
        The record of how the defaults were chosen, from the page's own place.
    """

    command: str
    seeds: int
    day: str
    machine: str
    folder: str
    peers: Sequence[str]
    hand_over: int
    further: str = ""
    decision: str = "adr/0004-stochastic-margin-default.md"


def page(run: Run, about: Sequence[About], results: Sequence[Result], failures: Sequence[Failure]) -> str:
    """Markdown: what the run shows, the default policy against random, ranks over all data sets, and each data set."""
    curves = summary.collect(about, results)
    lines = ["# How many labels active selection saves", "", *_how(run, curves), ""]
    if said := summary.statements(curves, run.peers):
        lines += ["## What this shows", "", *(f"- {each}" for each in said), "", *_caveats(curves, run.decision)]
        lines += _default_against_random(curves)
    lines += [run.further, ""] if run.further else []
    if table := summary.hand_overs(curves, run.hand_over):
        lines += [
            "## When cold start ends",
            "",
            "Area of the default policy by the labels a class at which it hands over.",
            "",
        ]
        lines += [*table, ""]
    lines += _mean_ranks(curves, run.peers)
    for each in curves.about:
        lines += _section(curves, each, run.folder)
    if failures:
        lines += ["## What could not be run", "", *(f"- {each.what}: {_line(each.why)}" for each in failures), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def drawing(case: Case) -> str:
    """The file name of a case's curves.

    >>> drawing(Case("my set", 50))
    'my_set_batches_of_50.svg'
    """
    return re.sub(r"[^\w.-]+", "_", case.title) + ".svg"


def interval(mean: float, low: float, high: float) -> str:
    """A difference in points.

    >>> interval(0.05, -0.01, 0.11), interval(0.05, -np.inf, np.inf)
    ('+5.00 (-1.00 to +11.00)', '+5.00')
    """
    said = f"{100 * mean:+.2f}"
    return f"{said} ({100 * low:+.2f} to {100 * high:+.2f})" if np.isfinite(low) else said


def _how(run: Run, curves: Curves) -> list[str]:
    return [
        f"    {run.command}", "",
        f"Measured on {run.day} on {run.machine}; mean over {run.seeds} seeds. The evaluated model is a logistic regression (C = 10) on",
        "TF-IDF of words and pairs of words, or on standardised numbers; every arm starts from the same random labels and is trained",
        "anew after every batch. Area: mean score over the curve up to the budget; the paired difference to random with its 95%",
        f"interval over the seeds, in points. The arms “{RANDOM}” and “{DEFAULT}” are followed beyond the budget until the whole",
        "pool is labelled; “-”: not reached.",
    ]  # fmt: skip


def _caveats(curves: Curves, decision: str) -> list[str]:
    starts = sorted({each.start for each in curves.about})
    first = f"{starts[0]}" if len(starts) == 1 else f"{starts[0]} to {starts[-1]}"
    return [
        f"Arms draw no audit share (the product spends a tenth on it by default) and begin from {first} random labels. Beta and hand-over were",
        f"chosen in trials on sms_spam, trec, subj, banking77 and digits ([why]({decision})), so other sets may show less.",
        "",
    ]  # fmt: skip


def _default_against_random(curves: Curves) -> list[str]:
    """Labels to each goal as ours / random's, and the share at 95%: of the mean curves, and from seed to seed."""
    lines = [
        "## The default policy against random", "",
        "Labels: the default policy's / random's, read off the mean curves.", "",
        "| data set | area, points | rank | to 90% | to 95% | to 99% | share at 95% | by seed |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]  # fmt: skip
    for each in summary.against_random(curves):
        arms = curves.arms(each.case)
        difference = paired_interval(curves.areas(each, DEFAULT), curves.areas(each, RANDOM))
        goals = [
            " / ".join(_labels(curves.labels(each, arm, share)) for arm in (DEFAULT, RANDOM))
            for share in summary.SHARES
        ]
        share = summary.share_of_random(curves, each)
        cells = [
            each.case.title,
            interval(*difference),
            f"{curves.ranks(each, arms)[DEFAULT]:g} of {len(arms)}",
            *goals,
            "-" if share is None else f"{share:.0%}",
            _by_seed(curves, each),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def _by_seed(curves: Curves, about: About) -> str:
    pairs = zip(*(curves.by[about.case, arm].curves for arm in (DEFAULT, RANDOM)), strict=True)
    found = [tuple(labels_to(curve, 0.95 * about.full) for curve in pair) for pair in pairs]
    shares = [ours / theirs for ours, theirs in found if ours is not None and theirs is not None]
    return f"{min(shares):.0%} to {max(shares):.0%}" if shares else "-"


def _mean_ranks(curves: Curves, peers: Sequence[str]) -> list[str]:
    arms = curves.common
    if len(arms) < 2:
        return []
    lines = [
        "## Mean rank over the data sets", "",
        f"By area, of the {len(arms)} arms that ran on all {len(curves.about)}; peers are in italics.", "",
        "| arm | mean rank | worst |", "|---|---:|---:|",
    ]  # fmt: skip
    for arm, (mean, worst) in curves.mean_ranks(arms).items():
        lines.append(f"| {_named(arm, peers)} | {mean:.2f} | {worst:g} |")
    return [*lines, ""]


def _section(curves: Curves, about: About, folder: str) -> list[str]:
    score, arms = "macro-F1" if about.macro_f1 else "accuracy", curves.arms(about.case)
    skipped = f" {about.skipped:,} rows without text or label were left out." if about.skipped else ""
    lines = [
        f"## {about.case.title}", "",
        f"{about.pool:,} items, {about.classes} classes, {score}; {about.start} to {about.budget} labels, "
        f"batches of {about.batch}; with all labels {about.full:.4f}.{skipped}", "",
        f"![Learning curves on {about.case.title}]({folder}/{drawing(about.case)})", "",
        "| arm | area | against random | at the budget | to 90% | to 95% | to 99% | rank |", "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]  # fmt: skip
    for arm, rank in sorted(curves.ranks(about, arms).items(), key=lambda pair: pair[1]):
        areas = curves.areas(about, arm)
        against = "-"
        if RANDOM in arms and arm != RANDOM:
            against = interval(*paired_interval(areas, curves.areas(about, RANDOM)))
        last = within(mean_curve(curves.by[about.case, arm].curves), about.budget)[-1][1]
        needed = " | ".join(_labels(curves.labels(about, arm, share)) for share in summary.SHARES)
        lines.append(f"| {arm} | {np.mean(areas):.4f} | {against} | {last:.4f} | {needed} | {rank:g} |")
    return [*lines, ""]


def _labels(count: float | None) -> str:
    return "-" if count is None else f"{count:,.0f}"


def _named(arm: str, peers: Sequence[str]) -> str:
    return f"*{arm}*" if arm in peers else arm


def _line(text: str) -> str:
    return " ".join(text.split())
