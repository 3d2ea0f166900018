"""Score kernels on 1,000,000 x 10 float32 probabilities, and on a committee's 200,000 x 5 x 10.

Beside plain numpy, modAL and, where it is installed (extra `bench`), scikit-activeml, in the same process.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from modAL import disagreement
from modAL.uncertainty import classifier_entropy, classifier_margin, classifier_uncertainty
from numpy.typing import NDArray
from scipy.special import entr, rel_entr

from sampling import selection
from sampling.strategies import (
    bald,
    consensus_entropy,
    entropy,
    expected_model_change,
    kl_disagreement,
    least_confidence,
    margin,
    vote_entropy,
)
from tests.bench.result import Result

try:
    from skactiveml.pool import uncertainty_scores
except ImportError:  # only the extra "bench" brings it
    uncertainty_scores = None

ROWS, CLASSES = 1_000_000, 10
COMMITTEE_ROWS, MEMBERS, WIDTH = 200_000, 5, 64
REPEATS = 7
_METHODS = {"margin": "margin_sampling", "entropy": "entropy", "least confidence": "least_confident"}


class _Fixed:
    """A fitted classifier as far as modAL is concerned: it answers with the given probabilities."""

    def predict_proba(self, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        return probabilities


class _FixedCommittee:
    """A fitted committee as far as modAL is concerned: its input is what its members say."""

    classes_ = np.arange(CLASSES)

    def __len__(self) -> int:
        return MEMBERS

    def __iter__(self) -> Iterator[int]:
        return iter(range(MEMBERS))

    def vote(self, committee: NDArray[np.float32]) -> NDArray[np.int64]:
        votes: NDArray[np.int64] = committee.argmax(axis=2)
        return votes

    def predict_proba(self, committee: NDArray[np.float32]) -> NDArray[np.float32]:
        mean: NDArray[np.float32] = committee.mean(axis=1)
        return mean

    def vote_proba(self, committee: NDArray[np.float32]) -> NDArray[np.float32]:
        return committee


def _median_ms(function: Callable[[], object], repeats: int = REPEATS) -> float:
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return float(np.median(times)) * 1000


def _plain_margin(p: NDArray[np.float32]) -> NDArray[np.float32]:
    top = np.partition(p, CLASSES - 2, axis=1)[:, CLASSES - 2 :]
    return 1 - (top[:, 1] - top[:, 0])


def _plain_vote_entropy(committee: NDArray[np.float32]) -> NDArray[np.float64]:
    shares = (committee.argmax(axis=2)[:, :, np.newaxis] == np.arange(CLASSES)).mean(axis=1)
    entropies: NDArray[np.float64] = entr(shares).sum(axis=1) / np.log(min(MEMBERS, CLASSES))
    return entropies


def _plain_kl(committee: NDArray[np.float32]) -> NDArray[np.float32]:
    divergences: NDArray[np.float32] = rel_entr(committee, committee.mean(axis=1, keepdims=True)).sum(axis=2)
    furthest: NDArray[np.float32] = divergences.max(axis=1) / np.float32(np.log(MEMBERS))
    return furthest


def _plain_bald(committee: NDArray[np.float32]) -> NDArray[np.float32]:
    doubt = entr(committee.mean(axis=1)).sum(axis=1) - entr(committee).sum(axis=2).mean(axis=1)
    information: NDArray[np.float32] = doubt / np.float32(np.log(min(MEMBERS, CLASSES)))
    return information


def _plain_model_change(p: NDArray[np.float32], vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    squares = (p * p).sum(axis=1, keepdims=True) - 2 * p + 1
    lengths = np.sqrt((vectors * vectors).sum(axis=1) + 1)
    change: NDArray[np.float32] = (p * np.sqrt(np.maximum(squares, 0))).sum(axis=1) * lengths
    return change / (1 + change)


def _committee_results(rng: np.random.Generator) -> list[Result]:
    flat = rng.dirichlet(np.full(CLASSES, 0.5), COMMITTEE_ROWS * MEMBERS).astype(np.float32)
    committee, fixed = flat.reshape(COMMITTEE_ROWS, MEMBERS, CLASSES), _FixedCommittee()
    rivals: dict[str, tuple[Callable[[], object], Callable[[], object], Callable[[], object] | None]] = {
        "vote entropy": (
            lambda: vote_entropy.informativeness(committee),
            lambda: _plain_vote_entropy(committee),
            lambda: disagreement.vote_entropy(fixed, committee),
        ),
        "consensus entropy": (
            lambda: consensus_entropy.informativeness(committee),
            lambda: entr(committee.mean(axis=1)).sum(axis=1) / np.log(CLASSES),
            lambda: disagreement.consensus_entropy(fixed, committee),
        ),
        "KL disagreement": (
            lambda: kl_disagreement.informativeness(committee),
            lambda: _plain_kl(committee),
            lambda: disagreement.KL_max_disagreement(fixed, committee),
        ),
        "BALD": (lambda: bald.informativeness(committee), lambda: _plain_bald(committee), None),
    }
    results = []
    for name, (ours, plain, modal) in rivals.items():
        peers_ms = {"plain numpy": _median_ms(plain)}
        if modal is not None:
            peers_ms["modAL"] = _median_ms(modal, repeats=2)
        named = f"{name} {COMMITTEE_ROWS // 1000}k x {MEMBERS} x {CLASSES}"
        results += [Result(f"{named}, {peer}", each, "ms", None, "at_most") for peer, each in peers_ms.items()]
        results.append(Result(f"{named}, ours", _median_ms(ours), "ms", min(peers_ms.values()), "at_most"))
    return results


def _model_change_results(rng: np.random.Generator) -> list[Result]:
    p = rng.dirichlet(np.full(CLASSES, 0.5), COMMITTEE_ROWS).astype(np.float32)
    vectors = rng.standard_normal((COMMITTEE_ROWS, WIDTH)).astype(np.float32)
    plain_ms = _median_ms(lambda: _plain_model_change(p, vectors))
    name = f"expected model change {COMMITTEE_ROWS // 1000}k x {CLASSES}, {WIDTH} numbers"
    ours_ms = _median_ms(lambda: expected_model_change.informativeness(p, vectors))
    return [
        # In float32, and so without the digits that ours has near certainty: no bar.
        Result(f"{name}, plain numpy", plain_ms, "ms", None, "at_most"),
        Result(f"{name}, ours", ours_ms, "ms", None, "at_most"),
    ]


def run() -> list[Result]:
    rng = np.random.default_rng(1)
    p = rng.dirichlet(np.full(CLASSES, 0.5), ROWS).astype(np.float32)
    rivals: dict[str, tuple[Callable[[], object], Callable[[], object], Callable[[], object]]] = {
        "margin": (lambda: margin.informativeness(p), lambda: _plain_margin(p), lambda: classifier_margin(_Fixed(), p)),
        "entropy": (
            lambda: entropy.informativeness(p),
            lambda: entr(p).sum(axis=1) / np.log(CLASSES),
            lambda: classifier_entropy(_Fixed(), p),
        ),
        "least confidence": (
            lambda: least_confidence.informativeness(p),
            lambda: (1 - p.max(axis=1)) * (CLASSES / (CLASSES - 1)),
            lambda: classifier_uncertainty(_Fixed(), p),
        ),
    }
    results = []
    for name, (ours, plain, modal) in rivals.items():
        peers_ms = {"plain numpy": _median_ms(plain), "modAL": _median_ms(modal)}
        if uncertainty_scores is not None:
            peers_ms["scikit-activeml"] = _median_ms(partial(uncertainty_scores, p, method=_METHODS[name]))
        results += [Result(f"{name} 1M x 10, {peer}", each, "ms", None, "at_most") for peer, each in peers_ms.items()]
        if uncertainty_scores is None:
            results.append(Result(f"{name} 1M x 10, scikit-activeml: not installed", 0.0, "ms", None, "at_most"))
        bar = min(peers_ms.values())
        results.append(Result(f"{name} 1M x 10, ours", _median_ms(ours), "ms", bar, "at_most"))
    scores = margin.informativeness(p)
    in_reserve = rng.random(ROWS) < 0.1
    draw = _median_ms(lambda: selection.draw_batch(scores, in_reserve, size=500, rng=np.random.default_rng(2)))
    drawn = Result("draw 500 of 1M with propensities", draw, "ms", None, "at_most")
    return [*results, *_committee_results(rng), *_model_change_results(rng), drawn]
