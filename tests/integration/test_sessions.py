"""Who is logged in: the two written-out lookups keep every rule of Django's."""

import datetime as dt
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest
from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from feedbackproject.sessions import PersonBackend, SessionStore
from labeling import prepared
from labeling.models import Project

pytestmark = pytest.mark.django_db

ADDRESS = "/api/v1/projects/pets"


@pytest.fixture
def client(project: Project, owner: User) -> Client:
    """Logged in through the form, not past it."""
    client = Client()
    assert client.login(username="owner", password="owner-pass")
    assert client.get(ADDRESS).status_code == 200
    return client


@contextmanager
def counted_fetches() -> Iterator[list[str]]:
    """The statements that go through labeling.prepared."""
    statements: list[str] = []
    fetch = prepared.fetch

    def counting(statement: str, values: Mapping[str, prepared.Value]) -> list[tuple[Any, ...]]:
        statements.append(statement)
        return fetch(statement, values)

    with patch.object(prepared, "fetch", counting):
        yield statements


def assert_logged_out(client: Client) -> None:
    assert client.get(ADDRESS).status_code == 401


def test_a_wrong_password_does_not_log_in(project: Project) -> None:
    assert not Client().login(username="owner", password="wrong")


def test_logging_out_ends_the_session(client: Client) -> None:
    client.logout()
    assert_logged_out(client)
    assert not Session.objects.exists()


def test_an_expired_session_is_refused(client: Client) -> None:
    Session.objects.update(expire_date=timezone.now() - dt.timedelta(seconds=1))
    assert_logged_out(client)


@pytest.mark.parametrize("key", ["x" * 32, "short", "", "' OR 1=1 --", "ü" * 40])
def test_a_made_up_session_key_is_refused(client: Client, key: str) -> None:
    client.cookies[settings.SESSION_COOKIE_NAME] = key
    assert_logged_out(client)


def test_a_person_who_was_deactivated_is_logged_out(client: Client, owner: User) -> None:
    User.objects.filter(pk=owner.pk).update(is_active=False)
    assert_logged_out(client)


def test_a_changed_password_ends_the_sessions_of_others(client: Client, owner: User) -> None:
    owner.set_password("another-pass")
    owner.save()
    assert_logged_out(client)


def test_a_person_who_is_gone_is_logged_out(client: Client, stranger: User) -> None:
    other = Client()
    assert other.login(username="stranger", password="stranger-pass")
    Project.objects.filter(created_by=stranger).delete()
    stranger.delete()
    assert_logged_out(other)


def test_what_a_session_holds_comes_back_as_it_was(client: Client) -> None:
    session = client.session
    session["seen"] = {"guidelines": 3}
    session.save()
    assert client.session["seen"] == {"guidelines": 3}
    assert client.get(ADDRESS).status_code == 200


def test_session_and_person_take_one_statement(client: Client) -> None:
    with CaptureQueriesContext(connection) as slow, counted_fetches() as fast:
        assert client.get(ADDRESS).status_code == 200
    assert not [query["sql"] for query in slow if "auth_user" in query["sql"] or "django_session" in query["sql"]]
    assert len([statement for statement in fast if "django_session" in statement]) == 1
    assert not [statement for statement in fast if "FROM auth_user" in statement]


def test_a_session_that_changed_hands_is_its_new_persons(client: Client, owner: User, stranger: User) -> None:
    """The guess whose session it is, from the request before, is wrong now."""
    session = client.session
    session[SESSION_KEY] = str(stranger.pk)
    session[HASH_SESSION_KEY] = stranger.get_session_auth_hash()
    session.save()
    assert client.get(ADDRESS).status_code == 404
    session[SESSION_KEY] = str(owner.pk)
    session[HASH_SESSION_KEY] = owner.get_session_auth_hash()
    session.save()
    assert client.get(ADDRESS).status_code == 200


def test_who_asks_for_another_person_gets_that_one(client: Client, owner: User, stranger: User) -> None:
    store = SessionStore(client.session.session_key)
    assert store[SESSION_KEY] == str(owner.pk)
    found = PersonBackend().get_user(stranger.pk)
    assert found == stranger
