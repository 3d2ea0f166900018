"""/projects/{slug}/tasks: what annotators do, and the listing for those who manage the queue."""

import datetime as dt

from django.contrib.auth.models import User
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from labeling import selectors
from labeling.access import Capability
from labeling.api.task_serializers import (
    AnsweredSerializer,
    AnswerSerializer,
    LeaseSerializer,
    QueuedTaskSerializer,
    ServedOnTheWire,
    ServedSerializer,
    SkippedSerializer,
    SkipSerializer,
    TaskFilters,
    UndoneSerializer,
    WantedSerializer,
    served_on_the_wire,
    task_on_the_wire,
)
from labeling.edges import IdCursorPagination, ProjectView
from labeling.errors import NotAllowed
from labeling.models import AnnotationTask
from labeling.services import annotation_queue


class TaskList(ProjectView):
    capabilities = {"GET": Capability.READ}
    pagination_class = IdCursorPagination

    @extend_schema(
        operation_id="tasks_list",
        summary="List annotation tasks",
        parameters=[TaskFilters],
        responses=QueuedTaskSerializer(many=True),
    )
    def get(self, request: Request, slug: str) -> Response:
        """What is or was in the queue and why, in the order of the draws."""
        filters = TaskFilters(data=request.query_params.dict())
        filters.is_valid(raise_exception=True)
        wanted = {name: value for name, value in filters.validated_data.items() if value is not None}
        if (item_key := wanted.pop("item_key", None)) is not None:
            wanted["item__key"] = item_key
        tasks = selectors.queue_listing(self.project).filter(**wanted).defer("item__payload", "item__segments")
        paginator = self.pagination_class()
        page = paginator.paginate_queryset(tasks, request, view=self)
        return paginator.get_paginated_response(QueuedTaskSerializer(page, many=True).data)


class AnnotatorView(ProjectView):
    """What an annotator does. Annotations are by people: no API key has the permission."""

    capabilities = {"POST": Capability.ANNOTATE}

    @property
    def annotator(self) -> User:
        if self.caller.user is None:
            raise NotAllowed("Annotations are made by people, not with an API key.", code="permission_denied")
        return self.caller.user

    def claim(self, limit: int, now: dt.datetime) -> list[AnnotationTask]:
        if not self.project.is_queue_open:
            return []
        return annotation_queue.claim(self.project, annotator=self.annotator, now=now, limit=limit)

    def served(self, tasks: list[AnnotationTask], now: dt.datetime) -> ServedOnTheWire:
        """The claimed tasks, what is going on, and why there is no task, if there is none."""
        annotator, project = self.annotator, self.project
        nothing = None if tasks else annotation_queue.why_nothing(project, annotator=annotator, now=now)
        return served_on_the_wire(tasks, selectors.queue_state(project, annotator=annotator, now=now), nothing)


class NextTasks(AnnotatorView):
    @extend_schema(
        operation_id="tasks_next",
        summary="Get the next tasks",
        parameters=[OpenApiParameter("limit", int, description="In the address or in the body.", default=1)],
        request=WantedSerializer,
        responses=ServedSerializer,
    )
    def post(self, request: Request, slug: str) -> Response:
        """Lease up to `limit` tasks to you: those you hold already first, so a reload shows the same again.

        200 also when there is none: `reason` then says why.
        """
        data = request.data
        if isinstance(data, dict) and "limit" in request.query_params:
            data = {"limit": request.query_params["limit"], **data}
        wanted = WantedSerializer(data=data)
        wanted.is_valid(raise_exception=True)
        now = timezone.now()
        return Response(self.served(self.claim(wanted.validated_data["limit"], now), now))


class SubmitTask(AnnotatorView):
    @extend_schema(
        operation_id="tasks_submit",
        summary="Answer a task",
        request=AnswerSerializer,
        responses={201: AnsweredSerializer},
    )
    def post(self, request: Request, slug: str, task_id: int) -> Response:
        """Answer a task that is leased to you, and get the next ones in the same round trip.

        409 `lease_expired`, `not_leased`, `already_answered` or `task_closed`; 400 `invalid_answer` or `unknown_class`.
        """
        form = AnswerSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        given, now = form.validated_data, timezone.now()
        annotation, tasks = annotation_queue.submit_and_claim(
            task_id,
            project=self.project,
            annotator=self.annotator,
            answer=given["answer"],
            duration_ms=given["duration_ms"],
            suggested_answer=given["suggested_answer"],
            comment=given["comment"],
            is_flagged=given["is_flagged"],
            limit=given["next"],
            now=now,
        )
        served = self.served(tasks, now) if given["next"] else None
        return Response({"annotation_id": annotation.pk, "next": served}, status=status.HTTP_201_CREATED)


class SkipTask(AnnotatorView):
    @extend_schema(
        operation_id="tasks_skip", summary="Pass a task by", request=SkipSerializer, responses=SkippedSerializer
    )
    def post(self, request: Request, slug: str, task_id: int) -> Response:
        """Leave a task to others; its item does not come back to you."""
        form = SkipSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        given, now = form.validated_data, timezone.now()
        annotation_queue.skip(task_id, project=self.project, annotator=self.annotator, reason=given["reason"], now=now)
        return Response({"next": self.served(self.claim(given["next"], now), now) if given["next"] else None})


class ReleaseTask(AnnotatorView):
    @extend_schema(operation_id="tasks_release", summary="Give a task back", request=None, responses={204: None})
    def post(self, request: Request, slug: str, task_id: int) -> Response:
        """End your lease: the task is free for everybody, you included."""
        annotation_queue.release(task_id, project=self.project, annotator=self.annotator, now=timezone.now())
        return Response(status=status.HTTP_204_NO_CONTENT)


class ExtendTask(AnnotatorView):
    @extend_schema(operation_id="tasks_extend", summary="Extend a lease", request=None, responses=LeaseSerializer)
    def post(self, request: Request, slug: str, task_id: int) -> Response:
        """The heartbeat of a page that still shows the task."""
        until = annotation_queue.extend(task_id, project=self.project, annotator=self.annotator, now=timezone.now())
        return Response({"lease_expires_at": until})


class UndoAnswer(AnnotatorView):
    @extend_schema(
        operation_id="tasks_undo", summary="Take back your last answer", request=None, responses=UndoneSerializer
    )
    def post(self, request: Request, slug: str) -> Response:
        """The task is leased to you again. 409 `nothing_to_undo` if there is no recent answer of yours."""
        task = annotation_queue.undo(self.project, annotator=self.annotator, now=timezone.now())
        undone = selectors.last_withdrawn(task, annotator=self.annotator)
        version = selectors.current_schema(self.project).version
        return Response({"task": task_on_the_wire(task, version), "undone": undone.answer})
