"""Classes as lines of text, there and back."""

import pytest

from labeling.pages import class_lines
from labeling.schema import parse_definition


@pytest.mark.parametrize(
    "definition",
    [
        [{"key": "a"}, {"key": "b"}],
        [{"key": "a", "title": "A"}, {"key": "b", "description": "only a description"}],
        [{"key": "مرحبا", "title": "x y", "description": "with | a bar"}, {"key": "<b>"}],
    ],
)
def test_lines_lead_back_to_the_same_classes(definition: list[dict[str, str]]) -> None:
    schema = parse_definition({"kind": "single_choice", "classes": definition})  # type: ignore[dict-item]
    assert class_lines.parse(class_lines.written(schema)) == definition


def test_blank_lines_and_spaces_do_not_matter() -> None:
    assert class_lines.parse("\n a | A \n\n  \nb|\n") == [{"key": "a", "title": "A"}, {"key": "b"}]


def test_hotkeys_survive_an_edit() -> None:
    classes = [{"key": "a", "hotkey": "x"}, {"key": "b"}]
    before = parse_definition({"kind": "single_choice", "classes": classes})  # type: ignore[dict-item]
    assert class_lines.parse("b\na | New", before=before) == [{"key": "b"}, {"key": "a", "title": "New", "hotkey": "x"}]
