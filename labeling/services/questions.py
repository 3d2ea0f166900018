"""Questions of a project: new ones, new wordings, and whether they are asked."""

import datetime as dt
from dataclasses import dataclass, replace
from typing import Final

from django.contrib.auth.models import User
from django.core.validators import slug_re
from django.db import IntegrityError, transaction

from labeling import question_catalogue, questions, selectors
from labeling.errors import Conflict, InvalidInput
from labeling.models import Project, Question, QuestionVersion
from labeling.questions import QuestionError
from labeling.schema import JSONValue

LONGEST_OBJECTIVE: Final = 2_000
LONGEST_REASON: Final = 300
_LONGEST_KEY: Final = 64
_MOST_ANSWERS: Final = 10_000_000
_NARROWEST: Final = 0.001
_WIDEST: Final = 0.5


@dataclass(frozen=True)
class Wording:
    """What a version of a question says, and what its answers are for."""

    definition: JSONValue
    objective: str = ""
    target_answers: int | None = None
    target_half_width: float | None = None
    deadline: dt.datetime | None = None
    epsilon: float | None = None


@transaction.atomic
def create(project: Project, *, key: str, kind: str, wording: Wording, by: User | None) -> QuestionVersion:
    """Make a question, which is live from now on. Returns its first version.

    Raises InvalidInput `invalid_question`, `not_private` or `invalid_objective`, Conflict `question_exists`.
    """
    if not slug_re.match(key) or len(key) > _LONGEST_KEY:
        raise InvalidInput(
            f"The key of a question has 1 to {_LONGEST_KEY} letters, digits, hyphens and underscores.",
            code="invalid_question",
            fields={"key": "not valid"},
        )
    checked = _checked(project, kind, wording)
    try:
        with transaction.atomic():
            question = Question.objects.create(project=project, key=key)
    except IntegrityError:
        raise Conflict(
            f"There is a question “{key}” already.", code="question_exists", fields={"key": "taken"}
        ) from None
    return _store(question, 1, kind, checked, by)


@transaction.atomic
def new_version(question: Question, *, wording: Wording, by: User | None) -> QuestionVersion:
    """Word the question anew, in the same kind. Asks that were made keep the version they were made with.

    A wording equal to the newest one makes no version. Locks the question. Raises InvalidInput as `create`.
    """
    Question.objects.select_for_update(no_key=True).get(pk=question.pk)
    newest = question_catalogue.newest_version(question)
    checked = _checked(question.project, newest.kind, wording)
    if checked == wording_of(newest):
        return newest
    return _store(question, newest.version + 1, newest.kind, checked, by)


def wording_of(version: QuestionVersion) -> Wording:
    return Wording(
        version.definition,
        version.objective,
        version.target_answers,
        version.target_half_width,
        version.deadline,
        version.epsilon,
    )


def pause(question: Question) -> bool:
    """Ask nobody until it is resumed; return False if it was not live."""
    return _move(question, {Question.State.LIVE}, Question.State.PAUSED)


def resume(question: Question) -> bool:
    """Ask again, also a question that had ended; return False if it was live already."""
    return _move(question, {Question.State.PAUSED, Question.State.ENDED}, Question.State.LIVE)


def end(question: Question, *, reason: str) -> bool:
    """Ask nobody any more, because of `reason`; return False if it had ended already."""
    return _move(question, {Question.State.LIVE, Question.State.PAUSED}, Question.State.ENDED, reason[:LONGEST_REASON])


def _move(question: Question, before: set[Question.State], after: Question.State, reason: str = "") -> bool:
    moved = Question.objects.filter(pk=question.pk, state__in=before).update(state=after, ended_reason=reason)
    question.refresh_from_db(fields=["state", "ended_reason"])
    return moved == 1


def _store(question: Question, number: int, kind: str, wording: Wording, by: User | None) -> QuestionVersion:
    return QuestionVersion.objects.create(
        question=question,
        version=number,
        kind=kind,
        definition=wording.definition,
        objective=wording.objective,
        target_answers=wording.target_answers,
        target_half_width=wording.target_half_width,
        deadline=wording.deadline,
        epsilon=wording.epsilon,
        created_by=by,
    )


def _checked(project: Project, kind: str, wording: Wording) -> Wording:
    """The wording in its stored form."""
    try:
        question = questions.parse_question(kind, wording.definition)
        question.check_fits(selectors.parsed_schema(project))
        if wording.epsilon is not None:
            questions.check_private(question, wording.epsilon)
    except QuestionError as error:
        field = "epsilon" if error.code == "not_private" else "definition"
        raise InvalidInput(f"This cannot be asked: {error}.", code=error.code, fields={field: str(error)}) from None
    _check_objective(wording)
    return replace(wording, definition=questions.definition_of(question))


def _check_objective(wording: Wording) -> None:
    problems = {
        "objective": len(wording.objective) > LONGEST_OBJECTIVE,
        "target_answers": wording.target_answers is not None and not 1 <= wording.target_answers <= _MOST_ANSWERS,
        "target_half_width": wording.target_half_width is not None
        and not _NARROWEST <= wording.target_half_width < _WIDEST,
    }
    for field, is_wrong in problems.items():
        if is_wrong:
            raise InvalidInput(
                f"An objective has a number of answers, or a half width from {_NARROWEST} to below {_WIDEST}, and a text "
                f"of at most {LONGEST_OBJECTIVE:,} characters.",
                code="invalid_objective",
                fields={field: "not valid"},
            )
