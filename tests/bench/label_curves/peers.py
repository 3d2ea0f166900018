"""Selection by other packages: modAL, scikit-activeml and small-text, each as its manual calls it."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from modAL.uncertainty import entropy_sampling, margin_sampling, uncertainty_sampling
from numpy.typing import NDArray
from skactiveml.base import SkactivemlClassifier
from skactiveml.pool import Badge, CoreSet, Falcun, TypiClust, UncertaintySampling
from small_text import BreakingTies

from tests.bench.label_curves.state import Arm, State


class _Said:
    """A fitted classifier as far as modAL and small-text are concerned."""

    def predict_proba(self, rows: Any) -> Any:
        return rows


def _modal(query: Callable[..., Any]) -> Arm:
    def choose(state: State) -> NDArray[np.int64]:
        found = query(_Said(), state.probabilities[state.unlabelled], n_instances=state.size)
        places = found[0] if isinstance(found, tuple) else found
        return state.unlabelled[np.asarray(places, dtype=np.int64)]

    return choose


class _Stored(SkactivemlClassifier):  # type: ignore[misc]  # untyped package
    """Answers with given probabilities: rows of X are the geometry followed by the position in the pool."""

    def __init__(self, probabilities: Any = None, classes: Any = None) -> None:
        super().__init__(classes=classes)
        self.probabilities = probabilities

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        self.classes_ = np.arange(self.probabilities.shape[1])
        return self

    def predict_proba(self, X: Any) -> Any:
        return self.probabilities[X[:, -1].astype(int)]

    def predict(self, X: Any) -> Any:
        return self.predict_proba(X).argmax(axis=1)


def stored_classifier(probabilities: NDArray[np.float64]) -> Any:
    """A fitted classifier that answers with these probabilities: rows end with their position."""
    classifier = _Stored(probabilities, list(range(probabilities.shape[1])))
    classifier.fit(None, None)
    return classifier


def _skactiveml(make: Callable[[int], Any], *, needs_model: bool) -> Arm:
    def choose(state: State) -> NDArray[np.int64]:
        n = len(state.geometry)
        y = np.full(n, np.nan)
        y[state.labelled] = state.labels
        strategy = make(state.seed % 2**31)
        options: dict[str, Any] = {"X": state.geometry.astype(np.float64), "y": y, "batch_size": state.size}
        if needs_model:
            options["X"] = np.column_stack([options["X"], np.arange(n)])
            options |= {
                "clf": stored_classifier(state.probabilities.astype(np.float64)),
                "fit_clf": False,
            }
        return np.asarray(strategy.query(**options), dtype=np.int64)

    return choose


def _small_text(strategy: Any) -> Arm:
    def choose(state: State) -> NDArray[np.int64]:
        np.random.seed(state.seed % 2**32)  # noqa: NPY002 - what the package draws from
        places = strategy.query(
            _Said(), state.probabilities, state.unlabelled, state.labelled, state.labels, n=state.size
        )
        return np.asarray(places, dtype=np.int64)

    return choose


PEERS: Final[Mapping[str, Arm]] = {
    "modAL margin": _modal(margin_sampling),
    "modAL entropy": _modal(entropy_sampling),
    "modAL least confidence": _modal(uncertainty_sampling),
    "scikit-activeml margin": _skactiveml(
        lambda seed: UncertaintySampling(method="margin_sampling", random_state=seed), needs_model=True
    ),
    "scikit-activeml Badge": _skactiveml(lambda seed: Badge(random_state=seed), needs_model=True),
    "scikit-activeml Falcun": _skactiveml(lambda seed: Falcun(random_state=seed), needs_model=True),
    "scikit-activeml TypiClust": _skactiveml(lambda seed: TypiClust(random_state=seed), needs_model=False),
    "small-text BreakingTies": _small_text(BreakingTies()),
    "scikit-activeml CoreSet": _skactiveml(lambda seed: CoreSet(random_state=seed), needs_model=False),
}
