"""Models: the champion, the candidates and what speaks for or against them, training, promotion."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone

from datasets.services import accuracy
from labeling import selectors as labeling_selectors
from labeling.access import Capability
from labeling.edges import Caller
from labeling.errors import DomainError, InvalidInput
from labeling.models import ModelVersion, Project
from labeling.page_edges import blame, finished, is_fragment_asked, person, project_page, render_project
from training import selectors, tasks
from training.models import Promotion, RetrainingPolicy, TrainingRun
from training.services import policies, promotion, runs
from training.trainers import registry

_RUNS_SHOWN = 10
_VERSIONS_SHOWN = 30
_PROMOTIONS_SHOWN = 20

_TRAINER_NAMES = {"auto": "Choose by the payload", "text": "Text", "numeric": "Numbers"}


class RetrainingForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    trainer = forms.ChoiceField(choices=[(name, _TRAINER_NAMES.get(name, name)) for name in registry.names()])

    class Meta:
        model = RetrainingPolicy
        fields = ["trainer", "min_new_labels", "growth_fraction", "cooldown_seconds", "promotes_automatically"]
        labels = {
            "min_new_labels": "New labels that start a training",
            "growth_fraction": "… and at least this growth",
            "cooldown_seconds": "Pause between trainings (seconds)",
            "promotes_automatically": "Promote a model that passes the gate by itself",
        }
        help_texts = {
            "min_new_labels": "0: trainings start by hand only.",
            "cooldown_seconds": "",
            "promotes_automatically": "",
            "growth_fraction": "0.1 means 10% more labels than the last training had.",
        }


@dataclass(frozen=True)
class Measured:
    """Figures of one model on the audit labels, as a training run kept them."""

    accuracy: float
    low: float
    high: float
    n: int
    log_loss: float
    calibration_error: float


@dataclass(frozen=True)
class VersionLine:
    """A model version with the newest thing known about it."""

    version: ModelVersion
    measured: Measured | None
    decision: Promotion | None
    created_at: datetime


@project_page(Capability.READ)
def models(request: HttpRequest, caller: Caller) -> HttpResponse:
    if request.method == "POST":
        return _act(request, caller)
    return _show(request, caller, RetrainingForm(instance=policies.current_policy(caller.project)))


def _show(request: HttpRequest, caller: Caller, form: RetrainingForm, status: int = 200) -> HttpResponse:
    project = caller.project
    active = selectors.active_run(project)
    if is_fragment_asked(request) and active is None:
        return finished()
    champion = labeling_selectors.champion(project)
    context = {
        "champion": champion,
        "audit": champion and accuracy.by_audit_labels(project, champion),
        "lines": _lines(project),
        "runs": [
            (run, _measured(run.metrics.get("candidate"))) for run in selectors.training_runs(project)[:_RUNS_SHOWN]
        ],
        "promotions": selectors.promotions(project)[:_PROMOTIONS_SHOWN],
        "active_run": active,
        "is_trainable": runs.is_trainable(project),
        "form": form,
        "policy": policies.current_policy(project),
    }
    return render_project(
        request,
        caller,
        "training/models.html",
        context,
        active="models",
        fragment="training/_training.html",
        status=status,
    )


def _lines(project: Project) -> list[VersionLine]:
    versions = ModelVersion.objects.filter(project=project).select_related("training_run")
    decisions: dict[int, Promotion] = {}
    for decision in selectors.promotions(project):
        decisions.setdefault(decision.model_version_id, decision)
    lines = []
    for version in versions.order_by("-created_at", "-pk")[:_VERSIONS_SHOWN]:
        run: TrainingRun | None = getattr(version, "training_run", None)
        measured = _measured(run.metrics.get("candidate")) if run else None
        lines.append(VersionLine(version, measured, decisions.get(version.pk), version.created_at))
    # The champion stands first, whenever it was made.
    return sorted(lines, key=lambda line: not line.version.is_champion)


def _measured(figures: Mapping[str, float] | None) -> Measured | None:
    if not figures:
        return None
    return Measured(
        accuracy=figures["accuracy"],
        low=figures["accuracy_low"],
        high=figures["accuracy_high"],
        n=int(figures["n"]),
        log_loss=figures["log_loss"],
        calibration_error=figures["calibration_error"],
    )


def _act(request: HttpRequest, caller: Caller) -> HttpResponse:
    actions: dict[str, Callable[[HttpRequest, Caller], HttpResponse]] = {
        "train": _train,
        "promote": _promote,
        "policy": _change_policy,
    }
    action = actions.get(request.POST.get("action", ""))
    if action is None:
        raise InvalidInput("There is no such action for models.")
    return action(request, caller)


def _train(request: HttpRequest, caller: Caller) -> HttpResponse:
    try:
        run = runs.request(caller.project, trigger=TrainingRun.Trigger.MANUAL, by=person(caller), now=timezone.now())
    except DomainError as error:
        messages.error(request, error.message)
    else:
        tasks.send_run(run.pk)
        messages.success(request, f"Training on {run.snapshot.row_count:,} labels has been asked for.")
    return redirect("models", caller.project.slug)


def _promote(request: HttpRequest, caller: Caller) -> HttpResponse:
    version = selectors.model_version(caller.project, request.POST.get("version", ""))
    try:
        decision = promotion.promote(
            version, by=person(caller), now=timezone.now(), force=request.POST.get("force") == "yes"
        )
    except DomainError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, f"“{version.name}” is the champion now. {decision.gate['summary']}")
    return redirect("models", caller.project.slug)


def _change_policy(request: HttpRequest, caller: Caller) -> HttpResponse:
    before = policies.current_policy(caller.project)
    form = RetrainingForm(request.POST, instance=RetrainingPolicy(project=caller.project, version=before.version + 1))
    if form.is_valid():
        data = form.cleaned_data
        try:
            policy = policies.new_version(
                caller.project,
                by=person(caller),
                trainer=data["trainer"],
                min_new_labels=data["min_new_labels"],
                growth_fraction=data["growth_fraction"],
                cooldown_seconds=data["cooldown_seconds"],
                promotes_automatically=data["promotes_automatically"],
            )
        except DomainError as error:
            blame(form, error)
        else:
            messages.success(request, f"Version {policy.version} of the retraining policy is in force.")
            return redirect("models", caller.project.slug)
    return _show(request, caller, form, status=422)
