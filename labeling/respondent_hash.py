"""Respondents are known by keyed hashes only: what is stored tells nobody who they are who does not have the key."""

import hashlib
import hmac
from typing import Final

LONGEST_RESPONDENT: Final = 500


def respondent_key(project_id: int, secret: str) -> bytes:
    """The key of a project's respondents. The same person has another hash in another project."""
    return hashlib.sha256(f"respondent:{project_id}:{secret}".encode()).digest()


def session_key(project_id: int, secret: str) -> bytes:
    """The key of a project's sessions: whoever sends the same text for both is not found out by it."""
    return hashlib.sha256(f"session:{project_id}:{secret}".encode()).digest()


def keyed_hash(key: bytes, name: str) -> str:
    """HMAC-SHA256 of the app's own id, 64 hexadecimal digits; empty for nobody.

    >>> keyed_hash(respondent_key(1, "secret"), "user-17")[:16]
    '2658f93f1a3e05b2'
    >>> keyed_hash(b"key", "")
    ''
    """
    return hmac.digest(key, name.encode(), "sha256").hex() if name else ""
