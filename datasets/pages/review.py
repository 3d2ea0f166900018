"""Review: the cases that are in doubt, and one of them with all that is known, to be decided by keyboard."""

import datetime as dt
import json
from dataclasses import dataclass
from typing import Any, Final

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_POST, require_safe

from datasets import review_board
from datasets.errors import ReviewClaimed, ReviewClosed
from datasets.models import ReviewCase, ReviewDecision, SuspectLabel
from datasets.services import label_checks, label_errors, review
from labeling import markdown, news, selectors
from labeling.access import Capability
from labeling.edges import Caller
from labeling.errors import DomainError, NotFound
from labeling.models import Item
from labeling.page_edges import EDITOR_SCRIPTS, blame, person, project_page, render_project
from labeling.schema import AnySchema, definition_of

_CASES_PER_PAGE: Final = 50
_MOST_SUSPECTS: Final = 50
_SEEN: Final = "review_suggestions_seen"
_MOST_SEEN: Final = 500
"""So many cases a session remembers of which the reviewer saw what the model says."""
_SCRIPTS: Final = [*EDITOR_SCRIPTS, *(f"feedbackproject/js/{name}.js" for name in ("annotate/keyboard", "review"))]
_Action = ReviewDecision.Action

reviewers_page = project_page(Capability.REVIEW, to_change=Capability.REVIEW)


@dataclass(frozen=True)
class _Step:
    """What a reviewer did about a case, or that later evidence settled it."""

    at: dt.datetime
    case_id: int
    decision: ReviewDecision | None = None
    said: str = ""
    settled: str = ""


class DecisionForm(forms.Form):
    answer = forms.JSONField(required=False, widget=forms.HiddenInput)
    comment = forms.CharField(
        max_length=review.LONGEST_COMMENT,
        required=False,
        label="Comment",
        widget=forms.Textarea(attrs={"rows": 2, "dir": "auto"}),
    )
    explanation = forms.CharField(
        max_length=review.LONGEST_COMMENT,
        required=False,
        label="Why it is so",
        widget=forms.Textarea(attrs={"rows": 3, "dir": "auto"}),
        help_text="Annotators in training read it after their answer.",
    )


class SearchForm(forms.Form):
    most_open = forms.IntegerField(
        min_value=1,
        max_value=10_000,
        label="Open at most",
        help_text="So many cases of this kind at once, those of before included.",
    )


@reviewers_page
def queue(request: HttpRequest, caller: Caller) -> HttpResponse:
    project = caller.project
    search_form = SearchForm(
        request.POST if request.method == "POST" else None, initial={"most_open": settings.LABEL_ERRORS_MOST_OPEN}
    )
    if search_form.is_bound and search_form.is_valid():
        found = label_errors.search(project, now=timezone.now(), most_open=search_form.cleaned_data["most_open"])
        messages.info(request, found.summary)
        if label_checks.is_checkable(project):
            news.tell(news.label_check_wanted, project_id=project.pk)
            messages.info(request, "Cross-validation has been started; its findings appear here when it is done.")
        return redirect("review", project.slug)
    kind, state = _wanted(request)
    cases = review_board.cases(project, kind=kind, state=state)
    page = Paginator(cases, _CASES_PER_PAGE).get_page(request.GET.get("page"))
    found_cases = list(page.object_list)
    last = review_board.last_decisions(found_cases) if state != ReviewCase.State.OPEN else {}
    counts = review_board.open_counts(project)
    schema = selectors.parsed_schema(project)
    suspects = label_errors.listed(project)
    context = {
        "page": page,
        "suspects": suspects[:_MOST_SUSPECTS],
        "suspect_count": suspects.count(),
        "last_check": label_checks.last_check(project),
        "rows": [
            (case, _why(case), last.get(case.pk), _said(last.get(case.pk), schema), review_board.settled_because(case))
            for case in found_cases
        ],
        "kind": kind,
        "state": state,
        "is_open": state == ReviewCase.State.OPEN,
        "kinds": [(each.value, each.label, counts[each.value]) for each in ReviewCase.Kind],
        "states": ReviewCase.State.choices,
        "open_count": sum(counts.values()),
        "search_form": search_form,
        "now": timezone.now(),
    }
    status = 422 if search_form.errors else 200
    return render_project(request, caller, "datasets/review.html", context, active="review", status=status)


@require_POST
@reviewers_page
def start(request: HttpRequest, caller: Caller) -> HttpResponse:
    """Claim the next case and go there."""
    kind = request.POST.get("kind", "")
    return _to_next(request, caller, kind if kind in ReviewCase.Kind.values else "")


@require_POST
@reviewers_page
def send(request: HttpRequest, caller: Caller, item_id: int) -> HttpResponse:
    """Send the item to review, from its page."""
    item = Item.objects.filter(project=caller.project, pk=item_id).first()
    if item is None:
        raise NotFound("This project has no such item.")
    sent = review.send_to_review(caller.project, item, by=person(caller), now=timezone.now())
    messages.success(
        request, "Sent to review." if sent.is_new else "It was in review already; it goes up in the order."
    )
    return redirect("review_case", caller.project.slug, sent.case.pk)


@reviewers_page
def case(request: HttpRequest, caller: Caller, case_id: int) -> HttpResponse:
    project, kind = caller.project, _wanted(request)[0]
    found = review.find(project, case_id)
    form = DecisionForm(request.POST if request.method == "POST" else None)
    status = 200
    if form.is_bound:
        action = request.POST.get("action", "")
        if action == "skip":
            review.release(project, case_id, by=person(caller))
            return _to_next(request, caller, kind, after=found)
        if form.is_valid():
            try:
                _act(request, caller, found, action, form.cleaned_data)
            except ReviewClosed as error:
                messages.error(request, error.message)
                status = 409
                found = review.find(project, case_id)
                form = DecisionForm()
            except DomainError as error:
                blame(form, error)
            else:
                messages.success(request, f"{_Action(action).label}.")
                if action == _Action.REOPEN:
                    return redirect("review_case", project.slug, case_id)
                return _to_next(request, caller, kind)
    context = {**_dossier(request, found), "form": form, "kind": kind}
    status = 422 if form.errors else status
    return render_project(request, caller, "datasets/review_case.html", context, active="review", status=status)


@require_safe
@reviewers_page
def suggestion(request: HttpRequest, caller: Caller, case_id: int) -> HttpResponse:
    """What the model says, for a reviewer who asks; that they asked is kept for their decision."""
    found = review.find(caller.project, case_id)
    seen = [each for each in request.session.get(_SEEN, []) if each != case_id]
    request.session[_SEEN] = [*seen, case_id][-_MOST_SEEN:]
    context = _suggestion(found, selectors.parsed_schema(caller.project))
    return render_project(request, caller, "datasets/_review_suggestion.html", context, active="review")


@require_POST
@reviewers_page
def claim(request: HttpRequest, caller: Caller, case_id: int) -> HttpResponse:
    """The heartbeat of an open case: whose it is."""
    context: dict[str, object] = {"case_id": case_id}
    try:
        context["until"] = review.claim(caller.project, case_id, by=person(caller), now=timezone.now())
    except ReviewClaimed as error:
        context["claimed"] = error
    except ReviewClosed as error:
        context["closed"] = error
    return render_project(request, caller, "datasets/_review_claim.html", context, active="review")


# -- inside ------------------------------------------------------------------------------------------------------


def _wanted(request: HttpRequest) -> tuple[str, str]:
    kind, state = request.GET.get("kind", ""), request.GET.get("state", "")
    return (
        kind if kind in ReviewCase.Kind.values else "",
        state if state in ReviewCase.State.values else ReviewCase.State.OPEN.value,
    )


def _to_next(request: HttpRequest, caller: Caller, kind: str, *, after: ReviewCase | None = None) -> HttpResponse:
    query = f"?{urlencode({'kind': kind})}" if kind else ""
    found = review.next_case(caller.project, by=person(caller), now=timezone.now(), kind=kind, after=after)
    if found is None:
        messages.info(request, "There is no further case for you now.")
        return redirect(reverse("review", args=[caller.project.slug]) + query)
    return redirect(reverse("review_case", args=[caller.project.slug, found.pk]) + query)


def _act(request: HttpRequest, caller: Caller, found: ReviewCase, action: str, data: dict[str, Any]) -> None:
    common: dict[str, Any] = {"by": person(caller), "now": timezone.now(), "comment": data["comment"]}
    saw = found.pk in request.session.get(_SEEN, [])
    project = caller.project
    if action == _Action.DECIDE:
        review.decide(project, found.pk, answer=data["answer"], saw_suggestion=saw, **common)
    elif action == _Action.GOLD:
        explanation = data["explanation"]
        review.make_gold(
            project, found.pk, answer=data["answer"], explanation=explanation, saw_suggestion=saw, **common
        )
    elif action == _Action.SEND_BACK:
        review.send_back(project, found.pk, saw_suggestion=saw, **common)
    elif action == _Action.AMBIGUOUS:
        review.mark_ambiguous(project, found.pk, saw_suggestion=saw, **common)
    elif action == _Action.REOPEN:
        review.reopen(project, found.pk, **common)
    else:
        raise NotFound("There is no such action.")


def _dossier(request: HttpRequest, found: ReviewCase) -> dict[str, object]:
    """All that the page of a case shows; what the model says only if it was asked for before."""
    label_schema = selectors.current_schema(found.project)
    schema = selectors.parsed(label_schema)
    item = found.item
    is_open = found.state == ReviewCase.State.OPEN
    saw = found.pk in request.session.get(_SEEN, [])
    label = review_board.accepted_label(found)
    return {
        "case": found,
        "why": _why(found),
        "is_open": is_open,
        "schema": schema,
        "evidence": [(said, json.dumps(said.answer)) for said in review_board.evidence(found, schema)],
        "belief": (belief := review_board.belief(found, schema)),
        "belief_reason": review_board.BELIEF_REASONS.get(belief.reason, "") if belief else "",
        "label": label,
        "label_summary": "" if label is None else schema.summary_of(label.answer),
        "has_open_task": review_board.has_open_task(found),
        "trail": _trail(found, schema),
        "settled_because": review_board.settled_because(found),
        "now": timezone.now(),
        "saw_suggestion": saw,
        "scripts": _SCRIPTS,
        "config": {
            "schema": definition_of(schema),
            "item": {
                "key": item.key,
                "payload": item.payload,
                "segments": item.segments,
                "rendered": dict(markdown.rendered_fields(item.payload)),
            },
            "is_open": is_open,
        },
        **(_suggestion(found, schema) if saw else {}),
    }


def _suggestion(found: ReviewCase, schema: AnySchema) -> dict[str, object]:
    said = selectors.suggestion_about(found.item, schema)
    doubted = found.detail.get("suggested") if found.kind == ReviewCase.Kind.LABEL_ERROR else None
    titles = {each.key: each.label for each in schema.label_classes}
    return {
        "suggestion": said,
        "suggestion_summary": "" if said is None else schema.summary_of(said.answer),
        "suggestion_answer": "" if said is None else json.dumps(said.answer),
        "doubted": titles.get(str(doubted), doubted) if doubted else None,
        "doubted_by": found.detail.get("model_version"),
        "is_cross_validated": found.detail.get("source") == SuspectLabel.Source.CROSS_VALIDATION,
    }


def _trail(found: ReviewCase, schema: AnySchema) -> list[_Step]:
    """What became of the item's cases, oldest first."""
    decided = [_Step(each.decided_at, each.case_id, each, _said(each, schema)) for each in review_board.history(found)]
    settled = [_Step(each.at, each.case_id, settled=each.because) for each in review_board.settlements(found)]
    return sorted([*decided, *settled], key=lambda step: step.at)


def _said(decision: ReviewDecision | None, schema: AnySchema) -> str:
    return "" if decision is None or decision.answer is None else schema.summary_of(decision.answer)


def _why(found: ReviewCase) -> str:
    """Why the case is there, in a few words that do not give away what the model says."""
    detail = found.detail
    if found.kind == ReviewCase.Kind.LABEL_ERROR and "score" in detail:
        is_ours = detail.get("source") == SuspectLabel.Source.CROSS_VALIDATION
        source = "cross-validation" if is_ours else "a model that never saw the label"
        return f"{source} contradicts {'the label' if is_ours else 'it'}, by {100 * detail['score']:.0f} points"
    if "largest_share" in detail or "merged_share" in detail:
        return review_board.answers_agree(detail)
    return str(found.get_kind_display())[:1].lower() + str(found.get_kind_display())[1:]
