"""What may be tuned; the defaults need no thought."""

from dataclasses import dataclass

from feedback_client.errors import InvalidArgument

MOST_BATCH_BYTES = 1_000_000
"""The service takes rows of up to 1 MiB and larger bodies, but one failed request should not cost more than this."""


@dataclass(frozen=True)
class Options:
    """Limits are per lane: feedback has a queue of its own, so that a flood of predictions never crowds out answers."""

    ask_timeout_seconds: float = 0.3
    """All that `ask` may take, name resolution and connecting included."""
    timeout_seconds: float = 15.0
    """Of one request in the background, for each of: connecting, writing, reading."""
    linger_seconds: float = 1.0
    """How long the first row of a batch waits for others."""
    batch_rows: int = 500
    batch_bytes: int = MOST_BATCH_BYTES
    queue_rows: int = 10_000
    queue_bytes: int = 64_000_000
    retry_for_seconds: float = 900.0
    """A batch that the service could not take for so long is given up."""
    exit_seconds: float = 2.0
    """What leaving the interpreter may be held up by rows that are still queued."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise InvalidArgument("invalid_option", f"{name} must be above 0, not {value!r}.")
        if self.batch_bytes > MOST_BATCH_BYTES:
            raise InvalidArgument("invalid_option", f"batch_bytes is at most {MOST_BATCH_BYTES:,}.")
