"""Consensus where an answer is no class: ratings, preferences, spans and boxes, texts."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from datasets.consensus.bradley_terry import fit_strengths
from datasets.consensus.merging import Drawing, merge
from datasets.consensus.overlap import box_overlap, match, span_overlap
from datasets.consensus.rating import fit_ratings, level_chances, robust_mean
from datasets.consensus.text_choice import choose, edit_distance, relative_distance


def test_robust_mean_is_the_minimum_of_hubers_loss() -> None:
    x = np.array([1.0, 2.0, 2.5, 3.0, 30.0])

    def loss(m: np.ndarray) -> float:
        u = np.abs(x - m[0]) / 1.2
        return float(np.where(u <= 1.345, u**2 / 2, 1.345 * u - 1.345**2 / 2).sum())

    oracle = minimize(loss, [2.0], method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-12}).x[0]
    assert robust_mean(x, spread=1.2) == pytest.approx(oracle, abs=1e-5)
    assert robust_mean(np.array([2.0, 2.0, 2.0, 9.0])) == 2.0
    with pytest.raises(ValueError, match="one finite value"):
        robust_mean(np.array([]))


def test_severe_and_noisy_raters_are_seen_through() -> None:
    rng = np.random.default_rng(1)
    items, raters = 400, 6
    truth = rng.uniform(1, 5, items)
    severity, noise = np.array([-0.8, -0.4, 0.0, 0.2, 0.4, 0.6]), np.array([0.2, 0.2, 0.4, 0.4, 1.0, 1.2])
    item, source = np.repeat(np.arange(items), raters), np.tile(np.arange(raters), items)
    said = truth[item] + severity[source] + noise[source] * rng.standard_normal(len(item))
    found = fit_ratings(item, source, said, n_items=items, n_sources=raters, levels=np.arange(1.0, 6.0))
    assert found.severity == pytest.approx(severity, abs=0.12)
    # Rounding to levels that are 1 apart alone is a noise of sqrt(1 / 12): less is not believed. The noise comes out a little small,
    # since the items' ratings are fitted to the same answers.
    assert found.noise == pytest.approx(np.maximum(noise, 12**-0.5), rel=0.25)
    plain = np.bincount(item, weights=said) / raters
    ours = np.abs(found.mean - found.mean.mean() - truth + truth.mean()).mean()
    assert ours < 0.7 * np.abs(plain - plain.mean() - truth + truth.mean()).mean()


def test_an_unrated_item_is_unknown() -> None:
    found = fit_ratings(
        np.array([0]), np.array([0]), np.array([4.0]), n_items=2, n_sources=1, levels=np.array([1.0, 2, 3, 4, 5])
    )
    assert np.isnan(found.mean[1])
    assert found.posterior[1] == pytest.approx(np.full(5, 0.2))
    assert found.posterior[0].argmax() == 3
    assert level_chances(np.array([3.0]), np.array([1.0]), np.array([1.0, 3.0])).sum() == pytest.approx(1.0)


@pytest.mark.parametrize(("levels", "rating"), [([1.0], 1.0), ([2.0, 1.0], 1.0), ([1.0, 2.0], np.nan)])
def test_ratings_that_cannot_be(levels: list[float], rating: float) -> None:
    with pytest.raises(ValueError, match=r"levels must increase|not finite"):
        fit_ratings(np.array([0]), np.array([0]), np.array([rating]), n_items=1, n_sources=1, levels=np.array(levels))


def test_strengths_and_ties_are_recovered() -> None:
    rng = np.random.default_rng(2)
    strength, tie_log = np.array([1.5, 0.5, 0.0, -0.5, -1.5]), np.log(0.7)
    a, b = (np.array(column) for column in zip(*itertools.permutations(range(5), 2), strict=True))
    a, b = np.tile(a, 400), np.tile(b, 400)
    logits = np.stack([strength[a], strength[b], tie_log + (strength[a] + strength[b]) / 2], axis=1)
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    outcome = (chances.cumsum(axis=1) < rng.random((len(a), 1))).sum(axis=1)
    found = fit_strengths(a, b, outcome, n_contestants=5)
    assert found.has_converged
    assert (np.abs(found.strength - strength) < 4 * found.deviation + 0.02).all()
    assert found.tie_log == pytest.approx(tie_log, abs=0.1)
    assert found.chances([0], [4])[0] == pytest.approx(chances[np.flatnonzero((a == 0) & (b == 4))[0]], abs=0.02)


def test_two_contestants_have_the_odds_of_their_wins() -> None:
    found = fit_strengths([0] * 30, [1] * 30, [0] * 20 + [1] * 10, n_contestants=2, prior_deviation=1e3)
    assert found.strength[0] - found.strength[1] == pytest.approx(np.log(2), abs=1e-3)
    assert found.tie_log == -np.inf
    assert found.chances([0], [1])[0] == pytest.approx([2 / 3, 1 / 3, 0.0], abs=1e-3)


def test_never_compared_never_lost_and_bad_rows() -> None:
    found = fit_strengths([0, 0], [1, 1], [0, 0], n_contestants=3)
    assert np.isfinite(found.strength).all()
    assert found.deviation[2] == pytest.approx(2.0)
    with pytest.raises(ValueError, match="row 1"):
        fit_strengths([0, 1], [1, 1], [0, 0], n_contestants=2)


def test_overlaps_by_hand() -> None:
    assert span_overlap(np.array([[0.0, 10.0]]), np.array([[5.0, 15.0], [0.0, 10.0], [10.0, 11.0]]))[
        0
    ] == pytest.approx([1 / 3, 1, 0])
    assert box_overlap(np.array([[0.0, 0, 4, 4]]), np.array([[2.0, 2, 6, 6]]))[0, 0] == pytest.approx(4 / 28)
    assert match(np.array([[0.4, 0.1]]), least=0.5) == []


def test_spans_of_three_people() -> None:
    drawings = [
        Drawing(np.array([[0.0, 10.0], [30.0, 40.0]]), np.array([0, 1])),
        Drawing(np.array([[1.0, 10.0], [30.0, 40.0]]), np.array([0, 2])),
        Drawing(np.array([[0.0, 12.0], [31.0, 41.0]]), np.array([0, 1])),
    ]
    agreed, doubtful = merge(drawings, shape="span")
    assert [(each.extent, each.label_class, round(each.support, 2)) for each in agreed] == [
        ((0.0, 10.0), 0, 1.0),
        ((30.0, 40.0), 1, 0.67),
    ]
    assert agreed[1].sources == (0, 2)
    assert doubtful == []


def test_a_box_only_one_drew_goes_to_review_and_nothing_is_an_answer() -> None:
    box, nothing = (
        Drawing(np.array([[0.1, 0.1, 0.4, 0.4]]), np.array([0])),
        Drawing(np.empty((0, 4)), np.empty(0, dtype=np.int64)),
    )
    agreed, doubtful = merge([box, nothing, nothing], shape="box")
    assert not agreed
    assert [each.support for each in doubtful] == pytest.approx([1 / 3])
    trusted = Drawing(box.extents, box.classes, weight=3.0)
    assert len(merge([trusted, nothing, nothing], shape="box")[0]) == 1
    assert merge([], shape="box") == ([], [])
    with pytest.raises(ValueError, match="drawing 0"):
        merge([Drawing(np.array([[5.0, 5.0]]), np.array([0]))], shape="span")


@given(st.lists(st.text(alphabet="ab ", max_size=6), min_size=1, max_size=5))
def test_the_chosen_text_is_one_that_was_written_and_nearest_to_all(texts: list[str]) -> None:
    found = choose(texts)
    sums = [sum(relative_distance(one.strip(), other.strip()) for other in texts) for one in texts]
    assert sums[found.chosen] == pytest.approx(min(sums))
    assert 0 <= found.distance <= 1


def _slow_edit_distance(first: str, second: str) -> int:
    if not first or not second:
        return max(len(first), len(second))
    if first[0] == second[0]:
        return _slow_edit_distance(first[1:], second[1:])
    return 1 + min(
        _slow_edit_distance(first[1:], second),
        _slow_edit_distance(first, second[1:]),
        _slow_edit_distance(first[1:], second[1:]),
    )


@given(st.text(alphabet="abcé🙂", max_size=5), st.text(alphabet="abcé🙂", max_size=5))
def test_edit_distance_equals_its_definition(first: str, second: str) -> None:
    assert edit_distance(first, second) == _slow_edit_distance(first, second)


def test_texts_that_are_equal_need_no_review() -> None:
    found = choose(["Yes.", "Yes. ", "Yes."])
    assert (found.chosen, found.distance, found.support, found.needs_review) == (0, 0.0, 1.0, False)
    assert choose(["a long answer", "something else entirely"]).needs_review
    with pytest.raises(ValueError, match="no text"):
        choose([])
