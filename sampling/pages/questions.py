"""Questions: which there are, how far they are, what was said to them; making one, wording it anew, and whether it is asked."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from labeling import question_catalogue, selectors
from labeling import questions as kinds
from labeling.access import Capability
from labeling.edges import Caller
from labeling.errors import DomainError, InvalidInput
from labeling.models import Project, Question, QuestionVersion
from labeling.page_edges import blame, person, project_page, render_project
from labeling.questions import Asked, QuestionError
from labeling.questions.locales import in_locale
from labeling.schema import AnySchema, JSONValue, Numeric
from labeling.services import questions
from labeling.services.questions import Wording
from sampling import question_results
from sampling.objective import Objective
from sampling.pages import question_forms
from sampling.pages.question_forms import KIND_MEANINGS, NewQuestionForm, QuestionForm, StepFormSet

_VERSIONS_SHOWN: Final = 20
_FIELDS: Final = {"target_half_width": "target_points", "definition": "text"}
"""The service's names of fields, where the form has others."""
_SAMPLE_TEXT: Final = "What the model said."


@dataclass(frozen=True)
class Row:
    """A question in the list."""

    question: Question
    version: QuestionVersion
    text: str
    answered: int
    wanted: int | None


@project_page(Capability.READ)
def question_list(request: HttpRequest, caller: Caller) -> HttpResponse:
    found = list(question_catalogue.listing(caller.project))
    answered = question_results.answered_counts(found)
    rows = [_row(question, answered.get(question.pk, 0)) for question in found]
    context = {"rows": rows, "section": "questions", "most": max((row.wanted or 0 for row in rows), default=0)}
    return render_project(request, caller, "sampling/questions.html", context, active="asks")


@project_page(Capability.MANAGE)
def new_question(request: HttpRequest, caller: Caller) -> HttpResponse:
    """The kind is in the address, because the form depends on it."""
    project = caller.project
    fitting = _fitting(project)
    kind = request.GET.get("kind", "")
    is_kind_chosen = kind in fitting
    if not is_kind_chosen:
        kind = fitting[0]
    form = NewQuestionForm(request.POST or None, kind=kind)
    steps = StepFormSet(request.POST or None, initial=[], prefix="steps")
    if request.method == "POST":
        wording = _filled_in(form, steps)
        if wording is not None:
            try:
                version = questions.create(
                    project, key=form.cleaned_data["key"], kind=kind, wording=wording, by=person(caller)
                )
            except DomainError as error:
                _blame(form, error)
            else:
                messages.success(request, f"“{version.question.key}” is live: it is asked from now on.")
                return redirect("question", project.slug, version.question.key)
    context = {
        **_editor(form, steps, kind),
        "kinds": [(each, QuestionVersion.Kind(each).label, KIND_MEANINGS[each]) for each in fitting],
        "kind_name": QuestionVersion.Kind(kind).label,
        "is_kind_chosen": is_kind_chosen,
    }
    status = 422 if request.method == "POST" else 200
    return render_project(request, caller, "sampling/new_question.html", context, active="asks", status=status)


@project_page(Capability.READ)
def question(request: HttpRequest, caller: Caller, key: str) -> HttpResponse:
    asked = _question(caller.project, key)
    if request.method == "POST":
        return _act(request, caller, asked)
    return _show(request, caller, asked)


@project_page(Capability.MANAGE)
def question_preview(request: HttpRequest, caller: Caller) -> HttpResponse:
    """What the widget would show of a form as it is filled in now. Changes nothing."""
    kind = request.POST.get("kind_of_question", "")
    if request.method != "POST" or kind not in KIND_MEANINGS:
        raise InvalidInput("A preview is of a filled in form.")
    form = QuestionForm(request.POST, kind=kind)
    steps = StepFormSet(request.POST, initial=[], prefix="steps")
    wording = _filled_in(form, steps)
    context: dict[str, object] = {"problems": _problems(form, steps)}
    if wording is not None:
        try:
            context = _rendered(caller.project, kind, wording, request.POST)
        except QuestionError as error:
            context = {"problems": [("", str(error))]}
    return render(request, "sampling/_question_preview.html", context)


def _act(request: HttpRequest, caller: Caller, asked: Question) -> HttpResponse:
    actions: dict[str, Callable[[HttpRequest, Caller, Question], HttpResponse]] = {
        "save": _save,
        "pause": _pause,
        "resume": _resume,
        "end": _end,
    }
    action = actions.get(request.POST.get("action", ""))
    if action is None:
        raise InvalidInput("A question does not know this action.")
    return action(request, caller, asked)


def _pause(request: HttpRequest, caller: Caller, asked: Question) -> HttpResponse:
    questions.pause(asked)
    messages.success(request, "Paused: nobody is asked until you resume it. Asks that are open can still be answered.")
    return redirect("question", caller.project.slug, asked.key)


def _resume(request: HttpRequest, caller: Caller, asked: Question) -> HttpResponse:
    questions.resume(asked)
    messages.success(request, "It is asked again.")
    return redirect("question", caller.project.slug, asked.key)


def _end(request: HttpRequest, caller: Caller, asked: Question) -> HttpResponse:
    questions.end(asked, reason=f"Ended by {person(caller).get_username()}.")
    messages.success(request, "Ended: nobody is asked any more.")
    return redirect("question", caller.project.slug, asked.key)


def _save(request: HttpRequest, caller: Caller, asked: Question) -> HttpResponse:
    before = question_catalogue.newest_version(asked)
    form = QuestionForm(request.POST, kind=before.kind)
    steps = StepFormSet(request.POST, initial=question_forms.initial_steps(before), prefix="steps")
    wording = _filled_in(form, steps)
    if wording is not None:
        try:
            version = questions.new_version(asked, wording=wording, by=person(caller))
        except DomainError as error:
            _blame(form, error)
        else:
            is_new = version.pk != before.pk
            said = f"Version {version.version} is asked from now on." if is_new else "Nothing changed."
            messages.success(request, said)
            return redirect("question", caller.project.slug, asked.key)
    return _show(request, caller, asked, form=form, steps=steps, status=422)


def _show(
    request: HttpRequest,
    caller: Caller,
    asked: Question,
    *,
    form: QuestionForm | None = None,
    steps: Any = None,
    status: int = 200,
) -> HttpResponse:
    version = question_catalogue.newest_version(asked)
    versions = QuestionVersion.objects.filter(question=asked).select_related("created_by").order_by("-version")
    results = question_results.results(asked, version, selectors.parsed_schema(caller.project), now=timezone.now())
    form = form or QuestionForm(kind=version.kind, initial=dict(question_forms.initial_values(version)))
    steps = steps or StepFormSet(initial=question_forms.initial_steps(version), prefix="steps")
    context = {
        **_editor(form, steps, version.kind),
        "question": asked,
        "version": version,
        "versions": versions[:_VERSIONS_SHOWN],
        "text": in_locale(kinds.parse_question(version.kind, version.definition).text, "en"),
        "results": results,
    }
    return render_project(request, caller, "sampling/question.html", context, active="asks", status=status)


def _editor(form: QuestionForm, steps: Any, kind: str) -> dict[str, object]:
    return {
        "form": form,
        "steps": steps if kind == QuestionVersion.Kind.SURVEY else None,
        "kind": kind,
        "section": "questions",
        "is_correction": kind == QuestionVersion.Kind.CORRECTION,
    }


def _question(project: Project, key: str) -> Question:
    found = Question.objects.filter(project=project, key=key).first()
    if found is None:
        raise Http404
    return found


def _row(asked: Question, answered: int) -> Row:
    (version,) = asked.versions.all()
    parsed = kinds.parse_question(version.kind, version.definition)
    objective: Objective = question_results.objective_of(version)
    return Row(asked, version, in_locale(parsed.text, "en"), answered, objective.wanted)


def _fitting(project: Project) -> list[str]:
    """Kinds that can be asked in a project with this label schema, the most telling first."""
    try:
        correction = kinds.parse_question("correction", {"text": {"en": "?"}})
        correction.check_fits(selectors.parsed_schema(project))
    except QuestionError:
        return [kind for kind in KIND_MEANINGS if kind != QuestionVersion.Kind.CORRECTION]
    return list(KIND_MEANINGS)


def _filled_in(form: QuestionForm, steps: Any) -> Wording | None:
    """The wording, if everything that was filled in can be read."""
    is_survey = form.kind == QuestionVersion.Kind.SURVEY
    are_valid = [form.is_valid(), not is_survey or steps.is_valid()]
    if not all(are_valid):
        return None
    found = [each.step(place) for place, each in enumerate(steps, start=1)] if is_survey else []
    return form.wording([step for step in found if step is not None])


def _problems(form: QuestionForm, steps: Any) -> list[tuple[str, str]]:
    if "text" in form.errors and not form.data.get("text", "").strip():
        return [("", "Write the question to see it here.")]
    found = [
        (str(form[name].label) if name in form.fields else "", str(texts[0])) for name, texts in form.errors.items()
    ]
    if form.kind == QuestionVersion.Kind.SURVEY:
        for place, each in enumerate(steps, start=1):
            found += [(f"Step {place}: {each[name].label}", str(texts[0])) for name, texts in each.errors.items()]
    return found


def _blame(form: QuestionForm, error: DomainError) -> None:
    """At the field the service names, by the form's name of it."""
    error.fields = {_FIELDS.get(name, name): text for name, text in error.fields.items()}
    blame(form, error)


def _rendered(project: Project, kind: str, wording: Wording, data: Mapping[str, str]) -> dict[str, object]:
    """The question as the widget takes it, in the language and arm that the preview is of. Raises QuestionError."""
    parsed = kinds.parse_question(kind, wording.definition)
    schema = selectors.parsed_schema(project)
    parsed.check_fits(schema)
    if wording.epsilon is not None:
        kinds.check_private(parsed, wording.epsilon)
    locales = sorted({*parsed.text, *parsed.help, *parsed.thanks})
    locale = data.get("preview_locale", "")
    locale = locale if locale in locales else ("en" if "en" in locales else locales[0])
    about = Asked(schema, _sample_answer(schema), is_blind=data.get("preview_blind") == "on")
    shown = kinds.rendered(parsed, key="preview", version=1, locale=locale, asked=about, epsilon=wording.epsilon)
    wanted = Objective(
        wording.target_answers,
        wording.target_half_width,
        epsilon=wording.epsilon,
        levels=max(len(parsed.alternatives), 2),
    ).wanted
    return {"question_json": json.dumps(shown), "locales": locales, "locale": locale, "wanted": wanted}


def _sample_answer(schema: AnySchema) -> JSONValue:
    """An answer that a model could have given, for the preview."""
    if schema.prediction_form != "confidence":
        return schema.answer_from([1.0] + [0.0] * (len(schema.class_keys) - 1))
    return {"number": schema.minimum} if isinstance(schema, Numeric) else {"text": _SAMPLE_TEXT}
