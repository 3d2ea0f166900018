"""What every registered batch rule promises; a new rule is tested by being registered."""

from dataclasses import fields, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from sampling.batch_rules.candidates import Candidates, Chosen, Need, Parameters
from sampling.batch_rules.registry import RULES, BatchRule, find

EVERY_RULE = pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())


def make(n: int, seed: int = 0, *, dimensions: int = 6) -> Candidates:
    rng = np.random.default_rng(seed)
    predictions = rng.dirichlet(np.ones(4), size=n).astype(np.float32).reshape(n, 4)
    return Candidates(
        item_ids=np.sort(rng.choice(400_000, size=n, replace=False)).astype(np.int64),
        informativeness=rng.random(n, dtype=np.float32),
        embeddings=rng.standard_normal((n, dimensions)).astype(np.float16),
        predictions=predictions,
        labelled=rng.standard_normal((3, dimensions)).astype(np.float32),
    )


def ids(candidates: Candidates, chosen: Chosen) -> list[int]:
    return [int(item) for item in candidates.item_ids[chosen.index]]


def _with(candidates: Candidates, name: Need, column: NDArray[np.floating] | None) -> Candidates:
    columns = {field.name: getattr(candidates, field.name) for field in fields(Candidates)}
    return Candidates(**{**columns, name: column})


def check_batch(rule: BatchRule, candidates: Candidates, chosen: Chosen, size: int) -> None:
    assert len(chosen.index) == len(chosen.proposal) == len(chosen.propensity) == min(size, len(candidates))
    assert chosen.index.dtype == np.int64
    assert len(set(chosen.index.tolist())) == len(chosen.index)
    known = chosen.propensity[~np.isnan(chosen.propensity)]
    assert ((known > 0.0) & (known <= 1.0 + 1e-12)).all()
    if rule.has_propensities:
        assert len(known) == len(chosen.index)


@EVERY_RULE
@pytest.mark.parametrize(("n", "size"), [(0, 5), (1, 1), (1, 7), (5, 0), (5, 9), (40, 40), (300, 12)])
def test_a_batch_has_the_right_size_and_no_item_twice(rule: BatchRule, n: int, size: int) -> None:
    candidates = make(n)
    check_batch(rule, candidates, rule.choose(candidates, size=size, seed=3), size)


@EVERY_RULE
@pytest.mark.parametrize("degenerate", ["ties", "zero scores", "one embedding", "zero embeddings", "sure model"])
def test_degenerate_pools_still_give_a_batch(rule: BatchRule, degenerate: str) -> None:
    base = make(60)
    assert base.embeddings is not None
    candidates = {
        "ties": replace(base, informativeness=np.full(60, 0.5, dtype=np.float32)),
        "zero scores": replace(base, informativeness=np.zeros(60, dtype=np.float32)),
        "one embedding": replace(base, embeddings=np.ones_like(base.embeddings)),
        "zero embeddings": replace(base, embeddings=np.zeros_like(base.embeddings)),
        "sure model": replace(base, predictions=np.eye(4, dtype=np.float32)[np.zeros(60, dtype=int)]),
    }[degenerate]
    check_batch(rule, candidates, rule.choose(candidates, size=8, seed=1), 8)


@EVERY_RULE
def test_the_order_of_the_rows_does_not_matter(rule: BatchRule) -> None:
    candidates = make(250)
    order = np.random.default_rng(9).permutation(250)
    straight = rule.choose(candidates, size=10, seed=5)
    shuffled = rule.choose(candidates.take(order), size=10, seed=5)
    assert ids(candidates, straight) == ids(candidates.take(order), shuffled)
    np.testing.assert_array_equal(straight.propensity, shuffled.propensity)


@EVERY_RULE
def test_the_same_seed_gives_the_same_batch(rule: BatchRule) -> None:
    first, again = (rule.choose(make(250), size=10, seed=5) for _ in range(2))
    for field in fields(Chosen):
        np.testing.assert_array_equal(getattr(first, field.name), getattr(again, field.name))


@EVERY_RULE
def test_half_precision_embeddings_are_read_as_what_they_are(rule: BatchRule) -> None:
    candidates = make(250)
    assert candidates.embeddings is not None
    wide = replace(candidates, embeddings=candidates.embeddings.astype(np.float32))
    assert rule.choose(candidates, size=10, seed=5).index.tolist() == rule.choose(wide, size=10, seed=5).index.tolist()


@EVERY_RULE
def test_float64_is_read_as_what_it_is(rule: BatchRule) -> None:
    candidates = make(250)
    columns = {name: getattr(candidates, name) for name in ("informativeness", "predictions", "labelled")}
    wide = replace(candidates, **{name: column.astype(np.float64) for name, column in columns.items()})
    straight, other = (rule.choose(each, size=10, seed=5) for each in (candidates, wide))
    assert straight.index.tolist() == other.index.tolist()
    np.testing.assert_allclose(straight.propensity, other.propensity, rtol=1e-5)


@EVERY_RULE
def test_a_model_of_one_class_still_gives_a_batch(rule: BatchRule) -> None:
    candidates = replace(make(60), predictions=np.ones((60, 1), dtype=np.float32))
    check_batch(rule, candidates, rule.choose(candidates, size=8, seed=1), 8)


@EVERY_RULE
def test_no_argument_is_changed(rule: BatchRule) -> None:
    candidates, untouched = make(100), make(100)
    rule.choose(candidates, size=10, seed=5)
    for field in fields(Candidates):
        np.testing.assert_array_equal(getattr(candidates, field.name), getattr(untouched, field.name))


@EVERY_RULE
def test_what_is_no_number_is_refused_by_its_row(rule: BatchRule) -> None:
    for name in rule.needs:
        candidates = make(30)
        column: NDArray[np.floating] = getattr(candidates, name).copy()
        column[17] = np.nan
        with pytest.raises(ValueError, match=f"row 17: {name}"):
            rule.choose(_with(candidates, name, column), size=3, seed=0)


@EVERY_RULE
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_labelled_vector_that_is_no_number_is_refused_by_its_row(rule: BatchRule, value: float) -> None:
    candidates = make(30)
    assert candidates.labelled is not None
    candidates.labelled[2, 1] = value
    if "embeddings" in rule.needs:
        with pytest.raises(ValueError, match="row 2: labelled must be finite"):
            rule.choose(candidates, size=3, seed=0)
    else:
        check_batch(rule, candidates, rule.choose(candidates, size=3, seed=0), 3)


@EVERY_RULE
def test_what_is_missing_is_named(rule: BatchRule) -> None:
    for name in rule.needs:
        with pytest.raises(ValueError, match=f"needs {name}"):
            rule.choose(_with(make(5), name, None), size=2, seed=0)
        with pytest.raises(ValueError, match=f"{name} must have one row"):
            rule.choose(_with(make(5), name, getattr(make(6), name)), size=2, seed=0)
    with pytest.raises(ValueError, match="size"):
        rule.choose(make(5), size=-1, seed=0)
    twice = replace(make(5), item_ids=np.array([1, 2, 2, 3, 4]))
    with pytest.raises(ValueError, match="item 2 comes more than once"):
        rule.choose(twice, size=1, seed=0)


@EVERY_RULE
def test_a_rule_for_the_cold_start_works_without_a_model(rule: BatchRule) -> None:
    cold = replace(make(80), informativeness=None, predictions=None, labelled=None)
    if rule.is_cold_start:
        check_batch(rule, cold, rule.choose(cold, size=9, seed=2), 9)
    else:
        with pytest.raises(ValueError, match="needs"):
            rule.choose(cold, size=9, seed=2)


@EVERY_RULE
def test_a_rule_sees_its_shortlist_only(rule: BatchRule) -> None:
    candidates, parameters = make(400), Parameters(shortlist_factor=3, sample_size=50)
    rows = rule.shortlisted(candidates, size=10, seed=4, parameters=parameters)
    chosen = rule.choose(candidates, size=10, seed=4, parameters=parameters)
    assert set(chosen.index.tolist()) <= set(rows.tolist())
    if rule.shortlist == "best" and candidates.informativeness is not None:
        lowest = candidates.informativeness[rows].min()
        assert (candidates.informativeness[np.setdiff1d(np.arange(400), rows)] <= lowest).all()
    fetched = rule.choose(candidates.take(rows), size=10, seed=4, parameters=parameters)
    if not rule.has_propensities:
        assert rows[fetched.index].tolist() == chosen.index.tolist()


DIVERSE = [name for name, rule in RULES.items() if "embeddings" in rule.needs]


@pytest.mark.parametrize("name", DIVERSE)
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_a_diverse_rule_takes_no_near_duplicates(name: str, metric: str) -> None:
    # Thirty far places, each there ten times with the same high score and predictions.
    rng = np.random.default_rng(1)
    places = np.repeat(np.eye(30, dtype=np.float32) * 3, 10, axis=0)
    predictions = np.repeat(rng.dirichlet(np.ones(3) * 5, size=30).astype(np.float32), 10, axis=0)
    noise = rng.standard_normal(places.shape).astype(np.float32) * 1e-4
    candidates = Candidates(
        item_ids=rng.permutation(300),
        informativeness=np.full(300, 0.8, dtype=np.float32),
        embeddings=places + noise,
        predictions=predictions,
    )
    parameters = Parameters(shortlist_factor=0, metric="cosine" if metric == "cosine" else "euclidean")
    chosen = find(name).choose(candidates, size=20, seed=0, parameters=parameters)
    assert len({int(index) // 10 for index in chosen.index}) == 20


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"known: .*stochastic"):
        find("nonsense")
