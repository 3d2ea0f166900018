"""A small JSON body straight into the form it must have."""

from typing import TypeVar

import msgspec

from labeling.errors import InvalidInput
from labeling.wire import RowError, refuse_nul

Form = TypeVar("Form", bound=msgspec.Struct)


def decode(raw: bytes, decoder: "msgspec.json.Decoder[Form]") -> Form:
    """Raises InvalidInput `invalid_json`, `nul_character`, or `invalid_input` with the path of what is wrong."""
    try:
        form = decoder.decode(raw)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at ")
        field = path.strip("`").removeprefix("$").lstrip(".") or "body"
        raise InvalidInput(f"{message}.", fields={field: message}) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"The body is not JSON: {error}.", code="invalid_json") from None
    if b"\\u0000" in raw:
        try:
            refuse_nul(form)
        except RowError as error:
            raise InvalidInput(error.message, code=error.code) from None
    return form
