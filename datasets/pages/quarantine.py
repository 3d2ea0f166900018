"""Sources whose word is in doubt: who, why, what they said, and what a reviewer decides about them."""

from dataclasses import dataclass

from django import forms
from django.contrib import messages
from django.core.paginator import Page, Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone

from datasets import source_figures
from datasets.consensus.source_quality.reliability import Reliability
from datasets.consensus.source_quality.wording import strength
from datasets.errors import StandingChanged, StandingNotFound
from datasets.models import SourceDecision, SourceStanding
from datasets.services import standings
from datasets.services.examination import SHOWN_HASH
from datasets.services.standings import Action
from labeling import selectors as facts
from labeling.access import Capability
from labeling.edges import Caller
from labeling.errors import DomainError
from labeling.page_edges import is_fragment_asked, person, project_page, render_project

_SOURCES_PER_PAGE = 20
_DECISIONS_SHOWN = 20
_VIEWS = {
    "waiting": "Waiting for you",
    "decided": "Decided",
    "all": "All sources",
}
_FAMILIES = {
    "agreement": "Agreement with others", "gold": "Known answers", "invariability": "Always the same", "speed": "Speed",
    "collusion": "Agrees too well with somebody", "contradiction": "Contradictions", "targeting": "One target", "text": "Same comments",
}  # fmt: skip


class DecisionForm(forms.Form):
    last_decision_id = forms.IntegerField(required=False, widget=forms.HiddenInput)
    comment = forms.CharField(
        required=False, max_length=standings.LONGEST_COMMENT, widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Kept with the decision. Needed to block.",
    )  # fmt: skip
    weight = forms.FloatField(
        required=False, initial=standings.WEIGHT_UNLESS_SAID, widget=forms.NumberInput(attrs={"step": "0.05", "min": "0.05", "max": "0.95"}),
        help_text="Only for “Count less”: above 0, below 1.",
    )  # fmt: skip


@dataclass(frozen=True)
class Told:
    """A finding in words."""

    title: str
    strength: str
    text: str


@dataclass(frozen=True)
class Shown:
    """A source as pages write it."""

    standing: SourceStanding
    name: str
    reasons: list[Told]
    reliability: Reliability | None

    @property
    def interval(self) -> tuple[float, float] | None:
        found = self.reliability
        return None if found is None else (found.quantile(0.025), found.quantile(0.975))

    @property
    def golds(self) -> int:
        return self.standing.gold_hits + self.standing.gold_misses


@project_page(Capability.REVIEW)
def quarantine(request: HttpRequest, caller: Caller) -> HttpResponse:
    project = caller.project
    view = request.GET.get("view", "waiting")
    view = view if view in _VIEWS else "waiting"
    found = {
        "waiting": source_figures.waiting,
        "decided": source_figures.decided,
        "all": source_figures.standings,
    }[view](project)
    page: Page[SourceStanding] = Paginator(found, _SOURCES_PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "view": view,
        "views": _VIEWS,
        "page": page,
        "sources": [_shown(each) for each in page.object_list],
        "waiting_count": source_figures.waiting(project).count(),
        "rates": source_figures.flag_rates(project),
        "last": source_figures.last_examination(project),
        "can_be_judged": facts.current_schema(project).kind == "single_choice",
        "now": timezone.now(),
    }
    return render_project(
        request, caller, "datasets/quarantine.html", context, active="quality", fragment="datasets/_quarantine.html"
    )


@project_page(Capability.REVIEW, to_change=Capability.REVIEW)
def source(request: HttpRequest, caller: Caller, standing_id: int) -> HttpResponse:
    form = DecisionForm(request.POST or None)
    status = 200
    refusal = ""
    if request.method == "POST":
        try:
            _decide(request, caller, standing_id, form)
        except StandingNotFound:
            raise
        except DomainError as error:
            status, refusal = (409 if isinstance(error, StandingChanged) else 422), error.message
        else:
            if not is_fragment_asked(request):
                return redirect("source", caller.project.slug, standing_id)
            form = DecisionForm()
    found = source_figures.standings(caller.project).filter(pk=standing_id).first()
    if found is None:
        raise StandingNotFound("There is no such source in this project.")
    decisions = list(SourceDecision.objects.filter(standing=found).select_related("decided_by")[:_DECISIONS_SHOWN])
    # After a refusal the page shows what is true now, and the next try is about that; what was written stays.
    shown_form = DecisionForm(
        initial={"last_decision_id": decisions[0].pk if decisions else None, "comment": form.data.get("comment", "")}
    )
    context = {
        "shown": _shown(found),
        "form": shown_form,
        "refusal": refusal,
        "said": source_figures.last_answers(found),
        "decisions": decisions,
        "actions": _actions(found),
        "titles": {each.key: each.label for each in facts.parsed_schema(caller.project).label_classes},
        "now": timezone.now(),
        "is_fragment": is_fragment_asked(request),
    }
    return render_project(
        request, caller, "datasets/source.html", context, active="quality", fragment="datasets/_source.html",
        # htmx shows what comes with a success only; the refusal is in the fragment itself.
        status=200 if is_fragment_asked(request) else status,
    )  # fmt: skip


def _decide(request: HttpRequest, caller: Caller, standing_id: int, form: DecisionForm) -> None:
    action = request.POST.get("action", "")
    if action not in standings.NAMES or not form.is_valid():
        raise _refused(form)
    data = form.cleaned_data
    weight = data["weight"]
    decided = standings.decide(
        caller.project, standing_id, action=Action(action), by=person(caller), now=timezone.now(),
        last_decision_id=data["last_decision_id"], comment=data["comment"],
        weight=standings.WEIGHT_UNLESS_SAID if weight is None else weight,
    )  # fmt: skip
    messages.success(request, f"{_name(decided)}: {decided.get_step_display().lower()}. {decided.step_meaning}")


def _refused(form: DecisionForm) -> DomainError:
    wrong = "; ".join(f"{name}: {' '.join(map(str, errors))}" for name, errors in form.errors.items())
    return DomainError(wrong or "Choose what to do.", code="invalid_input")


def _actions(standing: SourceStanding) -> list[tuple[Action, str, str]]:
    """With name and meaning, what makes sense from here: not the step that it has, for which there is KEEP."""
    return [
        (action, name, standings.meaning(action))
        for action, name in standings.NAMES.items()
        if action.value != standing.step
        and not (action == Action.RELEASE and standing.step == SourceStanding.Step.NONE)
    ]


def _shown(standing: SourceStanding) -> Shown:
    judged = standing.hits + standing.misses
    return Shown(
        standing,
        _name(standing),
        [
            Told(_FAMILIES.get(reason["family"], reason["family"]), strength(reason["nats"]), reason["text"])
            for reason in standing.reasons
        ],
        Reliability(standing.hits, standing.misses) if judged else None,
    )


def _name(standing: SourceStanding) -> str:
    if standing.annotator is not None:
        return standing.annotator.get_username()
    return f"Respondent {standing.respondent_hash[:SHOWN_HASH]}…"
