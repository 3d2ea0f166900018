"""How an app proves who it is: a project's API key. Apart from labeling.edges, because DRF's settings name it."""

import datetime as dt
import time
from copy import copy
from typing import Any, Final, cast

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import DEFAULT_DB_ALIAS
from django.db.models import Q
from django.http import QueryDict
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from labeling import prepared
from labeling.models import ApiKey, Project
from labeling.services import api_keys

_LAST_USED_RESOLUTION = dt.timedelta(minutes=1)
_KEY_FIELDS = tuple(field.attname for field in ApiKey._meta.concrete_fields)
_PROJECT_FIELDS = tuple(field.attname for field in Project._meta.concrete_fields)
_NEVER: Final[tuple[float, tuple[Any, ...]]] = (-float("inf"), ())
_MOST_RECENT: Final = 10_000
_recent: Final[dict[str, tuple[float, tuple[Any, ...]]]] = {}
"""By hash of the key: when it was read, and the row."""

_KEY = f"""
SELECT {", ".join(f"api_key.{field.column}" for field in ApiKey._meta.concrete_fields)},
    {", ".join(f"project.{field.column}" for field in Project._meta.concrete_fields)}
FROM labeling_apikey api_key JOIN labeling_project project ON project.id = api_key.project_id
WHERE api_key.key_hash = %(key_hash)s"""  # noqa: S608 - the models' own columns


def _read(key_hash: str) -> tuple[Any, ...]:
    # Every request of an app begins with this, so it is one statement, written out.
    rows = prepared.fetch(_KEY, {"key_hash": key_hash})
    if not rows:
        raise AuthenticationFailed("This API key is not known.", code="invalid_api_key")
    return rows[0]


def _checked(row: tuple[Any, ...]) -> ApiKey:
    api_key = ApiKey.from_db(DEFAULT_DB_ALIAS, _KEY_FIELDS, row[: len(_KEY_FIELDS)])
    if api_key.revoked_at is not None:
        raise AuthenticationFailed("This API key was revoked.", code="revoked_api_key")
    api_key.project = Project.from_db(DEFAULT_DB_ALIAS, _PROJECT_FIELDS, row[len(_KEY_FIELDS) :])
    return api_key


class AppUser(AnonymousUser):
    """An app that showed a valid API key: authenticated, but not a person."""

    @property
    def is_authenticated(self) -> Any:  # the stubs pin AnonymousUser's to Literal[False]
        return True

    @property
    def is_anonymous(self) -> Any:
        return False


class PersonAuthentication(SessionAuthentication):
    """A person's session, with its CSRF token in the header `X-CSRFToken`.

    Django's check would look for the token in the body first, and so read what may be a stream of rows, or a form that
    nobody takes. It gets a request whose form is empty instead.
    """

    def enforce_csrf(self, request: Request) -> None:
        without_body = copy(request._request)
        without_body._post = QueryDict()  # type: ignore[attr-defined]  # what `POST` would put there
        super().enforce_csrf(cast("Request", without_body))


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer <key>`; see labeling.services.api_keys.

    `takes_recent`, for calls that come hundreds of times a second: by what was read of the key up to ASK_KEY_SECONDS ago. A revoked
    key is refused after that time at the latest; one that is refused is read anew each time. The project is as old as the key,
    so this is for views that ask it for no more than which one it is.
    """

    keyword = "Bearer"

    def __init__(self, *, takes_recent: bool = False) -> None:
        self._most_seconds: float = settings.ASK_KEY_SECONDS if takes_recent else 0.0

    def authenticate(self, request: Request) -> tuple[AppUser, ApiKey] | None:
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != self.keyword.lower():
            return None
        return AppUser(), self._known(key.strip())

    def authenticate_header(self, request: Request) -> str:
        return self.keyword

    def _known(self, key: str) -> ApiKey:
        key_hash, now = api_keys.hash_key(key), time.monotonic()
        read_at, row = _recent.get(key_hash, _NEVER)
        if now - read_at < self._most_seconds:
            return _checked(row)
        row = _read(key_hash)
        api_key = _checked(row)
        self._note_use(api_key)
        if self._most_seconds:
            if len(_recent) >= _MOST_RECENT:
                _recent.clear()
            _recent[key_hash] = now, row
        return api_key

    @staticmethod
    def _note_use(api_key: ApiKey) -> None:
        now = timezone.now()
        stale = now - _LAST_USED_RESOLUTION
        if api_key.last_used_at is None or api_key.last_used_at < stale:
            ApiKey.objects.filter(Q(last_used_at__isnull=True) | Q(last_used_at__lt=stale), pk=api_key.pk).update(
                last_used_at=now
            )


class KeyInAddressAuthentication(ApiKeyAuthentication):
    """`?key=<publishable key>`, for beacons, which cannot carry headers. Addresses are logged: no secret may stand there."""

    def authenticate(self, request: Request) -> tuple[AppUser, ApiKey] | None:
        key = request.query_params.get("key", "")
        if not key:
            return None
        if not key.startswith(api_keys.PREFIXES[ApiKey.Kind.PUBLISHABLE]):
            raise AuthenticationFailed("Only a publishable key may stand in an address.", code="secret_key_in_address")
        return AppUser(), self._known(key)
