"""Errors of queue policies and refill runs."""

from labeling.errors import Conflict, InvalidInput, NotFound


class InvalidPolicy(InvalidInput):
    code = "invalid_policy"


class RefillNotFound(NotFound):
    code = "refill_not_found"


class NotReplayable(Conflict):
    code = "not_replayable"
