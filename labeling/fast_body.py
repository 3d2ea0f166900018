"""A small JSON body straight into the form it must have."""

from typing import TypeVar

import msgspec

from labeling.errors import InvalidInput
from labeling.form_faults import fault_of
from labeling.wire import RowError, refuse_nul

Form = TypeVar("Form", bound=msgspec.Struct)


def decode(raw: bytes, decoder: "msgspec.json.Decoder[Form]") -> Form:
    """Raises InvalidInput `invalid_json`, `nul_character`, or `invalid_input` with the field that is wrong and what is allowed."""
    try:
        form = decoder.decode(raw)
    except msgspec.ValidationError as error:
        fault = fault_of(error, decoder.type)
        raise InvalidInput(f"{fault.about('The body')}.", fields={fault.field or "body": fault.text}) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"The body is not JSON: {error}.", code="invalid_json") from None
    if b"\\u0000" in raw:
        try:
            refuse_nul(form)
        except RowError as error:
            raise InvalidInput(error.message, code=error.code) from None
    return form
