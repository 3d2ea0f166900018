"""Python values to JSON, arrays of numpy and dates included, at once and for good.

Rows are written in the call that logs them, not later in the background: what the app does to a dict afterwards must not
reach the log, and the interpreter's lock makes the work cost the app the same wherever it happens.
"""

import datetime as dt
import json
from collections.abc import Mapping, Set
from typing import Final, Protocol, TypeAlias, runtime_checkable
from uuid import UUID

from feedback_client.errors import InvalidArgument

JSONValue: TypeAlias = bool | int | float | str | list["JSONValue"] | dict[str, "JSONValue"] | None


@runtime_checkable
class Array(Protocol):
    """Arrays and scalars of numpy, tensors, series of pandas."""

    def tolist(self) -> object: ...


def encode(value: object) -> bytes:
    """Compact UTF-8 JSON; raises InvalidArgument `not_json` for what JSON cannot say, NaN and lone surrogates among it.

    >>> encode({"text": "naïve", "n": 1})
    b'{"text":"na\\xc3\\xafve","n":1}'
    """
    try:
        return _encoder.encode(value).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgument("not_json", f"This cannot be written as JSON: {error}.") from error


def _plain(value: object) -> object:
    if isinstance(value, Array):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Set):
        return sorted(value)
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"a {type(value).__name__}")


_encoder: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain)
