"""Errors of queue policies and refill runs."""

from labeling.errors import Conflict, InvalidInput


class InvalidPolicy(InvalidInput):
    code = "invalid_policy"


class QueuePaused(Conflict):
    code = "queue_paused"
