"""The names of arms that the report treats in a way of their own."""

from typing import Final

DEFAULT: Final = "default policy"
RANDOM: Final = "random"
_HAND_OVER: Final = "default policy, hand-over at "


def hand_over_arm(labels_per_class: int) -> str:
    """The default policy with another end of cold start.

    >>> hand_over_arm(15)
    'default policy, hand-over at 15'
    """
    return f"{_HAND_OVER}{labels_per_class}"


def hand_over_of(arm: str) -> int | None:
    """The labels a class in such a name; None for any other.

    >>> hand_over_of("default policy, hand-over at 15"), hand_over_of("default policy")
    (15, None)
    """
    number = arm.removeprefix(_HAND_OVER)
    return int(number) if number != arm and number.isdecimal() else None
