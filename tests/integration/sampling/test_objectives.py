"""Questions end by themselves when they have what they were asked for."""

import datetime as dt

import pytest

from labeling.models import Ask, Project, Question
from labeling.redis_client import redis_client
from sampling import tasks
from sampling.services import objectives
from tests.factories import asking as make
from tests.factories.asking import DAY, NOW

pytestmark = pytest.mark.django_db


def test_a_question_ends_at_its_target_and_says_so(project: Project) -> None:
    version = make.asking(project)
    version.target_answers = 2
    version.save()
    answers = [make.decide(project, f"o-{number}") for number in range(3)]
    make.close(answers[0], "answered", at=NOW)
    make.close(answers[1], "dismissed", at=NOW)
    assert objectives.end_reached(project, now=NOW) == []
    make.close(answers[2], "answered", at=NOW)
    assert [each.key for each in objectives.end_reached(project, now=NOW)] == ["is_right"]
    ended = Question.objects.get()
    assert (ended.state, ended.ended_reason) == ("ended", "The target of 2 answers is reached.")
    assert make.decide(project, "o-9").reason == "no_question"
    assert objectives.end_reached(project, now=NOW) == []


def test_a_question_ends_at_its_deadline(project: Project) -> None:
    version = make.asking(project)
    version.deadline = NOW + DAY
    version.save()
    assert objectives.end_reached(project, now=NOW + DAY - dt.timedelta(seconds=1)) == []
    assert len(objectives.end_reached(project, now=NOW + DAY)) == 1
    assert "deadline" in Question.objects.get().ended_reason


def test_a_question_that_was_paused_stays_paused(project: Project) -> None:
    version = make.asking(project)
    version.target_answers = 1
    version.save()
    make.close(make.decide(project, "o-1"), "answered", at=NOW)
    Question.objects.update(state="paused")
    assert objectives.end_reached(project, now=NOW) == []
    assert Question.objects.get().state == "paused"


def test_progress_says_how_many_asks_are_missing(project: Project) -> None:
    version = make.asking(project)
    version.target_half_width = 0.1
    version.save()
    progress = objectives.progress_of(version, answer_rate=0.25, now=NOW)
    assert (progress.answers, progress.wanted, progress.asks) == (0, 97, 388)


def test_randomised_answers_count_for_less(project: Project) -> None:
    make.asking(project)
    Question.objects.all().delete()
    plain = make.question(project, "plain", "thumbs", definition={"text": {"en": "Good?"}}, target_half_width=0.1)
    private = make.question(
        project, "private", "thumbs", definition={"text": {"en": "Good?"}}, target_half_width=0.1, epsilon=1.0
    )
    wanted = [objectives.progress_of(each, answer_rate=0.2, now=NOW).wanted for each in (plain, private)]
    assert wanted == [97, 450]


def test_the_sweeps_end_questions_and_count_anew(project: Project) -> None:
    version = make.asking(project, budget_asks=50)
    version.target_answers = 1
    version.save()
    now = dt.datetime.now(dt.UTC)
    make.close(make.decide(project, "o-1", now=now), "answered", at=now)
    (key,) = redis_client().keys(f"asks:{project.pk}:*")
    redis_client().hset(key, "spent", 40)
    tasks.sweep_questions()
    tasks.sweep_ask_counters()
    assert Question.objects.get().state == "ended"
    assert redis_client().hget(key, "spent") == b"1"
    assert Ask.objects.count() == 1
