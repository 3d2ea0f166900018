"""Celery tasks: fill the queues. All are safe to run twice; a run belongs to whoever holds its row lock."""

import logging
from collections.abc import Callable

from celery import shared_task
from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from labeling.models import Project, Question
from labeling.services import sweeps
from labeling.wakeup import awake, wake
from sampling import selectors
from sampling.models import AskPolicy, RefillShard
from sampling.services import (
    ask_counters,
    ask_log,
    ask_policies,
    control_arm,
    features,
    objectives,
    refill,
    sharding,
    surrogates,
)

logger = logging.getLogger(__name__)

RUN = "sampling.refill"
CHECK_WATERMARK = "sampling.check_watermark"
SCORE_SHARD = "sampling.score_shard"
MAKE_FEATURES = "sampling.make_features"
TRAIN_SURROGATE = "sampling.train_surrogate"
COMPARE_ARMS = "sampling.compare_arms"

_SOFT_SECONDS = 600
_HARD_SECONDS = 660
_TRANSIENT = (OperationalError, InterfaceError)


@shared_task(
    name=RUN,
    soft_time_limit=_SOFT_SECONDS,
    time_limit=_HARD_SECONDS,
    autoretry_for=_TRANSIENT,
    retry_backoff=2,
    max_retries=3,
)
def run_refill(run_id: int) -> None:
    awake(RUN, run_id)
    _begin(run_id)


@shared_task(
    name=SCORE_SHARD,
    soft_time_limit=_SOFT_SECONDS,
    time_limit=_HARD_SECONDS,
    autoretry_for=_TRANSIENT,
    retry_backoff=2,
    max_retries=3,
)
def score_shard(shard_id: int) -> None:
    """Summarise a range of a large pool; the worker that ends a run's last one draws the batch."""
    awake(SCORE_SHARD, shard_id)
    run_id = RefillShard.objects.filter(pk=shard_id).values_list("run", flat=True).first()
    try:
        completed = sharding.summarise(shard_id, now=timezone.now())
    except ValueError as error:
        if run_id is not None:
            refill.fail(run_id, message=str(error), now=timezone.now())
        return
    if completed is not None:
        _execute(completed)


@shared_task(name=CHECK_WATERMARK, soft_time_limit=_SOFT_SECONDS, time_limit=_HARD_SECONDS)
def check_watermark(project_id: int) -> None:
    """Refill the project's queue if it is low or another model is the champion."""
    awake(CHECK_WATERMARK, project_id)
    run = refill.request_if_needed(project_id, now=timezone.now())
    if run is not None:
        _execute_if_possible(run.pk)


@shared_task(name="sampling.sweep_watermarks", soft_time_limit=60, time_limit=90)
def sweep_watermarks() -> None:
    """Check every project whose queue needs it, in case nobody told."""
    for need in selectors.refill_needs(now=timezone.now()):
        wake(CHECK_WATERMARK, need.project_id)


@shared_task(name="sampling.sweep_refills", soft_time_limit=_SOFT_SECONDS, time_limit=_HARD_SECONDS)
def sweep_refills() -> None:
    """Execute what is pending, because its message was lost or its worker died. A run at work is passed over."""
    for run_id in selectors.lost_runs():
        _execute_if_possible(run_id)


@shared_task(name=MAKE_FEATURES, soft_time_limit=_SOFT_SECONDS, time_limit=_HARD_SECONDS)
def make_features(project_id: int) -> None:
    """Give items vectors where refills look at them. A project that another worker is at is passed over."""
    awake(MAKE_FEATURES, project_id)
    project = Project.objects.get(pk=project_id)
    try:
        if features.is_due(project):
            features.build(project, now=timezone.now())
    except _TRANSIENT as error:
        logger.warning("vectors of project %s could not be made now; the next sweep will try: %s", project_id, error)


@shared_task(name=TRAIN_SURROGATE, soft_time_limit=_SOFT_SECONDS, time_limit=_HARD_SECONDS)
def train_surrogate(project_id: int) -> None:
    """Train a surrogate where one is to score the pool and labels are new. One that another worker is at is passed over."""
    awake(TRAIN_SURROGATE, project_id)
    project = Project.objects.get(pk=project_id)
    try:
        trained = surrogates.train(project, now=timezone.now())
    except _TRANSIENT as error:
        logger.warning("no surrogate of project %s now; the next sweep will try: %s", project_id, error)
        return
    if trained is not None:
        logger.info("project %s has %s: %s", project_id, trained, trained.message or trained.state)


@shared_task(name=COMPARE_ARMS, soft_time_limit=_SOFT_SECONDS, time_limit=_HARD_SECONDS)
def compare_arms(project_id: int) -> None:
    """Compare chosen with random labels if labels have grown. A project that another worker is at is passed over."""
    awake(COMPARE_ARMS, project_id)
    project = Project.objects.get(pk=project_id)
    try:
        compared = control_arm.refresh(project, now=timezone.now())
    except _TRANSIENT as error:
        logger.warning("no comparison of arms of project %s now; the next sweep will try: %s", project_id, error)
        return
    if compared is not None:
        logger.info("project %s after %s labels: %s", project_id, compared.label_count, compared.reason)


@shared_task(name="sampling.sweep_features", soft_time_limit=60, time_limit=90)
def sweep_features() -> None:
    _wake_where(features.is_due, MAKE_FEATURES, Project.objects.filter(queue_paused_at__isnull=True))


@shared_task(name="sampling.sweep_surrogates", soft_time_limit=60, time_limit=90)
def sweep_surrogates() -> None:
    _wake_where(surrogates.is_due, TRAIN_SURROGATE, Project.objects.filter(queue_paused_at__isnull=True))


@shared_task(name="sampling.sweep_control_arms", soft_time_limit=60, time_limit=90)
def sweep_control_arms() -> None:
    _wake_where(control_arm.is_due, COMPARE_ARMS, Project.objects.all())


def _wake_where(is_due: Callable[[Project], bool], name: str, projects: QuerySet[Project]) -> None:
    """Wake the task for every project where it is due; one project's trouble does not stop the others."""
    for project in projects.order_by("pk"):
        try:
            if is_due(project):
                wake(name, project.pk)
        except SoftTimeLimitExceeded:
            raise
        except Exception:
            logger.exception("could not check whether %s is due for project %s", name, project.pk)


@shared_task(name="sampling.sweep_questions", soft_time_limit=60, time_limit=90)
def sweep_questions() -> None:
    """End the questions that have what they were asked for, or whose time is over."""
    for project in Project.objects.filter(questions__state=Question.State.LIVE).distinct():
        try:
            objectives.end_reached(project, now=timezone.now())
        except _TRANSIENT as error:
            logger.warning("questions of project %s were not looked at; the next sweep will: %s", project.pk, error)


@shared_task(name="sampling.sweep_ask_counters", soft_time_limit=60, time_limit=90)
def sweep_ask_counters() -> None:
    """Count the asks of budget periods anew: what a request that died had reserved comes free."""
    for project in Project.objects.filter(Exists(AskPolicy.objects.filter(project=OuterRef("pk")))):
        now = timezone.now()
        policy = ask_policies.current_policy(project)
        since = ask_policies.budget_since(project, policy).timestamp()
        window = ask_counters.window_of(project.pk, ask_policies.pure(policy), anchor=since, now=now)
        try:
            ask_counters.rebuild(window, now=now)
        except (*_TRANSIENT, ask_counters.CountersDown) as error:
            logger.warning("asks of project %s were not counted anew; the next sweep will: %s", project.pk, error)


@shared_task(name="sampling.forget_old_decisions", soft_time_limit=1_800, time_limit=1_860, acks_late=True)
def forget_old_decisions() -> None:
    """Hold the log of asking to the days that projects and the installation allow; by default it is kept for ever."""

    def forget(project: Project) -> None:
        if deleted := ask_log.delete_old_decisions(project, now=timezone.now()):
            logger.info("project %s: deleted %s old decisions of asking", project.pk, deleted)

    sweeps.for_each_project(forget, failing="old decisions of asking could not be deleted")


def _execute_if_possible(run_id: int) -> None:
    try:
        _begin(run_id)
    except _TRANSIENT as error:
        logger.warning("refill run %s could not be executed now; the next sweep will try: %s", run_id, error)


def _begin(run_id: int) -> None:
    """Execute the run, or hand its shards out to the workers."""
    shards = refill.split(run_id, now=timezone.now(), items_a_shard=settings.REFILL_ITEMS_PER_SHARD)
    for shard_id in shards:
        wake(SCORE_SHARD, shard_id)
    if not shards:
        _execute(run_id)


def _execute(run_id: int) -> None:
    try:
        run = refill.execute(run_id, now=timezone.now())
    except (*_TRANSIENT, SoftTimeLimitExceeded):
        raise  # the run is pending still, and limited in its attempts
    except Exception as error:
        # The edge: whatever it is, a run that cannot be executed must not be tried for ever.
        logger.exception("refill run %s failed", run_id)
        refill.fail(run_id, message=f"Unexpected error: {error}", now=timezone.now())
        return
    logger.info(
        "refill run %s is %s: %s of %s items queued, %s",
        *(run.pk, run.state, run.selected_count, run.pool_size, run.message or "no remarks"),
    )
