"""Asking with several sessions at work: nobody is asked twice, no budget is overrun, whatever Redis does meanwhile."""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from threading import Event
from typing import Any

import pytest
import redis
from django.db import connection, transaction
from pytest_django import Settings

from labeling.models import Ask, Item, Prediction, Project, Respondent, RespondentMove
from labeling.redis_client import redis_client
from sampling.models import AskDecision
from sampling.services import ask_counters, ask_policies, ask_setting, ask_sql, asks
from sampling.services.ask_counters import CountersDown
from tests.factories import asking as make
from tests.factories.asking import DAY, NOW
from tests.integration.datasets.concurrency import at_once, in_another_session

pytestmark = pytest.mark.django_db(transaction=True)

LATE = NOW + 29 * DAY


def reason(project: Project, name: str, **others: Any) -> str:
    return make.decide(project, name, **{"now": LATE, **others}).reason


@pytest.mark.parametrize("turn", range(3))
def test_two_requests_for_one_respondent_at_once_ask_once(project: Project, turn: int) -> None:
    make.asking(project)
    said = at_once([partial(reason, project, f"o-{number}", respondent="u") for number in range(8)])
    assert Counter(said)["selected"] == 1
    assert set(said) <= {"selected", "concurrent", "degraded"}
    assert Ask.objects.count() == 1
    assert AskDecision.objects.count() == 8


@pytest.mark.parametrize("turn", range(3))
def test_who_comes_back_after_a_rotation_eight_times_at_once_is_moved_once(
    project: Project, settings: Settings, turn: int
) -> None:
    make.asking(project)
    settings.RESPONDENT_KEY = "the old key"
    assert make.decide(project, "first", now=LATE, respondent="u").ask
    Respondent.objects.update(epsilon_spent=3.0)
    settings.RESPONDENT_KEY, settings.RESPONDENT_KEY_FALLBACKS = "the new key", ["the old key"]
    said = at_once([partial(reason, project, f"o-{number}", respondent="u") for number in range(8)])
    assert set(said) == {"concurrent"}
    assert [each.epsilon_spent for each in Respondent.objects.all()] == [3.0]
    assert Respondent.objects.get().respondent_hash == Ask.objects.get().respondent_hash
    assert RespondentMove.objects.count() == 1


def test_a_budget_of_one_with_eight_threads_is_spent_exactly_once(project: Project) -> None:
    make.asking(project, budget_asks=1)
    reason(project, "first", is_quiet=True)
    said = at_once([partial(reason, project, f"o-{number}") for number in range(8)])
    said += [reason(project, "last")]
    assert Counter(said)["selected"] == 1
    assert Ask.objects.count() == 1


def test_a_budget_is_kept_by_who_looks_at_old_counts(project: Project, settings: Settings) -> None:
    """Counts of a moment ago only say no; who says yes reserves in Redis."""
    settings.ASK_COUNTS_SECONDS = 3600.0
    make.asking(project, budget_asks=1)
    make.decide(project, "first", now=LATE)
    said = at_once([partial(reason, project, f"o-{number}") for number in range(8)])
    assert set(said) == {"budget"}
    assert Ask.objects.count() == 1


def test_a_quota_holds_with_eight_threads(project: Project) -> None:
    make.asking(project, segment="country", segment_quotas={"de": 3})
    make.decide(project, "first", now=LATE, segments={"country": "fr"})
    at_once([partial(reason, project, f"o-{number}", segments={"country": "de"}) for number in range(8)])
    assert Ask.objects.filter(segment="de").count() == 3


def test_an_opportunity_that_comes_eight_times_at_once_is_decided_once(project: Project) -> None:
    make.asking(project)
    # The counters are there: while one request builds them, the others may say "degraded", and that would be decided.
    make.decide(project, "first", now=LATE)
    answers = at_once([partial(make.decide, project, "o-1", now=LATE)] * 8)
    assert AskDecision.objects.filter(opportunity_id="o-1").count() == 1
    assert Ask.objects.filter(opportunity_id="o-1").count() == Item.objects.filter(key="item-o-1").count() == 1
    decided = AskDecision.objects.get(opportunity_id="o-1")
    assert {(each.reason, each.ask_id) for each in answers} == {(decided.reason, decided.ask_id)}


def test_the_same_opportunity_of_different_respondents_is_decided_once_and_counted_once(project: Project) -> None:
    make.asking(project, budget_asks=100)
    reason(project, "first", is_quiet=True)
    at_once([partial(make.decide, project, "o-1", now=LATE, respondent=f"u-{number}") for number in range(8)])
    assert AskDecision.objects.filter(opportunity_id="o-1").count() == 1
    assert _counted(project) == Ask.objects.count()


def test_noes_about_one_new_item_at_once_store_it_once(project: Project) -> None:
    make.asking(project, threshold=5.0)
    said = at_once([partial(reason, project, f"o-{number}", key="k") for number in range(8)])
    assert len(said) == AskDecision.objects.count() == 8
    assert Item.objects.count() == Prediction.objects.count() == 1
    assert AskDecision.objects.filter(item=Item.objects.get(), prediction=Prediction.objects.get()).count() == 8


def test_redis_down_asks_nobody_and_logs_the_prediction(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    make.asking(project)

    def refuse(*_: object, **__: object) -> None:
        raise redis.ConnectionError("Connection refused")

    with monkeypatch.context() as patch:
        patch.setattr(redis.connection.AbstractConnection, "connect", refuse)
        ask_counters.forget_connection()
        answer = make.decide(project, "o-1", now=LATE)
    assert (answer.ask, answer.reason, answer.retry_after_seconds) == (False, "degraded", 5)
    assert Prediction.objects.get().pk == answer.prediction_id
    assert AskDecision.objects.get().reason == "degraded"
    ask_counters.forget_connection()
    assert reason(project, "o-2") == "selected"


def test_redis_that_is_emptied_all_the_time_never_overruns_budget_or_clocks(project: Project) -> None:
    make.asking(project, budget_asks=20)
    stop = Event()

    def empty() -> list[str]:
        while not stop.wait(0.01):
            redis_client().flushall()
        return []

    def ask(worker: int) -> list[str]:
        try:
            return [reason(project, f"o-{worker}-{turn}", respondent=f"u-{turn}") for turn in range(25)]
        finally:
            if worker == 0:
                stop.set()

    works: list[Callable[[], list[str]]] = [*(partial(ask, worker) for worker in range(6)), empty]
    said = [each for several in at_once(works) for each in several]
    assert Ask.objects.count() == Counter(said)["selected"] <= 20
    assert len(set(Ask.objects.values_list("respondent_hash", flat=True))) == Ask.objects.count()
    assert AskDecision.objects.count() == 150
    # What is left is spent as soon as Redis keeps what it is told.
    for number in range(40):
        reason(project, f"after-{number}")
    assert Ask.objects.count() == 20


def test_a_rebuild_waits_for_the_ask_that_is_on_its_way(project: Project) -> None:
    """Reserved before Redis was emptied, committed after: it is counted all the same."""
    make.asking(project, budget_asks=1)
    reason(project, "first", is_quiet=True)
    held, go_on = Event(), Event()
    write = ask_sql.write

    def slow(records: Sequence[ask_sql.Record]) -> list[ask_sql.Written]:
        written = write(records)
        if records[0].is_ask and records[0].opportunity_id == "slow":
            held.set()
            assert go_on.wait(30)
        return written

    def flush_meanwhile() -> str:
        assert held.wait(30)
        redis_client().flushall()
        go_on_later = reason(project, "meanwhile-1")  # cannot wait two seconds for the other, or does and finds it
        go_on.set()
        return go_on_later

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ask_sql, "write", slow)
        works: list[Callable[[], str]] = [partial(reason, project, "slow"), flush_meanwhile]
        slowly, meanwhile = at_once(works)
    assert (slowly, meanwhile) == ("selected", "degraded")
    assert reason(project, "after") == "budget"
    assert Ask.objects.count() == 1


def test_what_a_failed_ask_had_reserved_is_given_back(project: Project) -> None:
    make.asking(project, budget_asks=1)

    def fail(*_: object) -> list[ask_sql.Written]:
        raise RuntimeError("the machine is on fire")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ask_sql, "write", fail)
        with pytest.raises(RuntimeError, match="on fire"):
            reason(project, "o-1")
    assert _counted(project) == 0
    assert not Ask.objects.exists()
    assert reason(project, "o-2") == "selected"


def test_giving_back_twice_or_to_a_rebuilt_counter_counts_nothing(project: Project) -> None:
    make.asking(project, budget_asks=10)
    reason(project, "o-1")
    setting = ask_setting.of(project)
    window = ask_counters.window_of(project.pk, setting.policy, anchor=setting.budget_since, now=LATE)
    with transaction.atomic():
        ask_sql.lock(project.pk, "")
        ticket = ask_counters.reserve(window, setting.policy, "", now=LATE)
    assert isinstance(ticket, ask_counters.Ticket)
    ask_counters.rebuild(window, now=LATE)
    ask_counters.release(ticket)
    assert _counted(project) == 1


def test_a_rebuild_gives_up_where_asks_take_too_long(project: Project) -> None:
    make.asking(project, budget_asks=10)
    setting = ask_setting.of(project)
    window = ask_counters.window_of(project.pk, setting.policy, anchor=setting.budget_since, now=LATE)

    def read() -> str:
        try:
            ask_counters.read(window, setting.policy, [], now=LATE)
        except CountersDown:
            return "down"
        return "read"

    with transaction.atomic():
        ask_sql.lock(project.pk, "")
        assert in_another_session(read) == "down"
    assert read() == "read"


def test_a_policy_that_changes_within_a_period_keeps_what_was_spent(project: Project) -> None:
    make.asking(project, budget_asks=2)
    reason(project, "o-1")
    ask_policies.new_version(project, by=None, budget_asks=1)
    assert reason(project, "o-2") == "budget"


def _counted(project: Project) -> int:
    (key,) = redis_client().keys(f"asks:{project.pk}:*")
    return int(redis_client().hget(key, "spent") or 0)


def test_the_database_stays_usable_after_a_rebuild(project: Project) -> None:
    """The short wait for locks ends with the rebuild."""
    make.asking(project)
    reason(project, "o-1")
    with connection.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == ("0",)
    assert asks.decide(project, make.opportunity("o-1"), now=LATE).ask
