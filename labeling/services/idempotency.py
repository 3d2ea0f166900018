"""Requests that carry an Idempotency-Key: done once, answered as often as asked."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from django.db import connection

from labeling import locks
from labeling.errors import Conflict, Contradiction, InvalidInput
from labeling.locks import LockKind
from labeling.models import IdempotentRequest, Project
from labeling.schema import JSONValue

LONGEST_KEY: Final = 200
KEPT_FOR: Final = dt.timedelta(hours=24)


@dataclass(frozen=True)
class StoredAnswer:
    status: int
    response: JSONValue


class Claim:
    """The right to work on a request, or the answer once given to it."""

    def __init__(self, row: IdempotentRequest) -> None:
        self._row = row

    @property
    def is_answered(self) -> bool:
        return self._row.status is not None

    def answer_again(self, body_hash: str) -> StoredAnswer:
        """The stored answer; raises Contradiction `idempotency_key_reused` if this body is not the one it answered."""
        if self._row.body_hash != body_hash:
            raise Contradiction("This Idempotency-Key came with another request before.", code="idempotency_key_reused")
        if self._row.status is None:
            raise RuntimeError("the request has no answer yet")
        return StoredAnswer(self._row.status, self._row.response)

    def keep_answer(self, body_hash: str, answer: StoredAnswer) -> None:
        self._row.body_hash, self._row.status, self._row.response = body_hash, answer.status, answer.response
        self._row.save(update_fields=["body_hash", "status", "response"])


@contextmanager
def claimed(project: Project, *, endpoint: str, key: str) -> Iterator[Claim]:
    """Hold the key for the block. Leaving it by an exception, or dying in it, leaves the key free for a retry.

    Who works on a key holds an advisory lock, which ends with the process: a killed request blocks nobody. Raises
    InvalidInput `invalid_idempotency_key`, Conflict `request_in_flight`.
    """
    if not key or len(key) > LONGEST_KEY or not key.isascii() or not key.isprintable():
        raise InvalidInput(
            f"An Idempotency-Key has 1 to {LONGEST_KEY} visible ASCII characters.", code="invalid_idempotency_key"
        )
    row, _ = IdempotentRequest.objects.get_or_create(project=project, endpoint=endpoint, key=key)
    with locks.held(LockKind.IDEMPOTENT_REQUEST, row.pk) as is_ours:
        if not is_ours:
            raise _in_flight()
        current = IdempotentRequest.objects.filter(pk=row.pk).first()
        if current is None:  # whoever held it just now failed and let it go
            raise _in_flight()
        try:
            yield Claim(current)
        except BaseException:
            _let_go(current)
            raise


def forget_old(*, now: dt.datetime) -> int:
    """Drop the answers older than `KEPT_FOR`; what is still in flight is left alone."""
    old = IdempotentRequest.objects.filter(created_at__lt=now - KEPT_FOR)
    forgotten, _ = old.filter(status__isnull=False).delete()
    for row_id in old.values_list("pk", flat=True):
        with locks.held(LockKind.IDEMPOTENT_REQUEST, row_id) as is_idle:
            if is_idle:
                forgotten += IdempotentRequest.objects.filter(pk=row_id).delete()[0]
    return forgotten


def _in_flight() -> Conflict:
    return Conflict("A request with this Idempotency-Key is being worked on; try again.", code="request_in_flight")


def _let_go(row: IdempotentRequest) -> None:
    """Without a connection there is nothing to do: the lock went with it, and an unanswered row can be claimed."""
    if connection.connection is not None and not connection.connection.closed:
        IdempotentRequest.objects.filter(pk=row.pk, status__isnull=True).delete()
