"""What happens to clients when their process forks or ends."""

import atexit
import os
import time
from typing import Final, Protocol


class Watched(Protocol):
    @property
    def exit_seconds(self) -> float: ...

    def after_fork(self) -> None:
        """In the child."""

    def at_exit(self, seconds: float) -> None:
        """Send what is queued, in the given time."""


_watched: Final[list[Watched]] = []


def watch(watched: Watched) -> None:
    """Until `unwatch`, also when the app has forgotten it: rows may still be queued."""
    _watched.append(watched)


def unwatch(watched: Watched) -> None:
    if watched in _watched:
        _watched.remove(watched)


def _after_fork_in_child() -> None:
    for watched in list(_watched):
        watched.after_fork()


def _at_exit() -> None:
    started = time.monotonic()
    for watched in list(_watched):
        # All together take no longer than the most patient of them.
        watched.at_exit(max(0.0, watched.exit_seconds - (time.monotonic() - started)))


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=_after_fork_in_child)
atexit.register(_at_exit)
