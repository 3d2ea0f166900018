"""Items whose answer is known: named, used, and taken back."""

import json

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, F, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone

from datasets.models import GoldItem
from datasets.services import gold
from labeling import selectors as facts
from labeling.access import Capability
from labeling.edges import Caller
from labeling.errors import DomainError, NotFound
from labeling.models import Item
from labeling.page_edges import blame, person, project_page, render_project
from labeling.schema import AnySchema, JSONValue

_PER_PAGE = 30


class GoldForm(forms.Form):
    """The answer is a class where answers are one class, else it is written as JSON."""

    key = forms.CharField(max_length=200, label="Key of the item", widget=forms.TextInput(attrs={"dir": "auto"}))
    answer = forms.CharField(label="Right answer")
    explanation = forms.CharField(
        required=False, max_length=gold.LONGEST_EXPLANATION, widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Shown to annotators in training after their answer: why it is right.",
    )  # fmt: skip

    def __init__(self, schema: AnySchema, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # handed on as they came
        self.is_choice = schema.kind == "single_choice"
        if self.is_choice:
            choices = [("", "Choose a class"), *((each.key, each.label) for each in schema.label_classes)]
            self.fields["answer"] = forms.ChoiceField(choices=choices, label="Right answer")
        else:
            self.fields["answer"].widget = forms.Textarea(attrs={"rows": 3})
            self.fields["answer"].help_text = "As JSON, in the form of the label schema, as the API takes it."

    def answer_given(self) -> JSONValue:
        text = self.cleaned_data["answer"]
        if self.is_choice:
            return {"choice": text}
        found: JSONValue = json.loads(text)
        return found

    def clean_answer(self) -> str:
        text = str(self.cleaned_data["answer"])
        if not self.is_choice:
            try:
                json.loads(text)
            except ValueError:
                raise forms.ValidationError("This is not JSON.") from None
        return text


@project_page(Capability.MANAGE)
def gold_items(request: HttpRequest, caller: Caller) -> HttpResponse:
    project = caller.project
    schema = facts.parsed_schema(project)
    action = request.POST.get("action", "")
    if request.method == "POST" and action in _ON_ONE:
        return _act(request, caller, action)
    form = (
        GoldForm(schema, request.POST)
        if request.method == "POST"
        else GoldForm(schema, initial={"key": request.GET.get("key", "")})
    )
    if request.method == "POST" and form.is_valid():
        try:
            item = _item(caller, form.cleaned_data["key"])
            _, is_new = gold.make(
                project,
                item,
                answer=form.answer_given(),
                explanation=form.cleaned_data["explanation"],
                by=person(caller),
            )
        except DomainError as error:
            blame(form, error)
        else:
            messages.success(request, f"The answer to {item.key} is {'known now' if is_new else 'changed'}.")
            return redirect("gold_items", project.slug)
    given = Q(item__annotations__withdrawn_at__isnull=True, item__annotations__is_ground_truth=False)
    found = (
        GoldItem.objects.filter(project=project)
        .select_related("item__pool_entry")
        .defer("item__pool_entry__probabilities")
    )
    found = found.order_by("-pk")
    found = found.annotate(
        answers=Count("item__annotations", filter=given),
        right=Count("item__annotations", filter=given & Q(item__annotations__answer=F("answer"))),
    )
    page = Paginator(found, _PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "form": form,
        "page": page,
        "active_count": GoldItem.objects.filter(project=project, is_active=True).count(),
    }
    status = 422 if form.errors else 200
    return render_project(request, caller, "datasets/gold.html", context, active="annotators", status=status)


def _of_label(request: HttpRequest, caller: Caller) -> str:
    item = _item(caller, request.POST.get("key", ""))
    gold.make_of_label(caller.project, item, explanation="", by=person(caller))
    return f"The label of {item.key} is its known answer now."


def _use(request: HttpRequest, caller: Caller, *, is_active: bool) -> str:
    found = gold.of(caller.project, _id(request))
    gold.set_active(found, is_active=is_active)
    return f"{found.item.key} is {'mixed into the work again' if is_active else 'mixed into the work no more'}."


def _remove(request: HttpRequest, caller: Caller) -> str:
    found = gold.of(caller.project, _id(request))
    key = found.item.key
    gold.remove(found, now=timezone.now())
    return f"The answer to {key} is not known any more."


_ON_ONE = ("of_label", "use", "rest", "remove")


def _act(request: HttpRequest, caller: Caller, action: str) -> HttpResponse:
    try:
        if action == "of_label":
            said = _of_label(request, caller)
        elif action == "remove":
            said = _remove(request, caller)
        else:
            said = _use(request, caller, is_active=action == "use")
    except DomainError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, said)
    return redirect("gold_items", caller.project.slug)


def _item(caller: Caller, key: str) -> Item:
    # PostgreSQL refuses to look for NUL.
    item = None if "\0" in key else Item.objects.filter(project=caller.project, key=key).first()
    if item is None:
        raise NotFound("This project has no item with that key.", code="item_not_found", fields={"key": "unknown"})
    return item


def _id(request: HttpRequest) -> int:
    text = request.POST.get("gold", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else 0
