"""Rows of files in the words of this service: keys, payloads, segments, labels, predictions."""

import json
from typing import Any

import pytest

from labeling import schema as schemas
from labeling import wire
from labeling.file_formats.columns import ColumnsMapper
from labeling.file_formats.label_studio import LabelStudioMapper
from labeling.file_formats.label_studio_results import code_points
from labeling.file_formats.options import Options, parse
from labeling.file_formats.rows import MappedRow, RawRow
from labeling.wire import RowError

CHOICE = schemas.parse_definition(
    {"kind": "single_choice", "classes": [{"key": "ham"}, {"key": "spam", "title": "Junk"}, {"key": "other"}]}
)
BY_KIND: dict[str, dict[str, Any]] = {
    "single_choice": {"classes": [{"key": "ham"}, {"key": "spam"}]},
    "multi_label": {"classes": [{"key": "late"}, {"key": "refund"}]},
    "rating": {},
    "text_correction": {},
    "preference": {},
    "spans": {"classes": [{"key": "ITEM"}]},
    "numeric": {"minimum": 0, "maximum": 10},
    "boxes": {"classes": [{"key": "car"}]},
}


def schema_of(kind: str) -> schemas.AnySchema:
    return schemas.parse_definition({"kind": kind, **BY_KIND[kind]})


def mapped(fields: dict[str, Any], schema: schemas.AnySchema = CHOICE, **options: Any) -> MappedRow:
    return ColumnsMapper(schema, parse(options)).map(RawRow(0, fields))


def item(fields: dict[str, Any], schema: schemas.AnySchema = CHOICE, **options: Any) -> dict[str, Any]:
    made = mapped(fields, schema, **options).item
    assert isinstance(made, dict)
    return made


def refusal(fields: dict[str, Any], schema: schemas.AnySchema = CHOICE, **options: Any) -> str:
    with pytest.raises(RowError) as refused:
        mapped(fields, schema, **options)
    return refused.value.code


def test_a_row_of_the_api_is_passed_on_as_it_came() -> None:
    raw = b'{"key": "a", "payload": {"text": "x"}, "segments": {"lang": "de"}}'
    assert ColumnsMapper(CHOICE, Options()).map(RawRow(0, json.loads(raw), raw)).item is raw


def test_a_row_of_the_api_may_carry_its_label() -> None:
    row = mapped({"key": "a", "payload": {"text": "x"}, "label": "spam"})
    assert row.item == {"key": "a", "payload": {"text": "x"}}
    assert [answer.answer for answer in row.answers] == [{"choice": "spam"}]


def test_columns_find_their_places() -> None:
    row = item(
        {"key": 7, "text": "x", "title": "t", "segment.lang": "de", "shop": "nord", "prob.ham": "0.2", "prob.Junk": 0.8,
         "prob.other": 0, "model_version": "m1"},
        segments=["shop"],
        rename={"title": "subject"},
    )  # fmt: skip
    assert row["key"] == "7"
    assert row["payload"] == {"text": "x", "subject": "t"}
    assert row["segments"] == {"lang": "de", "shop": "nord"}
    assert row["prediction"]["probabilities"] == {"ham": 0.2, "spam": 0.8, "other": 0.0}
    assert row["prediction"]["model_version"] == "m1"


def test_a_prediction_column_with_a_confidence_is_spread_over_the_classes() -> None:
    row = item({"text": "x", "prediction": "spam", "confidence": "0.6"})
    assert row["prediction"] == {
        "model_version": "imported",
        "probabilities": pytest.approx({"ham": 0.2, "spam": 0.6, "other": 0.2}),
    }


def test_predictions_alone_need_no_payload() -> None:
    fields = {"key": "a", "model_version": "m1", "probabilities": [0.1, 0.2, 0.7]}
    row = mapped(fields)
    assert (row.item, row.predictions, row.model_versions) == (None, [fields], {"m1"})


def test_rows_without_a_key_are_named_by_their_content_alone() -> None:
    first, second = mapped({"text": "x", "n": 1}), mapped({"n": 1, "text": "x", "label": "spam"})
    assert first.key == second.key
    assert first.key.startswith("row-")
    assert mapped({"text": "y", "n": 1}).key != first.key
    assert mapped({"key": "", "text": "x", "n": 1}).key == first.key


def test_a_chosen_key_must_be_there() -> None:
    assert mapped({"id": 5, "text": "x"}, key="id").key == "5"
    assert refusal({"text": "x"}, key="id") == "missing_key"
    assert refusal({"id": [1], "text": "x"}, key="id") == "invalid_key"


def test_integers_become_class_names_where_the_file_knows_them() -> None:
    mapper = ColumnsMapper(CHOICE, Options(), class_names={"label": ("ham", "spam")})
    assert [answer.answer for answer in mapper.map(RawRow(0, {"text": "x", "label": 1})).answers] == [
        {"choice": "spam"}
    ]
    assert mapper.map(RawRow(0, {"text": "x", "label": -1})).answers == []
    with pytest.raises(RowError):
        mapper.map(RawRow(0, {"text": "x", "label": 2}))


@pytest.mark.parametrize(
    ("kind", "value", "payload", "answer"),
    [
        ("single_choice", "spam", {}, {"choice": "spam"}),
        ("multi_label", "refund|late", {}, {"choices": ["late", "refund"]}),
        ("multi_label", ["late"], {}, {"choices": ["late"]}),
        ("rating", "4", {}, {"rating": 4}),
        ("text_correction", "Better.", {"output": "bad"}, {"text": "Better."}),
        ("preference", "tie", {"a": "x", "b": "y"}, {"preference": "tie"}),
        (
            "spans",
            '[{"start": 0, "end": 2, "label": "ITEM"}]',
            {"text": "abc"},
            {"spans": [{"start": 0, "end": 2, "class": "ITEM"}]},
        ),
        ("numeric", "3.5", {}, {"number": 3.5}),
        ("numeric", {"number": 3}, {}, {"number": 3.0}),
        (
            "boxes",
            [{"x": 0, "y": 0, "width": 0.5, "height": 0.5, "class": "car"}],
            {"image": "https://example.org/a.jpg"},
            {"boxes": [{"x": 0.0, "y": 0.0, "width": 0.5, "height": 0.5, "class": "car"}]},
        ),
    ],
)
def test_labels_in_their_natural_form_become_answers(kind: str, value: Any, payload: Any, answer: Any) -> None:
    row = mapped({"n": 1, **payload, "label": value}, schema_of(kind))
    assert [each.answer for each in row.answers] == [answer]
    assert isinstance(row.item, dict)
    assert row.item["payload"] == {"n": 1, **payload}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("single_choice", "weather"),
        ("single_choice", ["ham"]),
        ("multi_label", "late|weather"),
        ("rating", "many"),
        ("rating", 4.5),
        ("text_correction", 5),
        ("preference", "left"),
        ("spans", "ITEM"),
        ("spans", [3]),
        ("numeric", "nan"),
        ("numeric", 11),
        ("boxes", {"boxes": [{"x": 0.9, "y": 0, "width": 0.5, "height": 1, "class": "car"}]}),
    ],
)
def test_labels_that_fit_no_answer_are_refused_with_the_key(kind: str, value: Any) -> None:
    payload = {"text": "abc", "a": "x", "b": "y", "image": "https://example.org/a.jpg"}
    with pytest.raises(RowError) as refused:
        mapped({"key": "k", **payload, "label": value}, schema_of(kind))
    assert refused.value.code in {"invalid_answer", "unknown_class"}
    assert refused.value.key == "k"


@pytest.mark.parametrize(
    "value", [{"kye": "x"}, {"on_conflict": "merge"}, {"payload": "text"}, [1], {"delimiter": "xx"}]
)
def test_options_that_are_none_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(value)


def test_only_images_of_the_archive_are_taken_from_it() -> None:
    mapper = ColumnsMapper(CHOICE, Options(), has_image=lambda path: path == "a/1.png")
    fields: dict[str, Any] = {
        "image": "lost.png",
        "photo": "a/1.png",
        "text": "see 2.png",
        "other": "https://example.org/3.png",
    }
    assert mapper.map(RawRow(0, fields)).images == {"image": "lost.png", "photo": "a/1.png"}
    assert mapped(fields).images == {}


def test_a_row_without_anything_to_show_is_refused() -> None:
    assert refusal({"key": "a", "label": "spam"}) == "empty_row"
    assert refusal({"key": "a"}, payload=["text"]) == "missing_column"
    assert refusal({"key": "a", "text": "x", "prob.ham": "much"}) == "invalid_probabilities"


# -- Label Studio --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("plain text", {"start": 0, "end": 5, "text": "plain"}, (0, 5)),
        ("😀😀 end", {"start": 5, "end": 8, "text": "end"}, (3, 6)),
        ("😀😀 end", {"start": 3, "end": 6, "text": "end"}, (3, 6)),  # counted by a Python program
        ("😀😀 end", {"start": 5, "end": 8}, (3, 6)),
        ("straße 😀 x", {"start": 7, "end": 9, "text": "😀"}, (7, 8)),
        ("a\nb", {"start": 0, "end": 3, "text": "a b"}, (0, 3)),
    ],
)
def test_spans_count_code_points(text: str, value: dict[str, Any], expected: tuple[int, int]) -> None:
    assert code_points(text, value) == expected


@pytest.mark.parametrize(
    "value",
    [
        {"start": 2, "end": 2, "text": ""},
        {"start": 0, "end": 50, "text": "x"},
        {"start": 0, "end": 3, "text": "xyz"},
        {"start": "0", "end": 3},
    ],
)
def test_spans_that_fit_no_text_are_refused(value: dict[str, Any]) -> None:
    with pytest.raises(RowError):
        code_points("😀 abc", value)


def task(result: list[dict[str, Any]], **others: Any) -> dict[str, Any]:
    return {"id": 1, "data": {"text": "hello"}, "annotations": [{"id": 5, "result": result}], **others}


def choice(name: str = "topic", *choices: str) -> dict[str, Any]:
    return {"from_name": name, "to_name": "text", "type": "choices", "value": {"choices": list(choices or ("spam",))}}


def studio(value: dict[str, Any], schema: schemas.AnySchema = CHOICE, **options: Any) -> MappedRow:
    return LabelStudioMapper(schema, parse(options)).map(RawRow(0, value))


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (task([choice("topic"), choice("mood")]), "several_controls"),
        (task([choice("topic", "spam", "ham")]), "several_answers"),
        (task([choice("topic", "weather")]), "unknown_class"),
        (task([{"type": "rating", "value": {"rating": 3}}]), "other_task_type"),
        (task([]), "empty_annotation"),
        (task([{"type": "choices", "value": {"choices": "spam"}}]), "invalid_annotation"),
        (task([{"type": "choices"}]), "invalid_annotation"),
        ({"id": 1, "data": {}}, "invalid_payload"),
        ({"id": 1, "data": {"text": "x"}, "annotations": {"a": 1}}, "invalid_row"),
        ({"id": 1, "data": {"text": "x"}, "annotations": [{"id": 1, "result": [3]}]}, "invalid_row"),
        ({"id": 1, "data": {"text": "x"}, "predictions": [{"score": "high", "result": [choice()]}]}, "invalid_score"),
        ({"id": 1, "data": {"text": "x"}, "predictions": [{"score": 7, "result": [choice()]}]}, "invalid_score"),
        ({"id": [1], "data": {"text": "x"}}, "invalid_key"),
    ],
)
def test_tasks_that_cannot_be_kept_say_why(value: dict[str, Any], code: str) -> None:
    with pytest.raises(RowError) as refused:
        studio(value)
    assert refused.value.code == code


def test_the_control_is_chosen_by_name() -> None:
    value = task([choice("topic", "spam"), choice("mood", "ham")])
    assert [answer.answer for answer in studio(value, control="mood").answers] == [{"choice": "ham"}]


def test_names_of_classes_may_be_titles_or_renamed() -> None:
    assert studio(task([choice("topic", "Junk")])).answers[0].answer == {"choice": "spam"}
    assert studio(task([choice("topic", "Müll")]), classes={"Müll": "spam"}).answers[0].answer == {"choice": "spam"}


def test_the_key_is_a_field_the_id_or_the_content() -> None:
    assert studio({"id": 12, "data": {"text": "x"}}).key == "12"
    assert studio({"id": 12, "data": {"text": "x", "ext_id": "t"}}, key="ext_id").key == "t"
    assert studio({"id": 12, "data": {"text": "x"}, "meta": {"ext_id": "m"}}, key="ext_id").key == "m"
    bare = studio({"text": "x"})
    assert bare.key.startswith("row-")
    assert bare.item == {"key": bare.key, "payload": {"text": "x"}}


def test_rotated_boxes_are_refused_and_rounded_edges_taken_in() -> None:
    box = {"x": 90.0, "y": 0, "width": 10.00001, "height": 5, "rotation": 0, "rectanglelabels": ["car"]}
    value = {"id": 1, "data": {"image": "https://example.org/a.jpg"}}
    part = {"type": "rectanglelabels", "from_name": "b", "value": box}
    answer = studio({**value, "annotations": [{"id": 1, "result": [part]}]}, schema_of("boxes")).answers[0].answer
    assert answer == {"boxes": [{"x": 0.9, "y": 0.0, "width": pytest.approx(0.1), "height": 0.05, "class": "car"}]}
    turned = {**part, "value": {**box, "rotation": 10}}
    with pytest.raises(RowError) as refused:
        studio({**value, "annotations": [{"id": 1, "result": [turned]}]}, schema_of("boxes"))
    assert refused.value.code == "rotated_box"


@pytest.mark.parametrize(("rule", "confidence"), [("least", 0.25), ("mean", 0.625), ("geometric_mean", 0.5)])
def test_scores_of_parts_make_one_by_the_rule_of_the_schema(rule: str, confidence: float) -> None:
    schema = schemas.parse_definition({"kind": "spans", **BY_KIND["spans"], "confidence_rule": rule})
    parts = [
        {
            "type": "labels",
            "from_name": "l",
            "score": score,
            "value": {"start": start, "end": start + 2, "labels": ["ITEM"]},
        }
        for start, score in ((0, 1.0), (3, 0.25))
    ]
    row = studio({"id": 1, "data": {"text": "hello"}, "predictions": [{"result": parts}]}, schema)
    assert isinstance(row.item, dict)
    assert row.item["prediction"]["confidence"] == confidence  # type: ignore[index]
    if rule != "least":
        with pytest.raises(RowError) as refused:
            studio(
                {
                    "id": 1,
                    "data": {"text": "hello"},
                    "predictions": [{"result": [{**parts[0], "score": 1.5}, parts[1]]}],
                },
                schema,
            )
        assert refused.value.code == "invalid_score"


@pytest.mark.parametrize("score", [0.0, 0.2, 0.5, 0.9, 1.0, None])
def test_several_classes_stay_chosen_whatever_the_score(score: float | None) -> None:
    schema = schema_of("multi_label")
    given = {"model_version": "m", "score": score, "result": [choice("t", "late")]}
    row = studio({"id": 1, "data": {"text": "x"}, "predictions": [given]}, schema)
    assert isinstance(row.item, dict)
    probabilities = row.item["prediction"]["probabilities"]  # type: ignore[index]
    assert schema.answer_from(list(probabilities.values())) == {"choices": ["late"]}


@pytest.mark.parametrize("kind", BY_KIND)
def test_mapped_rows_pass_the_intake(kind: str) -> None:
    with open(f"tests/data/label_studio/{kind}.json", encoding="utf-8") as file:
        tasks = json.load(file)
    definition = DEFINITIONS[kind]
    schema = schemas.parse_definition({"kind": kind, **definition})
    rows = 0
    for value in tasks:
        if value["id"] == 106:  # the bad one of each file
            with pytest.raises(RowError):
                studio(value, schema, rename=RENAME)
            continue
        row = studio(value, schema, key="ext_id", rename=RENAME)
        rows += 1
        assert wire.parse_item(json.dumps(row.item).encode(), largest_bytes=100_000).key == row.key
    assert rows == 6


RENAME = {"text1": "a", "text2": "b"}
DEFINITIONS: dict[str, dict[str, Any]] = {
    "single_choice": {"classes": [{"key": "delivery"}, {"key": "billing"}, {"key": "other"}]},
    "multi_label": {"classes": [{"key": "late"}, {"key": "refund"}, {"key": "damaged"}]},
    "rating": {},
    "text_correction": {},
    "preference": {},
    "spans": {"classes": [{"key": "ITEM"}, {"key": "MOOD"}]},
    "numeric": {"minimum": 0, "maximum": 100},
    "boxes": {"classes": [{"key": "car"}, {"key": "person"}]},
}
