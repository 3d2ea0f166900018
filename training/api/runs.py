"""GET, POST /projects/{slug}/training-runs and one run."""

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from datasets import selectors as datasets_selectors
from labeling.access import Capability
from labeling.edges import NewestFirstPagination, ProjectView
from training import selectors, tasks
from training.api.serializers import NewTrainingRunSerializer, TrainingRunSerializer
from training.models import TrainingRun
from training.services import runs


class TrainingRunList(ProjectView):
    capabilities = {"GET": Capability.READ, "POST": Capability.MANAGE}
    pagination_class = NewestFirstPagination

    @extend_schema(
        operation_id="training_runs_list", summary="List training runs", responses=TrainingRunSerializer(many=True)
    )
    def get(self, request: Request, slug: str) -> Response:
        """The newest first, with figures on the audit labels."""
        paginator = self.pagination_class()
        page = paginator.paginate_queryset(selectors.training_runs(self.project), request, view=self)
        return paginator.get_paginated_response(TrainingRunSerializer(page, many=True).data)

    @extend_schema(
        operation_id="training_runs_create",
        summary="Start a training run, or report one of your own",
        request=NewTrainingRunSerializer,
        responses={201: TrainingRunSerializer, 202: TrainingRunSerializer},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Without `model_version`: train on a snapshot, a new one unless you name one (202). A worker does it; read the
        run to see how far it is. 409 `training_already_active`, 409 `nothing_to_snapshot`.

        With `model_version` and `snapshot`: record that you trained that version from that snapshot (201), with its
        figures on the audit labels as far as you have posted its predictions.
        """
        wanted = NewTrainingRunSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        asked, now = wanted.validated_data, timezone.now()
        snapshot = datasets_selectors.snapshot(self.project, asked["snapshot"]) if "snapshot" in asked else None
        if "model_version" in asked and snapshot is not None:
            version = selectors.model_version(self.project, asked["model_version"])
            run = runs.report(self.project, version=version, snapshot=snapshot, by=self.caller.user, now=now)
            return Response(TrainingRunSerializer(run).data, status=status.HTTP_201_CREATED)
        run = runs.request(
            self.project,
            trigger=TrainingRun.Trigger.MANUAL,
            by=self.caller.user,
            now=now,
            trainer=asked.get("trainer"),
            snapshot=snapshot,
        )
        tasks.send_run(run.pk)
        return Response(TrainingRunSerializer(run).data, status=status.HTTP_202_ACCEPTED)


class TrainingRunDetail(ProjectView):
    capabilities = {"GET": Capability.READ}

    @extend_schema(operation_id="training_runs_read", summary="Read a training run", responses=TrainingRunSerializer)
    def get(self, request: Request, slug: str, run_id: int) -> Response:
        return Response(TrainingRunSerializer(selectors.training_run(self.project, run_id)).data)
