"""How the API reads ordinary JSON bodies: bounded, strict, and nothing that could not be stored."""

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
    store, under its own code.
    """

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        limit: int = settings.API_MAX_BODY_BYTES
        body: bytes = stream.read(limit + 1)
        if len(body) > limit:
            raise TooLarge(f"The body may have at most {limit} bytes.", code="body_too_large")
        try:
            value: object = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ParseError(f"This is not JSON: {error}.", code="invalid_json") from None
        except RecursionError:
            raise ParseError("The JSON is nested too deeply.", code="invalid_json") from None
        if _NUL in body and _NUL in msgspec.json.encode(value).replace(b"\\\\", b""):
            raise InvalidInput("The NUL character (\\u0000) cannot be stored.", code="nul_character")
        return value


_NUL: Final = b"\\u0000"
