"""Surrogate models: a bagged committee over vectors of items, learned from the accepted labels.

For pools that no model of the app scores, and for strategies that need a committee. The only file that knows modAL.
"""

import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from modAL.models import ActiveLearner, Committee
from numpy.typing import NDArray
from scipy.special import log_expit
from sklearn.linear_model import SGDClassifier
from skops import io as skops_io

from labeling import calibration
from sampling.exact_product import product

DEFAULT_MEMBERS: Final = 5
MOST_MEMBERS: Final = 20
# The penalty on the weights of the linear members, for vectors of length 1.
_PENALTY: Final = 1e-4
_ROWS_A_BLOCK: Final = 16_384
_FORMAT: Final = 1

Vectors = NDArray[np.floating]


class _Member(ActiveLearner):  # type: ignore[misc]  # modAL has no types
    """An ActiveLearner that can be taught under scikit-learn 1.8 and newer.

    That of modAL 0.4.2.1 passes scikit-learn an argument which 1.8 removed, and forgets what it knew when it is taught
    new rows only. This one goes on learning; rows are checked at the door of the committee.
    """

    def teach(self, X: Any, y: Any, bootstrap: bool = False, only_new: bool = True, **fit_kwargs: Any) -> None:
        self.estimator.partial_fit(X, y, **fit_kwargs)


@dataclass(slots=True, eq=False)
class FittedCommittee:
    """Linear members, each trained on its own resampling of the labels; see `fit`.

    classes
        Those that had labels, in the order of the columns.
    width
        Numbers per vector.
    temperature
        Of the calibration: one for all members, fitted on rows that a member was not trained on.
    """

    classes: tuple[str, ...]
    width: int
    temperature: calibration.Temperature
    _scale: float
    _members: list[Any]

    @property
    def size(self) -> int:
        """The number of members."""
        return len(self._members)

    def probabilities(self, vectors: Vectors) -> NDArray[np.float32]:
        """What every member says of every item.

        Parameters
        ----------
        vectors
            Shape (n, width), finite. ValueError for another shape, or naming the first row that is not finite.

        Returns
        -------
        Shape (n, M, C), float32; each member's row sums to 1. Their mean over the members is the committee's word. An item
        gets the same to the last bit whatever items come with it.
        """
        weights = np.concatenate([member.coef_ for member in self._members])
        intercepts = np.concatenate([member.intercept_ for member in self._members])
        result = np.empty((len(vectors), len(self._members), len(self.classes)), dtype=np.float32)
        for rows, block in _blocks(vectors, self.width, self._scale):
            decisions = product(block, weights) + intercepts
            for place, one_against_rest in enumerate(np.split(decisions, len(self._members), axis=1)):
                result[rows, place] = calibration.apply(_log_chances(one_against_rest), self.temperature.value)
        return result

    def learn(self, vectors: Vectors, labels: Sequence[str], *, seed: int) -> None:
        """Go on learning from labels that are new (online bagging: each member sees each row Poisson(1) times).

        ValueError for a class that is not among `classes`: then the committee must be fitted anew. The temperature
        stays what it was.
        """
        codes = _codes(labels, self.classes)
        rows = _scaled(vectors, self.width, self._scale)
        for member, rng in zip(self._members, _generators(seed, len(self._members)), strict=True):
            times = np.repeat(np.arange(len(codes)), rng.poisson(1.0, len(codes)))
            if len(times):
                rng.shuffle(times)
                _Member(member).teach(rows[times], codes[times])

    def dumps(self) -> bytes:
        """The committee as a skops file."""
        parts = {
            "format": _FORMAT,
            "classes": list(self.classes),
            "width": self.width,
            "temperature": [self.temperature.value, self.temperature.held_out, self.temperature.note],
            "scale": self._scale,
            "members": self._members,
        }
        return bytes(skops_io.dumps(parts, compression=zipfile.ZIP_DEFLATED, compresslevel=1))


def loads(content: bytes) -> FittedCommittee:
    """Read what `dumps` wrote; ValueError for anything else, and nothing in it is run."""
    try:
        unknown = skops_io.get_untrusted_types(data=content)
        parts = None if unknown else skops_io.loads(content, trusted=[])
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise ValueError("this is no committee") from error
    if not isinstance(parts, dict) or parts.get("format") != _FORMAT or "members" not in parts:
        raise ValueError("this is no committee of this version of the service")
    return FittedCommittee(
        tuple(parts["classes"]),
        int(parts["width"]),
        calibration.Temperature(*parts["temperature"]),
        float(parts["scale"]),
        list(parts["members"]),
    )


def fit(
    vectors: Vectors,
    labels: Sequence[str],
    *,
    classes: Sequence[str],
    members: int = DEFAULT_MEMBERS,
    seed: int = 0,
) -> FittedCommittee:
    """Fit a committee of linear classifiers, each on a bootstrap sample of every class.

    Parameters
    ----------
    vectors
        Shape (n, d), finite, n >= 2.
    labels
        The class of each row.
    classes
        The schema's classes, in its order; those without a label are left out of the committee.
    members
        M, 1 to 20.
    seed
        Of the bootstrap samples and the order of the rows. The same rows and seed give the same committee.

    Returns
    -------
    The committee. Its probabilities are calibrated by one temperature, fitted on each row with the members whose sample
    did not hold it (out of bag: about a third of them).

    Raises
    ------
    ValueError
        Fewer than two classes have labels, an unknown class, or naming the first row that is not finite.

    Notes
    -----
    Members are logistic regressions learned by averaged stochastic gradient descent, one class against the rest, because
    they can go on learning (`learn`). Vectors are scaled so that their mean squared length is 1. A bootstrap sample is
    drawn within each class, so every member knows every class. 1,000 labels of 64 numbers and 6 classes take about 0.1 s.

    References
    ----------
    Breiman: Bagging Predictors. 1996; Abe, Mamitsuka: Query Learning Strategies Using Boosting and Bagging. ICML 1998;
    Oza, Russell: Online Bagging and Boosting. 2001.
    """
    if not 1 <= members <= MOST_MEMBERS:
        raise ValueError(f"a committee has 1 to {MOST_MEMBERS} members, not {members}")
    if vectors.ndim != 2 or len(vectors) != len(labels):
        raise ValueError(f"vectors of shape {vectors.shape} and {len(labels)} labels do not pair up")
    _codes(labels, classes)
    there = set(labels)
    seen = tuple(each for each in classes if each in there)
    if len(seen) < 2:
        raise ValueError("a committee needs labels of at least two classes")
    codes = _codes(labels, seen)
    checked = _scaled(vectors, vectors.shape[1], 1.0)
    length = float(np.sqrt(np.einsum("ij,ij->i", checked, checked, dtype=np.float64).mean()))
    scale = 1.0 / length if length > 0.0 else 1.0
    rows = checked * np.float32(scale)
    samples = [_bootstrap(codes, rng) for rng in _generators(seed, members)]
    learners = [
        _Member(_estimator(seed + place), X_training=rows[sample], y_training=codes[sample])
        for place, sample in enumerate(samples)
    ]
    committee = Committee(learners)
    return FittedCommittee(
        classes=seen,
        width=vectors.shape[1],
        temperature=_temperature(committee.vote_proba(rows), samples, codes),
        _scale=scale,
        _members=[learner.estimator for learner in committee.learner_list],
    )


def _log_chances(decisions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithms of numbers in proportion to a member's probabilities; of two classes it decides on the second only."""
    sides = [-decisions, decisions] if decisions.shape[1] == 1 else [decisions]
    logs: NDArray[np.float64] = log_expit(np.concatenate(sides, axis=1))
    return logs


def _estimator(seed: int) -> SGDClassifier:
    return SGDClassifier(loss="log_loss", alpha=_PENALTY, average=True, random_state=seed % 2**32)


def _generators(seed: int, count: int) -> list[np.random.Generator]:
    return [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(count)]


def _bootstrap(codes: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Rows drawn with replacement, within each class as many as it has."""
    drawn = []
    for code in np.unique(codes):
        rows = np.flatnonzero(codes == code)
        drawn.append(rows[rng.integers(len(rows), size=len(rows))])
    return np.sort(np.concatenate(drawn))


def _temperature(
    votes: NDArray[np.float64], samples: list[NDArray[np.int64]], codes: NDArray[np.int64]
) -> calibration.Temperature:
    """From each row's members that were not trained on it: votes has the shape (n, M, C)."""
    is_out = np.ones(votes.shape[:2], dtype=np.bool_)
    for place, sample in enumerate(samples):
        is_out[sample, place] = False
    row, member = np.nonzero(is_out)
    if not len(row):
        return calibration.Temperature(1.0, 0, "no member was without any row")
    logs = np.log(np.maximum(votes[row, member], np.finfo(np.float64).tiny))
    return calibration.Temperature(calibration.fit_temperature(logs, codes[row]), int(is_out.any(axis=1).sum()))


def _codes(labels: Sequence[str], classes: Sequence[str]) -> NDArray[np.int64]:
    place = {name: position for position, name in enumerate(classes)}
    for row, label in enumerate(labels):
        if label not in place:
            raise ValueError(f"row {row}: the label {label!r} is not among the committee's classes")
    return np.array([place[label] for label in labels], dtype=np.int64)


def _scaled(vectors: Vectors, width: int, scale: float) -> NDArray[np.float32]:
    pieces = [block for _, block in _blocks(vectors, width, scale)]
    return np.concatenate(pieces) if pieces else np.empty((0, width), dtype=np.float32)


def _blocks(vectors: Vectors, width: int, scale: float) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Checked float32 copies of some rows at a time."""
    if vectors.ndim != 2 or vectors.shape[1] != width:
        raise ValueError(f"vectors must have shape (n, {width}), not {vectors.shape}")
    for begin in range(0, len(vectors), _ROWS_A_BLOCK):
        rows = slice(begin, min(begin + _ROWS_A_BLOCK, len(vectors)))
        block = vectors[rows].astype(np.float32)
        is_bad = ~np.isfinite(block).all(axis=1)
        if is_bad.any():
            raise ValueError(f"row {begin + int(is_bad.argmax())}: a vector must be finite")
        block *= np.float32(scale)
        yield rows, block
