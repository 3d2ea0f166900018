"""Score kernels on 1,000,000 x 10 float32 probabilities, beside plain numpy and modAL in the same process."""

import time
from collections.abc import Callable

import numpy as np
from modAL.uncertainty import classifier_entropy, classifier_margin, classifier_uncertainty
from numpy.typing import NDArray
from scipy.special import entr

from sampling import selection
from sampling.strategies import entropy, least_confidence, margin
from tests.bench.result import Result

ROWS, CLASSES = 1_000_000, 10
REPEATS = 7


class _Fixed:
    """A fitted classifier as far as modAL is concerned: it answers with the given probabilities."""

    def predict_proba(self, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        return probabilities


def _median_ms(function: Callable[[], object]) -> float:
    function()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return float(np.median(times)) * 1000


def _plain_margin(p: NDArray[np.float32]) -> NDArray[np.float32]:
    top = np.partition(p, CLASSES - 2, axis=1)[:, CLASSES - 2 :]
    return 1 - (top[:, 1] - top[:, 0])


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
        plain_ms = _median_ms(plain)
        results += [
            Result(f"{name} 1M x 10, plain numpy", plain_ms, "ms", None, "at_most"),
            Result(f"{name} 1M x 10, modAL", _median_ms(modal), "ms", None, "at_most"),
            Result(f"{name} 1M x 10, ours", _median_ms(ours), "ms", plain_ms, "at_most"),
        ]
    scores = margin.informativeness(p)
    in_reserve = rng.random(ROWS) < 0.1
    draw = _median_ms(lambda: selection.draw_batch(scores, in_reserve, size=500, rng=np.random.default_rng(2)))
    return [*results, Result("draw 500 of 1M with propensities", draw, "ms", None, "at_most")]
