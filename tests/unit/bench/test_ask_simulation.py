"""Our ask policy in the simulated app, one fixed history: what the published page claims of it holds of the code as it is."""

from typing import Final

import pytest

from tests.bench import ask_simulation, ask_world

SEED: Final = 1
LEADS_BY: Final = 2.0
"""Over the best of what apps do otherwise; the page says about three times."""


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, float]]:
    world = ask_world.make(SEED)
    return {
        name: ask_simulation.figures(world, ask_simulation.play(world, policy(world), SEED), is_logged=is_logged)
        for name, (policy, is_logged) in ask_simulation.ARMS.items()
        if name == "ours" or not name.startswith("our")
    }


def test_ours_gets_the_most_labels_for_a_dismissal(found: dict[str, dict[str, float]]) -> None:
    others = [figures for name, figures in found.items() if name != "ours"]
    assert len(others) == 3
    for figure in ("right labels per dismissal", "label bits per dismissal"):
        assert found["ours"][figure] > LEADS_BY * max(each[figure] for each in others), figure


def test_ours_keeps_its_budget_and_its_interval_holds_the_truth(found: dict[str, dict[str, float]]) -> None:
    ours = found["ours"]
    assert 0.95 * ask_simulation.BUDGET <= ours["asks"] <= ask_simulation.BUDGET
    assert ours["interval covers"] == 1.0
    always = next(figures for name, figures in found.items() if name.startswith("always below"))
    assert always["interval covers"] == 0.0, "else the truth would be no test of an interval"
    assert abs(ours["error of the accuracy estimate"]) < abs(always["error of the accuracy estimate"]) / 2
