import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from django.db import connection

from labeling import combining
from labeling.combining import Combiner


class Work:
    """Squares numbers, and notes which came together. Before the first it waits until it is told to go on."""

    def __init__(self, fail: Callable[[Sequence[int]], None] = lambda several: None) -> None:
        self.began, self.go_on = threading.Event(), threading.Event()
        self.together: list[list[int]] = []
        self.fail = fail

    def __call__(self, several: Sequence[int]) -> list[int]:
        self.together.append(list(several))
        if not self.began.is_set():
            self.began.set()
            assert self.go_on.wait(30)
        self.fail(several)
        return [number * number for number in several]


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """However slow the machine is, nobody gives up while the others come."""
    if "alone" not in request.node.name:
        monkeypatch.setattr(combining, "PATIENCE_SECONDS", 30.0)


def meet(combiner: Combiner[int, int], work: Work, *numbers: int) -> list[Future[int]]:
    """The first number is at work while the others come, one after another."""
    with ThreadPoolExecutor(len(numbers)) as threads:
        futures = [threads.submit(combiner, numbers[0])]
        assert work.began.wait(30)
        for place, number in enumerate(numbers[1:]):
            futures.append(threads.submit(combiner, number))
            _until(lambda expected=place + 1: len(combiner._waiting) == expected)  # type: ignore[misc]
        work.go_on.set()
    return futures


def _until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_whoever_comes_while_one_is_at_work_is_served_together_and_gets_their_own() -> None:
    work = Work()
    futures = meet(Combiner(work, most=16), work, 2, 3, 4, 5)
    assert [each.result() for each in futures] == [4, 9, 16, 25]
    assert work.together == [[2], [3, 4, 5]]


def test_a_call_alone_waits_for_nobody() -> None:
    work = Work()
    work.go_on.set()
    combiner = Combiner(work, most=16)
    assert [combiner(2), combiner(3)] == [4, 9]
    assert work.together == [[2], [3]]


def test_no_more_than_the_most_are_done_at_once() -> None:
    work = Work()
    futures = meet(Combiner(work, most=2), work, 1, 2, 3, 4)
    assert [each.result() for each in futures] == [1, 4, 9, 16]
    assert work.together == [[1], [2, 3], [4]]


def test_calls_about_the_same_are_done_one_after_another() -> None:
    work = Work()
    futures = meet(Combiner(work, most=16, names=lambda number: [number % 2]), work, 0, 1, 3, 2, 5)
    assert [each.result() for each in futures] == [0, 1, 9, 4, 25]
    assert work.together == [[0], [1, 2], [3], [5]]


def test_only_whoever_fails_alone_gets_the_error() -> None:
    def fail(several: Sequence[int]) -> None:
        if 3 in several:
            raise ValueError("three")

    work = Work(fail)
    first, *others = meet(Combiner(work, most=16), work, 1, 2, 3, 4)
    assert [first.result(), others[0].result(), others[2].result()] == [1, 4, 16]
    with pytest.raises(ValueError, match="three"):
        others[1].result()
    assert work.together[:2] == [[1], [2, 3, 4]]
    assert sorted(work.together[2:]) == [[2], [3], [4]]


def test_who_waits_helps_themselves_when_the_thread_that_serves_them_is_stopped() -> None:
    def stop(several: Sequence[int]) -> None:
        if len(several) > 1:
            raise SystemExit

    work = Work(stop)
    combiner = Combiner(work, most=16)
    first, second, third = meet(combiner, work, 1, 2, 3)
    assert first.result() == 1
    with pytest.raises(SystemExit):
        second.result()
    assert third.result() == 9
    assert combiner(4) == 16


def test_calls_of_different_groups_are_not_done_together() -> None:
    work = Work()
    futures = meet(Combiner(work, most=16, group=lambda number: number % 2), work, 0, 1, 2, 3)
    assert [each.result() for each in futures] == [0, 1, 4, 9]
    assert work.together == [[0], [1, 3], [2]]


def test_whoever_has_waited_for_long_does_it_alone() -> None:
    """The work of others may be waiting for a lock."""
    work = Work()
    combiner = Combiner(work, most=16)
    with ThreadPoolExecutor(3) as threads:
        blocked = threads.submit(combiner, 1)
        assert work.began.wait(30)
        assert threads.submit(combiner, 2).result(30) == 4
        work.go_on.set()
        assert blocked.result() == 1
    assert combiner(3) == 9
    assert work.together == [[1], [2], [3]]


def test_in_a_transaction_a_call_is_done_alone() -> None:
    """Its connection sees what others do not, and undoes with what it has done."""
    work = Work()
    combiner = Combiner(work, most=16)

    def in_a_transaction() -> int:
        connection.in_atomic_block = True
        try:
            return combiner(7)
        finally:
            connection.in_atomic_block = False

    with ThreadPoolExecutor(2) as threads:
        outside = threads.submit(combiner, 1)
        assert work.began.wait(30)
        assert threads.submit(in_a_transaction).result(30) == 49
        work.go_on.set()
        assert outside.result() == 1
    assert work.together == [[1], [7]]
