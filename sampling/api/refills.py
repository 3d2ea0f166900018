"""GET, POST /projects/{slug}/refills, one refill run, and its replay."""

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from labeling.access import Capability
from labeling.edges import NewestFirstPagination, ProjectView
from labeling.wakeup import wake
from sampling import selectors, tasks
from sampling.api.serializers import NewRefillSerializer, RefillRunSerializer, ReplaySerializer
from sampling.errors import NotReplayable
from sampling.models import RefillRun
from sampling.services import refill, replay


class RefillList(ProjectView):
    capabilities = {"GET": Capability.READ, "POST": Capability.MANAGE}
    pagination_class = NewestFirstPagination

    @extend_schema(operation_id="refills_list", summary="List refill runs", responses=RefillRunSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """Every scoring of the pool and the batch it drew, the newest first."""
        paginator = self.pagination_class()
        page = paginator.paginate_queryset(selectors.refill_runs(self.project), request, view=self)
        return paginator.get_paginated_response(RefillRunSerializer(page, many=True).data)

    @extend_schema(
        operation_id="refills_create",
        summary="Fill the queue",
        request=NewRefillSerializer,
        responses={202: RefillRunSerializer},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Score the pool and fill the queue up to the policy's batch size; a worker does it.

        The run that waits already is returned, if there is one. 409 `queue_paused`.
        """
        wanted = NewRefillSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        run = refill.request(
            self.project,
            trigger=RefillRun.Trigger.MANUAL,
            by=self.caller.user,
            replaces_open_tasks=wanted.validated_data["replaces_open_tasks"],
            seed=wanted.validated_data["seed"],
        )
        # Committed already. A message that is lost here is made up for by the sweep.
        wake(tasks.RUN, run.pk)
        return Response(RefillRunSerializer(run).data, status=status.HTTP_202_ACCEPTED)


class RefillDetail(ProjectView):
    capabilities = {"GET": Capability.READ}

    @extend_schema(operation_id="refills_read", summary="Read a refill run", responses=RefillRunSerializer)
    def get(self, request: Request, slug: str, run_id: int) -> Response:
        """One run: its policy, model, seed, counts and durations. Its tasks carry its `batch`."""
        return Response(RefillRunSerializer(selectors.refill_run(self.project, run_id)).data)


class RefillReplay(ProjectView):
    capabilities = {"POST": Capability.READ}

    @extend_schema(
        operation_id="refills_replay", summary="Replay a refill run", request=None, responses=ReplaySerializer
    )
    def post(self, request: Request, slug: str, run_id: int) -> Response:
        """Draw the run's batch again from what it could draw then, and compare. Changes nothing.

        409 `not_replayable` for a run that drew nothing, or whose pool is no longer on record.
        """
        run = selectors.refill_run(self.project, run_id)
        try:
            said = replay.replay(run)
        except ValueError as error:
            raise NotReplayable(str(error)) from error
        return Response(ReplaySerializer(said).data)
