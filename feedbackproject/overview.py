"""The figures of a project's overview: they come from all apps, so they are put together in the wiring."""

import datetime as dt
from dataclasses import dataclass
from typing import Literal

from django.urls import reverse

from datasets.estimation.wilson import Estimate, proportion_interval
from datasets.selectors import Funnel
from datasets.services.accuracy import AccuracyEstimate, AccuracyEstimates
from feedbackproject import charts
from feedbackproject.charts import LearningCurve
from labeling import selectors
from labeling.models import AnnotationTask, ModelVersion, Project
from sampling.models import RefillRun
from sampling.services import control_arm as control_arms
from sampling.services import policies
from sampling.services.control_arm import ControlArm
from training.charts import CurvePoint
from training.models import Promotion, TrainingRun
from training.services import accuracy as accuracies

_RUNS_SHOWN = 6
_ENOUGH_FOR_FIRST_MODEL = 20
_ENOUGH_NEW_LABELS = 50


@dataclass(frozen=True)
class Stage:
    """One bar of the funnel."""

    name: str
    count: int
    meaning: str


@dataclass(frozen=True)
class Accuracy:
    """How good the champion is: honest `estimates`, and `naive` from the items chosen for being hard.

    `shown` is the headline, or while nothing can be believed yet what there is of the audit labels.
    """

    champion: ModelVersion
    estimates: AccuracyEstimates
    naive: Estimate

    @property
    def shown(self) -> AccuracyEstimate:
        return self.estimates.headline or self.estimates.audit

    @property
    def all(self) -> list[tuple[str, AccuracyEstimate]]:
        found = self.estimates
        return [
            ("Random labels", found.audit),
            ("Random labels and the model's confidence", found.prediction_powered),
            ("Chosen labels, weighted by their chances", found.active),
        ]


@dataclass(frozen=True)
class RecentRun:
    """A refill or a training, as one line among others."""

    kind: Literal["Queue refill", "Training"]
    state: str
    state_label: str
    text: str
    url: str
    created_at: dt.datetime

    @property
    def is_active(self) -> bool:
        return self.state in {"pending", "running"}


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What decides the next step."""

    items: int
    predicted: int
    has_champion: bool
    is_paused: bool
    open_tasks: int
    available: int
    refill_pending: bool
    accepted: int
    labels_since_training: int
    training_active: bool
    may_administer: bool = True
    waiting_candidate: str = ""


@dataclass(frozen=True)
class NextStep:
    """One sentence and one button. With an `action` the button posts it, else it is a link."""

    sentence: str
    button: str
    page: str
    action: str = ""


def next_step(now: Situation) -> NextStep:
    """The most useful thing that somebody who manages the project can do now."""
    if now.items == 0 and now.may_administer:
        return NextStep("Send the items you want labelled: an app does it with an API key.", "Make an API key", "keys")
    if now.items == 0:
        sentence = "No items yet: an app sends them with an API key, which an owner of the project makes."
        return NextStep(sentence, "Check the classes", "label_schema")
    if now.is_paused:
        return NextStep("The queue is paused, so nobody can label.", "Resume the queue", "queue", "resume")
    if now.waiting_candidate:
        sentence = f"The new model “{now.waiting_candidate}” is trained and waits for your decision."
        return NextStep(sentence, "Look at it", "models")
    enough = _ENOUGH_NEW_LABELS if now.has_champion else _ENOUGH_FOR_FIRST_MODEL
    if now.labels_since_training >= enough and not now.training_active:
        sentence = f"{now.labels_since_training:,} labels are new since the last training. A new model may be better."
        return NextStep(sentence, "Train a model", "models", "train")
    if now.open_tasks == 0 and now.refill_pending:
        return NextStep("The queue is being filled. In a moment there is something to label.", "Watch it", "queue")
    if now.open_tasks == 0 and now.available == 0:
        return NextStep(
            "Every item is labelled. Take a snapshot to keep this state.", "Take a snapshot", "datasets", "take"
        )
    if now.open_tasks == 0:
        sentence = "The queue is empty. Fill it with the items that the model can learn most from."
        return NextStep(sentence, "Fill the queue", "queue", "refill")
    waiting = f"{now.open_tasks:,} item{'s are' if now.open_tasks != 1 else ' is'} waiting for a label"
    if not now.has_champion:
        return NextStep(f"{waiting}. With {enough} labels a first model can be trained.", "Start labeling", "annotate")
    return NextStep(f"{waiting}, the ones the model learns most from.", "Start labeling", "annotate")


def situation(project: Project, counts: Funnel, *, may_administer: bool) -> Situation:
    open_tasks = AnnotationTask.objects.filter(project=project, state=AnnotationTask.State.OPEN).count()
    runs = TrainingRun.objects.filter(project=project)
    active_states = [TrainingRun.State.PENDING, TrainingRun.State.RUNNING]
    last = runs.filter(state=TrainingRun.State.SUCCEEDED).select_related("snapshot").first()
    return Situation(
        items=counts.items,
        predicted=counts.predicted,
        has_champion=selectors.champion(project) is not None,
        is_paused=not project.is_queue_open,
        open_tasks=open_tasks,
        available=counts.items - counts.queued - counts.answered,
        refill_pending=RefillRun.objects.filter(project=project, state=RefillRun.State.PENDING).exists(),
        accepted=counts.accepted,
        labels_since_training=max(counts.accepted - (last.snapshot.row_count if last else 0), 0),
        training_active=runs.filter(state__in=active_states).exists(),
        may_administer=may_administer,
        waiting_candidate=_waiting_candidate(project),
    )


def _waiting_candidate(project: Project) -> str:
    """The newest trained model, if it is still a candidate that nobody and no gate has decided about."""
    newest = ModelVersion.objects.filter(project=project).order_by("-created_at", "-pk").first()
    if newest is None or newest.stage != ModelVersion.Stage.CANDIDATE:
        return ""
    if Promotion.objects.filter(model_version=newest).exists() or not newest.predictions.exists():
        return ""
    return newest.name


def stages(project: Project, counts: Funnel) -> list[Stage]:
    trained = TrainingRun.objects.filter(project=project, state=TrainingRun.State.SUCCEEDED).select_related("snapshot")
    last = trained.first()
    return [
        Stage("Items", counts.items, "sent by the app"),
        Stage("Predicted", counts.predicted, "with probabilities of the champion"),
        Stage("Queued", counts.queued + counts.answered, "ever chosen for labeling"),
        Stage("Labelled", counts.answered, "answered by an annotator"),
        Stage("Accepted", counts.accepted, "believed, with evidence"),
        Stage("Trained", _training_rows(last), "used by the last training; the rest measures it"),
    ]


def _training_rows(run: TrainingRun | None) -> int:
    return int(run.snapshot.split_counts.get("train", 0)) if run else 0


def accuracy(project: Project) -> Accuracy | None:
    """None without a champion."""
    champion = selectors.champion(project)
    if champion is None:
        return None
    found = accuracies.estimates(champion)
    return Accuracy(champion, found, proportion_interval(found.naive.correct, found.naive.n))


@dataclass(frozen=True)
class ShownControlArm:
    """The control arm with its curve drawn; `curve` is None with fewer than two points a line."""

    state: ControlArm
    curve: LearningCurve | None


def control_arm(project: Project) -> ShownControlArm | None:
    """Chosen labels against random ones, and whether more are worth their while; None before the first comparison."""
    state = control_arms.state(project, policies.current_policy(project))
    if state.comparison is None:
        return None
    points = [
        CurvePoint(
            arm=point["arm"],
            source="control_arm",
            seed=0,
            label_count=point["labels"],
            accuracy=point["accuracy"],
            accuracy_low=point["low"],
            accuracy_high=point["high"],
            evaluated_on=point["evaluated_on"],
        )
        for point in state.comparison.curve
    ]
    return ShownControlArm(state, charts.learning_curve(points))


def recent_runs(project: Project) -> list[RecentRun]:
    refills = RefillRun.objects.filter(project=project)[:_RUNS_SHOWN]
    trainings = TrainingRun.objects.filter(project=project).select_related("snapshot", "model_version")[:_RUNS_SHOWN]
    runs = [_refill_line(run) for run in refills] + [_training_line(run) for run in trainings]
    return sorted(runs, key=lambda run: run.created_at, reverse=True)[:_RUNS_SHOWN]


def _refill_line(run: RefillRun) -> RecentRun:
    if run.state == RefillRun.State.SUCCEEDED:
        text = f"{run.selected_count:,} items chosen, {run.audit_count:,} of them at random"
    else:
        text = run.message or run.get_trigger_display()
    url = reverse("queue", args=[run.project.slug])
    return RecentRun("Queue refill", run.state, run.get_state_display(), text, url, run.created_at)


def _training_line(run: TrainingRun) -> RecentRun:
    model = run.model_version
    if run.state == TrainingRun.State.SUCCEEDED and model is not None:
        text = f"{model.name}, from {run.snapshot.row_count:,} labels"
    else:
        text = run.message or run.get_trigger_display()
    url = reverse("models", args=[run.project.slug])
    return RecentRun("Training", run.state, run.get_state_display(), text, url, run.created_at)
