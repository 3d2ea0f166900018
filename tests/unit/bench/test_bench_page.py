"""The page of the speed benchmarks."""

from tests.bench.page import BUSY, SHARED, page
from tests.bench.result import Result

MACHINE: dict[str, str | int | float] = {"cpu": "a CPU", "cores": 2}


def test_every_figure_stands_beside_its_bar() -> None:
    results = [
        Result("fast", 0.5, "s", 1.0, "at_most"),
        Result("slow", 78.63, "x", 100, "at_least"),
        Result("only to compare", 1234.5, "", None),
    ]
    assert page(MACHINE, results, "run it").splitlines()[-3:] == [
        "| fast | 0.5 s | ≤ 1 | reached |",
        "| slow | 78.63 x | ≥ 100 | **missed** |",
        "| only to compare | 1,234 |  |  |",
    ]
    assert "Two workers" not in page(MACHINE, results, "run it")


def test_what_two_workers_can_gain_follows_from_the_cores_that_one_keeps_busy() -> None:
    said = page(MACHINE, [Result(SHARED, 1.3, "x", 1.6), Result(BUSY, 1.6, "cores", None)], "run it")
    assert "keep 1.60 cores busy" in said
    assert "room for 1.25 times the work at most" in said
    assert "1.30 was measured" in said
