"""Errors of queue policies and refill runs."""

from labeling.errors import InvalidInput, NotFound


class InvalidPolicy(InvalidInput):
    code = "invalid_policy"


class RefillNotFound(NotFound):
    code = "refill_not_found"
