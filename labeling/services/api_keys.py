"""Making and revoking API keys. The key itself exists only in the answer to `create`."""

import datetime as dt
import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.contrib.auth.models import User

from labeling.errors import InvalidInput
from labeling.feedback_rows import IMPLICIT_KINDS
from labeling.models import ApiKey, Project

MOST_ORIGINS: Final = 50
# As browsers write an origin: lower case, no path, a port only if it is not the scheme's own.
_ORIGIN: Final = re.compile(
    r"https?://(?:\[[0-9a-f:.]+\]|[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*)(?::(?P<port>[0-9]{1,5}))?"
)
_LONGEST_ORIGIN: Final = 200
_HIGHEST_PORT: Final = 65_535
PREFIXES: Final = {ApiKey.Kind.SECRET: "fb_sk_", ApiKey.Kind.PUBLISHABLE: "fb_pk_"}


@dataclass(frozen=True)
class NewApiKey:
    api_key: ApiKey
    key: str
    """Shown once; not stored."""


def hash_key(key: str) -> str:
    """SHA-256, hex. Keys carry 192 random bits, so a slow or salted hash would protect nothing more."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def create(
    project: Project,
    *,
    name: str,
    kind: ApiKey.Kind,
    by: User | None,
    origins: Sequence[str] = (),
    implicit_kinds: Sequence[str] = (),
) -> NewApiKey:
    """Make a key. Of a publishable one, `origins` are those of the pages that may use it, and `implicit_kinds` what it
    may send without a token. Raises InvalidInput `invalid_origins` or `invalid_implicit_kinds`."""
    checked_origins, checked_kinds = _of_browsers(kind, origins, implicit_kinds)
    key = PREFIXES[kind] + secrets.token_urlsafe(24)
    api_key = ApiKey.objects.create(
        project=project,
        name=name,
        kind=kind,
        prefix=key[:10],
        key_hash=hash_key(key),
        created_by=by,
        origins=checked_origins,
        implicit_kinds=checked_kinds,
    )
    return NewApiKey(api_key, key)


def change(
    api_key: ApiKey, *, origins: Sequence[str] | None = None, implicit_kinds: Sequence[str] | None = None
) -> ApiKey:
    """Change where a publishable key may be used and for what; None leaves as it is. Raises as `create`."""
    api_key.origins, api_key.implicit_kinds = _of_browsers(
        ApiKey.Kind(api_key.kind),
        api_key.origins if origins is None else origins,
        api_key.implicit_kinds if implicit_kinds is None else implicit_kinds,
    )
    api_key.save(update_fields=["origins", "implicit_kinds"])
    return api_key


def revoke(api_key: ApiKey, *, now: dt.datetime) -> bool:
    """Revoke the key; return False when it already was."""
    return ApiKey.objects.filter(pk=api_key.pk, revoked_at__isnull=True).update(revoked_at=now) == 1


def _of_browsers(
    kind: ApiKey.Kind, origins: Sequence[str], implicit_kinds: Sequence[str]
) -> tuple[list[str], list[str]]:
    if kind != ApiKey.Kind.PUBLISHABLE and (origins or implicit_kinds):
        raise InvalidInput(
            "Only a publishable key has origins and implicit kinds.",
            code="invalid_origins" if origins else "invalid_implicit_kinds",
            fields={"origins" if origins else "implicit_kinds": "only of publishable keys"},
        )
    known = list(dict.fromkeys(_normal_origin(origin) for origin in origins))
    bad = [origin for origin in known if len(origin) > _LONGEST_ORIGIN or not _is_origin(origin)]
    if bad or len(known) > MOST_ORIGINS:
        what = f"“{bad[0][:50]}” is none" if bad else f"there may be {MOST_ORIGINS}"
        raise InvalidInput(
            f"An origin is scheme and host, such as https://app.example.org: {what}.",
            code="invalid_origins",
            fields={"origins": bad[0][:_LONGEST_ORIGIN] if bad else "too many"},
        )
    kinds = list(dict.fromkeys(implicit_kinds))
    if unknown := [each for each in kinds if each not in IMPLICIT_KINDS]:
        raise InvalidInput(
            f"Implicit kinds are {', '.join(sorted(IMPLICIT_KINDS))}.",
            code="invalid_implicit_kinds",
            fields={"implicit_kinds": unknown[0][:50]},
        )
    return known, kinds


def _is_origin(origin: str) -> bool:
    found = _ORIGIN.fullmatch(origin)
    return found is not None and int(found["port"] or 0) <= _HIGHEST_PORT


def _normal_origin(origin: str) -> str:
    """As a browser sends it: in lower case, and without the port that goes with the scheme anyway."""
    origin = origin.strip().lower().removesuffix("/")
    for scheme, port in (("https://", ":443"), ("http://", ":80")):
        if origin.startswith(scheme):
            return origin.removesuffix(port)
    return origin
