"""What the API description says of every operation alike."""

from typing import Any, Final

_METHODS: Final = frozenset({"get", "post", "put", "patch", "delete"})

_ERROR_SCHEMA: Final = {
    "type": "object",
    "description": "Every error has this form.",
    "properties": {
        "code": {"type": "string", "description": "For programs: stable, in snake_case."},
        "message": {"type": "string", "description": "For people."},
        "fields": {"type": "object", "additionalProperties": {}, "description": "The parts of the input to blame."},
        "request_id": {"type": "string", "description": "Finds the request in the log; also in X-Request-Id."},
    },
    "required": ["code", "message", "fields", "request_id"],
}


def describe_errors(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """A drf-spectacular hook: every operation may answer with the error envelope."""
    result.setdefault("components", {}).setdefault("schemas", {})["Error"] = _ERROR_SCHEMA
    answer = {
        "description": "The request was refused or could not be served.",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
    for operations in result["paths"].values():
        for method, operation in operations.items():
            if method in _METHODS:
                operation["responses"].setdefault("default", answer)
    return result
