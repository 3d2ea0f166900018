"""The queue: what waits and why, how it is doing, filling it, pausing it, and the policy it is filled by."""

import datetime as dt
from collections.abc import Callable, Mapping
from types import MappingProxyType

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.functional import cached_property

from labeling.access import Capability
from labeling.edges import Caller
from labeling.errors import DomainError, InvalidInput
from labeling.models import Project
from labeling.page_edges import LivePart, blame, is_fragment_asked, person, project_page, render_live
from labeling.services import health as engines
from labeling.services import projects
from labeling.wakeup import wake
from sampling import queue_board as board
from sampling import queue_health, selectors, tasks
from sampling.errors import InvalidPolicy
from sampling.models import QueuePolicy, RefillRun
from sampling.pages import preview, queue_board, queue_bulk, queue_policy, trend
from sampling.services import policies, refill, surrogates
from sampling.services.preview import preview as preview_policy

_RUNS_SHOWN = 10
_VERSIONS_SHOWN = 20


@project_page(Capability.READ)
def queue(request: HttpRequest, caller: Caller) -> HttpResponse:
    if request.method == "POST":
        return _act(request, caller)
    return _show(request, caller)


class _Figures:
    """What several parts of the page draw on, asked for once and only if one of them is drawn."""

    def __init__(self, project: Project, now: dt.datetime) -> None:
        self.project, self.now = project, now

    @cached_property
    def open(self) -> queue_health.OpenTasks:
        return queue_health.open_tasks(self.project, now=self.now)

    @cached_property
    def closed(self) -> queue_health.ClosedTasks:
        return queue_health.closed_tasks(self.project)

    @cached_property
    def pace(self) -> queue_health.Pace:
        return queue_health.pace(self.project, now=self.now)

    @cached_property
    def runs(self) -> list[RefillRun]:
        return list(selectors.refill_runs(self.project).order_by("-id")[:_RUNS_SHOWN])

    @cached_property
    def policy(self) -> QueuePolicy:
        return policies.current_policy(self.project)

    @property
    def is_busy(self) -> bool:
        return self.project.is_queue_open and any(run.state == RefillRun.State.PENDING for run in self.runs)


def _show(
    request: HttpRequest,
    caller: Caller,
    *,
    policy_form: queue_policy.PolicyForm | None = None,
    bulk_form: queue_bulk.BulkForm | None = None,
    extra: Mapping[str, object] = MappingProxyType({}),
    status: int = 200,
) -> HttpResponse:
    project, now = caller.project, timezone.now()
    figures = _Figures(project, now)
    form = queue_board.FilterForm(request.GET, queue_board.members_of(project))
    filters = form.filters
    versions = QueuePolicy.objects.filter(project=project).select_related("created_by").order_by("-version")
    parts = {
        "state": LivePart("sampling/_state.html", lambda: _state(figures), seconds=2),
        "surrogate": LivePart(
            "sampling/_surrogate.html", lambda: {"surrogate": surrogates.status(project), "now": now}, seconds=15
        ),
        "health": LivePart("sampling/_health.html", lambda: _health(figures), seconds=15),
        "counts": LivePart(
            "sampling/_counts.html",
            lambda: {
                "views": queue_board.view_counts(filters, figures.open, figures.closed),
                "reasons": queue_board.reason_counts(filters, figures.open),
            },
        ),
        "rows": LivePart(
            "sampling/_rows.html",
            lambda: queue_board.rows(request, project, filters, now=now),
            # What is closed changes less, and to filter it costs more.
            seconds=10 if filters.view.is_closed else 3,
        ),
        "runs": LivePart("sampling/_runs.html", lambda: {"runs": figures.runs, "now": now}),
    }
    context = {
        "filter_form": form,
        "is_narrowed": any(request.GET.get(name) for name in ("person", "mark", "age", "low", "high", "sort")),
        "bulk_form": bulk_form or queue_bulk.BulkForm(project=project, view=filters.view),
        "most_at_once": board.MOST_AT_ONCE,
        "policy": figures.policy,
        "strategy_name": queue_policy.short_name(figures.policy.strategy),
        "versions": versions[:_VERSIONS_SHOWN],
        "form": policy_form or queue_policy.current(project),
        **extra,
    }
    return render_live(request, caller, "sampling/queue.html", parts, context, active="queue", status=status)


def _state(figures: _Figures) -> dict[str, object]:
    return {
        "open": figures.open,
        "runs": figures.runs,
        "is_busy": figures.is_busy,
        "policy": figures.policy,
        "now": figures.now,
    }


def _health(figures: _Figures) -> dict[str, object]:
    pace = figures.pace
    left = pace.time_to_finish(figures.open.answers_missing)
    return {
        "open": figures.open,
        "closed": figures.closed,
        "limit": queue_health.COUNTED_UP_TO,
        "pace": pace,
        "hours": trend.columns(pace),
        "minutes_left": left / dt.timedelta(minutes=1) if left else None,
        "hours_left": left / dt.timedelta(hours=1) if left else None,
        "lag": queue_health.refill_lag(figures.project),
        "worker": engines.check(now=figures.now).worker,
        "now": figures.now,
    }


def _act(request: HttpRequest, caller: Caller) -> HttpResponse:
    actions: dict[str, Callable[[HttpRequest, Caller], HttpResponse]] = {
        "refill": _refill,
        "pause": _pause,
        "resume": _resume,
        "policy": _change_policy,
        "preview": _preview,
        "bulk": _bulk,
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
    form = queue_policy.next_version(caller.project, request.POST)
    if form.is_valid():
        try:
            policy = policies.new_version(caller.project, by=person(caller), **form.cleaned_data)
        except DomainError as error:
            blame(form, error)
        else:
            said = "is in force from the next refill on" if policy != before else "is in force already: nothing changed"
            messages.success(request, f"Version {policy.version} of the policy {said}.")
            return redirect("queue", caller.project.slug)
    return _show(request, caller, policy_form=form, status=422)


def _preview(request: HttpRequest, caller: Caller) -> HttpResponse:
    """Beside the form, which keeps what was typed; for htmx the preview alone."""
    form = queue_policy.next_version(caller.project, request.POST)
    said = error = None
    if form.is_valid():
        try:
            said = preview_policy(caller.project, **form.cleaned_data)
        except InvalidPolicy as refusal:
            blame(form, refusal)
        except ValueError as problem:
            error = str(problem)
    context = {"preview": preview.shown(said) if said else None, "preview_error": error}
    if is_fragment_asked(request):
        problems = [(form[name].label if name in form.fields else "", texts[0]) for name, texts in form.errors.items()]
        everything = {**context, "problems": problems, "project": caller.project}
        return render(request, "sampling/_preview.html", everything)
    return _show(request, caller, policy_form=form, extra=context, status=200 if said else 422)


def _bulk(request: HttpRequest, caller: Caller) -> HttpResponse:
    """To the chosen tasks, or to all that the filters in the address let through."""
    project, now = caller.project, timezone.now()
    form = queue_bulk.BulkForm(request.POST, project=project)
    if not form.is_valid():
        return _show(request, caller, bulk_form=form, status=422)
    if request.POST.get("everything") == "on":
        filters = queue_board.FilterForm(request.GET, queue_board.members_of(project)).filters
        chosen = board.ids_of_matching(project, filters, now=now)
    else:
        chosen = [int(text) for text in request.POST.getlist("task") if text.isdecimal() and len(text) < 19]
    if not chosen:
        messages.error(request, "Nothing is chosen. Tick the items to change, then try again.")
        return redirect(request.get_full_path())
    try:
        said = queue_bulk.apply(form, project, chosen[: board.MOST_AT_ONCE], by=person(caller), now=now)
    except DomainError as error:
        blame(form, error)
        return _show(request, caller, bulk_form=form, status=422)
    if said.done:
        messages.success(request, said.done)
    for refusal in said.refusals:
        messages.warning(request, refusal)
    return redirect(request.get_full_path())
