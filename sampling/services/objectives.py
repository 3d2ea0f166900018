"""Questions that have what they were asked for: they end by themselves."""

import datetime as dt
import logging
from typing import Final

from django.db import connection, transaction

from labeling.models import Project, Question, QuestionVersion
from labeling.question_catalogue import known
from sampling import objective
from sampling.objective import Objective, Progress
from sampling.services import ask_rates

logger = logging.getLogger(__name__)

# Answers about known items say nothing of what was to be learned.
_ANSWERED: Final = """
SELECT count(*) FROM labeling_ask ask WHERE ask.question_version_id = %s AND ask.state = 'answered'
    AND NOT EXISTS (SELECT FROM sampling_askdecision decision WHERE decision.ask_id = ask.id AND decision.reason = 'check')"""
_LONGEST_REASON: Final = 300


def objective_of(version: QuestionVersion) -> Objective:
    """What the version declares, and how many different answers it has where they are randomised."""
    levels = max(len(known(version).question.alternatives), 2) if version.epsilon is not None else 2
    return Objective(version.target_answers, version.target_half_width, version.deadline, version.epsilon, levels)


def progress_of(version: QuestionVersion, *, answer_rate: float, now: dt.datetime) -> Progress:
    """How far the version is. Answers are counted by version: those to another wording answer another question."""
    with connection.cursor() as cursor:
        cursor.execute(_ANSWERED, [version.pk])
        answers = int(cursor.fetchone()[0])
    return objective.progress(objective_of(version), answers=answers, answer_rate=answer_rate, now=now)


def live_versions(project: Project) -> list[QuestionVersion]:
    """The newest version of each live question."""
    return list(
        QuestionVersion.objects.filter(question__project=project, question__state=Question.State.LIVE)
        .select_related("question")
        .order_by("question_id", "-version")
        .distinct("question_id")
    )


def end_reached(project: Project, *, now: dt.datetime) -> list[Question]:
    """End the live questions that reached their target or deadline, and say why; returns them.

    Answers to asks that are out still count. Locks a question while it ends, so that one a person paused or ended meanwhile
    stays as it is. Safe to run twice.
    """
    rate = ask_rates.response_rates(project.pk, now=now).overall.answered
    ended = []
    for version in live_versions(project):
        because = progress_of(version, answer_rate=rate, now=now).ended_because
        if because and _end(version, because):
            ended.append(version.question)
            logger.info("question %s of project %s ended: %s", version.question.key, project.pk, because)
    return ended


@transaction.atomic
def _end(version: QuestionVersion, because: str) -> bool:
    """Whether it ended now; not if it has another version or state than it was judged by."""
    question = Question.objects.select_for_update(no_key=True).get(pk=version.question_id)
    newest = question.versions.latest("version")
    if question.state != Question.State.LIVE or newest.pk != version.pk:
        return False
    version.question.state, version.question.ended_reason = Question.State.ENDED, because[:_LONGEST_REASON]
    version.question.save(update_fields=["state", "ended_reason"])
    return True
