"""What a simulation found: a table while it runs, and a page with the curves of all seeds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from feedbackproject.simulation import Hits, Plan, Step
from training.charts import STANDALONE, Arm, CurvePoint, learning_curve_svg

Seeds = Mapping[int, Sequence[Step]]
"""The steps of each seed."""

HEADER = f"{'labels':>7} {'audit':>6} {'active':>8} {'random':>8} {'newest':>8}   audit slice says"


@dataclass(frozen=True)
class Result:
    """The figure that counts, from the mean curves.

    target
        Accuracy of the random arm at the end.
    labels_needed
        Labels with which the active arm's deployed model has that accuracy first, interpolated between rounds; infinite
        if never.
    labels_needed_by_newest
        The same for the newest trained model, whether or not the gate let it pass.
    budget
        Labels of the random arm at the end.
    """

    target: float
    labels_needed: float
    labels_needed_by_newest: float
    budget: int

    @property
    def share(self) -> float:
        return self.labels_needed / self.budget


def line(step: Step) -> str:
    """One row under HEADER."""
    control = f"{step.control.accuracy:8.4f}" if step.control else f"{'-':>8}"
    said = (
        "-" if step.audit.value is None else f"{step.audit.value:.3f} ({step.audit.low:.3f} to {step.audit.high:.3f})"
    )
    kept_back = "" if step.is_promoted or step.newest is step.active else "   newest kept back by the gate"
    return (
        f"{step.labels:7d} {step.audit_labels:6d} {step.active.accuracy:8.4f} {control} {step.newest.accuracy:8.4f}   "
        f"{said}{kept_back}"
    )


def labels_to_reach(target: float, counts: Sequence[int], accuracies: Sequence[float]) -> float:
    """Where the curve first reaches the target, interpolated linearly between its points; infinite if it never does.

    >>> labels_to_reach(0.65, [100, 200, 300], [0.5, 0.6, 0.7])
    250.0
    """
    previous: tuple[int, float] | None = None
    for count, value in zip(counts, accuracies, strict=True):
        if value >= target:
            if previous is None:
                return float(count)
            share = (target - previous[1]) / (value - previous[1])
            return round(previous[0] + share * (count - previous[0]), 1)
        previous = (count, value)
    return math.inf


def result(seeds: Seeds) -> Result | None:
    """The figure over the seeds; None when the seeds do not share their last number of labels with a control model."""
    rows = [row for row in _rows(seeds) if row.control]
    if not rows:
        return None
    target = fmean(hits.accuracy for hits in rows[-1].control)
    counts = [row.labels for row in rows]
    needed = labels_to_reach(target, counts, [_mean(row.active) for row in rows])
    by_newest = labels_to_reach(target, counts, [_mean(row.newest) for row in rows])
    return Result(target, needed, by_newest, counts[-1])


def page(title: str, seeds: Seeds, plan: Plan, *, command: str, facts: Sequence[str], chart: str) -> str:
    """A Markdown page. `chart` is the file name of the chart beside it."""
    found = result(seeds)
    lines = [f"# {title}", "", *facts, "", f"    {command}", ""]
    lines += [
        f"From {plan.start_per_class} examples a class to {plan.labels} labels, a training every {plan.round_size}, "
        f"{100 * plan.error_rate:g}% wrong answers, seeds {', '.join(map(str, seeds))}. Labels of the active arm include "
        "its audit draws, which are never trained on; the random arm trains on all of its labels. Both are measured "
        "on the same rows, which neither was trained on.",
        "",
    ]
    if found is not None:
        reached = f"{_in_words(found.labels_needed)}, {found.share:.1%} of {found.budget}"
        lines += [
            f"The random arm ends with an accuracy of {found.target:.4f}. "
            f"The active arm (the deployed model) has it with **{reached}**. Its newest trained model, whether or not the gate "
            f"let it pass, has it with {_in_words(found.labels_needed_by_newest)}.",
            "",
        ]
    lines += [f"![Accuracy by number of labels, mean over seeds]({chart})", "", *_curve_table(seeds), ""]
    lines += ["## Seed by seed", "", *_seed_table(seeds), "", "## Is the audit slice right?", "", *_audit_table(seeds)]
    return "\n".join(lines) + "\n"


def _in_words(labels: float) -> str:
    return f"{labels:.0f} labels" if math.isfinite(labels) else "no number of labels it came to"


def chart(seeds: Seeds) -> str:
    """Both arms, averaged over the seeds, as an SVG that stands for itself."""
    arms: tuple[Arm, ...] = ("active", "random")
    points = []
    for row in _rows(seeds):
        for arm, hits in zip(arms, (row.active, row.control), strict=True):
            points += [CurvePoint(arm, "test_set", 0, row.labels, one.accuracy, 0.0, 1.0, one.n) for one in hits]
    return learning_curve_svg(points, palette=STANDALONE)


@dataclass(frozen=True)
class _Row:
    """All seeds after the same number of labels; `control` is empty where one of them has no control model yet."""

    labels: int
    audit_labels: float
    active: Sequence[Hits]
    newest: Sequence[Hits]
    control: Sequence[Hits]


def _rows(seeds: Seeds) -> list[_Row]:
    rows = []
    by_count = [{step.labels: step for step in steps} for steps in seeds.values()]
    for count in sorted(set.intersection(*(set(steps) for steps in by_count))) if by_count else []:
        steps = [one_seed[count] for one_seed in by_count]
        control = [step.control for step in steps if step.control]
        rows.append(
            _Row(
                count,
                fmean(step.audit_labels for step in steps),
                [step.active for step in steps],
                [step.newest for step in steps],
                control if len(control) == len(steps) else [],
            )
        )
    return rows


def _mean(hits: Sequence[Hits]) -> float:
    return fmean(one.accuracy for one in hits)


def _with_deviation(hits: Sequence[Hits]) -> str:
    if not hits:
        return ""
    spread = f" ± {stdev(one.accuracy for one in hits):.4f}" if len(hits) > 1 else ""
    return f"{_mean(hits):.4f}{spread}"


def _curve_table(seeds: Seeds) -> list[str]:
    lines = ["| labels | of these audit | active arm | random arm |", "|---:|---:|---:|---:|"]
    for row in _rows(seeds):
        figures = (_with_deviation(row.active), _with_deviation(row.control))
        lines.append(f"| {row.labels} | {row.audit_labels:.0f} | {' | '.join(figures)} |")
    return [*lines, "", "Mean and standard deviation over the seeds."]


def _seed_table(seeds: Seeds) -> list[str]:
    lines = ["| seed | random arm at the end | active arm at the end | labels to the random arm's end | share |"]
    lines.append("|---:|---:|---:|---:|---:|")
    for seed, steps in seeds.items():
        own, last = result({seed: steps}), steps[-1]
        if own is None or last.control is None:
            continue
        lines.append(
            f"| {seed} | {last.control.accuracy:.4f} | {last.active.accuracy:.4f} | {own.labels_needed:.0f} | {own.share:.1%} |"
        )
    return lines


def _audit_table(seeds: Seeds) -> list[str]:
    lines = [
        "What the service says of its deployed model at the end, from the audit labels alone, beside its true accuracy.",
        "",
        "| seed | audit labels | estimate | 95% interval | accuracy on the test rows |",
        "|---:|---:|---:|---:|---:|",
    ]
    for seed, steps in seeds.items():
        last = steps[-1]
        said = "-" if last.audit.value is None else f"{last.audit.value:.3f}"
        interval = f"{last.audit.low:.3f} to {last.audit.high:.3f}"
        lines.append(f"| {seed} | {last.audit.n} | {said} | {interval} | {last.active.accuracy:.4f} |")
    return lines
