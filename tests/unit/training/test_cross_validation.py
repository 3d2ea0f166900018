"""Cross-validation: nobody predicts a row they were trained on, and what cannot be read or learned from is told."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.pipeline import Pipeline

from training.cross_validation import held_out
from training.trainers.numeric import NumericTrainer
from training.trainers.port import TrainerError
from training.trainers.text import TextTrainer

_N = 60


class Rememberer(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Is sure of what it was trained on, and of nothing else."""

    def fit(self, rows: NDArray[np.float64], labels: NDArray[np.int64]) -> "Rememberer":
        self.classes_ = np.unique(labels)
        self.known_ = {row.tobytes(): label for row, label in zip(rows, labels, strict=True)}
        return self

    def predict_proba(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        chances = np.full((len(rows), len(self.classes_)), 1.0 / len(self.classes_))
        for place, row in enumerate(rows):
            if row.tobytes() in self.known_:
                chances[place] = self.classes_ == self.known_[row.tobytes()]
        return chances


class RememberingTrainer(NumericTrainer):
    def pipeline(self) -> Pipeline:
        return Pipeline([("classifier", Rememberer())])


def vectors(labels: NDArray[np.int64], *, seed: int = 0) -> list[dict[str, object]]:
    rng = np.random.default_rng(seed)
    centres = 4.0 * np.eye(3)
    return [{"features": (centres[label] + rng.normal(size=3)).tolist()} for label in labels]


LABELS = np.arange(_N) % 3
EVERYTHING = np.ones(_N, dtype=np.bool_)


def test_no_model_predicts_a_row_that_it_was_trained_on() -> None:
    found = held_out(RememberingTrainer(), vectors(LABELS), LABELS, 3, is_trainable=EVERYTHING, seed=0)
    assert found.rows.tolist() == list(range(_N))
    np.testing.assert_allclose(found.probabilities, 1 / 3, atol=1e-6)


def test_rows_that_must_not_be_trained_on_are_predicted_and_teach_nothing() -> None:
    may_train = np.arange(_N) >= 12
    clean = held_out(NumericTrainer(), vectors(LABELS), LABELS, 3, is_trainable=may_train, seed=0)
    wrong = LABELS.copy()
    wrong[~may_train] = (wrong[~may_train] + 1) % 3
    spoilt = held_out(NumericTrainer(), vectors(LABELS), wrong, 3, is_trainable=may_train, seed=0)
    assert len(clean.rows) == _N
    assert np.array_equal(clean.probabilities.argmax(axis=1), spoilt.probabilities.argmax(axis=1))
    assert (clean.probabilities.argmax(axis=1)[~may_train] == LABELS[~may_train]).mean() > 0.8


def test_a_wrong_label_gets_a_low_probability() -> None:
    told = LABELS.copy()
    told[7] = (told[7] + 1) % 3
    found = held_out(NumericTrainer(), vectors(LABELS), told, 3, is_trainable=EVERYTHING, seed=0)
    own = found.probabilities[np.arange(_N), told]
    assert own.argmin() == 7


def test_the_seed_decides_all() -> None:
    first, second, other = (
        held_out(NumericTrainer(), vectors(LABELS), LABELS, 3, is_trainable=EVERYTHING, seed=seed) for seed in (1, 1, 2)
    )
    assert np.array_equal(first.probabilities, second.probabilities)
    assert not np.array_equal(first.probabilities, other.probabilities)


def test_what_cannot_be_read_is_counted_and_left_out() -> None:
    payloads = vectors(LABELS)
    payloads[3] = {"text": "no numbers"}
    payloads[9] = {"features": [1.0]}
    found = held_out(NumericTrainer(), payloads, LABELS, 3, is_trainable=EVERYTHING, seed=0)
    assert found.unreadable == 2
    assert not {3, 9} & set(found.rows.tolist())


def test_the_only_row_of_a_class_is_judged_by_a_model_that_does_not_know_the_class() -> None:
    labels = np.where(np.arange(_N) == 5, 2, LABELS % 2)
    found = held_out(NumericTrainer(), vectors(labels), labels, 3, is_trainable=EVERYTHING, seed=0)
    assert found.probabilities[5, 2] == 0.0
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1.0)


@pytest.mark.parametrize("labels", [np.zeros(_N, dtype=np.int64), np.arange(9) % 3])
def test_too_little_to_learn_from_is_refused(labels: NDArray[np.int64]) -> None:
    with pytest.raises(TrainerError, match="two classes"):
        held_out(
            NumericTrainer(), vectors(labels), labels, 3, is_trainable=np.ones(len(labels), dtype=np.bool_), seed=0
        )


def test_texts_without_a_word_are_refused() -> None:
    with pytest.raises(TrainerError, match="no fold"):
        held_out(TextTrainer(), [{"text": "!"}] * _N, LABELS, 3, is_trainable=EVERYTHING, seed=0)
