"""Making and revoking API keys. The key itself exists only in the answer to `create`."""

import datetime as dt
import hashlib
import secrets
from dataclasses import dataclass

from django.contrib.auth.models import User

from labeling.models import ApiKey, Project

_PREFIXES = {ApiKey.Kind.SECRET: "fb_sk_", ApiKey.Kind.PUBLISHABLE: "fb_pk_"}


@dataclass(frozen=True)
class NewApiKey:
    api_key: ApiKey
    key: str
    """Shown once; not stored."""


def hash_key(key: str) -> str:
    """SHA-256, hex. Keys carry 192 random bits, so a slow or salted hash would protect nothing more."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def create(project: Project, *, name: str, kind: ApiKey.Kind, by: User | None) -> NewApiKey:
    key = _PREFIXES[kind] + secrets.token_urlsafe(24)
    api_key = ApiKey.objects.create(
        project=project, name=name, kind=kind, prefix=key[:10], key_hash=hash_key(key), created_by=by
    )
    return NewApiKey(api_key, key)


def revoke(api_key: ApiKey, *, now: dt.datetime) -> bool:
    """Revoke the key; return False when it already was."""
    return ApiKey.objects.filter(pk=api_key.pk, revoked_at__isnull=True).update(revoked_at=now) == 1
