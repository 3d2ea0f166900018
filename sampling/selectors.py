"""Reads over policies, refill runs and the facts they rest on."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.db.models import Count, Exists, F, IntegerField, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce

from labeling import selectors as labeling_selectors
from labeling.models import EmbeddingSpace, ModelVersion, PoolEntry, Prediction, Project
from labeling.schema import KINDS
from labeling.selectors import servable_tasks
from labeling.splitting import AUDIT_RESERVE_END
from sampling.errors import RefillNotFound
from sampling.models import AskPolicy, QueuePolicy, RefillRun, Surrogate

FAILURE_PAUSE: Final = dt.timedelta(minutes=5)
"""How long after a failed refill no other one starts by itself: what made it fail seldom mends in seconds."""


@dataclass(frozen=True)
class RefillNeed:
    """A project whose queue should be filled now, and why."""

    project_id: int
    trigger: RefillRun.Trigger


def scoring_champion(project: Project) -> ModelVersion | None:
    """The champion, once it has predicted anything; before that it cannot say what is worth asking."""
    return ModelVersion.objects.filter(_has_predictions(), project=project, stage=ModelVersion.Stage.CHAMPION).first()


def wants_surrogate(project: Project, policy: QueuePolicy) -> bool:
    """Whether a surrogate is to score the pool: the policy says so, or no champion does."""
    sources = QueuePolicy.ScoreSource
    if policy.score_source == sources.CHAMPION:
        return False
    if KINDS[labeling_selectors.current_schema(project).kind].prediction_form != "distribution":
        return False
    if policy.score_source == sources.AUTO:
        return scoring_champion(project) is None
    return policy.score_source == sources.SURROGATE


def newest_surrogate(project: Project, space: EmbeddingSpace | None) -> Surrogate | None:
    """The surrogate that scores vectors of that space: the newest that could be trained."""
    ready = Surrogate.objects.filter(project=project, state=Surrogate.State.READY, space=space)
    return ready.order_by("-number").first() if space else None


def newest_success(project: Project) -> RefillRun | None:
    return RefillRun.objects.filter(project=project, state=RefillRun.State.SUCCEEDED).order_by("-id").first()


def policy_versions(project: Project) -> QuerySet[QueuePolicy]:
    return QueuePolicy.objects.filter(project=project).select_related("created_by")


def ask_policy_versions(project: Project) -> QuerySet[AskPolicy]:
    return AskPolicy.objects.filter(project=project).select_related("created_by")


def refill_runs(project: Project) -> QuerySet[RefillRun]:
    return RefillRun.objects.filter(project=project).select_related(
        "project", "policy", "model_version", "surrogate", "space", "created_by"
    )


def refill_run(project: Project, run_id: int) -> RefillRun:
    """Raises RefillNotFound."""
    run = refill_runs(project).filter(pk=run_id).first()
    if run is None:
        raise RefillNotFound("No such refill run.")
    return run


def lost_runs() -> list[int]:
    """Runs that wait to be executed, in case a message was lost or a worker died."""
    pending = RefillRun.objects.filter(state=RefillRun.State.PENDING, project__queue_paused_at__isnull=True)
    return list(pending.order_by("id").values_list("pk", flat=True))


def refill_needs(*, now: dt.datetime, project_ids: Sequence[int] | None = None) -> list[RefillNeed]:
    """The projects, out of all or of those given, whose queue should be filled now; one statement.

    A queue needs it when fewer tasks than the low watermark can be served while the pool has items to draw, or when
    another model than the last refill's is the champion. Paused projects do not, nor those where a refill failed just
    now. The pool is asked for one item only, so the cost does not depend on its size.
    """
    defaults = QueuePolicy()
    policies = QueuePolicy.objects.filter(project=OuterRef("pk")).order_by("-version")
    last = RefillRun.objects.filter(project=OuterRef("pk"), state=RefillRun.State.SUCCEEDED).order_by("-id")
    champion = ModelVersion.objects.filter(
        _has_predictions(), project=OuterRef("pk"), stage=ModelVersion.Stage.CHAMPION
    )
    failed_now = RefillRun.objects.filter(
        project=OuterRef("pk"), state=RefillRun.State.FAILED, finished_at__gt=now - FAILURE_PAUSE
    )
    servable = servable_tasks().filter(project=OuterRef("pk")).order_by().values("project").annotate(n=Count("pk"))
    available = PoolEntry.objects.filter(project=OuterRef("pk"), state=PoolEntry.State.AVAILABLE)
    projects = Project.objects.filter(~Exists(failed_now), queue_paused_at__isnull=True)
    if project_ids is not None:
        projects = projects.filter(pk__in=project_ids)
    rows = (
        projects.annotate(
            low_watermark=Coalesce(Subquery(policies.values("low_watermark")[:1]), Value(defaults.low_watermark)),
            epsilon=Coalesce(Subquery(policies.values("epsilon")[:1]), Value(defaults.epsilon)),
            last_id=Subquery(last.values("pk")[:1]),
            last_model_id=Coalesce(Subquery(last.values("model_version")[:1]), 0),
            champion_id=Coalesce(Subquery(champion.values("pk")[:1]), 0),
            servable_count=Coalesce(Subquery(servable.values("n"), output_field=IntegerField()), 0),
        )
        .annotate(
            has_another_model=Q(last_id__isnull=False) & ~Q(champion_id=F("last_model_id")),
            is_low=Q(servable_count__lt=F("low_watermark"))
            & (
                # With epsilon 0 the audit reserve is never drawn, and with 1 nothing else is.
                Q(Exists(available), epsilon__gt=0, epsilon__lt=1)
                | Q(Exists(available.filter(bucket__gte=AUDIT_RESERVE_END)), epsilon=0)
                | Q(Exists(available.filter(bucket__lt=AUDIT_RESERVE_END)), epsilon=1)
            ),
        )
        .filter(Q(has_another_model=True) | Q(is_low=True))
        .order_by("pk")
        .values_list("pk", "has_another_model")
    )
    trigger = RefillRun.Trigger
    return [
        RefillNeed(project_id, trigger.PROMOTION if has_another_model else trigger.QUEUE_LOW)
        for project_id, has_another_model in rows
    ]


def _has_predictions() -> Exists:
    return Exists(Prediction.objects.filter(model_version=OuterRef("pk")))
