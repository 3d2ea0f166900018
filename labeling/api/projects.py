"""Projects and their label schemas."""

from dataclasses import asdict

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling import selectors
from labeling.access import Capability
from labeling.api.serializers import (
    LabelSchemaSerializer,
    NewLabelSchemaSerializer,
    NewProjectSerializer,
    ProjectChangesSerializer,
    ProjectDetailSerializer,
    ProjectSerializer,
)
from labeling.edges import IdCursorPagination, ProjectView, require
from labeling.errors import NotAllowed
from labeling.models import ApiKey, LabelSchema, Project
from labeling.services import projects


class ProjectList(APIView):
    pagination_class = IdCursorPagination

    @extend_schema(operation_id="projects_list", summary="List projects", responses=ProjectSerializer(many=True))
    def get(self, request: Request) -> Response:
        """The projects you have a part in; for an API key, the one it belongs to."""
        paginator = self.pagination_class()
        page = paginator.paginate_queryset(_visible(request), request, view=self)
        return paginator.get_paginated_response(ProjectSerializer(page, many=True).data)

    @extend_schema(
        operation_id="projects_create",
        summary="Create a project",
        request=NewProjectSerializer,
        responses={201: ProjectDetailSerializer},
    )
    def post(self, request: Request) -> Response:
        """Any person who is logged in may, and owns the project then. API keys may not."""
        if not isinstance(request.user, User):
            raise NotAllowed("Only a person can create a project.", code="person_required")
        wanted = NewProjectSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        project = projects.create(**wanted.validated_data, by=request.user)
        return Response(_detail(project), status=status.HTTP_201_CREATED)


class ProjectDetail(ProjectView):
    capabilities = {"PATCH": Capability.MANAGE}

    @extend_schema(operation_id="projects_read", summary="Read a project", responses=ProjectDetailSerializer)
    def get(self, request: Request, slug: str) -> Response:
        """With the label schema in force and the number of items in each state."""
        if not self.caller.may(Capability.ANNOTATE):
            require(self.caller, Capability.READ)
        return Response(_detail(self.project))

    @extend_schema(
        operation_id="projects_change",
        summary="Change a project",
        request=ProjectChangesSerializer,
        responses=ProjectDetailSerializer,
    )
    def patch(self, request: Request, slug: str) -> Response:
        """Name, objective, how it is labelled, or whether the queue is paused."""
        wanted = ProjectChangesSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        changes = wanted.validated_data
        is_paused = changes.pop("is_paused", None)
        projects.describe(self.project, **changes)
        if is_paused is not None:
            if is_paused:
                projects.pause_queue(self.project, now=timezone.now())
            else:
                projects.resume_queue(self.project)
        return Response(_detail(self.project))


class LabelSchemaList(ProjectView):
    capabilities = {"POST": Capability.MANAGE}
    pagination_class = IdCursorPagination

    @extend_schema(
        operation_id="schemas_list", summary="List label schemas", responses=LabelSchemaSerializer(many=True)
    )
    def get(self, request: Request, slug: str) -> Response:
        """All versions; the last one is in force."""
        if not self.caller.may(Capability.ANNOTATE):
            require(self.caller, Capability.READ)
        paginator = self.pagination_class()
        page = paginator.paginate_queryset(LabelSchema.objects.filter(project=self.project), request, view=self)
        return paginator.get_paginated_response(LabelSchemaSerializer(page, many=True).data)

    @extend_schema(
        operation_id="schemas_create",
        summary="Put a new label schema in force",
        request=NewLabelSchemaSerializer,
        responses={201: LabelSchemaSerializer},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Earlier answers keep the version they were given under. The same definition again makes no new version.

        409 `schema_kind_fixed` for another kind, once the project has annotations or model versions.
        """
        wanted = NewLabelSchemaSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        version = projects.new_schema_version(self.project, **wanted.validated_data, by=self.caller.user)
        return Response(LabelSchemaSerializer(version).data, status=status.HTTP_201_CREATED)


def _visible(request: Request) -> QuerySet[Project]:
    if isinstance(request.auth, ApiKey):
        if request.auth.kind != ApiKey.Kind.SECRET:
            raise NotAllowed("A publishable key cannot read projects.", code="permission_denied")
        return Project.objects.filter(pk=request.auth.project_id)
    if not isinstance(request.user, User):
        return Project.objects.none()
    return selectors.visible_projects(request.user)


def _detail(project: Project) -> dict[str, object]:
    champion = selectors.champion(project)
    return {
        **ProjectSerializer(project).data,
        "label_schema": LabelSchemaSerializer(selectors.current_schema(project)).data,
        "champion": champion.name if champion else None,
        "item_counts": asdict(selectors.item_counts(project)),
    }
