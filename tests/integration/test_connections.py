"""The database backend: a dead connection is noticed before it is used, a living one is not asked."""

import pytest
from django.db import connection
from django.db.backends.postgresql.psycopg_any import is_psycopg3
from django.test.utils import CaptureQueriesContext

from feedbackproject.postgresql.base import DatabaseWrapper

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def other() -> DatabaseWrapper:
    """A connection of its own, as another thread of the web server has it."""
    assert is_psycopg3
    wrapper = connection.copy()
    assert isinstance(wrapper, DatabaseWrapper)
    wrapper.connect()
    return wrapper


def test_a_living_connection_is_usable_without_asking(other: DatabaseWrapper) -> None:
    with CaptureQueriesContext(other) as queries:
        assert other.is_usable()
    assert not queries.captured_queries
    other.close()


def test_a_connection_that_the_server_ended_is_not_usable(other: DatabaseWrapper) -> None:
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    assert not other.is_usable()
    other.close()


def test_a_closed_connection_is_not_usable(other: DatabaseWrapper) -> None:
    assert other.connection is not None
    other.connection.close()
    assert not other.is_usable()


def test_a_dead_connection_is_replaced_at_the_next_request(other: DatabaseWrapper) -> None:
    other.settings_dict["CONN_HEALTH_CHECKS"] = True
    other.close()
    other.connect()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    other.close_if_unusable_or_obsolete()  # what Django does when a request begins
    with other.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
    other.close()
