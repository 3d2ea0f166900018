"""Django's database sessions and users, with the two lookups that every request begins with written out.

The rows, the checks and everything else are Django's own; only composing these two queries anew for every request,
which took a fifth of the time of an annotator's answer, is left out.
"""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.db import DEFAULT_DB_ALIAS
from django.utils import timezone

from labeling import prepared

_USER_FIELDS = tuple(field.attname for field in User._meta.concrete_fields)
_USER = (
    f"SELECT {', '.join(str(field.column) for field in User._meta.concrete_fields)} FROM auth_user WHERE id = %(id)s"  # noqa: S608 - the model's own columns
)
_SESSION = "SELECT session_key, session_data, expire_date FROM django_session WHERE session_key = %(key)s AND expire_date > %(now)s"


class SessionStore(db.SessionStore):
    def _get_session_from_db(self) -> Session | None:
        rows = prepared.fetch(_SESSION, {"key": self.session_key, "now": timezone.now()})
        if not rows:
            # A new key instead of one that somebody else made up, as in the method that this one replaces.
            self._session_key = None
            return None
        return Session(session_key=rows[0][0], session_data=rows[0][1], expire_date=rows[0][2])

    @classmethod
    def get_model_class(cls) -> type[Session]:
        return Session


class PersonBackend(ModelBackend):
    def get_user(self, user_id: Any) -> User | None:
        rows = prepared.fetch(_USER, {"id": user_id})
        if not rows:
            return None
        user = User.from_db(DEFAULT_DB_ALIAS, _USER_FIELDS, rows[0])
        return user if self.user_can_authenticate(user) else None
