"""A project's loop with people played by known true labels, beside a control arm whose labels are drawn uniformly.

The active arm goes through the services, as people and workers do: refill, claim, submit, accept, snapshot, training run,
gate, promotion. The control arm trains the same trainer on as many labels, drawn uniformly and all of them trained on.
"""

import datetime as dt
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from django.conf import settings
from django.contrib.auth.models import User
from django.db import OperationalError
from django.utils import timezone
from numpy.typing import NDArray

from datasets import selectors as datasets_selectors
from datasets.estimation.wilson import Estimate
from datasets.services import accept, accuracy
from feedbackproject import known_labels
from labeling import selectors
from labeling.models import Item, Membership, ModelVersion, Project
from labeling.services import annotation_queue, projects
from labeling.splitting import is_in_audit_reserve
from sampling.models import RefillRun
from sampling.services import refill
from training import evaluation
from training import selectors as training_selectors
from training.models import LearningCurvePoint, TrainingRun
from training.services import curve, policies, runs
from training.services.predictions import limited_threads
from training.trainers import artifacts, registry
from training.trainers.port import Model, Payload

_CLAIMED_AT_ONCE = 50
_REFILL_TRIES = 100
_REFILL_WAIT_SECONDS = 0.2


class SimulationError(Exception):
    """The loop cannot go on; the message says what stopped it."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is simulated.

    labels
        Labels in all at the end, audit draws included.
    round_size
        Labels between two trainings.
    start_per_class
        Examples of each class that a person picks to begin with, in a project that has no model yet.
    error_rate
        Probability that an answer is wrong; then it is any other class alike.
    """

    labels: int = 1500
    round_size: int = 100
    start_per_class: int = 3
    error_rate: float = 0.0
    seed: int = 0
    trainer: str = registry.AUTO


@dataclass(frozen=True)
class Example:
    """A row with its true class."""

    key: str
    payload: Payload
    label: str


@dataclass(frozen=True)
class Hits:
    """How often a model was right on the test rows."""

    correct: int
    n: int

    @property
    def accuracy(self) -> float:
        return self.correct / self.n


@dataclass(frozen=True)
class Step:
    """Where both arms stand after a training.

    active
        The deployed model. `newest` is the last one trained, which the gate may have kept back.
    control
        None while there are no labels to train it on.
    audit
        What the audit labels say of the deployed model: to be compared with `active`.
    """

    labels: int
    audit_labels: int
    active: Hits
    newest: Hits
    control: Hits | None
    audit: Estimate
    is_promoted: bool


def noisy_answers(
    truth: Mapping[str, str], classes: Sequence[str], *, error_rate: float, rng: np.random.Generator
) -> dict[str, str]:
    """What people will answer of each key: the true class, or with probability `error_rate` any other one alike."""
    if not 0.0 <= error_rate <= 1.0:
        raise ValueError(f"error_rate must lie in [0, 1], not be {error_rate}")
    answers = {}
    for key, label in sorted(truth.items()):
        others = [name for name in classes if name != label]
        is_wrong = bool(others) and rng.random() < error_rate
        answers[key] = others[int(rng.integers(len(others)))] if is_wrong else label
    return answers


class Simulation:
    """One project, one seed. `run` yields a step per training and records it in the learning curve.

    With `test` both arms are measured on those rows, which are not in the project. Without, on the project's audit
    reserve, whose true classes are known here; the control arm then draws from the rest, so that it never sees them.
    """

    def __init__(
        self, project: Project, examples: Sequence[Example], plan: Plan, *, test: Sequence[Example] | None
    ) -> None:
        self.project, self.plan, self.test = project, plan, test
        self.classes = selectors.parsed_schema(project).class_keys
        start, draws, control, noise = np.random.SeedSequence(plan.seed).spawn(4)
        self._start_rng, self._draw_rng = np.random.default_rng(start), np.random.default_rng(draws)
        self._by_key = {example.key: example for example in examples}
        self._answers = noisy_answers(
            {example.key: example.label for example in examples},
            self.classes,
            error_rate=plan.error_rate,
            rng=np.random.default_rng(noise),
        )
        buckets = dict(Item.objects.filter(project=project, key__in=self._by_key).values_list("key", "bucket"))
        if len(buckets) != len(self._by_key):
            raise SimulationError(f"{len(self._by_key) - len(buckets)} of the examples are not in the project")
        self._reserve = sorted(key for key, bucket in buckets.items() if is_in_audit_reserve(bucket))
        self._rest = sorted(buckets.keys() - set(self._reserve))
        self._control_order = list(self._rest if test is None else sorted(buckets))
        np.random.default_rng(control).shuffle(self._control_order)
        self._annotator = _annotator(project)

    def run(self) -> Iterator[Step]:
        """Go on until the plan's number of labels is reached, or nothing is left to ask.

        The project's own volume trigger is off meanwhile, so that trainings happen at the end of rounds only.
        """
        policy = policies.current_policy(self.project)
        policies.new_version(self.project, by=None, min_new_labels=0, trainer=self.plan.trainer)
        try:
            yield from self._rounds()
        finally:
            policies.new_version(self.project, by=None, min_new_labels=policy.min_new_labels, trainer=policy.trainer)

    def _rounds(self) -> Iterator[Step]:
        if selectors.champion(self.project) is None:
            self._label_start_set()
            yield self._trained()
        else:
            labelled = datasets_selectors.current_labels(self.project).filter(is_audit=False)
            self._begin_control_with(sorted(labelled.values_list("item__key", flat=True)))
            yield self._measured(newest=None, is_promoted=False)
        while (missing := self.plan.labels - self._label_count()) > 0:
            if self._answer(min(missing, self.plan.round_size)) == 0:
                return
            yield self._trained()

    def _begin_control_with(self, keys: Sequence[str]) -> None:
        """Both arms begin with the labels that were there before."""
        self._control_order = [*keys, *(key for key in self._control_order if key not in set(keys))]

    # -- people ---------------------------------------------------------------------------------------------------

    def _label_start_set(self) -> None:
        keys = np.array(self._rest)
        labels = np.array([self._by_key[key].label for key in self._rest])
        chosen: list[str] = []
        for label in self.classes:
            chosen += self._start_rng.permutation(keys[labels == label])[: self.plan.start_per_class].tolist()
        self._begin_control_with(chosen)
        ids = dict(Item.objects.filter(project=self.project, key__in=chosen).values_list("key", "pk"))
        answers = {ids[key]: self._answers[key] for key in chosen}
        known_labels.record(self.project, answers, annotator=self._annotator)

    def _answer(self, count: int) -> int:
        """Answer so many tasks, drawn anew first, and accept the labels; return how many there were."""
        self._refill(replaces_open_tasks=True)
        answered = self._answer_open(count)
        while answered < count:
            self._refill(replaces_open_tasks=False)
            more = self._answer_open(count - answered)
            if not more:
                break
            answered += more
        accept.accept_pending(self.project.pk, now=timezone.now())
        return answered

    def _answer_open(self, count: int) -> int:
        answered = 0
        while answered < count:
            tasks = annotation_queue.claim(
                self.project,
                annotator=self._annotator,
                now=timezone.now(),
                limit=min(_CLAIMED_AT_ONCE, count - answered),
            )
            if not tasks:
                break
            for task in tasks:
                answer = {"choice": self._answers[task.item.key]}
                annotation_queue.submit(task.pk, annotator=self._annotator, answer=answer, now=timezone.now())
            answered += len(tasks)
        return answered

    # -- workers --------------------------------------------------------------------------------------------------

    def _refill(self, *, replaces_open_tasks: bool) -> None:
        """Fill the queue. A worker of a running service may be at the same: then wait for it."""
        requested = refill.request(
            self.project,
            trigger=RefillRun.Trigger.MANUAL,
            replaces_open_tasks=replaces_open_tasks,
            seed=int(self._draw_rng.integers(2**62)),
        )
        for _ in range(_REFILL_TRIES):
            try:
                done = refill.execute(requested.pk, now=timezone.now())
            except OperationalError:
                # Somebody held a row of the pool; the run is pending still.
                time.sleep(_REFILL_WAIT_SECONDS)
                continue
            if done.state == RefillRun.State.SUCCEEDED:
                return
            if done.state == RefillRun.State.FAILED:
                raise SimulationError(f"refill {done.pk} failed: {done.message}")
            time.sleep(_REFILL_WAIT_SECONDS)
        raise SimulationError(f"refill {requested.pk} does not get done; is the queue paused?")

    def _trained(self) -> Step:
        requested = runs.request(
            self.project, trigger=TrainingRun.Trigger.MANUAL, by=None, now=timezone.now(), seed=self.plan.seed
        )
        done = runs.execute(requested.pk, now=timezone.now())
        if done.state != TrainingRun.State.SUCCEEDED or done.model_version is None:
            raise SimulationError(f"training run {done.pk} is {done.state}: {done.message}")
        return self._measured(newest=done.model_version, is_promoted=done.model_version.is_champion)

    # -- measuring ------------------------------------------------------------------------------------------------

    def _measured(self, *, newest: ModelVersion | None, is_promoted: bool) -> Step:
        now = timezone.now()
        champion = selectors.champion(self.project)
        if champion is None:
            raise SimulationError("no model was promoted; look at the project's training runs")
        count = self._label_count()
        active = self._hits_of_version(champion)
        control = self._control_hits(count)
        for arm, hits, version in (
            (LearningCurvePoint.Arm.ACTIVE, active, champion),
            (LearningCurvePoint.Arm.RANDOM, control, None),
        ):
            if hits is not None:
                self._record(arm, hits, version, label_count=count, now=now)
        return Step(
            labels=count,
            audit_labels=datasets_selectors.audit_labels(self.project).count(),
            active=active,
            newest=self._hits_of_version(newest) if newest is not None and newest != champion else active,
            control=control,
            audit=accuracy.by_audit_labels(self.project, champion),
            is_promoted=is_promoted,
        )

    def _hits_of_version(self, version: ModelVersion) -> Hits:
        if self.test is not None:
            return _hits(artifacts.load(settings.ARTIFACT_DIR, version.artifact), self.test)
        ids = dict(Item.objects.filter(project=self.project, key__in=self._reserve).values_list("pk", "key"))
        stored = training_selectors.stored_probabilities(version, list(ids))
        labels = [self._by_key[ids[item_id]].label for item_id in stored.item_ids.tolist()]
        return _count_hits(stored.probabilities, labels, version.classes)

    def _control_hits(self, count: int) -> Hits | None:
        drawn = [self._by_key[key] for key in self._control_order[:count]]
        if not drawn:
            return None
        payloads = [example.payload for example in drawn]
        answers = [self._answers[example.key] for example in drawn]
        with limited_threads():
            trainer = registry.get(self.plan.trainer, payloads)
            model = trainer.fit(payloads, answers, seed=self.plan.seed, classes=self.classes)
            return _hits(model, self.test or [self._by_key[key] for key in self._reserve])

    def _record(
        self,
        arm: LearningCurvePoint.Arm,
        hits: Hits,
        version: ModelVersion | None,
        *,
        label_count: int,
        now: dt.datetime,
    ) -> None:
        curve.record_test_set_point(
            self.project,
            arm=arm,
            seed=self.plan.seed,
            label_count=label_count,
            correct=hits.correct,
            evaluated_on=hits.n,
            version=version,
            now=now,
        )

    def _label_count(self) -> int:
        return datasets_selectors.current_labels(self.project).count()


def _hits(model: Model, rows: Sequence[Example]) -> Hits:
    probabilities = model.predict_proba([row.payload for row in rows])
    return _count_hits(probabilities, [row.label for row in rows], model.classes)


def _count_hits(probabilities: NDArray[np.float32], labels: Sequence[str], classes: Sequence[str]) -> Hits:
    if not labels:
        raise SimulationError("there is no row to measure on")
    correct = evaluation.is_correct(probabilities, evaluation.positions(labels, classes))
    return Hits(int(correct.sum()), len(labels))


def _annotator(project: Project) -> User:
    user, is_new = User.objects.get_or_create(username="simulated-annotator")
    if is_new:
        user.set_unusable_password()
        user.save()
    if not Membership.objects.filter(project=project, user=user).exists():
        projects.set_member(project, username=user.username, role=Membership.Role.ANNOTATOR, by=None)
    return user
