"""The diverse rules against the plainest way to compute them."""

from collections import Counter
from itertools import permutations

import numpy as np
import pytest
from numpy.typing import NDArray

from sampling.batch_rules import (
    badge,
    facility_location,
    geometry,
    k_center,
    probability_coverage,
    spreading,
    stochastic_clusters,
)
from sampling.batch_rules.candidates import Candidates, Parameters
from sampling.batch_rules.registry import find

PLAIN = Parameters(metric="euclidean", shortlist_factor=0)


def make(n: int, d: int = 5, *, seed: int = 0, labelled: int = 0) -> Candidates:
    rng = np.random.default_rng(seed)
    return Candidates(
        item_ids=np.arange(n, dtype=np.int64),
        informativeness=rng.random(n, dtype=np.float32),
        embeddings=rng.standard_normal((n, d)).astype(np.float32),
        predictions=rng.dirichlet(np.ones(4), n).astype(np.float32),
        labelled=rng.standard_normal((labelled, d)).astype(np.float32) if labelled else None,
    )


def table(candidates: Candidates) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Squared distances among the candidates, and to the nearest labelled one."""
    assert candidates.embeddings is not None
    rows = candidates.embeddings.astype(np.float64)
    among = ((rows[:, None] - rows[None]) ** 2).sum(axis=2)
    if candidates.labelled is None:
        return among, np.full(len(rows), np.inf)
    return among, ((rows[:, None] - candidates.labelled[None]) ** 2).sum(axis=2).min(axis=1)


@pytest.mark.parametrize("labelled", [0, 3])
@pytest.mark.parametrize("n", [40, 1_500])
def test_k_center_is_the_greedy_farthest_first(n: int, labelled: int) -> None:
    candidates = make(n, labelled=labelled)
    among, nearest = table(candidates)
    assert candidates.informativeness is not None
    expected = [] if labelled else [int(candidates.informativeness.argmax())]
    for row in expected:
        nearest = np.minimum(nearest, among[row])
    while len(expected) < 35:
        expected.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, among[expected[-1]])
    chosen = k_center.pick(candidates, size=35, seed=0, parameters=PLAIN)
    assert chosen.index.tolist() == expected


def test_farthest_first_looks_further_than_the_rows_it_considers(monkeypatch: pytest.MonkeyPatch) -> None:
    candidates = make(300)
    whole = k_center.pick(candidates, size=60, seed=0, parameters=PLAIN).index.tolist()
    monkeypatch.setattr(spreading, "_CONSIDERED_A_LOOK", 7)
    monkeypatch.setattr(spreading, "_ENTRIES_A_BLOCK", 1_024)
    assert k_center.pick(candidates, size=60, seed=0, parameters=PLAIN).index.tolist() == whole


def _chances(
    weights: NDArray[np.float64], among: NDArray[np.float64], nearest: NDArray[np.float64], size: int
) -> dict[tuple[int, ...], float]:
    """The probability of every ordered batch, by the definition."""
    chances = {}
    for batch in permutations(range(len(weights)), size):
        chance, near = 1.0, nearest.copy()
        for row in batch:
            mass = weights * (np.ones(len(weights)) if np.isinf(near).all() else near)
            chance *= mass[row] / mass.sum()
            near = np.minimum(near, among[row])
        chances[batch] = chance
    return chances


@pytest.mark.parametrize("labelled", [0, 2])
def test_k_means_plus_plus_draws_by_weight_and_squared_distance(labelled: int, monkeypatch: pytest.MonkeyPatch) -> None:
    candidates = make(5, 2, seed=3, labelled=labelled)
    among, nearest = table(candidates)
    assert candidates.informativeness is not None
    parameters = Parameters(metric="euclidean", shortlist_factor=0, beta=1.0)
    expected = _chances(candidates.informativeness.astype(np.float64), among, nearest, 3)
    rule = find("k_means_plus_plus")
    # After every pick, after the first rejection, and never are all rows looked at again.
    for check, point in ((10**9, 10**9), (2_000, 10), (0, 0)):
        monkeypatch.setattr(spreading, "_CHECK_COSTS", check)
        monkeypatch.setattr(spreading, "_POINT_COSTS", point)
        counts = Counter(
            tuple(rule.choose(candidates, size=3, seed=seed, parameters=parameters).index.tolist())
            for seed in range(4_000)
        )
        for batch, chance in expected.items():
            assert counts[batch] / 4_000 == pytest.approx(chance, abs=4 * np.sqrt(chance / 4_000) + 1e-3)


@pytest.mark.parametrize(("places", "most"), [(4_000, 0.05), (40, 1.2)])
def test_all_rows_are_looked_at_only_where_the_old_distances_mislead(places: int, most: float) -> None:
    rng = np.random.default_rng(0)
    points = np.repeat(rng.standard_normal((places, 16)).astype(np.float32), 4_000 // places, axis=0)
    points += rng.standard_normal(points.shape).astype(np.float32) * 1e-3
    entries = 0

    def distances(rows: NDArray[np.int64] | slice, chosen: NDArray[np.int64]) -> NDArray[np.float32]:
        nonlocal entries
        entries += len(points[rows]) * len(chosen)
        return geometry.squared_distances(points[rows], points[chosen])

    chosen = spreading.squared_distance_draws(
        np.ones(4_000), geometry.squared_norms(points), distances, size=100, rng=np.random.default_rng(5)
    )
    assert len(set(chosen.tolist())) == 100
    assert entries <= most * 4_000 * 100
    # Forty places are all there before any comes twice.
    assert len(set((chosen // (4_000 // places)).tolist()[:40])) == 40


def test_draws_end_where_every_row_left_coincides_with_a_chosen_one() -> None:
    points = np.repeat(np.eye(3, dtype=np.float32), 200, axis=0)
    chosen = spreading.squared_distance_draws(
        np.ones(600),
        geometry.squared_norms(points),
        lambda rows, chosen: geometry.squared_distances(points[rows], points[chosen]),
        size=10,
        rng=np.random.default_rng(0),
    )
    assert sorted((chosen[:3] // 200).tolist()) == [0, 1, 2]
    assert len(set(chosen.tolist())) == 10


def test_badge_draws_by_the_distance_of_gradients() -> None:
    candidates = make(5, 3, seed=1)
    assert candidates.embeddings is not None
    assert candidates.predictions is not None
    residuals = candidates.predictions.astype(np.float64)
    residuals -= np.eye(4)[residuals.argmax(axis=1)]
    gradients = (residuals[:, :, None] * candidates.embeddings[:, None, :].astype(np.float64)).reshape(5, -1)
    among = ((gradients[:, None] - gradients[None]) ** 2).sum(axis=2)
    expected = _chances(np.ones(5), among, (gradients**2).sum(axis=1), 2)
    counts = Counter(
        tuple(badge.pick(candidates, size=2, seed=seed, parameters=PLAIN).index.tolist()) for seed in range(6_000)
    )
    for batch, chance in expected.items():
        assert counts[batch] / 6_000 == pytest.approx(chance, abs=4 * np.sqrt(chance / 6_000) + 1e-3)


@pytest.mark.parametrize("factor", [1e-37, 1e-8, 1e8, 1e37])
def test_badge_does_not_depend_on_the_scale_of_the_vectors(factor: float) -> None:
    candidates = make(60)
    assert candidates.embeddings is not None
    scaled = Candidates(
        candidates.item_ids,
        candidates.informativeness,
        candidates.embeddings * np.float32(factor),
        candidates.predictions,
    )
    plain = badge.pick(candidates, size=20, seed=4, parameters=PLAIN).index.tolist()
    assert badge.pick(scaled, size=20, seed=4, parameters=PLAIN).index.tolist() == plain


@pytest.mark.parametrize("labelled", [0, 4])
def test_facility_location_is_the_plain_greedy_maximum(labelled: int) -> None:
    candidates = make(80, labelled=labelled)
    assert candidates.embeddings is not None
    assert candidates.informativeness is not None
    unit = candidates.embeddings / np.linalg.norm(candidates.embeddings, axis=1, keepdims=True)
    similarity = np.maximum(unit @ unit.T, 0.0)
    reached = np.zeros(80)
    if candidates.labelled is not None:
        there = candidates.labelled / np.linalg.norm(candidates.labelled, axis=1, keepdims=True)
        reached = np.maximum(there @ unit.T, 0.0).max(axis=0)
    expected: list[int] = []
    while len(expected) < 15:
        gains = np.maximum(similarity - reached, 0.0) @ candidates.informativeness
        gains[expected] = -1.0
        expected.append(int(gains.argmax()))
        reached = np.maximum(reached, similarity[expected[-1]])
    assert facility_location.pick(candidates, size=15, seed=0, parameters=PLAIN).index.tolist() == expected


def test_facility_location_looks_at_the_best_where_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facility_location, "MOST_COVERED", 20)
    candidates = make(100)
    assert candidates.informativeness is not None
    best = set(np.argsort(-candidates.informativeness)[:20].tolist())
    assert set(facility_location.pick(candidates, size=10, seed=0, parameters=PLAIN).index.tolist()) <= best
    assert len(facility_location.pick(candidates, size=50, seed=0, parameters=PLAIN).index) == 50


def test_coverage_takes_the_crowded_places_first() -> None:
    rng = np.random.default_rng(0)
    centres = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    sizes = [120, 60, 20]
    points = np.concatenate(
        [centre + rng.normal(scale=0.05, size=(size, 2)) for centre, size in zip(centres, sizes, strict=True)]
    ).astype(np.float32)
    place = np.repeat([0, 1, 2], sizes)
    candidates = Candidates(np.arange(200, dtype=np.int64), embeddings=points)
    chosen = probability_coverage.pick(candidates, size=3, seed=0, parameters=PLAIN).index
    assert place[chosen[0]] == 0


def test_coverage_gains_are_those_of_counting_anew() -> None:
    candidates = make(150, 2, labelled=2)
    among, nearest = table(candidates)
    assert candidates.embeddings is not None
    radius = probability_coverage._radius(
        candidates.embeddings.astype(np.float32), balls=10, rng=np.random.default_rng(0)
    )
    is_covered = nearest <= radius
    expected: list[int] = []
    while len(expected) < 8:
        gains = ((among <= radius) & ~is_covered[None]).sum(axis=1)
        gains[expected] = -1
        expected.append(int(gains.argmax()))
        is_covered |= among[expected[-1]] <= radius
    assert probability_coverage.pick(candidates, size=8, seed=0, parameters=PLAIN).index.tolist() == expected


def test_stochastic_clusters_take_the_first_drawn_of_each_cluster() -> None:
    rng = np.random.default_rng(2)
    embeddings = (np.eye(4, 6)[np.arange(40) % 4] * 5 + rng.normal(scale=0.01, size=(40, 6))).astype(np.float32)
    candidates = Candidates(np.arange(40, dtype=np.int64), rng.random(40, dtype=np.float32), embeddings)
    parameters = Parameters(beta=3.0, shortlist_factor=10)
    order = find("stochastic").choose(candidates, size=40, seed=8, parameters=parameters).index
    first = {int(row) % 4: int(row) for row in order[::-1]}
    chosen = stochastic_clusters.pick(candidates, size=4, seed=8, parameters=parameters).index
    assert set(chosen.tolist()) == set(first.values())


def test_a_drawn_shortlist_is_that_of_the_stochastic_rule() -> None:
    candidates, parameters = make(500), Parameters(beta=3.0, shortlist_factor=4)
    rows = find("stochastic_clusters").shortlisted(candidates, size=10, seed=6, parameters=parameters)
    drawn = find("stochastic").choose(candidates, size=40, seed=6, parameters=parameters).index
    assert rows.tolist() == sorted(drawn.tolist())
