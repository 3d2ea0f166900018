"""The queue: what waits and why, filling it, pausing it, and the policy it is filled by."""

import datetime as dt
from collections.abc import Callable

from django import forms
from django.contrib import messages
from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.utils import timezone

from labeling import selectors as labeling_selectors
from labeling.access import Capability
from labeling.edges import Caller
from labeling.errors import DomainError, InvalidInput
from labeling.models import AnnotationTask, Project
from labeling.page_edges import blame, finished, is_fragment_asked, person, project_page, render_project
from labeling.services import projects
from labeling.wakeup import wake
from sampling import selectors, tasks
from sampling.models import QueuePolicy, RefillRun
from sampling.services import policies, refill
from sampling.strategies.registry import STRATEGIES

_TASKS_PER_PAGE = 25
_RUNS_SHOWN = 10
_VERSIONS_SHOWN = 20

_STRATEGY_NAMES = {
    "margin": "Margin: the two best classes are close",
    "entropy": "Entropy: the whole distribution is spread",
    "least_confidence": "Least confidence: the best class is weak",
    "uniform": "Uniform: every item alike",
}


class PolicyForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    strategy = forms.ChoiceField(
        choices=[(name, _STRATEGY_NAMES.get(name, name)) for name in STRATEGIES],
        help_text="What counts as informative.",
    )

    class Meta:
        model = QueuePolicy
        fields = ["strategy", "batch_rule", "beta", "epsilon", "batch_size", "low_watermark"]
        labels = {
            "batch_rule": "Rule for a batch",
            "beta": "Sharpness (beta)",
            "epsilon": "Random share (epsilon)",
            "batch_size": "Queue size",
            "low_watermark": "Refill below",
        }
        help_texts = {
            "batch_rule": "Stochastic draws keep a batch diverse and give exact propensities.",
            "beta": "0 draws uniformly; the larger, the more only the most informative items come.",
            "epsilon": "Share of tasks drawn at random, whatever the model says: they measure it honestly.",
            "batch_size": "Open tasks after a refill.",
            "low_watermark": "With fewer open tasks a refill starts by itself.",
        }


class FilterForm(forms.Form):
    state = forms.ChoiceField(
        required=False,
        choices=[("", "Waiting"), ("leased", "Being labelled"), ("answered", "Answered"), ("withdrawn", "Withdrawn")],
    )
    reason = forms.ChoiceField(
        required=False,
        label="Why",
        choices=[
            ("", "Any reason"),
            ("uncertain", "Model unsure"),
            ("audit", "Random audit"),
            ("cold_start", "No model yet"),
            ("manual", "By a person"),
        ],
    )
    key = forms.CharField(
        required=False, max_length=200, label="Item key", widget=forms.TextInput(attrs={"placeholder": "begins with …"})
    )


@project_page(Capability.READ)
def queue(request: HttpRequest, caller: Caller) -> HttpResponse:
    if request.method == "POST":
        return _act(request, caller)
    return _show(request, caller, PolicyForm(instance=policies.current_policy(caller.project)))


def _show(request: HttpRequest, caller: Caller, form: PolicyForm, status: int = 200) -> HttpResponse:
    project, now = caller.project, timezone.now()
    filters = FilterForm(request.GET)
    runs = list(selectors.refill_runs(project).order_by("-id")[:_RUNS_SHOWN])
    versions = QueuePolicy.objects.filter(project=project).select_related("created_by").order_by("-version")
    is_busy = project.is_queue_open and any(run.state == RefillRun.State.PENDING for run in runs)
    if is_fragment_asked(request) and not is_busy:
        return finished()
    context = {
        "counts": labeling_selectors.queue_counts(project, annotator=person(caller), now=now),
        "audit_open": _open(project).filter(is_audit=True).count(),
        "filters": filters,
        "page": _tasks(project, filters, request.GET, now),
        "now": now,
        "runs": runs,
        "is_busy": is_busy,
        "policy": policies.current_policy(project),
        "versions": versions[:_VERSIONS_SHOWN],
        "form": form,
        "strategy_names": _STRATEGY_NAMES,
    }
    return render_project(
        request, caller, "sampling/queue.html", context, active="queue", fragment="sampling/_state.html", status=status
    )


def _open(project: Project) -> QuerySet[AnnotationTask]:
    return labeling_selectors.queue_listing(project).filter(state=AnnotationTask.State.OPEN)


def _tasks(project: Project, filters: FilterForm, query: QueryDict, now: dt.datetime) -> Page[AnnotationTask]:
    """One page of tasks in the order in which they are served; closed ones the newest first."""
    wanted = filters.cleaned_data if filters.is_valid() else {}
    tasks = labeling_selectors.queue_listing(project)
    match wanted.get("state"):
        case "leased":
            tasks = tasks.filter(state=AnnotationTask.State.OPEN, leased_to__isnull=False, lease_expires_at__gt=now)
        case "answered" | "withdrawn" as state:
            tasks = tasks.filter(state=state)
        case _:
            tasks = tasks.filter(state=AnnotationTask.State.OPEN)
    if reason := wanted.get("reason"):
        tasks = tasks.filter(reason=reason)
    if key := wanted.get("key"):
        tasks = tasks.filter(item__key__startswith=key)
    is_closed = wanted.get("state") in {"answered", "withdrawn"}
    tasks = tasks.order_by("-closed_at", "-id") if is_closed else tasks.order_by("-priority", "id")
    return Paginator(tasks, _TASKS_PER_PAGE).get_page(query.get("page"))


def _act(request: HttpRequest, caller: Caller) -> HttpResponse:
    actions: dict[str, Callable[[HttpRequest, Caller], HttpResponse]] = {
        "refill": _refill,
        "pause": _pause,
        "resume": _resume,
        "policy": _change_policy,
    }
    action = actions.get(request.POST.get("action", ""))
    if action is None:
        raise InvalidInput("The queue does not know this action.")
    return action(request, caller)


def _refill(request: HttpRequest, caller: Caller) -> HttpResponse:
    try:
        run = refill.request(
            caller.project,
            trigger=RefillRun.Trigger.MANUAL,
            by=person(caller),
            replaces_open_tasks=request.POST.get("replaces_open_tasks") == "on",
        )
    except DomainError as error:
        messages.error(request, error.message)
    else:
        wake(tasks.RUN, run.pk)
        messages.success(request, "The queue is being filled.")
    return redirect("queue", caller.project.slug)


def _pause(request: HttpRequest, caller: Caller) -> HttpResponse:
    projects.pause_queue(caller.project, now=timezone.now())
    messages.success(request, "The queue is paused: nobody gets a new item until it is resumed.")
    return redirect("queue", caller.project.slug)


def _resume(request: HttpRequest, caller: Caller) -> HttpResponse:
    projects.resume_queue(caller.project)
    wake(tasks.CHECK_WATERMARK, caller.project.pk)
    messages.success(request, "The queue is open again.")
    return redirect("queue", caller.project.slug)


def _change_policy(request: HttpRequest, caller: Caller) -> HttpResponse:
    before = policies.current_policy(caller.project)
    form = PolicyForm(request.POST, instance=QueuePolicy(project=caller.project, version=before.version + 1))
    if form.is_valid():
        data = form.cleaned_data
        try:
            policy = policies.new_version(
                caller.project,
                by=person(caller),
                strategy=data["strategy"],
                batch_rule=data["batch_rule"],
                beta=data["beta"],
                epsilon=data["epsilon"],
                batch_size=data["batch_size"],
                low_watermark=data["low_watermark"],
            )
        except DomainError as error:
            blame(form, error)
        else:
            said = "is in force from the next refill on" if policy != before else "is in force already: nothing changed"
            messages.success(request, f"Version {policy.version} of the policy {said}.")
            return redirect("queue", caller.project.slug)
    return _show(request, caller, form, status=422)
