import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.retraining import Decision, RetrainingPolicy, RetrainingState, should_retrain

POLICY = RetrainingPolicy(min_new_labels=50, growth_fraction=0.1, cooldown_seconds=600)


@pytest.mark.parametrize(
    ("labels", "at_last_run", "missing"),
    [
        (0, 0, 50),
        (49, 0, 1),
        (50, 0, 0),
        (249, 200, 1),  # 50 is more than 10% of 200
        (250, 200, 0),
        (1099, 1000, 1),  # 10% of 1000 is more than 50
        (1100, 1000, 0),
        (1104, 1004, 1),  # 100.4 new labels means 101
        (1105, 1004, 0),
        (900, 1000, 200),  # labels were withdrawn
    ],
)
def test_the_volume_trigger_wants_a_minimum_and_a_share_of_the_last_run(
    labels: int, at_last_run: int, missing: int
) -> None:
    decision = should_retrain(RetrainingState(labels=labels, labels_at_last_run=at_last_run), POLICY)
    assert decision.labels_missing == missing
    assert decision.is_due == (missing == 0)
    assert decision.reason == ("too_few_new_labels" if missing else "enough_new_labels")


def test_a_share_that_is_whole_is_not_rounded_up_by_floating_point() -> None:
    # 0.1 * 30 = 3.0000000000000004 in binary.
    policy = RetrainingPolicy(min_new_labels=1, growth_fraction=0.1)
    assert should_retrain(RetrainingState(labels=33, labels_at_last_run=30), policy).is_due


def test_one_run_at_a_time() -> None:
    state = RetrainingState(labels=500, labels_at_last_run=100, seconds_since_last_run=9999, is_run_active=True)
    assert should_retrain(state, POLICY) == Decision(is_due=False, reason="run_active", labels_missing=0)


@pytest.mark.parametrize(("seconds", "is_due"), [(0, False), (599.9, False), (600, True), (None, True)])
def test_the_cooldown_holds_until_it_is_over(seconds: float | None, is_due: bool) -> None:
    decision = should_retrain(
        RetrainingState(labels=500, labels_at_last_run=100, seconds_since_last_run=seconds), POLICY
    )
    assert decision.is_due == is_due
    assert decision.reason == ("enough_new_labels" if is_due else "cooling_down")


@given(st.integers(0, 10_000), st.integers(0, 10_000), st.integers(1, 500), st.floats(0, 3))
def test_it_is_due_exactly_when_nothing_is_missing_and_one_label_more_never_undoes_it(
    labels: int, at_last_run: int, min_new: int, growth: float
) -> None:
    policy = RetrainingPolicy(min_new_labels=min_new, growth_fraction=growth, cooldown_seconds=0)
    decision = should_retrain(RetrainingState(labels=labels, labels_at_last_run=at_last_run), policy)
    assert decision.is_due == (decision.labels_missing == 0)
    target = RetrainingState(labels=labels + decision.labels_missing, labels_at_last_run=at_last_run)
    assert should_retrain(target, policy).is_due
    more = RetrainingState(labels=target.labels + 1, labels_at_last_run=at_last_run)
    assert should_retrain(more, policy).is_due


@pytest.mark.parametrize(
    "values",
    [
        {"min_new_labels": 0},
        {"growth_fraction": -0.1},
        {"growth_fraction": float("nan")},
        {"growth_fraction": float("inf")},
        {"cooldown_seconds": -1.0},
        {"cooldown_seconds": float("nan")},
    ],
)
def test_a_policy_that_means_nothing_is_refused(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        RetrainingPolicy(**values)  # type: ignore[arg-type]  # one wrong value at a time, by name
