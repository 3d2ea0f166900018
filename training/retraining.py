"""When to retrain: pure functions of the state."""

import math
from dataclasses import dataclass
from typing import Literal

Reason = Literal["enough_new_labels", "run_active", "cooling_down", "too_few_new_labels"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainingPolicy:
    """When the volume of new labels is worth a run.

    min_new_labels
        At least so many labels must be new, >= 1.
    growth_fraction
        And at least this share of what the last run trained on, >= 0: a model from 10,000 labels learns nothing from 50.
    cooldown_seconds
        Least time between the starts of two runs, >= 0.
    """

    min_new_labels: int = 50
    growth_fraction: float = 0.1
    cooldown_seconds: float = 60.0

    def __post_init__(self) -> None:
        if self.min_new_labels < 1:
            raise ValueError(f"min_new_labels must be at least 1, not {self.min_new_labels}")
        # Written so that NaN is refused.
        if not 0.0 <= self.growth_fraction < math.inf:
            raise ValueError(f"growth_fraction must be finite and >= 0, not {self.growth_fraction}")
        if not 0.0 <= self.cooldown_seconds < math.inf:
            raise ValueError(f"cooldown_seconds must be finite and >= 0, not {self.cooldown_seconds}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainingState:
    """What is known when the question comes up.

    labels
        Accepted labels now.
    labels_at_last_run
        Accepted labels in the snapshot of the last run, whatever became of it; 0 before the first.
    seconds_since_last_run
        Since that run was started; None before the first.
    is_run_active
        A run is waiting or running.
    """

    labels: int
    labels_at_last_run: int = 0
    seconds_since_last_run: float | None = None
    is_run_active: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether to start a run now, the reason for either answer, and how many more labels the volume trigger wants."""

    is_due: bool
    reason: Reason
    labels_missing: int


def should_retrain(state: RetrainingState, policy: RetrainingPolicy) -> Decision:
    """Decide on a run by the volume of new labels.

    Due when no run is active, the cooldown is over, and

        labels - labels_at_last_run >= max(min_new_labels, ceil(growth_fraction * labels_at_last_run)).

    Labels may have become fewer (some were withdrawn): then they are not new, and nothing is due.

    >>> should_retrain(RetrainingState(labels=260, labels_at_last_run=200), RetrainingPolicy(growth_fraction=0.25))
    Decision(is_due=True, reason='enough_new_labels', labels_missing=0)
    """
    # Rounding first keeps 0.1 * 30 = 3.0000000000000004 from asking for a fourth label.
    growth = math.ceil(round(policy.growth_fraction * state.labels_at_last_run, 6))
    target = state.labels_at_last_run + max(policy.min_new_labels, growth)
    missing = max(target - state.labels, 0)
    if state.is_run_active:
        return Decision(False, "run_active", missing)
    if missing:
        return Decision(False, "too_few_new_labels", missing)
    if state.seconds_since_last_run is not None and state.seconds_since_last_run < policy.cooldown_seconds:
        return Decision(False, "cooling_down", missing)
    return Decision(True, "enough_new_labels", missing)
