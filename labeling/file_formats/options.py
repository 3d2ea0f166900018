"""How the columns (or Label Studio fields) of a file become keys, payloads, labels and predictions."""

from typing import Annotated, Literal

import msgspec

from labeling.form_faults import fault_of

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]

DEFAULT_KEY = "key"
DEFAULT_LABEL = "label"
DEFAULT_MODEL_VERSION = "imported"


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """All have a default that suits a file made for this service.

    Parameters
    ----------
    key
        Column (Label Studio: field of `data`, `meta` or the task) that names the item; empty: `key`, Label Studio: the
        task's `id`. A row without one is named by a hash of its content.
    payload
        Columns that make the payload; empty: all that are nothing else.
    segments
        Columns that become segments, besides `segment.<name>` and `segments`.
    label
        Column with a known label, which becomes an annotation; null: no column is one.
    rename
        Payload field by column, e.g. {"title": "text"}.
    classes
        Class key by the file's own name of the class.
    model_version
        Of predictions whose row names none.
    control
        Label Studio: `from_name` of the control to read, where several fit the project's kind of answer.
    on_conflict
        What to do with items that exist: skip, update or error.
    delimiter, encoding
        Of CSV; an empty delimiter is found by looking at the file.
    """

    key: Annotated[str, msgspec.Meta(max_length=200)] = ""
    payload: tuple[Name, ...] = ()
    segments: tuple[Name, ...] = ()
    label: Annotated[str, msgspec.Meta(max_length=200)] | None = DEFAULT_LABEL
    rename: dict[Name, Name] = {}
    classes: dict[Name, Name] = {}
    model_version: Name = DEFAULT_MODEL_VERSION
    control: Annotated[str, msgspec.Meta(max_length=200)] = ""
    on_conflict: Literal["skip", "update", "error"] = "skip"
    delimiter: Literal["", ",", ";", "\t", "|"] = ""
    encoding: Literal["utf-8", "latin-1", "cp1252"] = "utf-8"


def parse(value: object) -> Options:
    """Read options as JSON gives them. Raises ValueError that says what is wrong where."""
    try:
        return msgspec.convert(value, Options)
    except msgspec.ValidationError as error:
        raise ValueError(fault_of(error, Options).about("it")) from None


def to_json(options: Options) -> dict[str, object]:
    """The form that is stored: what differs from the defaults."""
    stored: dict[str, object] = msgspec.to_builtins(options)
    return stored
