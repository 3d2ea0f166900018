"""Chance that repeats: uniform numbers from an HMAC of a name, so that the same opportunity always draws the same."""

import hashlib
import hmac
from typing import Final, Literal, NamedTuple

Purpose = Literal["draw", "blind", "question", "log", "holdout"]
_BITS: Final = 53
"""Of a double's precision: every number is a multiple of 2**-53, exactly."""


class Draws(NamedTuple):
    """The numbers of one opportunity, in [0, 1), independent of each other."""

    draw: float
    blind: float


def key_for(secret: str, project_id: int) -> bytes:
    """The key of a project's draws: who knows one project's draws learns nothing about another's, nor about the secret."""
    return hmac.digest(secret.encode(), f"ask-draws:{project_id}".encode(), "sha256")


def uniform(key: bytes, purpose: Purpose, name: str) -> float:
    """A number in [0, 1), uniform over names and independent between purposes, for whoever does not know the key.

    u = floor(HMAC-SHA256(key, purpose || 0 || name) / 2^(256 - 53)) / 2^53. This definition is part of the log: changing it
    would let a replay decide otherwise.

    >>> key = key_for("secret", 1)
    >>> uniform(key, "draw", "o-1") == uniform(key, "draw", "o-1") != uniform(key, "blind", "o-1")
    True
    """
    digest = hmac.digest(key, f"{purpose}\0{name}".encode("utf-8", "surrogateescape"), hashlib.sha256)
    return (int.from_bytes(digest[:8], "big") >> (64 - _BITS)) / 2.0**_BITS


def of_opportunity(key: bytes, opportunity_id: str) -> Draws:
    return Draws(uniform(key, "draw", opportunity_id), uniform(key, "blind", opportunity_id))
