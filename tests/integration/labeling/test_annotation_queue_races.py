"""The annotation queue with several sessions at work, and with one that dies."""

import datetime as dt
import random
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import OperationalError, connection, transaction

from labeling.errors import AlreadyAnswered, DomainError, LeaseExpired, NotLeased
from labeling.models import Annotation, AnnotationTask, PoolEntry, Project, Skip
from labeling.services import annotation_queue, answers
from tests import recount
from tests.factories import sampling as make
from tests.integration.datasets.concurrency import at_once, in_another_session

pytestmark = pytest.mark.django_db(transaction=True)

NOW = make.NOW
LEASE = dt.timedelta(seconds=settings.LEASE_SECONDS)
CAT = {"choice": "cat"}


def claim(project: Project, annotator: User, limit: int = 1, now: dt.datetime = NOW) -> list[int]:
    return [task.pk for task in annotation_queue.claim(project, annotator=annotator, now=now, limit=limit)]


def submit(task_id: int, annotator: User, now: dt.datetime = NOW) -> type[DomainError] | None:
    try:
        annotation_queue.submit(task_id, annotator=annotator, answer=CAT, now=now)
    except DomainError as error:
        return type(error)
    return None


def people(count: int) -> list[User]:
    return [User.objects.create_user(f"person-{number}") for number in range(count)]


def wait_until_blocked(pid: int) -> None:
    """Until that session waits for a lock of another one; asks PostgreSQL, and lets it do the waiting in between."""
    for _ in range(1000):
        with connection.cursor() as cursor:
            cursor.execute("SELECT cardinality(pg_blocking_pids(%s)) > 0, pg_sleep(0.01)", [pid])
            if cursor.fetchone()[0]:
                return
    raise AssertionError("the session never waited")


def test_sixteen_claims_at_once_get_sixteen_tasks(project: Project) -> None:
    tasks = make.queue(project, 16)
    claims = at_once([partial(claim, project, person) for person in people(16)])
    assert sorted(task_id for claimed in claims for task_id in claimed) == [task.pk for task in tasks]
    assert all(len(claimed) == 1 for claimed in claims)


def test_claims_at_once_share_out_fewer_tasks_than_asked_for(project: Project) -> None:
    tasks = make.queue(project, 20)
    claims = at_once([partial(claim, project, person, 3) for person in people(16)])
    served = [task_id for claimed in claims for task_id in claimed]
    assert sorted(served) == [task.pk for task in tasks]


def test_cycles_at_once_answer_every_task_once(project: Project) -> None:
    make.queue(project, 40)

    def work(person: User) -> int:
        count = 0
        while claimed := claim(project, person, 2):
            count += sum(submit(task_id, person) is None for task_id in claimed)
        return count

    counts = at_once([partial(work, person) for person in people(8)])

    assert sum(counts) == Annotation.objects.count() == 40
    assert set(AnnotationTask.objects.values_list("state", flat=True)) == {"answered"}
    assert set(PoolEntry.objects.values_list("state", flat=True)) == {PoolEntry.State.ANSWERED}


def test_two_claims_of_one_person_at_once_agree(project: Project, annotator: User) -> None:
    """Two tabs: each gets a task, and together they hold no more than two."""
    make.queue(project, 5)
    claims = at_once([partial(claim, project, annotator)] * 2)
    held = set(AnnotationTask.objects.filter(leased_to=annotator).values_list("pk", flat=True))
    assert {task_id for claimed in claims for task_id in claimed} == held


def test_of_two_submits_at_once_one_wins(project: Project, annotator: User) -> None:
    make.queue(project, 1)
    (task_id,) = claim(project, annotator)
    outcomes = at_once([partial(submit, task_id, annotator)] * 8)
    assert outcomes.count(None) == 1
    assert outcomes.count(AlreadyAnswered) == 7
    assert Annotation.objects.count() == 1


def test_a_submit_and_a_takeover_at_once_leave_one_owner(project: Project, annotator: User, reviewer: User) -> None:
    """At the end of a lease: either the answer is in, or the task is somebody else's; never both."""
    make.queue(project, 1)
    (task_id,) = claim(project, annotator)
    last_moment = NOW + LEASE - dt.timedelta(microseconds=1)

    works: list[Callable[[], object]] = [
        partial(submit, task_id, annotator, last_moment),
        partial(claim, project, reviewer, now=NOW + LEASE),
    ]
    outcome, taken = at_once(works)

    task = AnnotationTask.objects.get()
    if taken:
        assert (outcome, task.leased_to, Annotation.objects.count()) == (NotLeased, reviewer, 0)
    else:
        assert (outcome, task.state, Annotation.objects.count()) == (None, "answered", 1)


def test_a_claim_does_not_wait_for_a_task_that_is_being_answered(
    project: Project, annotator: User, reviewer: User
) -> None:
    first, second = make.queue(project, 2)
    assert claim(project, annotator) == [first.pk]
    with transaction.atomic():
        annotation_queue.submit(first.pk, annotator=annotator, answer=CAT, now=NOW)
        assert in_another_session(partial(claim, project, reviewer)) == [second.pk]


def test_a_claim_checks_again_what_changed_while_it_began(project: Project, annotator: User, reviewer: User) -> None:
    """A lease that ran out is renewed by its holder at the moment another reaches for it: it stays where it is."""
    make.queue(project, 1)
    (task_id,) = claim(project, annotator)
    later = NOW + LEASE
    taken = at_once([partial(claim, project, annotator, now=later), partial(claim, project, reviewer, now=later)])
    owners = [owner for owner, claimed in zip((annotator, reviewer), taken, strict=True) if claimed == [task_id]]
    assert len(owners) == 1
    assert AnnotationTask.objects.get().leased_to == owners[0]


def test_withdrawing_passes_over_a_task_that_is_being_claimed(project: Project, annotator: User) -> None:
    first, second = make.queue(project, 2)
    with transaction.atomic():
        assert claim(project, annotator) == [first.pk]
        withdrawn = in_another_session(partial(annotation_queue.withdraw_open, project, now=NOW))
    assert withdrawn == 1
    assert dict(AnnotationTask.objects.values_list("pk", "state")) == {first.pk: "open", second.pk: "withdrawn"}


def test_two_enqueues_of_one_item_at_once_open_one_task(project: Project) -> None:
    items = make.pool(project, 10)
    tasks = [make.new_task(item, rank) for rank, item in enumerate(items)]

    def enqueue(tasks: list[annotation_queue.NewTask]) -> int:
        return annotation_queue.enqueue(project, tasks, batch=uuid.uuid4(), pool_size=10, now=NOW)

    counts = at_once([partial(enqueue, tasks), partial(enqueue, tasks[::-1]), partial(enqueue, tasks[3:])])

    assert sum(counts) == 10
    assert AnnotationTask.objects.filter(state="open").values("item").distinct().count() == 10


def test_enqueue_can_refuse_to_wait_for_a_locked_pool_row(project: Project) -> None:
    (item,) = make.pool(project, 1)
    enqueue = partial(
        annotation_queue.enqueue, project, [make.new_task(item)], batch=uuid.uuid4(), pool_size=1, now=NOW, waits=False
    )
    with transaction.atomic():
        PoolEntry.objects.select_for_update().get(item=item)
        with pytest.raises(OperationalError):
            in_another_session(enqueue)
    assert not AnnotationTask.objects.exists()


def test_a_session_killed_in_the_middle_of_a_submit_leaves_nothing_half_done(project: Project, annotator: User) -> None:
    """The annotation is written and the task closed, then the pool row is locked: there the session is killed."""
    make.queue(project, 1)
    (task_id,) = claim(project, annotator)
    before = list(AnnotationTask.objects.values())
    pids: list[int] = []
    started = Event()

    def doomed() -> None:
        try:
            connection.ensure_connection()
            pids.append(connection.connection.info.backend_pid)
            started.set()
            annotation_queue.submit(task_id, annotator=annotator, answer=CAT, now=NOW)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        PoolEntry.objects.select_for_update().get(item_id=before[0]["item_id"])
        future = pool.submit(doomed)
        assert started.wait(timeout=30)
        wait_until_blocked(pids[0])
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", pids)
        with pytest.raises(OperationalError):
            future.result(timeout=30)

    assert not Annotation.objects.exists()
    assert list(AnnotationTask.objects.values()) == before
    assert PoolEntry.objects.get().state == PoolEntry.State.QUEUED
    assert submit(task_id, annotator) is None


def test_an_expired_lease_is_refused_even_if_nobody_took_the_task(project: Project, annotator: User) -> None:
    make.queue(project, 1)
    (task_id,) = claim(project, annotator)
    assert submit(task_id, annotator, NOW + LEASE) is LeaseExpired
    assert claim(project, annotator, now=NOW + LEASE) == [task_id]
    assert submit(task_id, annotator, NOW + LEASE) is None


def test_undo_and_undo_at_once_take_back_one_answer_once(project: Project, annotator: User) -> None:
    make.queue(project, 1)
    (task_id,) = claim(project, annotator)
    submit(task_id, annotator)

    def undo() -> type[DomainError] | None:
        try:
            answers.undo(project, annotator=annotator, now=NOW)
        except DomainError as error:
            return type(error)
        return None

    outcomes = at_once([undo, undo])

    assert outcomes.count(None) == 1
    assert Annotation.objects.filter(withdrawn_at__isnull=False).count() == 1
    assert AnnotationTask.objects.get().state == "open"


def test_thirty_two_annotators_do_everything_at_once(project: Project) -> None:
    """Answers, skips, undos, edits, releases and leases that run out, two answers to an item, on 32 connections.

    Afterwards nobody answered an item twice, no item has more answers than it wants, every counter equals a recount, and
    what is open can be finished: nothing is stuck.
    """
    wanted = 2
    tasks = make.queue(project, 60)
    AnnotationTask.objects.update(answers_wanted=wanted)
    everybody = people(32)

    def work(number: int) -> list[int]:
        person, rng, confirmed = everybody[number], random.Random(number), []
        for step in range(25):
            # Each lives at a pace of their own, so that leases run out under some while others go on.
            now = NOW + step * dt.timedelta(seconds=rng.choice([1, 60, 400]))
            try:
                claimed = claim(project, person, rng.randint(1, 3), now)
                for task_id in claimed:
                    match rng.choices(["answer", "skip", "release", "leave"], [8, 1, 1, 1])[0]:
                        case "answer":
                            given = annotation_queue.submit(task_id, annotator=person, answer=CAT, now=now)
                            confirmed.append(given.pk)
                        case "skip":
                            kind = rng.choice([Skip.Kind.LATER, Skip.Kind.SOMEONE_ELSE])
                            annotation_queue.skip(task_id, annotator=person, now=now, kind=kind, minutes=1)
                        case "release":
                            annotation_queue.release(task_id, annotator=person, now=now)
                if confirmed and rng.random() < 0.15:
                    taken_back = answers.undo(project, annotator=person, now=now).annotation.pk
                    confirmed.remove(taken_back)
                elif confirmed and rng.random() < 0.1:
                    old = confirmed.pop()
                    confirmed.append(answers.edit(project, old, by=person, answer={"choice": "dog"}, now=now).pk)
            except DomainError:
                continue  # a lease that was lost, an answer that is too old to be undone
        return confirmed

    confirmed = [pk for pks in at_once([partial(work, number) for number in range(32)]) for pk in pks]

    assert recount.disagreements(project) == []
    standing = Annotation.objects.filter(withdrawn_at__isnull=True)
    assert sorted(standing.values_list("pk", flat=True)) == sorted(confirmed)
    assert max(Counter(standing.values_list("item", flat=True)).values()) <= wanted
    # Fresh people finish what is left, once every lease has run out.
    for person in [User.objects.create_user(f"finisher-{number}") for number in range(wanted)]:
        now = NOW + dt.timedelta(days=1)
        while claimed := claim(project, person, 10, now):
            for task_id in claimed:
                assert submit(task_id, person, now) is None
    assert set(AnnotationTask.objects.values_list("state", flat=True)) == {"answered"}
    assert recount.disagreements(project) == []
    assert Annotation.objects.filter(withdrawn_at__isnull=True).count() == wanted * len(tasks)
