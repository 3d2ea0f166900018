"""What of some JSON does not fit its form, in plain words: which field, and what is allowed there.

msgspec says it in words of its own ("Expected `object`, got `str` - at `$.payload`"), which mean little to who sent the JSON.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

import msgspec
from msgspec import inspect

_MOST_NAMED: Final = 30
_LONGEST_NAME: Final = 100

_PLACE: Final = re.compile(r" - at (?P<of_key>`key` in )?`\$(?P<path>[^`]*)`$")
_STEP: Final = re.compile(r"\.(?P<name>[^.\[]+)|\[(?P<index>\d+|\.\.\.)\]")
_WRONG_TYPE: Final = re.compile(r"^Expected `(?P<wanted>[^`]+)`, got `(?P<found>[^`]+)`$")
_BOUND: Final = re.compile(r"^Expected `\w+` (?:[<>]=?) .+$")
_LENGTH: Final = re.compile(r"^Expected `(?P<type>\w+)` of length (?P<sign>[<>]=) (?P<length>\d+)$")
_MISSING: Final = re.compile(r"^Object missing required field `(?P<name>.*)`$", re.DOTALL)
_UNKNOWN: Final = re.compile(r"^Object contains unknown field `(?P<name>.*)`$", re.DOTALL)
_NO_CHOICE: Final = re.compile(r"^Invalid enum value (?P<said>.*)$", re.DOTALL)
_TIME: Final = "must be a time with its zone, as 2026-03-02T12:00:00Z"
_NAMES: Final = {
    "object": "an object", "array": "a list", "str": "a text", "int": "a whole number", "float": "a number",
    "bool": "true or false", "null": "null", "datetime": "a time", "bytes": "a text",
}  # fmt: skip


@dataclass(frozen=True)
class FormFault:
    """`field`: the path of what is wrong, as `prediction.probabilities` or `classes[0].key`; empty: the whole. `text`: what is
    wrong with it, to be read after its name; of a `rule`, which a form checks itself, a sentence of its own."""

    kind: Literal["missing", "unknown", "value", "rule"]
    field: str
    text: str

    def about(self, whole: str) -> str:
        """As a sentence without a full stop; `whole` names what has the fault where no field of it does."""
        if self.kind == "rule":
            return f"{self.field}: {self.text}" if self.field else self.text
        return f"{self.field or whole} {self.text}"


def fault_of(error: msgspec.ValidationError, form: object) -> FormFault:
    """
    >>> try:
    ...     msgspec.json.decode(b'{"a": ["x"]}', type=dict[str, list[int]])
    ... except msgspec.ValidationError as error:
    ...     fault_of(error, dict[str, list[int]]).about("it")
    '[...][0] must be a whole number, not a text'
    """
    message = str(error)
    place = _PLACE.search(message)
    said = message[: place.start()] if place else message
    path = place["path"] if place else ""
    field = path.lstrip(".")
    if place and place["of_key"]:
        return FormFault("value", field, "has a key that is no text")
    if match := _MISSING.match(said):
        return FormFault("missing", _joined(field, match["name"]), "is missing")
    nodes = list(_nodes(_root(form), path))
    if match := _UNKNOWN.match(said):
        known = [each.encode_name for node in nodes if isinstance(node, inspect.StructType) for each in node.fields]
        allowed = f"; allowed: {_listed(known)}" if known else ""
        return FormFault("unknown", _joined(field, match["name"][:_LONGEST_NAME]), f"is no field here{allowed}")
    text = _text(said, nodes)
    return FormFault("value", field, text) if text else FormFault("rule", field, said)


def _joined(field: str, name: str) -> str:
    return f"{field}.{name}" if field else name


def _text(said: str, nodes: list[inspect.Type]) -> str:
    if match := _WRONG_TYPE.match(said):
        if choices := _choices(nodes):
            return f"must be one of: {_listed(choices)}"
        wanted = [_range(nodes) or _NAMES[name] if name in ("int", "float") else _NAMES.get(name, name)
                  for name in match["wanted"].split(" | ")]  # fmt: skip
        is_fraction = match["found"] == "float" and "float" not in match["wanted"]
        found = "a number with a fraction" if is_fraction else _NAMES.get(match["found"], match["found"])
        return f"must be {' or '.join(wanted)}, not {found}"
    if match := _LENGTH.match(said):
        at = "at most" if match["sign"] == "<=" else "at least"
        one, many = ("character", "characters") if match["type"] == "str" else ("entry", "entries")
        return f"must have {at} {match['length']} {one if match['length'] == '1' else many}"
    if match := _NO_CHOICE.match(said):
        return f"must be one of: {_listed(_choices(nodes))}; not {match['said'][:_LONGEST_NAME]}"
    if said.startswith(("Invalid RFC3339", "Expected `datetime` with")):
        return _TIME
    if _BOUND.match(said) or said == "Number out of range":
        return f"must be {_range(nodes) or 'a number that is not out of range'}"
    return ""


def _listed(names: list[str]) -> str:
    more = f", and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


def _choices(nodes: list[inspect.Type]) -> list[str]:
    return [str(value) for node in nodes if isinstance(node, inspect.LiteralType) for value in node.values]


def _range(nodes: list[inspect.Type]) -> str:
    """Of numbers with bounds."""
    for node in nodes:
        if not isinstance(node, inspect.IntType | inspect.FloatType):
            continue
        name = "a whole number" if isinstance(node, inspect.IntType) else "a number"
        if node.ge is not None and node.le is not None:
            return f"{name} from {node.ge} to {node.le}"
        if node.ge is not None:
            return f"{name} of at least {node.ge}"
        if node.le is not None:
            return f"{name} of at most {node.le}"
    return ""


@lru_cache(maxsize=100)
def _root(form: object) -> inspect.Type:
    return inspect.type_info(form)


def _nodes(root: inspect.Type, path: str) -> Iterator[inspect.Type]:
    """Every type that the form has at the path, alternatives one by one."""
    nodes = list(_alternatives(root))
    for step in _STEP.finditer(path):
        nodes = [found for node in nodes for inner in _inner(node, step) for found in _alternatives(inner)]
    yield from nodes


def _alternatives(node: inspect.Type) -> Iterator[inspect.Type]:
    if isinstance(node, inspect.Metadata):
        yield from _alternatives(node.type)
    elif isinstance(node, inspect.UnionType):
        for each in node.types:
            yield from _alternatives(each)
    else:
        yield node


def _inner(node: inspect.Type, step: re.Match[str]) -> Iterator[inspect.Type]:
    if isinstance(node, inspect.StructType) and step["name"]:
        yield from (each.type for each in node.fields if each.encode_name == step["name"])
    elif isinstance(node, inspect.ListType | inspect.VarTupleType | inspect.SetType | inspect.FrozenSetType):
        yield node.item_type
    elif isinstance(node, inspect.TupleType) and step["index"] and step["index"].isdigit():
        yield from node.item_types[int(step["index"]) : int(step["index"]) + 1]
    elif isinstance(node, inspect.DictType):
        yield node.value_type
