"""What does not fit a form is said in the product's words: the field, and what is allowed."""

import datetime as dt
from typing import Annotated, Literal

import msgspec
import pytest
from msgspec import UNSET, Meta, UnsetType

from labeling.form_faults import FormFault, fault_of


class Part(msgspec.Struct, forbid_unknown_fields=True):
    model_version: str
    probabilities: list[float] | dict[str, float] | UnsetType = UNSET


class Form(msgspec.Struct, forbid_unknown_fields=True, rename={"label_class": "class"}):
    event: Literal["shown", "answered"]
    count: Annotated[int, Meta(ge=0, le=5)] | None = None
    least: Annotated[float, Meta(ge=0.5)] = 1.0
    name: Annotated[str, Meta(min_length=1, max_length=3)] = "a"
    parts: Annotated[list[Part], Meta(min_length=1)] | None = None
    segments: dict[str, str] = {}
    at: Annotated[dt.datetime, Meta(tz=True)] | None = None
    pair: tuple[int, str] = (1, "a")
    label_class: bool = False


def fault(body: str, form: object = Form) -> FormFault:
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.json.decode(body.encode(), type=form)
    return fault_of(refused.value, form)


@pytest.mark.parametrize(
    ("body", "field", "told"),
    [
        ("[]", "", "the body must be an object, not a list"),
        ("{}", "event", "event is missing"),
        ('{"event": "lost"}', "event", "event must be one of: answered, shown; not 'lost'"),
        ('{"event": 3}', "event", "event must be one of: answered, shown"),
        ('{"event": "shown", "count": "x"}', "count", "count must be a whole number from 0 to 5 or null, not a text"),
        ('{"event": "shown", "count": 1.5}', "count",
         "count must be a whole number from 0 to 5 or null, not a number with a fraction"),
        ('{"event": "shown", "count": 9}', "count", "count must be a whole number from 0 to 5"),
        ('{"event": "shown", "least": 0.1}', "least", "least must be a number of at least 0.5"),
        ('{"event": "shown", "name": ""}', "name", "name must have at least 1 character"),
        ('{"event": "shown", "name": "long"}', "name", "name must have at most 3 characters"),
        ('{"event": "shown", "parts": []}', "parts", "parts must have at least 1 entry"),
        ('{"event": "shown", "parts": [{}]}', "parts[0].model_version", "parts[0].model_version is missing"),
        ('{"event": "shown", "parts": [{"model_version": "m", "odd": 1}]}', "parts[0].odd",
         "parts[0].odd is no field here; allowed: model_version, probabilities"),
        ('{"event": "shown", "parts": [{"model_version": "m", "probabilities": "x"}]}', "parts[0].probabilities",
         "parts[0].probabilities must be an object or a list, not a text"),
        ('{"event": "shown", "segments": {"country": 1}}', "segments[...]",
         "segments[...] must be a text, not a whole number"),
        ('{"event": "shown", "at": "yesterday"}', "at", "at must be a time with its zone, as 2026-03-02T12:00:00Z"),
        ('{"event": "shown", "at": "2026-03-02T12:00:00"}', "at",
         "at must be a time with its zone, as 2026-03-02T12:00:00Z"),
        ('{"event": "shown", "pair": ["x", "y"]}', "pair[0]", "pair[0] must be a whole number, not a text"),
        ('{"event": "shown", "class": "yes"}', "class", "class must be true or false, not a text"),
    ],
)  # fmt: skip
def test_a_fault_names_the_field_and_what_is_allowed(body: str, field: str, told: str) -> None:
    found = fault(body)
    assert (found.field, found.about("the body")) == (field, told)


def test_what_a_form_checks_itself_keeps_its_own_words() -> None:
    class Whole(msgspec.Struct):
        low: int
        high: int

        def __post_init__(self) -> None:
            if self.low > self.high:
                raise ValueError("low is above high")

    assert fault('{"low": 2, "high": 1}', Whole).about("the form") == "low is above high"
    inner = fault('[{"low": 2, "high": 1}]', list[Whole])
    assert (inner.kind, inner.about("the form")) == ("rule", "[0]: low is above high")


def test_long_names_and_long_lists_are_cut() -> None:
    wide = msgspec.defstruct("Wide", [(f"field_{n}", int, 0) for n in range(40)], forbid_unknown_fields=True)
    found = fault('{"' + "x" * 500 + '": 1}', wide)
    assert len(found.field) == 100
    assert found.text.endswith(", and 10 more")
