"""Who is logged in: the two written-out lookups keep every rule of Django's."""

import datetime as dt

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

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
