"""RESPONDENT_KEY is rotated: what somebody asked for, and what protects them, survives; on the real engines."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.contrib.auth.models import User
from django.test import override_settings
from rest_framework.test import APIClient

from datasets.models import SourceDecision, SourceStanding
from labeling.ask_tokens import AskToken
from labeling.models import Ask, Feedback, Prediction, Project, Respondent, RespondentMove
from labeling.respondent_hash import keyed_hash, respondent_key
from labeling.services import ask_events, feedback, respondent_moves, respondents
from labeling.services.ask_events import Event, EventKind
from sampling.models import AskDecision
from sampling.services import ask_setting
from sampling.services.ask_replies import Answer
from tests.factories import asking as make
from tests.factories.asking import DAY, HOUR, NOW
from tests.statements import statements_counted

pytestmark = pytest.mark.django_db

OLDER, OLD, NEW = "the older key", "the old key", "the new key"


@contextmanager
def under(key: str, *fallbacks: str) -> Iterator[None]:
    with override_settings(RESPONDENT_KEY=key, RESPONDENT_KEY_FALLBACKS=list(fallbacks)):
        yield


def hash_under(key: str, project: Project, name: str) -> str:
    return keyed_hash(respondent_key(project.pk, key), name)


@pytest.fixture
def asked(project: Project) -> Answer:
    """The respondent `u` was asked under the old key."""
    make.asking(project)
    with under(OLD):
        answer = make.decide(project, "o-1", respondent="u", session="s")
    assert answer.ask
    return answer


def tell(asked: Answer, kind: EventKind, *, at: dt.datetime = NOW + HOUR) -> None:
    token = AskToken(
        Ask.objects.get(pk=asked.ask_id or 0).project_id, asked.ask_id or 0, 0, int((NOW + DAY).timestamp()), False, b""
    )
    ask_events.record(token, Event(kind), now=at)


def test_without_the_old_key_everybody_is_a_stranger(project: Project, asked: Answer) -> None:
    with under(NEW):
        assert make.decide(project, "o-2", respondent="u").ask


def test_who_opted_out_is_not_asked_by_the_new_key(project: Project, asked: Answer) -> None:
    tell(asked, EventKind.OPTED_OUT)
    with under(NEW, OLD):
        later = NOW + dt.timedelta(days=100)
        assert make.decide(project, "o-2", respondent="u", now=later).reason == "opted_out"
        assert make.decide(project, "o-3", respondent="v", now=later).ask
    with under(NEW):
        assert make.decide(project, "o-4", respondent="u", now=later).reason == "opted_out", "it has moved for good"
    assert Respondent.objects.get(respondent_hash=hash_under(NEW, project, "u")).opted_out_until is not None
    assert not Respondent.objects.filter(respondent_hash=hash_under(OLD, project, "u")).exists()


def test_who_was_blocked_stays_blocked_with_the_reviewers_record(project: Project, asked: Answer, owner: User) -> None:
    Respondent.objects.update(is_blocked=True)
    before, after = (hash_under(key, project, "u") for key in (OLD, NEW))
    standing = SourceStanding.objects.create(
        project=project, respondent_hash=before, step="block", weight=0.0, decided_by=owner
    )
    SourceDecision.objects.create(
        standing=standing, step_before="none", step_after="block", weight_after=0.0, comment="spam"
    )
    with under(NEW, OLD):
        # An examination may have met the new hash first.
        SourceStanding.objects.create(project=project, respondent_hash=after)
        assert make.decide(project, "o-2", respondent="u", now=NOW + 60 * DAY).reason == "blocked"
    kept = SourceStanding.objects.get()
    assert (kept.pk, kept.respondent_hash, kept.step, kept.decided_by) == (standing.pk, after, "block", owner)
    assert kept.decisions.get().comment == "spam"


@pytest.mark.parametrize(
    ("outcome", "after", "reason"),
    [
        (None, HOUR, "concurrent"),
        (EventKind.DISMISSED, 2 * HOUR, "cooldown_shown"),
        (EventKind.DISMISSED, 6 * DAY, "cooldown_dismissed"),
    ],
)
def test_pauses_go_on(
    project: Project, asked: Answer, outcome: EventKind | None, after: dt.timedelta, reason: str
) -> None:
    if outcome:
        tell(asked, outcome)
    with under(NEW, OLD):
        assert make.decide(project, "o-2", respondent="u", now=NOW + after).reason == reason


def test_a_session_has_its_cap_still(project: Project) -> None:
    make.asking(
        project, cooldown_shown_seconds=0, cooldown_dismissed_seconds=0, question_cooldown_seconds=0, most_per_7_days=9
    )
    for respondent in ("u", ""):
        with under(OLD):
            asked = make.decide(project, f"o-{respondent}", respondent=respondent, session=f"s{respondent}")
        tell(asked, EventKind.DISMISSED)
        with under(NEW, OLD):
            again = make.decide(
                project, f"p-{respondent}", respondent=respondent, session=f"s{respondent}", now=NOW + 2 * HOUR
            )
            assert again.reason == "session_cap"


def test_the_ledger_of_private_answers_adds_up(project: Project, asked: Answer) -> None:
    Respondent.objects.update(epsilon_spent=3.0, right_count=2, created_at=NOW - DAY)
    Respondent.objects.create(
        project=project, respondent_hash=hash_under(NEW, project, "u"), epsilon_spent=1.0, wrong_count=1
    )
    with under(NEW, OLD):
        make.decide(project, "o-2", respondent="u")
    kept = Respondent.objects.get()
    assert (kept.epsilon_spent, kept.right_count, kept.wrong_count, kept.created_at) == (4.0, 2, 1, NOW - DAY)


def test_the_holdout_stays_the_same_over_two_rotations(project: Project) -> None:
    make.asking(project, holdout_share=0.5)
    names = [f"u-{number}" for number in range(40)]

    def held_out(prefix: str, at: dt.datetime) -> set[str]:
        return {
            name
            for name in names
            if make.decide(project, f"{prefix}-{name}", respondent=name, now=at).reason == "holdout"
        }

    with under(OLDER):
        first = held_out("a", NOW)
    with under(OLD, OLDER):
        second = held_out("b", NOW + 60 * DAY)
    with under(NEW, OLD, OLDER):
        third = held_out("c", NOW + 120 * DAY)
    assert first == second == third
    assert 8 <= len(first) <= 32
    with under(NEW):
        assert held_out("d", NOW + 180 * DAY) != first, "with the oldest key gone, lots are drawn anew"


def test_who_was_last_seen_two_keys_ago_is_found(project: Project) -> None:
    make.asking(project)
    with under(OLDER):
        tell(make.decide(project, "o-1", respondent="u"), EventKind.OPTED_OUT)
    with under(NEW, OLD, OLDER):
        assert make.decide(project, "o-2", respondent="u", now=NOW + 60 * DAY).reason == "opted_out"


def test_a_repeated_opportunity_gives_its_token_again(project: Project, asked: Answer) -> None:
    with under(NEW, OLD):
        again = make.decide(project, "o-1", respondent="u")
        assert (again.ask, again.ask_id) == (True, asked.ask_id)
        assert again.token
        assert make.decide(project, "o-1", respondent="v").token is None


def test_a_no_takes_no_further_statement_while_an_old_key_is_named(project: Project) -> None:
    make.asking(project, threshold=5.0)
    with under(NEW, OLD, OLDER):
        make.decide(project, "o-1")
        setting = ask_setting.of(project)
        with pytest.MonkeyPatch.context() as patch, statements_counted() as statements:
            patch.setattr(ask_setting, "of", lambda *_, **__: setting)
            make.decide(project, "o-2")
    assert len(statements) == 2


def test_moving_is_done_once(project: Project, asked: Answer) -> None:
    with under(NEW, OLD):
        make.decide(project, "o-2", respondent="u")
        setting = ask_setting.of(project)
        with pytest.MonkeyPatch.context() as patch, statements_counted() as statements:
            patch.setattr(ask_setting, "of", lambda *_, **__: setting)
            make.decide(project, "o-3", respondent="u")
    assert len(statements) == 2


def test_feedback_moves_whoever_it_is_of(project: Project, asked: Answer) -> None:
    tell(asked, EventKind.OPTED_OUT)
    row = {"id": "f-1", "kind": "click", "key": asked.key, "respondent": "u"}
    with under(NEW, OLD):
        feedback.record_feedback(project, [row, {**row, "id": "f-2", "respondent": "v"}])
    with under(NEW):
        assert make.decide(project, "o-2", respondent="u", now=NOW + 60 * DAY).reason == "opted_out"


def rows_under(project: Project, key: str) -> dict[str, int]:
    hashed = hash_under(key, project, "u")
    found = {
        model.__name__: model._default_manager.filter(respondent_hash=hashed).count() for model in respondents.tables()
    }
    return {name: count for name, count in found.items() if count}


def test_the_rest_of_the_rows_follows_and_nothing_links_the_hashes_then(project: Project, asked: Answer) -> None:
    with under(OLD):
        feedback.record_feedback(project, [{"id": "f-1", "kind": "click", "key": asked.key, "respondent": "u"}])
        make.decide(project, "o-2", respondent="u")
        other = make.decide(project, "o-3", respondent="v")
    everything = {"Respondent": 1, "Ask": 1, "Feedback": 1, "Prediction": 2, "AskDecision": 2}
    assert rows_under(project, OLD) == everything
    with under(NEW, OLD):
        make.decide(project, "o-1", respondent="u")
        assert rows_under(project, NEW) == {"Respondent": 1, "Ask": 1}
        assert respondent_moves.follow(now=NOW) == 1
        assert respondent_moves.follow(now=NOW) == 0
        assert rows_under(project, OLD) == {"AskDecision": 2}
        assert RespondentMove.objects.count() == 1
        assert respondent_moves.finish(now=NOW) == 1
        assert respondent_moves.finish(now=NOW) == 0
    assert rows_under(project, NEW) == everything
    assert not RespondentMove.objects.exists()
    assert Ask.objects.get(pk=other.ask_id or 0).respondent_hash == hash_under(OLD, project, "v"), "not seen since"


def test_all_moves_are_finished_however_many_there_are(
    project: Project, asked: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(respondent_moves, "MOST_AT_ONCE", 1)
    with under(OLD):
        make.decide(project, "o-3", respondent="v")
    with under(NEW, OLD):
        for name in ("u", "v"):
            make.decide(project, f"again-{name}", respondent=name)
        assert RespondentMove.objects.count() == 2
        assert respondent_moves.finish(now=NOW) == 2
    assert not RespondentMove.objects.exists()


def test_export_and_erasure_find_all_while_rows_follow(project: Project, asked: Answer, app_client: APIClient) -> None:
    with under(OLD):
        feedback.record_feedback(project, [{"id": "f-1", "kind": "click", "key": asked.key, "respondent": "u"}])
    with under(NEW, OLD):
        make.decide(project, "o-2", respondent="u")
        rows = app_client.get("/api/v1/projects/pets/respondents/u/export").json()["rows"]
        assert {name: len(found) for name, found in rows.items() if found} == {
            "respondent": 1, "ask": 1, "feedback": 1, "prediction": 2, "askdecision": 2,
        }  # fmt: skip
        assert app_client.delete("/api/v1/projects/pets/respondents/u").json()["deleted"]["feedback"] == 1
    assert not RespondentMove.objects.exists()
    assert rows_under(project, OLD) == rows_under(project, NEW) == {}


def test_another_projects_respondent_of_the_same_name_stays(project: Project, asked: Answer) -> None:
    before = list(Respondent.objects.values_list("respondent_hash", flat=True))
    with under(NEW, OLD):
        respondent_moves.move_known(project.pk + 1, ["u"], now=NOW)
    assert list(Respondent.objects.values_list("respondent_hash", flat=True)) == before


def test_a_key_named_as_its_own_fallback_changes_nothing(project: Project, asked: Answer) -> None:
    with under(OLD, OLD):
        assert make.decide(project, "o-2", respondent="u").reason == "concurrent"
    assert not RespondentMove.objects.exists()


def test_who_is_nobody_is_found_nowhere(project: Project, asked: Answer) -> None:
    with under(NEW, OLD):
        assert make.decide(project, "o-2", respondent="", session="").ask
    assert not RespondentMove.objects.exists()
    assert (Prediction.objects.count(), Feedback.objects.count(), AskDecision.objects.count()) == (2, 0, 2)
