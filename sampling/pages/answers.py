"""Single answers: what respondents said, one by one, with what the model had said and the chance with which they were asked."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from django import forms
from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils import timezone

from labeling import ask_answers, question_catalogue, selectors
from labeling.access import Capability
from labeling.ask_answers import GivenAnswer, Wanted
from labeling.edges import Caller
from labeling.models import Item, ModelVersion, Project, Question
from labeling.page_edges import project_page, render_project
from labeling.questions import Question as Wording
from labeling.questions.locales import in_locale
from labeling.schema import AnySchema
from labeling.services.ask_answers_export import FORMATS

_PER_PAGE: Final = 50
_MOST_MODELS: Final = 100
_LAST_DAY: Final = dt.date(9000, 1, 1)
_THUMBS: Final = {"up": "Good", "down": "Not good"}
_VERDICTS: Final = {"up": "Right", "down": "Wrong"}


@dataclass(frozen=True)
class Row:
    """An answer in words."""

    answer: GivenAnswer
    payload: Any
    predicted: str
    said: str
    correction: str


class AnswerFilterForm(forms.Form):
    """Unknown values of an address are passed over; the API is strict about them."""

    question = forms.ChoiceField(required=False)
    version = forms.IntegerField(required=False, min_value=1, max_value=2**31 - 1, label="Version")
    model_version = forms.ChoiceField(required=False, label="Model version")
    arm = forms.ChoiceField(
        required=False,
        label="The model’s answer",
        choices=[("", "shown or hidden"), ("shown", "shown"), ("blind", "hidden")],
    )
    drawn_by = forms.ChoiceField(
        required=False,
        label="Asked",
        choices=[("", "for any reason"), ("policy", "for its worth"), ("audit", "at random")],
    )
    respondent_hash = forms.RegexField(
        r"^[0-9a-f]{64}$", required=False, label="Respondent", widget=forms.TextInput(attrs={"placeholder": "hash"})
    )
    since = forms.DateField(required=False, label="From", widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(required=False, label="To", widget=forms.DateInput(attrs={"type": "date"}))

    def __init__(self, data: QueryDict, *, project: Project) -> None:
        super().__init__(data, auto_id="filter_%s")
        questions = Question.objects.filter(project=project).order_by("key").values_list("key", flat=True)
        models = ModelVersion.objects.filter(project=project).order_by("-pk").values_list("name", flat=True)
        self.fields["question"].choices = [("", "all"), *((key, key) for key in questions)]  # type: ignore[attr-defined]
        self.fields["model_version"].choices = [  # type: ignore[attr-defined]
            ("", "all"),
            *((name, name) for name in models[:_MOST_MODELS]),
        ]

    def wanted(self) -> Wanted:
        """What is valid of it; the day of `until` is within."""
        self.is_valid()
        said = {name: value for name, value in self.cleaned_data.items() if value not in (None, "")}
        for name, days in (("since", 0), ("until", 1)):
            if (day := said.get(name)) is not None:
                said[name] = dt.datetime.combine(min(day, _LAST_DAY), dt.time(), dt.UTC) + dt.timedelta(days=days)
        return Wanted(**said)


@project_page(Capability.READ)
def answers(request: HttpRequest, caller: Caller) -> HttpResponse:
    project = caller.project
    form = AnswerFilterForm(request.GET, project=project)
    wanted = form.wanted()
    asks = ask_answers.answered_asks(project, wanted)
    before = _id_of(request.GET.get("before", ""))
    page = list((asks.filter(pk__lt=before) if before else asks).order_by("-pk")[: _PER_PAGE + 1])
    given = ask_answers.given(page[:_PER_PAGE])
    context = {
        "form": form,
        "rows": _rows(project, given),
        "is_filtered": wanted != Wanted(),
        "older": _address(request, before=str(given[-1].id)) if len(page) > _PER_PAGE else "",
        "newest": _address(request) if before else "",
        "exports": [(name.upper(), _export(wanted, name)) for name in FORMATS],
        "has_randomised": any(each.is_randomised for each in given),
        "section": "answers",
        "now": timezone.now(),
    }
    return render_project(request, caller, "sampling/answers.html", context, active="asks")


def _rows(project: Project, given: list[GivenAnswer]) -> list[Row]:
    payloads = dict(Item.objects.filter(pk__in={each.item_id for each in given}).values_list("pk", "payload"))
    schema = selectors.parsed_schema(project)
    rows = []
    for each in given:
        wording = question_catalogue.known_version(each.question_version_id).question
        rows.append(
            Row(
                each,
                payloads.get(each.item_id),
                "" if each.predicted_answer is None else summary(schema, each.predicted_answer),
                said(wording, each),
                "" if each.correction is None else summary(schema, each.correction),
            )
        )
    return rows


def summary(schema: AnySchema, answer: Any) -> str:
    """In a line; as JSON says it where it fits the label schema in force no more."""
    try:
        return schema.summary_of(answer)
    except (ValueError, LookupError, TypeError):
        return str(answer)


def said(wording: Wording, given: GivenAnswer) -> str:
    """The opinion in the words of its question; empty where none was stated, or it is kept no more."""
    if given.value is None:
        return ""
    if given.kind == "correction":
        return _VERDICTS.get(str(given.value), str(given.value))
    if given.kind == "survey" and isinstance(given.value, dict):
        steps: Mapping[str, Wording] = getattr(wording, "questions", {})
        return "; ".join(f"{_title(steps.get(key), key)}: {_plain(answer)}" for key, answer in given.value.items())
    names = {option.key: in_locale(option.text, "en") for option in getattr(wording, "options", ())}
    if given.kind == "thumbs":
        names = _THUMBS
    elif given.kind == "preference":
        names = {key: in_locale(getattr(wording, key, {}), "en") for key in ("a", "b")} | {"tie": "No difference"}
    values = given.value if isinstance(given.value, list) else [given.value]
    return ", ".join(names.get(str(value), str(value)) for value in values) or "none of them"


def _title(step: Wording | None, key: str) -> str:
    return in_locale(step.text, "en") if step is not None else key


def _plain(answer: Any) -> str:
    """{"rating": 4} as 4."""
    value = next(iter(answer.values())) if isinstance(answer, dict) and len(answer) == 1 else answer
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _id_of(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _address(request: HttpRequest, **changes: str) -> str:
    """This page with other parameters."""
    kept = {name: value for name, value in request.GET.items() if name != "before" and value}
    return "?" + urlencode({**kept, **changes})


def _export(wanted: Wanted, format_name: str) -> str:
    """The parameters of the API's export of the same answers."""
    said = {
        name: value.isoformat() if isinstance(value, dt.datetime) else str(value)
        for name, value in vars(wanted).items()
        if value not in (None, "")
    }
    return urlencode({**said, "export_format": format_name})
