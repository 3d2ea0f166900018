"""Errors of the domain, without HTTP. `feedbackproject.api` maps each family to a status."""

from collections.abc import Mapping


class DomainError(Exception):
    """Something the caller can understand and mend.

    `code` is stable and machine readable, `message` is for a person, `fields` names the parts of the
    input that are to blame.
    """

    code = "error"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.code
        self.fields = dict(fields or {})


class InvalidInput(DomainError):
    """The request itself is wrong, whatever the state."""

    code = "invalid_input"


class NotAllowed(DomainError):
    """The actor may not do this."""

    code = "not_allowed"


class NotFound(DomainError):
    """No such thing, or none that the actor may see."""

    code = "not_found"


class Conflict(DomainError):
    """The state does not admit this now."""

    code = "conflict"


class TooLarge(DomainError):
    """More bytes or rows than the service takes at once."""

    code = "too_large"


class Unavailable(DomainError):
    """An engine the request needs is down; trying again later may work."""

    code = "unavailable"


class RateLimited(DomainError):
    """Too many requests; `retry_after_seconds` says when the next one may come."""

    code = "rate_limited"

    def __init__(self, message: str, *, retry_after_seconds: int) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class TaskNotFound(NotFound):
    code = "task_not_found"


class LeaseExpired(Conflict):
    """The lease ran out, whether or not somebody else took the task since; claiming again tells."""

    code = "lease_expired"


class NotLeased(Conflict):
    """The task is somebody else's, or nobody's."""

    code = "not_leased"


class AlreadyAnswered(Conflict):
    code = "already_answered"


class TaskClosed(Conflict):
    """Somebody else answered the task, or it was withdrawn."""

    code = "task_closed"


class NothingToUndo(Conflict):
    code = "nothing_to_undo"


class QueuePaused(Conflict):
    code = "queue_paused"


class Contradiction(DomainError):
    """The request is well formed but contradicts one that came before under the same name."""

    code = "contradiction"
