"""The refill run: read the pool, score it, draw a batch, put it into the queue.

See docs/algorithms/refill.md for the rules, and docs/algorithms/stochastic_acquisition.md for the draw.
"""

import contextlib
import datetime as dt
import secrets
from dataclasses import replace
from time import perf_counter
from typing import Final

import numpy as np
from django.contrib.auth.models import User
from django.db import DatabaseError, OperationalError, transaction
from django.db.models import F

from labeling.errors import QueuePaused
from labeling.models import AnnotationTask, ModelVersion, Project
from labeling.selectors import servable_tasks
from labeling.services import annotation_queue
from labeling.services.annotation_queue import NewTask
from sampling import selectors
from sampling.models import RefillRun
from sampling.services import policies, pool, scoring, sharding
from sampling.services.scoring import Drawn, Plan

MOST_ATTEMPTS: Final = 5
"""A run that was begun so often and never ended kills its worker; it is given up."""

RECORDS_KEPT: Final = 20
"""So many of a project's newest runs can be replayed."""


def request(
    project: Project,
    *,
    trigger: RefillRun.Trigger,
    by: User | None = None,
    replaces_open_tasks: bool = False,
    seed: int | None = None,
) -> RefillRun:
    """Note down that the queue is to be filled; the run that is pending already, if there is one.

    At most one run of a project is pending. Raises QueuePaused.
    """
    if not project.is_queue_open:
        raise QueuePaused("The queue of this project is paused.")
    run, _ = RefillRun.objects.get_or_create(
        project=project,
        state=RefillRun.State.PENDING,
        defaults={
            "policy": policies.current_policy(project),
            "trigger": trigger,
            "seed": secrets.randbits(63) if seed is None else seed,
            "replaces_open_tasks": replaces_open_tasks,
            "created_by": by,
        },
    )
    return run


def request_if_needed(project_id: int, *, now: dt.datetime) -> RefillRun | None:
    """Request a refill if the queue is low or another model is the champion; None if there is no need."""
    for need in selectors.refill_needs(now=now, project_ids=[project_id]):
        return request(
            Project.objects.get(pk=project_id),
            trigger=need.trigger,
            replaces_open_tasks=need.trigger == RefillRun.Trigger.PROMOTION,
        )
    return None


def execute(run_id: int, *, now: dt.datetime) -> RefillRun:
    """Execute a pending run, in one transaction that holds its row lock; any other run is returned as it is.

    So a run is executed by one worker at a time, and a worker that dies leaves it pending with nothing changed. While
    the queue is paused it stays pending. What is wrong with data or policy makes it FAILED with a message, as does a run
    that was begun MOST_ATTEMPTS times; one whose shards are not all done (`split`) stays pending. The same pool, policy and seed give the same batch. Raises
    RefillRun.DoesNotExist, and OperationalError when the database failed or a pool row was locked by somebody else: the
    run is pending still.
    """
    if sharding.unfinished(run_id):
        return RefillRun.objects.get(pk=run_id)
    run = _begin(run_id, now)
    if run.state != RefillRun.State.PENDING or not run.project.is_queue_open:
        return run
    try:
        with transaction.atomic():
            locked = _lock_pending(run_id)
            return _fill_or_fail(locked, now) if locked else RefillRun.objects.get(pk=run_id)
    except OperationalError:
        # No fault of the run: it is not counted. If the database is gone altogether, it is, once.
        with contextlib.suppress(DatabaseError):
            RefillRun.objects.filter(pk=run_id, attempts__gt=0).update(attempts=F("attempts") - 1)
        raise


@transaction.atomic
def fail(run_id: int, *, message: str, now: dt.datetime) -> None:
    """End a pending run as failed, unless another worker has it."""
    if (run := _lock_pending(run_id)) is not None:
        _end(run, RefillRun.State.FAILED, message, now=now)


@transaction.atomic
def _begin(run_id: int, now: dt.datetime) -> RefillRun:
    """Count the attempt before it is made, since a killed worker can count nothing; give the run up after too many."""
    run = _lock_pending(run_id)
    if run is None or not run.project.is_queue_open:
        return run or RefillRun.objects.select_related("project").get(pk=run_id)
    run.attempts += 1
    if run.attempts > MOST_ATTEMPTS:
        return _end(run, RefillRun.State.FAILED, f"Given up: begun {MOST_ATTEMPTS} times and never ended.", now=now)
    run.save(update_fields=["attempts"])
    return run


def _lock_pending(run_id: int) -> RefillRun | None:
    return (
        RefillRun.objects.select_for_update(skip_locked=True, of=("self",))
        .select_related("project", "policy", "model_version", "surrogate", "space")
        .filter(pk=run_id, state=RefillRun.State.PENDING)
        .first()
    )


def _end(run: RefillRun, state: RefillRun.State, message: str, *, now: dt.datetime) -> RefillRun:
    longest = RefillRun._meta.get_field("message").max_length
    run.state, run.message, run.finished_at = state, message[:longest], now
    run.save()
    run.shards.all().delete()
    return run


def _fill_or_fail(run: RefillRun, now: dt.datetime) -> RefillRun:
    try:
        with transaction.atomic():
            message = _fill(run, now)
    except ValueError as error:
        untouched = RefillRun.objects.get(pk=run.pk)
        return _end(untouched, RefillRun.State.FAILED, str(error), now=now)
    return _end(run, RefillRun.State.SUCCEEDED, message, now=now)


def split(run_id: int, *, now: dt.datetime, items_a_shard: int) -> list[int]:
    """Cut a pending run over a large pool into shards that several workers may summarise; the ids of those not done.

    None for a pool that one worker takes at once, for one whose shards are all done, and for any other run: then
    `execute` is next. What waits is withdrawn here, if the run replaces it, for the shards must find it available.
    """
    with transaction.atomic():
        run = _lock_pending(run_id)
        if run is None or not run.project.is_queue_open:
            return []
        if not run.shards.exists():
            ranges = pool.ranges(run.project.pk, items_a_range=items_a_shard)
            if len(ranges) < 2:
                return []
            if (plan := _prepare(run, now)) is None:
                run.save()
                return []
            _note(run, plan)
            run.message = plan.remark
            run.save()
            sharding.create(run, ranges)
        return sharding.unfinished(run.pk)


def _fill(run: RefillRun, now: dt.datetime) -> str:
    """Do the work and note it on the (unsaved) run; return what is notable."""
    if run.shards.exists():
        plan, parts = scoring.plan_of(run), sharding.parts(run)
        plan = replace(plan, size=min(plan.size, _room(run)))
    else:
        prepared = _prepare(run, now)
        if prepared is None:
            return "The queue is full."
        plan = prepared
        parts = [scoring.score(plan, scoring.available(plan, each)) for each in scoring.ranges(run.project)]
    return _queue(run, scoring.draw(plan, parts), now)


def _prepare(run: RefillRun, now: dt.datetime) -> Plan | None:
    """Withdraw what is to be replaced, and plan the batch; None if there is no room for one."""
    project, champion = run.project, selectors.scoring_champion(run.project)
    run.model_version = champion
    run.replaces_open_tasks |= _is_stale(project, champion)
    if run.replaces_open_tasks:
        run.withdrawn_count += annotation_queue.withdraw_open(project, now=now)
    size = _room(run)
    return scoring.make_plan(project, run.policy, size=size, seed=run.seed) if size > 0 else None


def _room(run: RefillRun) -> int:
    return max(run.policy.batch_size - servable_tasks().filter(project=run.project).count(), 0)


def _note(run: RefillRun, plan: Plan) -> None:
    run.phase, run.phase_reason, run.rule = plan.phase, plan.phase_reason, plan.rule_name
    run.surrogate, run.space, run.wanted_count = plan.surrogate, plan.space, plan.size


def _queue(run: RefillRun, drawn: Drawn, now: dt.datetime) -> str:
    """Put what was drawn into the queue, and note on the (unsaved) run how it came about."""
    _note(run, drawn.plan)
    begin = perf_counter()
    run.read_ms, run.score_ms = drawn.read_seconds * 1000, drawn.score_seconds * 1000
    run.pool_size, run.pool_record, run.score_digest = drawn.drawable_count, drawn.record, drawn.summary.digest
    run.selected_count = annotation_queue.enqueue(
        run.project,
        _tasks(drawn),
        batch=run.batch,
        pool_size=run.pool_size,
        now=now,
        waits=run.withdrawn_count == 0,
        answers_wanted=run.policy.answers_per_item,
    )
    run.audit_count = AnnotationTask.objects.filter(batch=run.batch, is_audit=True).count()
    run.write_ms = (perf_counter() - begin) * 1000
    _forget_old_records(run.project)
    return drawn.remark if run.selected_count else "The pool has no item to draw."


def _forget_old_records(project: Project) -> None:
    """What was available is kept of the newest runs only: it may be megabytes."""
    kept = RefillRun.objects.filter(project=project).order_by("-id").values_list("pk", flat=True)[:RECORDS_KEPT]
    RefillRun.objects.filter(project=project, pool_record__isnull=False).exclude(pk__in=list(kept)).update(
        pool_record=None
    )


def _is_stale(project: Project, champion: ModelVersion | None) -> bool:
    """Whether what waits in the queue was drawn by the word of another model."""
    last = selectors.newest_success(project)
    return last is not None and last.model_version != champion


def _tasks(drawn: Drawn) -> list[NewTask]:
    reasons, batch, champion = AnnotationTask.Reason, drawn.batch, drawn.plan.champion
    return [
        NewTask(
            item_id=int(item_id),
            reason=reasons.AUDIT if is_audit else drawn.plan.reason,
            informativeness=None if np.isnan(informativeness) else float(informativeness),
            propensity=None if np.isnan(propensity) else float(propensity),
            is_audit=bool(is_audit),
            draw_rank=rank,
            model_version_id=None if champion is None or np.isnan(informativeness) else champion.pk,
        )
        for rank, (item_id, informativeness, propensity, is_audit) in enumerate(
            zip(batch.item_ids, batch.informativeness, batch.propensity, batch.is_audit, strict=True)
        )
    ]
