"""What to do next, as a function of the situation alone."""

import dataclasses

import pytest

from feedbackproject.overview import Situation, next_step

USUAL = Situation(
    items=1000,
    predicted=1000,
    has_champion=True,
    is_paused=False,
    open_tasks=40,
    available=900,
    refill_pending=False,
    accepted=60,
    labels_since_training=10,
    training_active=False,
)


@pytest.mark.parametrize(
    ("changes", "page", "action"),
    [
        ({}, "annotate", ""),
        ({"items": 0}, "keys", ""),
        ({"items": 0, "may_administer": False}, "label_schema", ""),
        ({"is_paused": True}, "queue", "resume"),
        ({"waiting_candidate": "numeric-0002"}, "models", ""),
        ({"labels_since_training": 50}, "models", "train"),
        ({"labels_since_training": 50, "training_active": True}, "annotate", ""),
        ({"labels_since_training": 20, "has_champion": False}, "models", "train"),
        ({"open_tasks": 0}, "queue", "refill"),
        ({"open_tasks": 0, "refill_pending": True}, "queue", ""),
        ({"open_tasks": 0, "available": 0}, "datasets", "take"),
    ],
)
def test_the_next_step_is_the_most_useful_one(changes: dict[str, object], page: str, action: str) -> None:
    step = next_step(dataclasses.replace(USUAL, **changes))  # type: ignore[arg-type]  # the table names the fields
    assert (step.page, step.action) == (page, action)
    assert step.sentence.endswith(".")
    assert step.button


def test_the_sentence_counts_in_good_english() -> None:
    assert next_step(dataclasses.replace(USUAL, open_tasks=1)).sentence.startswith("1 item is waiting")
    assert next_step(dataclasses.replace(USUAL, open_tasks=1200)).sentence.startswith("1,200 items are waiting")
