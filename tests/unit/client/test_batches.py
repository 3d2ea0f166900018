"""What one request carries: limits, order, and no row twice that the service takes once."""

import gzip
import json
from collections import deque

from feedback_client.batches import Batch, Queued, take_batch
from feedback_client.rows import Route, Row
from hypothesis import given
from hypothesis import strategies as st

from labeling.services.recording import CHUNK_ROWS

MANY = 10**9


def _queue(*names: tuple[str, str]) -> "deque[Queued]":
    return deque(
        (number, Row(json.dumps({"n": number}).encode(), identity, version))
        for number, (identity, version) in enumerate(names, start=1)
    )


def _numbers(batch: Batch) -> list[int]:
    body = gzip.decompress(batch.body) if batch.is_compressed else batch.body
    return [json.loads(line)["n"] for line in body.split(b"\n")]


def _all_batches(waiting: "deque[Queued]", *, rows: int = MANY, size: int = MANY) -> list[Batch]:
    batches = []
    while waiting:
        batches.append(take_batch(Route.ITEMS, waiting, most_rows=rows, most_bytes=size))
    return batches


def test_a_batch_ends_at_the_number_of_rows() -> None:
    batches = _all_batches(_queue(*((f"k{n}", "m") for n in range(7))), rows=3)
    assert [_numbers(batch) for batch in batches] == [[1, 2, 3], [4, 5, 6], [7]]


def test_a_batch_ends_before_its_bytes_exceed_the_limit_but_has_at_least_one_row() -> None:
    # Each row is {"n": 1}, 8 bytes, and a line end between rows.
    batches = _all_batches(_queue(*((f"k{n}", "m") for n in range(5))), size=17)
    assert [_numbers(batch) for batch in batches] == [[1, 2], [3, 4], [5]]
    assert [len(batch.body) for batch in batches] == [17, 17, 8]
    assert [_numbers(batch) for batch in _all_batches(_queue(("k", "m"), ("l", "m")), size=1)] == [[1], [2]]


def test_a_row_that_says_nothing_new_is_left_out_and_counted() -> None:
    (batch,) = _all_batches(_queue(("a", "m"), ("a", "m"), ("b", "m"), ("a", "m")))
    assert _numbers(batch) == [1, 3]
    assert (batch.sent_rows, batch.repeated_rows, batch.row_count) == (2, 2, 4)
    assert batch.row_bytes == 4 * 8


def test_an_item_named_again_with_another_version_goes_into_the_next_batch_without_holding_up_others() -> None:
    batches = _all_batches(_queue(("a", "m1"), ("a", "m2"), ("b", "m1"), ("b", "m2"), ("c", "m1")))
    assert [_numbers(batch) for batch in batches] == [[1, 3, 5], [2, 4]]


def test_large_bodies_are_compressed_and_every_batch_has_its_key() -> None:
    first, second = _all_batches(_queue(*((f"k{n}", "m") for n in range(200))), rows=199)
    assert (first.is_compressed, second.is_compressed) == (True, False)
    assert len(first.body) < sum(len(b'{"n": 100}\n') for _ in range(199)) / 2
    assert _numbers(first) == list(range(1, 200))
    assert first.idempotency_key != second.idempotency_key


def test_a_batch_is_one_chunk_of_the_service() -> None:
    assert CHUNK_ROWS >= 500


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["m1", "m2", "m3"])), min_size=1, max_size=60),
    st.integers(1, 8),
    st.integers(1, 80),
)
def test_every_row_is_sent_once_or_repeats_one_sent_before_it(
    names: list[tuple[str, str]], most_rows: int, most_bytes: int
) -> None:
    waiting = _queue(*names)
    sent: list[int] = []
    repeated = 0
    while waiting:
        batch = take_batch(Route.ITEMS, waiting, most_rows=most_rows, most_bytes=most_bytes)
        numbers = _numbers(batch)
        identities = [names[number - 1][0] for number in numbers]
        assert len(set(identities)) == len(identities) <= most_rows
        sent += numbers
        repeated += batch.repeated_rows
        left = [number for number, _ in waiting]
        assert left == sorted(left)
    assert len(set(sent)) == len(sent)
    assert len(sent) + repeated == len(names)
    assert {names[number - 1] for number in sent} == set(names)
