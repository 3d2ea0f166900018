"""The simulated estimators: what the page says of numbers, and that draws and estimates fit together."""

from dataclasses import replace

import numpy as np
import pytest

from sampling.models import QueuePolicy
from tests.bench import estimators
from tests.bench.estimators_report import NAIVE, Row, Setting, report, statements

DEFAULT = "the default"


def _row(
    selection: str,
    estimator: str,
    bias: float | None,
    *,
    error: float = 0.001,
    coverage: float | None = 0.95,
    good: float | None = None,
    setting: Setting = "without drift",
    note: str = "",
) -> Row:
    return Row(setting, selection, estimator, 100, 0.9, bias, error, coverage, 0.1, good, note)


ROWS = [
    _row(DEFAULT, NAIVE, -0.25, coverage=None),
    _row(DEFAULT, "LURE", -0.2, error=0.01, coverage=0.13, good=0.02),
    _row(DEFAULT, "audit slice, Wilson", 0.002),
    _row("flat", "LURE", 0.003, good=0.95),
    _row("flat", "AIPW", 0.0031, coverage=0.85),
    _row("top", "LURE", None, coverage=None),
    _row("flat", "audit slice, Wilson", 0.02, setting="with drift", note="early ones"),
    _row("top", "audit slice, Wilson", 0.03, setting="with drift", note="early ones"),
    _row("8 draws", "PPI++", 0.5, setting="by size"),
]


def test_the_sentences_are_made_of_the_numbers() -> None:
    said = statements(ROWS, DEFAULT)
    assert said[0].startswith("Within 3 standard errors of the truth: 2 of 3 without drift, 0 of 2 with drift.")
    assert said[0].endswith(
        " Outside, in points: AIPW, without drift (flat) +0.3; "
        "audit slice, Wilson, with drift (2 selections, early ones) +2.0 to +3.0."
    )
    assert "2 of 3 without drift, 2 of 2 with drift of these. Less often: AIPW, without drift (flat) 85.0%." in said[1]
    assert said[2].endswith("Coverage: LURE, without drift (the default) 13.0%.")
    assert said[3] == (
        "At the default sharpness, without drift, LURE is diagnosed as good in 2% of the repetitions and covers 13% of the "
        "time; the audit slice has to do."
    )
    assert said[4] == "The naive mean of the labels is up to 25 points off."
    assert said[5] == "Never given a number: LURE (top, without drift)."


def test_with_better_numbers_the_sentences_are_others() -> None:
    fine = [replace(row, bias=0.001, coverage=0.95, share_good=1.0) for row in ROWS if row.selection == DEFAULT]
    said = statements(fine, DEFAULT)
    assert said[0].startswith("Within 3 standard errors of the truth: 2 of 2 without drift.")
    assert "Outside" not in said[0]
    assert "Less often" not in said[1]
    assert said[2].endswith("covers 95% of the time.")


def test_the_page_has_a_table_for_every_setting() -> None:
    page = report(ROWS, "run it", default=DEFAULT, trained_on=120, draws=160)
    assert "| flat | LURE | +0.30 ± 0.10 | 95.0% | 0.100 | overlap good in 95% of the repetitions |" in page
    assert "| top | LURE | - | - | 0.100 |  |" in page
    assert "## With drift (truth 0.9000)" in page
    assert "| 8 draws | PPI++ | +50.00 ± 0.10 |" in page


def test_the_default_selection_is_that_of_a_policy_nobody_touched() -> None:
    policy = QueuePolicy()
    selection = estimators.RULES[estimators.DEFAULT]
    assert (selection.rule, selection.beta, selection.epsilon) == (policy.batch_rule, policy.beta, policy.epsilon)


@pytest.mark.parametrize("drifts", [False, True])
@pytest.mark.parametrize("name", estimators.RULES)
def test_draws_are_of_items_that_are_there_and_propensities_of_what_is_left(name: str, drifts: bool) -> None:
    rng = np.random.default_rng(3)
    pool = estimators.make_pool(rng, drifts=drifts)
    labels = estimators.draw(pool, estimators.RULES[name], rng)
    assert len(np.unique(labels.index)) == len(labels.index) == estimators.DRAWS
    assert not pool.arrives_late[labels.index[: labels.late_from]].any()
    assert labels.in_reserve[labels.index].tolist() == labels.is_audit.tolist()
    known = labels.propensity[~np.isnan(labels.propensity)]
    assert ((known > 0) & (known <= 1)).all()
    if name == "uniform":
        assert labels.propensity == pytest.approx(1.0 / labels.left)
    names = [each for each, *_ in estimators.estimates(pool, labels)]
    assert names[0] == NAIVE
    assert ("audit slice, Wilson" in names) == (name != "uniform")
    assert ("LURE, AIPW by draw" in names) == name.startswith("top-k")


def test_lure_and_aipw_by_draw_find_the_truth_from_mild_draws() -> None:
    rng = np.random.default_rng(4)
    pool = estimators.make_pool(rng, drifts=False)
    found: dict[str, list[float]] = {"LURE": [], "AIPW by draw": []}
    for _ in range(150):
        labels = estimators.draw(pool, estimators.RULES["stochastic, beta 1, epsilon 0.1"], rng)
        for name, estimate, _ in estimators.estimates(pool, labels):
            if name in found and estimate is not None:
                found[name].append(estimate.value)
    for name, values in found.items():
        error = np.std(values) / len(values) ** 0.5
        assert abs(np.mean(values) - pool.is_right.mean()) < 3.5 * error, name
    assert np.std(found["AIPW by draw"]) < 0.5 * np.std(found["LURE"])
