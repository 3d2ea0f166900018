"""What the curves of a run say: figures over seeds and data sets, and sentences made of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from tests.bench.label_curves.curve import area, labels_to, mean_curve, paired_interval, ranks, within
from tests.bench.label_curves.names import DEFAULT, RANDOM, hand_over_arm, hand_over_of
from tests.bench.label_curves.runs import About, Case, Result

SHARES: Final = (0.9, 0.95, 0.99)
"""Of the score with all labels: goals that labels are counted to."""
GOAL: Final = 0.65
_SAME: Final = 6
"""Digits after the point of an area; what differs less is a tie."""


@dataclass(frozen=True)
class Curves:
    """All results, by case and arm."""

    about: Sequence[About]
    by: dict[tuple[Case, str], Result]

    def arms(self, case: Case) -> list[str]:
        """The arms that ran on a case, but for other ends of cold start."""
        return [arm for here, arm in self.by if here == case and hand_over_of(arm) is None]

    @property
    def common(self) -> list[str]:
        """The arms that ran on every case."""
        return [arm for arm in self.arms(self.about[0].case) if all((each.case, arm) in self.by for each in self.about)]

    def areas(self, about: About, arm: str) -> list[float]:
        """Area under the curve up to the budget, for each seed."""
        return [area(within(curve, about.budget)) for curve in self.by[about.case, arm].curves]

    def labels(self, about: About, arm: str, share: float) -> float | None:
        """Labels at which the mean curve reaches that share of the full score; None if it does not."""
        return labels_to(mean_curve(self.by[about.case, arm].curves), share * about.full)

    def ranks(self, about: About, arms: Sequence[str]) -> dict[str, float]:
        """Of these arms, by mean area."""
        return ranks({arm: round(float(np.mean(self.areas(about, arm))), _SAME) for arm in arms})

    def mean_ranks(self, arms: Sequence[str]) -> dict[str, tuple[float, float]]:
        """Mean and worst rank over all cases, best mean first."""
        places = [self.ranks(each, arms) for each in self.about]
        found = {arm: [place[arm] for place in places] for arm in arms}
        means = {arm: (float(np.mean(each)), max(each)) for arm, each in found.items()}
        return dict(sorted(means.items(), key=lambda pair: pair[1]))


def collect(about: Sequence[About], results: Sequence[Result]) -> Curves:
    """Results by case and arm; cases of which nothing ran are left out."""
    by = {(result.case, result.arm): result for result in results}
    return Curves([each for each in about if any(case == each.case for case, _ in by)], by)


def against_random(curves: Curves) -> list[About]:
    """The cases that the default policy and random both ran on."""
    return [each for each in curves.about if {DEFAULT, RANDOM} <= set(curves.arms(each.case))]


def share_of_random(curves: Curves, about: About, share: float = 0.95) -> float | None:
    """The default policy's labels to a score, as a share of random's; None if either does not reach it."""
    ours, theirs = (curves.labels(about, arm, share) for arm in (DEFAULT, RANDOM))
    return ours / theirs if ours is not None and theirs is not None else None


def statements(curves: Curves, peers: Sequence[str]) -> list[str]:
    """What the run shows of the default policy, in sentences; nothing if it or random did not run."""
    compared = against_random(curves)
    if not compared:
        return []
    return [
        _areas(curves, compared),
        _shares(curves, compared),
        *_ranks(curves, peers),
        *(said for each in compared if (said := _behind(curves, each, peers))),
    ]


def _areas(curves: Curves, compared: Sequence[About]) -> str:
    intervals = {
        each.case.title: paired_interval(curves.areas(each, DEFAULT), curves.areas(each, RANDOM)) for each in compared
    }
    below = [title for title, (mean, _, _) in intervals.items() if mean < 0]
    unsure = [title for title, (_, low, high) in intervals.items() if low <= 0 <= high]
    said = f"Area under the curve: above random on {len(compared) - len(below)} of {len(compared)} data sets"
    said += f", below on {', '.join(below)}" if below else ""
    return f"{said}. The 95% interval of the difference includes 0 on {', '.join(unsure) or 'none'}."


def _shares(curves: Curves, compared: Sequence[About]) -> str:
    found = {each: share_of_random(curves, each) for each in compared}
    small = sum(share is not None and share <= GOAL for share in found.values())
    said = f"Labels to 95% of the full score: at most {GOAL:.0%} of random's on {small} of {len(found)} data sets"
    rare = [f"{each.case.title} {share:.0%}" for each, share in found.items() if each.macro_f1 and share is not None]
    return f"{said}; with one class in more than four of five items: {', '.join(rare)}." if rare else f"{said}."


def _ranks(curves: Curves, peers: Sequence[str]) -> list[str]:
    """The mean rank beside the best of the peers', among all arms and with peers and random alone."""
    lines: list[str] = []
    there = [arm for arm in peers if arm in curves.common]
    if DEFAULT not in curves.common or not there:
        return lines
    for arms, which in (
        (curves.common, f"the {len(curves.common)} arms that ran on all of them"),
        ([DEFAULT, *there, *({RANDOM} & set(curves.common))], "the default policy, random and peers alone"),
    ):
        means = curves.mean_ranks(arms)
        best = min(there, key=lambda arm: means[arm])
        lines.append(
            f"Mean rank by area over {len(curves.about)} data sets and {which}: {means[DEFAULT][0]:.2f}; "
            f"the best peer, {best}, {means[best][0]:.2f}."
        )
    return lines


def _behind(curves: Curves, about: About, peers: Sequence[str]) -> str:
    """By how much the best peer is ahead on a data set; empty if none is."""
    areas = {arm: curves.areas(about, arm) for arm in curves.arms(about.case) if arm in {DEFAULT, *peers}}
    best = max(areas, key=lambda arm: round(float(np.mean(areas[arm])), _SAME) + (arm == DEFAULT) * 1e-9)
    if best == DEFAULT:
        return ""
    mean, low, high = (100 * each for each in paired_interval(areas[best], areas[DEFAULT]))
    said = f"On {about.case.title} {best} is ahead by {mean:.2f} points of area ({low:+.2f} to {high:+.2f})"
    ours, theirs = (curves.labels(about, arm, 0.95) for arm in (DEFAULT, best))
    return f"{said}; labels to 95%: {theirs:,.0f} against {ours:,.0f}." if ours and theirs else f"{said}."


def hand_overs(curves: Curves, default: int) -> list[str]:
    """A table of areas by the labels a class at which cold start ends; nothing if no other end was tried."""
    others = sorted({number for _, arm in curves.by if (number := hand_over_of(arm)) is not None})
    arms = {number: hand_over_arm(number) for number in others} | {default: DEFAULT}
    tried = {number: arms[number] for number in sorted(arms)}
    cases = [each for each in curves.about if all((each.case, arm) in curves.by for arm in tried.values())]
    if not others or not cases:
        return []
    heads = [f"{number}{' (default)' if number == default else ''}" for number in tried]
    lines = [f"| data set | {' | '.join(heads)} |", f"|---|{'---:|' * len(tried)}"]
    found = {number: [curves.areas(each, arm) for each in cases] for number, arm in tried.items()}
    for place, each in enumerate(cases):
        lines.append(f"| {each.case.title} | {' | '.join(f'{np.mean(found[n][place]):.4f}' for n in tried)} |")
    means = {number: float(np.mean([np.mean(seeds) for seeds in found[number]])) for number in tried}
    lines += [f"| **mean** | {' | '.join(f'{means[number]:.4f}' for number in tried)} |", ""]
    together = {number: [one for seeds in found[number] for one in seeds] for number in tried}
    for number in others:
        mean, low, high = (100 * each for each in paired_interval(together[number], together[default]))
        lines.append(
            f"- {number} against {default}: {mean:+.2f} points ({low:+.2f} to {high:+.2f}) over all sets and seeds."
        )
    return lines
