"""Django's database sessions and users, with the two lookups that every request begins with written out.

The rows, the checks and everything else are Django's own; only composing these queries anew for every request, and the
second round trip, are left out. Nothing is remembered of a session or a person but whose session a key was.
"""

import threading
from typing import Any, Final

from django.contrib.auth import SESSION_KEY
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.db import DEFAULT_DB_ALIAS
from django.utils import timezone

from labeling import prepared

_USER_FIELDS = tuple(field.attname for field in User._meta.concrete_fields)
_USER_COLUMNS = ", ".join(f"person.{field.column}" for field in User._meta.concrete_fields)
_USER = f"SELECT {_USER_COLUMNS} FROM auth_user person WHERE id = %(id)s"  # noqa: S608 - the model's own columns
_SESSION = f"""
SELECT session_key, session_data, expire_date, {_USER_COLUMNS}
FROM django_session LEFT JOIN auth_user person ON person.id = %(expected)s
WHERE session_key = %(key)s AND expire_date > %(now)s"""  # noqa: S608 - the model's own columns

_MOST_EXPECTED: Final = 10_000
_expected: Final[dict[str, int]] = {}
"""By session key, whose session it was when it was last read: only a guess of which person will be asked for."""


class _LastRead(threading.local):
    """The person who was read along with a session on this thread, until the backend asks for them or a session is read."""

    row: tuple[Any, ...] | None = None


_last_read: Final = _LastRead()


class SessionStore(db.SessionStore):
    """Reads with the session the person whose it was last time, so that both together take one statement."""

    def load(self) -> dict[str, Any]:
        content: dict[str, Any] = super().load()
        person = content.get(SESSION_KEY)
        if self.session_key and person is not None:
            if len(_expected) >= _MOST_EXPECTED:
                _expected.clear()
            _expected[self.session_key] = int(person)
        return content

    def _get_session_from_db(self) -> Session | None:
        _last_read.row = None
        expected = _expected.get(self.session_key or "")
        rows = prepared.fetch(_SESSION, {"key": self.session_key, "now": timezone.now(), "expected": expected})
        if not rows:
            # A new key instead of one that somebody else made up, as in the method that this one replaces.
            self._session_key = None
            return None
        key, data, expire_date, *person = rows[0]
        _last_read.row = tuple(person) if person[0] is not None else None
        return Session(session_key=key, session_data=data, expire_date=expire_date)

    @classmethod
    def get_model_class(cls) -> type[Session]:
        return Session


class PersonBackend(ModelBackend):
    def get_user(self, user_id: Any) -> User | None:
        row, _last_read.row = _last_read.row, None
        if row is None or row[0] != user_id:
            rows = prepared.fetch(_USER, {"id": user_id})
            if not rows:
                return None
            row = rows[0]
        user = User.from_db(DEFAULT_DB_ALIAS, _USER_FIELDS, row)
        return user if self.user_can_authenticate(user) else None
