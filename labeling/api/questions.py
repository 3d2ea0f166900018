"""Questions to respondents."""

from dataclasses import replace
from typing import Any

from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from labeling import question_catalogue
from labeling.access import Capability
from labeling.api.question_serializers import (
    NewQuestionSerializer,
    QuestionChangesSerializer,
    QuestionDetailSerializer,
    QuestionSerializer,
)
from labeling.edges import IdCursorPagination, ProjectView
from labeling.errors import Conflict, NotFound
from labeling.models import Question
from labeling.services import questions
from labeling.services.questions import Wording

_WORDING = ("definition", "objective", "target_answers", "target_half_width", "deadline", "epsilon")


class QuestionList(ProjectView):
    capabilities = {"GET": Capability.READ, "POST": Capability.MANAGE}
    pagination_class = IdCursorPagination

    @extend_schema(operation_id="questions_list", summary="List questions", responses=QuestionSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """Each with its newest wording."""
        paginator = self.pagination_class()
        page = paginator.paginate_queryset(question_catalogue.listing(self.project), request, view=self)
        return paginator.get_paginated_response(QuestionSerializer(page, many=True).data)

    @extend_schema(
        operation_id="questions_create",
        summary="Create a question",
        request=NewQuestionSerializer,
        responses={201: QuestionDetailSerializer},
    )
    def post(self, request: Request, slug: str) -> Response:
        """It is live from now on.

        400 `invalid_question`, `not_private`, `invalid_objective`; 409 `question_exists`.
        """
        wanted = NewQuestionSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        given = dict(wanted.validated_data)
        key, kind = given.pop("key"), given.pop("kind")
        version = questions.create(self.project, key=key, kind=kind, wording=Wording(**given), by=self.caller.user)
        return Response(QuestionDetailSerializer(version.question).data, status=status.HTTP_201_CREATED)


class QuestionDetail(ProjectView):
    capabilities = {"GET": Capability.READ, "PATCH": Capability.MANAGE}

    @extend_schema(operation_id="questions_read", summary="Read a question", responses=QuestionDetailSerializer)
    def get(self, request: Request, slug: str, key: str) -> Response:
        """With all its wordings."""
        return Response(QuestionDetailSerializer(self._question(key)).data)

    @extend_schema(
        operation_id="questions_change",
        summary="Word a question anew, pause, resume or end it",
        request=QuestionChangesSerializer,
        responses=QuestionDetailSerializer,
    )
    @transaction.atomic
    def patch(self, request: Request, slug: str, key: str) -> Response:
        """What is given of the wording makes a new version; what is left out stays. The kind never changes.

        400 as for a new question; 409 `question_ended` for pausing one that has ended.
        """
        wanted = QuestionChangesSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        given: dict[str, Any] = wanted.validated_data
        question = self._question(key)
        changes = {name: given[name] for name in _WORDING if name in given}
        if changes:
            before = questions.wording_of(question_catalogue.newest_version(question))
            questions.new_version(question, wording=replace(before, **changes), by=self.caller.user)
        match given.get("state"):
            case Question.State.LIVE:
                questions.resume(question)
            case Question.State.PAUSED:
                if not questions.pause(question) and question.state == Question.State.ENDED:
                    raise Conflict("The question has ended; it can be resumed.", code="question_ended")
            case Question.State.ENDED:
                questions.end(question, reason=given.get("reason", "Ended by a person."))
        return Response(QuestionDetailSerializer(self._question(key)).data)

    def _question(self, key: str) -> Question:
        question = Question.objects.filter(project=self.project, key=key).prefetch_related("versions").first()
        if question is None:
            raise NotFound("No such question.", code="question_not_found")
        return question
