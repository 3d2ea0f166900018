import pytest

from training.trainers.numeric import NumericTrainer
from training.trainers.port import TrainerError
from training.trainers.text import TextTrainer


def test_empty_texts_are_learned_from_and_predicted() -> None:
    rows = [{"text": "good film"}, {"text": "bad film"}, {"text": ""}, {"text": "good"}]
    model = TextTrainer().fit(rows, ["yes", "no", "no", "yes"], seed=0)
    assert model.predict_proba([{"text": ""}]).shape == (1, 2)


def test_texts_of_single_letters_and_other_scripts_are_learned_from() -> None:
    rows = [{"text": text} for text in ("a", "b", "東京", "大阪", "شمس", "قمر")]
    labels = ["1", "2", "3", "4", "5", "6"]
    model = TextTrainer().fit(rows, labels, seed=0)
    assert model.predict_proba(rows).argmax(axis=1).tolist() == [0, 1, 2, 3, 4, 5]


def test_texts_without_any_word_are_refused() -> None:
    with pytest.raises(TrainerError, match="no text contains a word"):
        TextTrainer().fit([{"text": "!!"}, {"text": ""}], ["yes", "no"], seed=0)


def test_a_text_that_is_a_number_is_refused() -> None:
    with pytest.raises(TrainerError, match="row 0: “text” is not a string but int"):
        TextTrainer().fit([{"text": 5}], ["yes"], seed=0)


@pytest.mark.parametrize(
    ("features", "problem"),
    [
        ("1 2", "is not a list"),
        ([], "is not a list"),
        ([1, "2"], "not a number"),
        ([1, None], "not a number"),
        ([1, True], "not a number"),
        ([1, float("nan")], "not finite"),
        ([1, 10**200], "not finite or beyond"),
        ([1, 2, 3], "has 3 numbers and not 2"),
    ],
)
def test_features_that_are_no_vector_of_numbers_are_refused(features: object, problem: str) -> None:
    with pytest.raises(TrainerError, match=problem) as caught:
        NumericTrainer().fit([{"features": [1, 2]}, {"features": features}], ["yes", "no"], seed=0)
    assert caught.value.row == 1


def test_a_vector_of_another_length_cannot_be_predicted() -> None:
    model = NumericTrainer().fit([{"features": [0, 1]}, {"features": [1, 0]}], ["yes", "no"], seed=0)
    with pytest.raises(TrainerError, match="row 1: “features” has 3 numbers and not 2"):
        model.predict_proba([{"features": [0, 1]}, {"features": [0, 1, 2]}])


def test_constant_features_do_no_harm() -> None:
    rows = [{"features": [7, value]} for value in range(6)]
    model = NumericTrainer().fit(rows, ["low"] * 3 + ["high"] * 3, seed=0)
    assert model.predict_proba([{"features": [7, 0]}])[0, model.classes.index("low")] > 0.5
