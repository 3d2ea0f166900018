"""Label schemas: what may be answered about an item, and answers checked against them.

A schema is a JSON object told apart by its `kind`; each kind has a file of its own here. Its stored form is what
`definition_of` returns; `parse_definition` reads it back. See docs/algorithms/task_types.md.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

import msgspec

from labeling.form_faults import fault_of
from labeling.schema.base import Answer, ClassSchema, JSONValue, LabelClass, PredictionForm, SchemaError
from labeling.schema.base import Schema as AnySchema
from labeling.schema.boxes import Boxes
from labeling.schema.multi_label import MultiLabel
from labeling.schema.numeric import Numeric
from labeling.schema.preference import Preference
from labeling.schema.rating import Rating
from labeling.schema.single_choice import Choice, SingleChoice
from labeling.schema.spans import Spans
from labeling.schema.text_correction import TextCorrection

__all__ = [
    "KINDS",
    "Answer",
    "AnySchema",
    "Choice",
    "ClassSchema",
    "JSONValue",
    "LabelClass",
    "Numeric",
    "PredictionForm",
    "Rating",
    "SchemaError",
    "SingleChoice",
    "definition_of",
    "parse_definition",
]

_Kind: TypeAlias = (
    type[SingleChoice]
    | type[MultiLabel]
    | type[Rating]
    | type[TextCorrection]
    | type[Preference]
    | type[Spans]
    | type[Numeric]
    | type[Boxes]
)
_ALL: Final[tuple[_Kind, ...]] = (
    SingleChoice, MultiLabel, Rating, TextCorrection, Preference, Spans, Numeric, Boxes,
)  # fmt: skip

KINDS: Final[Mapping[str, type[AnySchema]]] = MappingProxyType({each.kind: each for each in _ALL})


def parse_definition(value: JSONValue) -> AnySchema:
    """Read a schema such as {"kind": "single_choice", "classes": [{"key": "spam"}, {"key": "ham"}]}.

    Raises `SchemaError` "invalid_schema", with the field that is wrong and what is allowed.

    >>> parse_definition({"kind": "single_choice", "classes": [{"key": "spam"}, {"key": "ham"}]}).class_keys
    ('spam', 'ham')
    """
    if not isinstance(value, dict):
        raise SchemaError("invalid_schema", "a label schema is an object")
    fields = dict(value)
    kind = fields.pop("kind", None)
    if not isinstance(kind, str) or kind not in KINDS:
        raise SchemaError("invalid_schema", f"kind must be one of: {', '.join(sorted(KINDS))}")
    try:
        return msgspec.convert(fields, KINDS[kind])
    except msgspec.ValidationError as error:
        raise SchemaError("invalid_schema", fault_of(error, KINDS[kind]).about("the label schema")) from None


def definition_of(schema: AnySchema) -> dict[str, JSONValue]:
    """Return the JSON form of a schema, without fields left at their defaults; equal schemas give equal forms."""
    # Through JSON, because that is what reading it back from the database gives: lists, not tuples.
    fields: dict[str, JSONValue] = msgspec.json.decode(msgspec.json.encode(schema))
    # msgspec itself leaves out only what is the very object of the default, which a text that was read never is.
    defaults = {field.name: field.default for field in msgspec.structs.fields(schema)}
    return {"kind": schema.kind, **{name: value for name, value in fields.items() if value != defaults[name]}}
