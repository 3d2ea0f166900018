"""All arms by name, and the groups that a run may ask for."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from tests.bench.label_curves import ours, peers
from tests.bench.label_curves.names import DEFAULT, RANDOM, hand_over_arm, hand_over_of
from tests.bench.label_curves.state import Arm

ARMS: Final[Mapping[str, Arm]] = {**ours.ARMS, **peers.PEERS}
GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    # Without those that take minutes a run where classes are many.
    "quick": (
        *(RANDOM, DEFAULT, "stochastic margin", "margin, top k", "margin, stochastic clusters"),
        *("modAL margin", "modAL entropy", "scikit-activeml Falcun", "small-text BreakingTies"),
    ),
    "default": (
        *(RANDOM, DEFAULT, "stochastic margin", "margin, top k", "margin, cluster quotas"),
        *("margin, stochastic clusters", "BADGE", "entropy, stochastic", "typicality"),
        *peers.PEERS,
    ),
    "all": tuple(ARMS),
}
FOLLOWED_TO_THE_END: Final = frozenset({DEFAULT, RANDOM})
"""The arms whose labels to a score are compared: beyond the budget in growing batches, until the pool is used up."""


def find(name: str) -> Arm:
    """The arm of that name; ValueError for none."""
    if (labels_per_class := hand_over_of(name)) is not None:
        return ours.default_policy(labels_per_class)
    if name not in ARMS:
        raise ValueError(f"there is no arm {name!r}; there are: {'; '.join([*GROUPS, *ARMS])}")
    return ARMS[name]


def expanded(wanted: Iterable[str], hand_overs: Sequence[int] = ()) -> list[str]:
    """Names and groups -> names, each once; ValueError for an unknown one."""
    names = [name for each in wanted for name in GROUPS.get(each, (each,))]
    names = list(dict.fromkeys([*names, *(hand_over_arm(number) for number in hand_overs)]))
    for name in names:
        find(name)
    return names
