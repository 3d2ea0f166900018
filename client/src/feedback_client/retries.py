"""When to send again, and after how long; pure."""

import datetime as dt
from email.utils import parsedate_to_datetime
from typing import Final

TRANSIENT_STATUSES: Final = frozenset({408, 429, 500, 502, 503, 504})
"""A 500 may be the one request in which the database was restarted; a batch that always meets one is given up in the end."""
FIRST_WAIT_SECONDS: Final = 0.5
LONGEST_WAIT_SECONDS: Final = 30.0
LONGEST_RETRY_AFTER_SECONDS: Final = 3600.0
"""A longer one is taken for a mistake."""


def wait_seconds(failures: int, *, retry_after: float | None, draw: float) -> float:
    """Doubling from half a second to half a minute, of which a uniform draw from [0, 1) takes up to half away.

    So clients that failed together do not come back together. Never earlier than the service asked for.

    >>> [wait_seconds(n, retry_after=None, draw=0.0) for n in (1, 2, 3, 99)]
    [0.5, 1.0, 2.0, 30.0]
    >>> wait_seconds(1, retry_after=7.0, draw=0.9)
    7.0
    """
    ceiling = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** min(failures - 1, 16))
    return max(ceiling * (1.0 - draw / 2.0), retry_after or 0.0)


def retry_after_seconds(header: str | None, *, now: dt.datetime) -> float | None:
    """Seconds or a date, as HTTP allows; None for what is neither.

    >>> retry_after_seconds("120", now=dt.datetime.now(dt.timezone.utc))
    120.0
    """
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), LONGEST_RETRY_AFTER_SECONDS)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    if at.tzinfo is None:  # "-0000" means UTC without saying so
        at = at.replace(tzinfo=dt.timezone.utc)
    return min(max(0.0, (at - now).total_seconds()), LONGEST_RETRY_AFTER_SECONDS)
