"""How the API reads ordinary JSON bodies: bounded, strict, and nothing that could not be stored."""

import json
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from django.conf import settings
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from labeling.errors import InvalidInput, TooLarge


class BoundedJSONParser(BaseParser):
    """Reads at most `API_MAX_BODY_BYTES`. Bulk data has its own way in, see labeling.request_body.

    NaN, Infinity, lone surrogates and nesting without end are refused as invalid JSON; NUL, which PostgreSQL cannot
    store, under its own code; so is an object that says a name twice, of which one would be lost.
    """

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        limit: int = settings.API_MAX_BODY_BYTES
        body: bytes = stream.read(limit + 1)
        if len(body) > limit:
            raise TooLarge(f"The body may have at most {limit} bytes.", code="body_too_large")
        try:
            value: object = msgspec.json.decode(body)
            _require_said_once(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ParseError(f"This is not JSON: {error}.", code="invalid_json") from None
        except RecursionError:
            raise ParseError("The JSON is nested too deeply.", code="invalid_json") from None
        if _NUL in body and _NUL in msgspec.json.encode(value).replace(b"\\\\", b""):
            raise InvalidInput("The NUL character (\\u0000) cannot be stored.", code="nul_character")
        return value


class _Pairs(list[tuple[str, Any]]):
    """An object with all that it says."""


def _require_said_once(body: bytes) -> None:
    """The body is JSON by msgspec, which keeps the last of equal names in silence."""
    repeats = 0

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal repeats
        found = dict(pairs)
        repeats += len(pairs) - len(found)
        return found

    json.loads(body, object_pairs_hook=once, parse_int=len)
    if repeats:
        field = _repeated(json.loads(body, object_pairs_hook=_Pairs, parse_int=len), "")
        message = f"{field} is given more than once: give it once."
        raise InvalidInput(message, code="repeated_field", fields={field: "given more than once"})


def _repeated(value: object, path: str) -> str:
    """The path of the first name that an object says twice; empty if none does."""
    if isinstance(value, _Pairs):
        said = set()
        for name, inner in value:
            here = f"{path}.{name[:100]}" if path else name[:100]
            if name in said:
                return here
            said.add(name)
            if found := _repeated(inner, here):
                return found
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            if found := _repeated(inner, f"{path}[{place}]"):
                return found
    return ""


_NUL: Final = b"\\u0000"
