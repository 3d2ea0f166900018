"""The page of the simulated estimators: tables, and what they say, made of their numbers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

NAIVE: Final = "naive mean of the labels"
UNWEIGHTED: Final = "audit slice, unweighted"
CONTRASTS: Final = (NAIVE, UNWEIGHTED)
"""Shown beside the estimates; nobody quotes them."""
FAIR_COVERAGE: Final = 0.90
"""A 95% interval that covers less often is said to cover too little."""
MOSTLY_GOOD: Final = 0.9
_ERRORS: Final = 3.0

Setting: TypeAlias = Literal["without drift", "with drift", "by size"]
_HEADINGS: Final[dict[Setting, str]] = {
    "without drift": "Without drift",
    "with drift": "With drift",
    "by size": "Few uniform draws",
}


@dataclass(frozen=True)
class Row:
    """One estimator under one selection; bias and the rest are None where no number was given.

    share_good
        Of the repetitions, in which the overlap was diagnosed as good; None where it is not looked at.
    """

    setting: Setting
    selection: str
    estimator: str
    repetitions: int
    truth: float
    bias: float | None
    bias_error: float | None
    coverage: float | None
    width: float | None
    share_good: float | None
    note: str = ""

    @property
    def is_within(self) -> bool | None:
        """Whether the bias is within 3 of its standard errors."""
        if self.bias is None or self.bias_error is None:
            return None
        return abs(self.bias) <= _ERRORS * self.bias_error

    @property
    def is_trusted(self) -> bool:
        """Whether the service would quote it: nearly always a good overlap, where that is looked at."""
        return self.bias is not None and (self.share_good is None or self.share_good >= MOSTLY_GOOD)


def report(rows: Sequence[Row], command: str, *, default: str, trained_on: int, draws: int) -> str:
    """Markdown; `default` is the name of the default policy's selection."""
    lines = [
        "# Estimates from actively drawn labels: bias and coverage", "",
        f"    {command}", "",
        f"Handwritten digits (scikit-learn), a logistic regression trained on {trained_on} of them, the rest is the pool; about {draws} labels in two",
        "refills. Truth is the model's accuracy on the whole pool. Bias in points with its standard error; coverage and mean",
        "width of the 95% interval. With drift half of the pool arrives, noisier, between the refills.", "",
        "## What this says", "", *(f"- {each}" for each in statements(rows, default)), "",
    ]  # fmt: skip
    for setting, heading in _HEADINGS.items():
        part = [row for row in rows if row.setting == setting]
        if not part:
            continue
        lines += [f"## {heading} (truth {part[0].truth:.4f})", ""]
        lines += ["| selection | estimator | bias, points | coverage | width | |", "|---|---|---:|---:|---:|---|"]
        lines += [f"| {' | '.join(_cells(row))} |" for row in part]
        lines.append("")
    return "\n".join(lines)


def statements(rows: Sequence[Row], default: str) -> list[str]:
    """What the numbers say, in sentences."""
    drawn = [row for row in rows if row.setting != "by size"]
    measured = [row for row in drawn if row.estimator not in CONTRASTS and row.bias is not None]
    trusted, weak = [row for row in measured if row.is_trusted], [row for row in measured if not row.is_trusted]
    outside, uncovered = [row for row in trusted if not row.is_within], [row for row in trusted if not _covers(row)]
    said = [
        f"Within {_ERRORS:g} standard errors of the truth: {_by_setting(trusted, outside)}. Counted are the estimates that are always given, or "
        f"whose overlap was good in at least {MOSTLY_GOOD:.0%} of the repetitions.{_grouped(' Outside, in points', outside, _bias)}",
        f"The 95% interval covers the truth at least {FAIR_COVERAGE:.0%} of the time: {_by_setting(trusted, uncovered)} of these."
        f"{_grouped(' Less often', uncovered, _coverage)}",
    ]
    if weak:
        said.append(f"Diagnosed as weak, and never quoted by the service.{_grouped(' Coverage', weak, _coverage)}")
    said += _on_the_default(measured, default)
    if naive := [abs(row.bias) for row in drawn if row.estimator == NAIVE and row.bias is not None]:
        said.append(f"The naive mean of the labels is up to {100 * max(naive):.0f} points off.")
    if unweighted := [row for row in drawn if row.estimator == UNWEIGHTED]:
        said.append(f"What weighting by arrival mends.{_grouped(' Off by, in points', unweighted, _bias)}")
    if silent := [row for row in drawn if row.bias is None]:
        said.append(
            f"Never given a number: {'; '.join(f'{row.estimator} ({row.selection}, {row.setting})' for row in silent)}."
        )
    return said


def _on_the_default(measured: Sequence[Row], default: str) -> list[str]:
    """What the active draws of the default policy carry: whether they are diagnosed as weak, and how often they cover."""
    said = []
    for row in measured:
        if row.selection == default and row.share_good is not None:
            verdict = "" if row.is_trusted else "; the audit slice has to do"
            said.append(
                f"At the default sharpness, {row.setting}, {row.estimator} is diagnosed as good in {row.share_good:.0%} of the "
                f"repetitions and covers {row.coverage:.0%} of the time{verdict}."
            )
    return said


def _cells(row: Row) -> list[str]:
    bias = "-" if row.bias is None else f"{100 * row.bias:+.2f} ± {100 * (row.bias_error or 0.0):.2f}"
    coverage = "-" if row.coverage is None else f"{row.coverage:.1%}"
    width = "-" if row.width is None else f"{row.width:.3f}"
    note = row.note if row.share_good is None else f"overlap good in {row.share_good:.0%} of the repetitions"
    return [row.selection, row.estimator, bias, coverage, width, note]


def _covers(row: Row) -> bool:
    return row.coverage is not None and row.coverage >= FAIR_COVERAGE


def _by_setting(rows: Sequence[Row], without: Sequence[Row]) -> str:
    """How many of the rows of each setting are left without some."""
    counts = {}
    for setting in dict.fromkeys(row.setting for row in rows):
        there = [row for row in rows if row.setting == setting]
        counts[setting] = f"{sum(row not in without for row in there)} of {len(there)} {setting}"
    return ", ".join(counts.values())


def _bias(row: Row) -> str:
    return f"{100 * (row.bias or 0.0):+.1f}"


def _coverage(row: Row) -> str:
    return f"{row.coverage or 0.0:.1%}"


def _grouped(head: str, rows: Sequence[Row], figure: Callable[[Row], str]) -> str:
    """The rows by estimator and setting with the range of a figure; empty for no row."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(f"{row.estimator}, {row.setting}", []).append(row)
    said = []
    for name, members in groups.items():
        figures = sorted({figure(row) for row in members}, key=lambda text: float(text.rstrip("%")))
        spread = figures[0] if len(figures) == 1 else f"{figures[0]} to {figures[-1]}"
        under = members[0].selection if len(members) == 1 else f"{len(members)} selections"
        note = f", {members[0].note}" if members[0].note else ""
        said.append(f"{name} ({under}{note}) {spread}")
    return f"{head}: {'; '.join(said)}." if said else ""
