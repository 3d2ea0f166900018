"""/projects/{slug}/tasks: what annotators do, and the listing for those who manage the queue."""

import datetime as dt

from django.contrib.auth.models import User
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from labeling import selectors
from labeling.access import Capability
from labeling.api import fast_json
from labeling.api.task_serializers import (
    AnsweredSerializer,
    AnswerSerializer,
    DraftSavedSerializer,
    DraftSerializer,
    HeartbeatSerializer,
    HeldSerializer,
    LeaseSerializer,
    QueuedTaskSerializer,
    ServedOnTheWire,
    ServedSerializer,
    SkippedSerializer,
    SkipSerializer,
    TaskFilters,
    TaskOnTheWire,
    UndoneSerializer,
    UndoSerializer,
    WantedSerializer,
    served_on_the_wire,
    tasks_on_the_wire,
)
from labeling.edges import IdCursorPagination, ProjectView
from labeling.errors import NotAllowed
from labeling.models import AnnotationTask, Skip
from labeling.selectors import QueueCounts
from labeling.services import annotation_queue, answers


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

    capabilities = {"POST": Capability.ANNOTATE, "PUT": Capability.ANNOTATE}

    @property
    def annotator(self) -> User:
        if self.caller.user is None:
            raise NotAllowed("Annotations are made by people, not with an API key.", code="permission_denied")
        return self.caller.user

    def claim(self, limit: int, now: dt.datetime) -> list[AnnotationTask]:
        if not self.project.is_queue_open:
            return []
        return annotation_queue.claim(
            self.project,
            annotator=self.annotator,
            now=now,
            limit=limit,
            skills=self.caller.skills,
            is_in_training=self.caller.is_in_training,
        )

    def served(
        self, tasks: list[AnnotationTask], now: dt.datetime, answered_today: int | None = None
    ) -> ServedOnTheWire:
        """The claimed tasks, what is going on, and why there is no task, if there is none."""
        annotator, project = self.annotator, self.project
        nothing = None
        if not tasks:
            nothing = annotation_queue.why_nothing(
                project,
                annotator=annotator,
                now=now,
                skills=self.caller.skills,
                is_in_training=self.caller.is_in_training,
            )
        if answered_today is None:
            answered_today = selectors.answered_today(project.pk, annotator.pk, now)
        counts = QueueCounts(*selectors.recent_queue_size(project.pk, now), answered_today)
        return served_on_the_wire(self.on_the_wire(tasks), counts, nothing)

    def on_the_wire(self, tasks: list[AnnotationTask]) -> list[TaskOnTheWire]:
        if not tasks or self.caller.label_schema_id is None:
            return []
        return tasks_on_the_wire(
            tasks,
            project=self.project,
            annotator_id=self.annotator.pk,
            label_schema=selectors.schema_of(self.caller.label_schema_id),
            label_schema_version=self.caller.label_schema_version,
        )


class NextTasks(AnnotatorView):
    @extend_schema(
        operation_id="tasks_next",
        summary="Get the next tasks",
        parameters=[OpenApiParameter("limit", int, description="In the address or in the body.", default=1)],
        request=WantedSerializer,
        responses=ServedSerializer,
    )
    def post(self, request: Request, slug: str) -> HttpResponse:
        """Lease up to `limit` tasks to you: those you hold already first, so a reload shows the same again.

        200 also when there is none: `reason` then says why.
        """
        data = request.data
        if isinstance(data, dict) and "limit" in request.query_params:
            data = {"limit": request.query_params["limit"], **data}
        wanted = fast_json.read(data, fast_json.Wanted, WantedSerializer)
        now = timezone.now()
        return fast_json.answer(self.served(self.claim(wanted.limit, now), now))


class SubmitTask(AnnotatorView):
    @extend_schema(
        operation_id="tasks_submit",
        summary="Answer a task",
        request=AnswerSerializer,
        responses={201: AnsweredSerializer},
    )
    def post(self, request: Request, slug: str, task_id: int) -> HttpResponse:
        """Answer a task that is leased to you, and get the next ones in the same round trip.

        409 `lease_expired`, `not_leased`, `already_answered` or `task_closed`; 400 `invalid_answer` or `unknown_class`.
        """
        given, now = fast_json.read(request.data, fast_json.Given, AnswerSerializer), timezone.now()
        recorded = annotation_queue.submit_and_claim(
            task_id,
            project=self.project,
            annotator=self.annotator,
            answer=given.answer,
            duration_ms=given.duration_ms,
            suggested_answer=given.suggested_answer,
            comment=given.comment,
            is_flagged=given.is_flagged,
            limit=given.next,
            now=now,
            skills=self.caller.skills,
            is_in_training=self.caller.is_in_training,
            label_schema_id=self.caller.label_schema_id,
        )
        served = self.served(recorded.tasks, now, recorded.answered_today) if given.next else None
        content = {"annotation_id": recorded.annotation.pk, "next": served}
        return fast_json.answer(content, status=status.HTTP_201_CREATED)


class SkipTask(AnnotatorView):
    @extend_schema(
        operation_id="tasks_skip", summary="Pass a task by", request=SkipSerializer, responses=SkippedSerializer
    )
    def post(self, request: Request, slug: str, task_id: int) -> HttpResponse:
        """Put a task off (`later`), leave it to others (`someone_else`), or call its item `unusable`, with the reason."""
        form = SkipSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        given, now = form.validated_data, timezone.now()
        annotation_queue.skip(
            task_id,
            project=self.project,
            annotator=self.annotator,
            kind=Skip.Kind(given["kind"]),
            reason=given["reason"],
            minutes=given["minutes"],
            now=now,
        )
        return fast_json.answer({"next": self.served(self.claim(given["next"], now), now) if given["next"] else None})


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


class ExtendTasks(AnnotatorView):
    @extend_schema(
        operation_id="tasks_extend_all",
        summary="Extend several leases",
        request=HeartbeatSerializer,
        responses=HeldSerializer,
    )
    def post(self, request: Request, slug: str) -> Response:
        """The heartbeat of a page that holds several tasks; the answer names those that are still yours."""
        form = HeartbeatSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        until, held = annotation_queue.extend_all(
            self.project, form.validated_data["task_ids"], annotator=self.annotator, now=timezone.now()
        )
        return Response({"lease_expires_at": until, "task_ids": sorted(held)})


class UndoAnswer(AnnotatorView):
    @extend_schema(
        operation_id="tasks_undo", summary="Take back an answer", request=UndoSerializer, responses=UndoneSerializer
    )
    def post(self, request: Request, slug: str) -> HttpResponse:
        """Your last one, or the one named; its task is leased to you again.

        409 `nothing_to_undo` if there is no such recent answer of yours, `asked_again` if its item is in the queue again.
        Naming the answer makes it safe to repeat.
        """
        form = UndoSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        undone = answers.undo(
            self.project,
            annotator=self.annotator,
            now=timezone.now(),
            annotation_id=form.validated_data["annotation_id"],
        )
        tasks = self.on_the_wire([undone.task] if undone.task else [])
        content = {
            "task": tasks[0] if tasks else None,
            "annotation_id": undone.annotation.pk,
            "undone": undone.annotation.answer,
        }
        return fast_json.answer(content)


class TaskDraft(AnnotatorView):
    @extend_schema(
        operation_id="tasks_save_draft", summary="Keep a draft", request=DraftSerializer, responses=DraftSavedSerializer
    )
    def put(self, request: Request, slug: str, task_id: int) -> Response:
        """What you have written so far of a task that is leased to you; it comes back with the task.

        409 `draft_outdated` when a version is there that is not older.
        """
        form = DraftSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        draft = answers.save_draft(
            self.project, task_id, annotator=self.annotator, now=timezone.now(), **form.validated_data
        )
        return Response({"version": draft.version})
