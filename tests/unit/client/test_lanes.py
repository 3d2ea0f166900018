"""A lane counts every row it was given, keeps its bounds, and knows when it has something to send."""

import math

from feedback_client.lanes import Lane
from feedback_client.options import Options
from feedback_client.outcomes import Refused, Stored, Unavailable
from feedback_client.rows import Route, Row
from hypothesis import given
from hypothesis import strategies as st

OPTIONS = Options(batch_rows=3, queue_rows=10, linger_seconds=1.0, retry_for_seconds=60.0)


def _lane(options: Options = OPTIONS) -> Lane:
    return Lane(Route.ITEMS, options)


def _row(name: str, size: int = 10) -> Row:
    return Row(b"x" * size, name, "m")


def _fill(lane: Lane, count: int, now: float = 0.0) -> None:
    for number in range(count):
        assert lane.admit(_row(f"{now}-{number}"), now) is not None


def _send(lane: Lane, outcome: Stored | Unavailable | Refused, now: float) -> None:
    lane.collect()
    lane.settle(lane.form_batch(), outcome, now, draw=0.0)


def test_the_first_row_waits_for_others_until_the_linger_is_over_or_the_batch_full() -> None:
    lane = _lane()
    assert lane.due_in(0.0) == math.inf
    assert lane.admit(_row("a"), 5.0) is True
    assert lane.due_in(5.25) == 0.75
    assert lane.admit(_row("b"), 5.3) is False  # the thread knows of the first
    assert lane.admit(_row("c"), 5.4) is True  # and must know that the batch is full
    assert lane.due_in(5.4) == 0.0


def test_a_full_batch_can_also_be_one_of_bytes() -> None:
    lane = _lane(Options(batch_rows=100, batch_bytes=50))
    lane.admit(_row("a", 30), 0.0)
    assert lane.due_in(0.0) == 1.0
    assert lane.admit(_row("b", 30), 0.0) is True
    assert lane.due_in(0.0) == 0.0


def test_rows_beyond_the_bound_are_dropped_and_room_comes_back_when_rows_are_settled() -> None:
    lane = _lane()
    _fill(lane, 10)
    assert lane.admit(_row("late"), 0.0) is None
    lane.collect()
    batch = lane.form_batch()
    assert lane.admit(_row("late"), 0.0) is None  # rows under way count, too
    lane.settle(batch, Stored(), 0.0, draw=0.0)
    _fill(lane, 3, now=1.0)
    assert lane.admit(_row("late"), 1.0) is None
    assert (lane.accepted, lane.delivered, lane.pending, lane.dropped) == (13, 3, 10, 3)


def test_the_queue_is_bounded_in_bytes_as_well() -> None:
    lane = _lane(Options(queue_bytes=100))
    lane.admit(_row("a", 90), 0.0)
    assert lane.admit(_row("b", 11), 0.0) is None
    assert lane.admit(_row("c", 10), 0.0) is not None


def test_a_batch_that_found_nobody_is_sent_again_as_it_was_after_growing_pauses() -> None:
    lane = _lane()
    _fill(lane, 2)
    lane.hurry(0.0)
    lane.collect()
    first = lane.form_batch()
    lane.settle(first, Unavailable("down"), 10.0, draw=0.0)
    assert lane.due_in(10.0) == 0.5
    lane.collect()
    assert lane.form_batch() is first
    lane.settle(first, Unavailable("down"), 11.0, draw=0.0)
    assert lane.due_in(11.0) == 1.0
    assert (lane.pending, lane.retries, lane.lost) == (2, 1, 0)
    _send(lane, Stored(), 12.0)
    assert (lane.pending, lane.delivered, lane.retries) == (0, 2, 2)
    assert lane.due_in(12.0) == math.inf


def test_the_service_s_word_on_when_to_come_back_is_kept_and_a_flush_does_not_cut_it_short() -> None:
    lane = _lane()
    _fill(lane, 1)
    lane.hurry(0.0)
    _send(lane, Unavailable("HTTP 429", retry_after=20.0), 0.0)
    lane.hurry(1.0)
    assert lane.due_in(1.0) == 19.0
    _send(lane, Unavailable("HTTP 503"), 20.0)
    assert lane.due_in(20.0) == 1.0
    lane.hurry(20.0)
    assert lane.due_in(20.0) == 0.0


def test_a_batch_is_given_up_in_the_end_and_the_next_one_begins_anew() -> None:
    lane = _lane()
    _fill(lane, 4)
    _send(lane, Unavailable("down"), 0.0)
    _send(lane, Unavailable("down"), 59.0)
    assert lane.lost == 0
    _send(lane, Unavailable("down"), 60.0)
    assert (lane.lost, lane.pending) == (3, 1)
    lane.hurry(60.0)
    _send(lane, Unavailable("down"), 61.0)
    assert (lane.lost, lane.due_in(61.0)) == (3, 0.5)


def test_refused_batches_are_lost_and_refused_rows_are_failed() -> None:
    lane = _lane()
    _fill(lane, 6)
    _send(lane, Refused("invalid_api_key", "no"), 0.0)
    _send(lane, Stored(failed=2), 0.0)
    assert (lane.lost, lane.failed, lane.delivered, lane.batches) == (3, 2, 1, 1)


def test_flushing_waits_for_the_rows_before_it_and_not_for_those_after() -> None:
    lane = _lane()
    _fill(lane, 2)
    number = lane.hurry(0.0)
    assert not lane.is_settled(number)
    lane.collect()
    batch = lane.form_batch()
    _fill(lane, 1, now=0.5)
    assert not lane.is_settled(number)
    lane.settle(batch, Stored(), 1.0, draw=0.0)
    assert lane.is_settled(number)
    assert lane.due_in(1.0) == 1.0  # the later row lingers


def test_a_row_put_back_for_the_next_batch_is_not_settled_by_later_ones() -> None:
    lane = _lane()
    lane.admit(Row(b"1", "a", "m1"), 0.0)
    lane.admit(Row(b"2", "a", "m2"), 0.0)
    number = lane.hurry(0.0)
    lane.admit(Row(b"3", "b", "m1"), 0.0)
    _send(lane, Stored(), 0.0)
    assert (lane.delivered, lane.is_settled(number)) == (2, False)
    assert lane.due_in(0.0) == 0.0
    _send(lane, Stored(), 0.0)
    assert lane.is_settled(number)


def test_what_comes_back_after_everything_was_given_up_is_not_counted_twice() -> None:
    lane = _lane()
    _fill(lane, 2)
    lane.collect()
    batch = lane.form_batch()
    assert lane.give_up() == 2
    lane.settle(batch, Stored(), 0.0, draw=0.0)
    assert (lane.lost, lane.delivered, lane.pending) == (2, 0, 0)


OUTCOMES = st.sampled_from([Stored(), Stored(failed=1), Unavailable("x"), Unavailable("x", 5.0), Refused("c", "m")])


@given(st.lists(st.one_of(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("mn")), OUTCOMES), max_size=80))
def test_every_row_given_is_accounted_for(steps: list[tuple[str, str] | Stored | Unavailable | Refused]) -> None:
    lane = _lane()
    given_rows = 0
    for now, step in enumerate(steps):
        if isinstance(step, tuple):
            given_rows += 1
            lane.admit(Row(b"row", *step), float(now))
        elif lane.pending:
            _send(lane, step, float(now))
        settled = lane.delivered + lane.repeated + lane.failed + lane.lost
        assert lane.accepted + lane.dropped == given_rows
        assert 0 <= lane.pending == lane.accepted - settled <= OPTIONS.queue_rows
        assert (lane.due_in(float(now)) == math.inf) == (lane.pending == 0)
        assert lane.is_settled(lane.accepted) == (lane.pending == 0)
