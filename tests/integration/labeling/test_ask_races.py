"""Several connections at one ask, or at the same rows of feedback."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from labeling.errors import AlreadyAnswered, Conflict, DomainError
from labeling.models import Ask, Feedback, Project, Respondent
from labeling.services import ask_events, ask_expiry, ask_keys, feedback
from labeling.services.ask_events import Event, EventKind, Outcome
from tests.factories import asks
from tests.factories.asks import KRR

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """The calls, each with a connection of its own, begun at the same moment; errors are returned."""
    barrier = Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        try:
            connection.ensure_connection()
            barrier.wait(timeout=20)
            return call()
        except DomainError as error:
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def telling(ask: Ask, kind: EventKind, **fields: Any) -> Callable[[], Outcome]:
    token = ask_keys.read(ask_keys.token_for(ask), now=timezone.now())
    return lambda: ask_events.record(token, Event(kind, **fields), now=timezone.now())


def answering(ask: Ask, thumb: str, **fields: Any) -> Callable[[], Outcome]:
    return telling(ask, EventKind.ANSWERED, answer={"thumb": thumb}, **fields)


def test_of_an_answer_and_a_dismissal_one_is_the_outcome(project: Project) -> None:
    for number in range(8):
        ask = asks.ask(project, opportunity=f"o-{number}")
        outcomes = at_once(answering(ask, "up"), telling(ask, EventKind.DISMISSED))
        refused = [each for each in outcomes if isinstance(each, Conflict)]
        ask.refresh_from_db()
        assert [each.code for each in refused] in (["already_answered"], ["already_dismissed"])
        assert ask.state == ("answered" if isinstance(refused[0], AlreadyAnswered) else "dismissed")
        assert Feedback.objects.filter(ask=ask).count() == (ask.state == "answered")


def test_of_two_answers_one_stands_and_supersedes_the_other(project: Project) -> None:
    for number in range(8):
        ask = asks.ask(project, opportunity=f"o-{number}")
        outcomes = at_once(answering(ask, "up"), answering(ask, "down"))
        assert all(isinstance(each, Outcome) for each in outcomes)
        older, newer = Feedback.objects.filter(ask=ask).order_by("id")
        assert (older.stands, newer.stands, newer.supersedes_id) == (False, True, older.pk)


def test_the_same_answer_sent_by_four_counts_once(project: Project) -> None:
    ask = asks.ask(project)
    outcomes = at_once(*[answering(ask, "up", client_id="c-1")] * 4)
    said = Feedback.objects.get()
    assert {each.feedback_id for each in outcomes} == {said.pk}
    assert said.stands


def test_the_ledger_misses_none_of_two_private_answers(project: Project) -> None:
    version = asks.question(project, "thumbs", key="private", epsilon=1.0)
    first, second = (asks.ask(project, version=version, opportunity=f"o-{number}") for number in range(2))
    at_once(answering(first, "up", randomised=KRR), answering(second, "up", randomised=KRR))
    respondent = Respondent.objects.get()
    assert respondent.epsilon_spent == 2.0


def test_an_answer_that_is_being_given_is_not_expired(project: Project) -> None:
    ask = asks.ask(project)
    with transaction.atomic():
        Ask.objects.select_for_update().get(pk=ask.pk)
        (expired,) = at_once(lambda: ask_expiry.expire_asks(now=ask.expires_at))
        assert expired == 0
    assert ask_expiry.expire_asks(now=ask.expires_at) == 1
    assert ask_expiry.expire_asks(now=ask.expires_at) == 0
    ask.refresh_from_db()
    assert ask.state == "expired"
    (refused,) = at_once(answering(ask, "up"))
    assert refused.code == "expired_token"
    assert not Feedback.objects.exists()


def test_two_senders_of_the_same_rows_store_each_once(project: Project) -> None:
    asks.items(project, "a")
    rows = [{"id": f"f-{n}", "kind": "rating", "value": 1, "key": "a", "respondent": f"u-{n}"} for n in range(300)]
    reports = at_once(
        lambda: feedback.record_feedback(project, rows),
        lambda: feedback.record_feedback(project, rows[::-1]),
        lambda: feedback.record_feedback(project, rows[:40][::-1]),
    )
    assert sum(report.created for report in reports) == 300
    assert sum(report.skipped for report in reports) == 340
    assert Feedback.objects.count() == Respondent.objects.count() == 300


def test_a_row_is_superseded_once_by_two_at_a_time(project: Project) -> None:
    asks.items(project, "a")
    thumb = {"kind": "thumb", "value": "up", "key": "a"}
    for number in range(5):
        feedback.record_feedback(project, [{**thumb, "id": f"old-{number}"}])
        newer = [{**thumb, "id": f"new-{number}-{side}", "supersedes": f"old-{number}"} for side in "ab"]
        reports = at_once(*[lambda row=row: feedback.record_feedback(project, [row]) for row in newer])
        assert sorted(report.created for report in reports) == [0, 1]
        refused = [result.code for report in reports for result in report.results]
        assert refused == ["already_superseded"]


def test_rows_are_joined_once_by_two_sweeps(project: Project) -> None:
    rows = [{"id": f"f-{n}", "kind": "click", "key": "a"} for n in range(200)]
    feedback.record_feedback(project, rows)
    item = asks.items(project, "a")[0]
    joined = at_once(*[lambda: feedback.join_waiting(project.pk)] * 2)
    joined.append(feedback.join_waiting(project.pk))
    assert sum(joined) == 200
    assert Feedback.objects.filter(item=item, is_waiting=False).count() == 200
