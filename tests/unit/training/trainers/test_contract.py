"""What every built-in trainer does; a new one is tested by being in the registry."""

from collections.abc import Sequence

import numpy as np
import pytest

from training.trainers.pipeline import UNSEEN_PROBABILITY, PipelineTrainer
from training.trainers.port import Payload, TrainerError
from training.trainers.registry import TRAINERS

CLASSES = ("red", "green", "blue")
_WORDS = {"red": "fire rose blood", "green": "leaf grass moss", "blue": "sky sea ice"}


def payloads_of(labels: Sequence[str], *, seed: int = 0) -> list[Payload]:
    """One payload a label that all trainers can read, with the label in it and some noise."""
    rng = np.random.default_rng(seed)
    rows: list[Payload] = []
    for label in labels:
        centre = np.eye(len(CLASSES))[CLASSES.index(label)]
        words = [*rng.choice(_WORDS[label].split(), 2), rng.choice(["and", "the", "of"])]
        rows.append({"features": (4 * centre + rng.normal(size=3)).tolist(), "text": " ".join(words)})
    return rows


@pytest.fixture(params=TRAINERS.values(), ids=lambda trainer: trainer.name)
def trainer(request: pytest.FixtureRequest) -> PipelineTrainer:
    chosen: PipelineTrainer = request.param
    return chosen


def test_it_learns_what_is_there_to_learn(trainer: PipelineTrainer) -> None:
    labels = list(CLASSES) * 10
    model = trainer.fit(payloads_of(labels), labels, seed=0, classes=CLASSES)
    predicted = model.predict_proba(payloads_of(labels, seed=1)).argmax(axis=1)
    assert np.mean(predicted == [CLASSES.index(label) for label in labels]) > 0.85


def test_probabilities_are_distributions_in_the_order_of_the_classes(trainer: PipelineTrainer) -> None:
    labels = list(CLASSES) * 5
    forward = trainer.fit(payloads_of(labels), labels, seed=0, classes=CLASSES)
    backward = trainer.fit(payloads_of(labels), labels, seed=0, classes=CLASSES[::-1])
    rows = payloads_of(labels, seed=1)
    probabilities = forward.predict_proba(rows)
    assert probabilities.dtype == np.float32
    assert probabilities.shape == (15, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(backward.predict_proba(rows)[:, ::-1], probabilities, atol=0.02)


def test_the_same_arguments_give_the_same_model(trainer: PipelineTrainer) -> None:
    labels = list(CLASSES) * 4
    rows = payloads_of(labels)
    first, second = (trainer.fit(rows, labels, seed=3, classes=CLASSES) for _ in range(2))
    assert first.temperature == second.temperature
    assert np.array_equal(first.predict_proba(rows), second.predict_proba(rows))


def test_classes_default_to_the_sorted_labels(trainer: PipelineTrainer) -> None:
    labels = ["red", "blue", "red", "blue"]
    assert trainer.fit(payloads_of(labels), labels, seed=0).classes == ("blue", "red")


def test_a_class_without_examples_is_improbable_but_not_impossible(trainer: PipelineTrainer) -> None:
    labels = ["red", "blue"] * 6
    model = trainer.fit(payloads_of(labels), labels, seed=0, classes=CLASSES)
    probabilities = model.predict_proba(payloads_of(labels))
    np.testing.assert_allclose(probabilities[:, 1], UNSEEN_PROBABILITY)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-5)


def test_a_crowd_of_unseen_classes_leaves_half_to_the_seen_ones(trainer: PipelineTrainer) -> None:
    classes = ("red", "blue", *(f"rare {number}" for number in range(20_000)))
    model = trainer.fit(payloads_of(["red", "blue"]), ["red", "blue"], seed=0, classes=classes)
    assert model.predict_proba(payloads_of(["red"]))[0, :2].sum() == pytest.approx(0.5, abs=1e-4)


def test_one_class_only_is_predicted_always(trainer: PipelineTrainer) -> None:
    model = trainer.fit(payloads_of(["red"] * 3), ["red"] * 3, seed=0, classes=CLASSES)
    assert model.predict_proba(payloads_of(["blue"]))[0].argmax() == 0
    assert model.temperature.value == 1.0
    assert "one class" in model.temperature.note


def test_single_examples_train_without_calibration(trainer: PipelineTrainer) -> None:
    model = trainer.fit(payloads_of(CLASSES), list(CLASSES), seed=0, classes=CLASSES)
    assert (model.temperature.value, model.temperature.held_out) == (1.0, 0)
    assert "too few examples" in model.temperature.note


def test_a_single_example_of_one_class_does_not_break_the_calibration_of_the_others(trainer: PipelineTrainer) -> None:
    labels = ["red", "blue"] * 6 + ["green"]
    model = trainer.fit(payloads_of(labels), labels, seed=0, classes=CLASSES)
    assert model.temperature.held_out == 12
    assert model.temperature.note == ""


def test_calibration_lowers_the_log_loss_on_new_rows(trainer: PipelineTrainer) -> None:
    rng = np.random.default_rng(5)
    labels = rng.choice(CLASSES, 150).tolist()
    # A third of the labels is wrong, so an uncalibrated fit of separable words is too sure of itself.
    noisy = np.where(rng.random(150) < 1 / 3, rng.choice(CLASSES, 150), labels).tolist()
    rows, truth = payloads_of(labels), np.array([CLASSES.index(label) for label in noisy])
    model = trainer.fit(rows[:75], noisy[:75], seed=0, classes=CLASSES)
    probabilities = model.predict_proba(rows[75:])[np.arange(75), truth[75:]]
    assert -np.log(probabilities).mean() < np.log(3)


def test_no_rows_are_refused(trainer: PipelineTrainer) -> None:
    with pytest.raises(TrainerError, match="no labelled rows"):
        trainer.fit([], [], seed=0, classes=CLASSES)


def test_an_unknown_label_is_named(trainer: PipelineTrainer) -> None:
    with pytest.raises(TrainerError, match="row 1: the label “grey” is not a class"):
        trainer.fit(payloads_of(["red", "red"]), ["red", "grey"], seed=0, classes=CLASSES)


def test_a_payload_without_the_key_is_named(trainer: PipelineTrainer) -> None:
    rows: list[Payload] = [*payloads_of(["red", "blue"]), {"other": 1}]
    with pytest.raises(TrainerError, match=f"row 2: “{trainer.payload_key}” is missing") as caught:
        trainer.fit(rows, ["red", "blue", "blue"], seed=0)
    assert caught.value.row == 2


def test_a_model_names_the_payload_it_cannot_predict(trainer: PipelineTrainer) -> None:
    model = trainer.fit(payloads_of(["red", "blue"]), ["red", "blue"], seed=0)
    with pytest.raises(TrainerError, match="row 0"):
        model.predict_proba([{"other": 1}])


def test_predicting_nothing_gives_nothing(trainer: PipelineTrainer) -> None:
    model = trainer.fit(payloads_of(["red", "blue"]), ["red", "blue"], seed=0)
    assert model.predict_proba([]).shape == (0, 2)
