"""What it takes to ask from an app: snippets with this project's names filled in, to copy."""

import json
from dataclasses import dataclass
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from labeling import selectors
from labeling.access import Capability
from labeling.edges import Caller
from labeling.models import ApiKey, ModelVersion, Project, Question
from labeling.page_edges import project_page, render_project
from labeling.schema import AnySchema

_NO_KEY: Final = "fb_pk_..."


@dataclass(frozen=True)
class Snippet:
    """A text to copy. `name` is its id on the page."""

    name: str
    title: str
    meaning: str
    text: str


_WIDGET: Final = """<script async src="{base}{widget}"
        data-project="{slug}" data-key="{key}"></script>

<!-- Beside what the model said; nothing is drawn while nobody is asked. -->
<div data-feedback-ask data-key="{item}"{question_attribute}></div>"""

# The stub keeps calls until the widget, which loads when it may, is there.
_SCRIPT: Final = """<script async src="{base}{widget}"></script>
<script type="module">
  window.feedback ??= (...call) => new Promise((done) => (feedback.q ??= []).push([call, done]));
  feedback("init", {{ project: "{slug}", key: "{key}", respondent: "user-1" }});
  const decision = await feedback("ask", {{
    key: "{item}"{question_field},
    target: document.querySelector("#answer"), // left out: in the corner
  }});
</script>"""

_MODEL: Final = """curl {base}/api/v1/projects/{slug}/model-versions \\
  -H "Authorization: Bearer $FEEDBACK_KEY" -H "Content-Type: application/json" \\
  -d '{{"name": "{model}"}}'"""

_PYTHON: Final = """from feedback_client import Client

client = Client("{base}", "{slug}", key)  # the secret key {secret}, from your configuration

decision = client.ask(
    "{item}",
    model_version="{model}",
    {said},
    payload={{"text": text}},
    respondent=user.id,
)
if decision:
    context["ask"] = decision.answer  # for the widget: feedback("show", ask)"""

_CURL: Final = """curl {base}/api/v1/projects/{slug}/asks \\
  -H "Authorization: Bearer $FEEDBACK_KEY" -H "Content-Type: application/json" \\
  -d '{{"opportunity_id": "o-1", "key": "{item}", "payload": {payload}, "respondent": "user-1",
       "prediction": {{"model_version": "{model}", {predicted}}}}}'"""

_ANSWER: Final = """curl {base}/api/v1/asks/$TOKEN -H "Content-Type: application/json" \\
  -d '{{"event": "answered", "answer": {answer}}}'"""

# Of questions whose answers name nothing of the question's own.
_ANSWERS: Final = {
    "correction": '{"is_right": true}',
    "thumbs": '{"thumb": "up"}',
    "text": '{"text": "It is."}',
    "preference": '{"preferred": "a"}',
}


_SAID: Final = "probabilities=model.predict_proba([text])[0]"
_SAID_ELSE: Final = "answer=answer, confidence=0.8"
_IMAGE: Final = '{"image": "https://app.example.org/1.png"}'
_PREDICTED_ANSWERS: Final = {
    "text_correction": '{"text": "Hello"}',
    "spans": '{"spans": []}',
    "boxes": '{"boxes": []}',
}


@project_page(Capability.READ)
def ask_snippets(request: HttpRequest, caller: Caller) -> HttpResponse:
    project = caller.project
    keys = list(
        ApiKey.objects.filter(project=project, kind=ApiKey.Kind.PUBLISHABLE, revoked_at__isnull=True).order_by("name")
    )
    secret = ApiKey.objects.filter(project=project, kind=ApiKey.Kind.SECRET, revoked_at__isnull=True).first()
    context = {
        "snippets": _snippets(project, keys, secret, request.build_absolute_uri("/").rstrip("/")),
        "publishable": keys,
        "has_secret": secret is not None,
        "has_questions": Question.objects.filter(project=project, state=Question.State.LIVE).exists(),
        "section": "snippets",
    }
    return render_project(request, caller, "sampling/ask_snippets.html", context, active="asks")


def _snippets(project: Project, keys: list[ApiKey], secret: ApiKey | None, base: str) -> list[Snippet]:
    """Keys are not stored, so a snippet shows only how the key begins."""
    champion = ModelVersion.objects.filter(project=project, stage=ModelVersion.Stage.CHAMPION).first()
    question = Question.objects.filter(project=project, state=Question.State.LIVE).order_by("key").first()
    schema = selectors.parsed_schema(project)
    item = project.items.order_by("id").values_list("key", flat=True).first()
    names = {
        "base": base,
        "widget": reverse("widget"),
        "slug": project.slug,
        "key": f"{keys[0].prefix}..." if keys else _NO_KEY,
        "secret": f"{secret.prefix}..." if secret else "fb_sk_...",
        "item": _plain(item) or "item-1",
        "model": _plain(champion.name if champion else None) or "model-1",
        "payload": _IMAGE if schema.kind == "boxes" else '{"text": "Hello"}',
        "predicted": predicted(schema, champion),
        "said": _SAID_ELSE if schema.prediction_form == "confidence" else _SAID,
        "answer": _answer_to(question),
        "question_attribute": f' data-question="{question.key}"' if question else "",
        "question_field": f', question: "{question.key}"' if question else "",
    }
    written = [
        ("widget", "A page, without a line of script", "The widget asks for itself.", _WIDGET),
        ("script", "A page, from your script", "When you know the moment.", _SCRIPT),
        ("python", "A Python server", "Logs the prediction and decides in one call.", _PYTHON),
        ("curl", "Any server", "The same over HTTP.", _CURL),
        ("answer", "An answer without the widget", "The token is the only credential.", _ANSWER),
    ]
    if champion is None:
        meaning = "Once for each version of your model: predictions name it."
        written.insert(2, ("model", "Your model", meaning, _MODEL))
    return [Snippet(f"snippet-{name}", title, meaning, text.format(**names)) for name, title, meaning, text in written]


def predicted(schema: AnySchema, champion: ModelVersion | None) -> str:
    """What a prediction says beside its model version, as JSON."""
    if schema.prediction_form == "confidence":
        numbers = json.dumps({"number": getattr(schema, "minimum", 0)})
        return f'"answer": {_PREDICTED_ANSWERS.get(schema.kind, numbers)}, "confidence": 0.8'
    n = len(champion.classes if champion else schema.class_keys)
    others = [round(0.5 / n, 3)] * (n - 1)
    return f'"probabilities": {[round(1 - sum(others), 3), *others]}'


def _answer_to(question: Question | None) -> str:
    """An answer to the question, or to one whether the model is right."""
    if question is None:
        return _ANSWERS["correction"]
    version = question.versions.order_by("version").last()
    if version is None:
        return "{...}"
    options = version.definition.get("options", [])
    if version.kind == "single_choice":
        return json.dumps({"choice": options[0]["key"]})
    if version.kind == "multiple_choice":
        return json.dumps({"choices": [options[0]["key"]]})
    if version.kind == "rating":
        return json.dumps({"rating": version.definition.get("maximum", 5)})
    return _ANSWERS.get(version.kind, "{...}")


def _plain(name: str | None) -> str:
    """A name that stands in code as it is; of others the snippet shows a stand-in."""
    return name if name and all(letter.isalnum() or letter in "-_.:/ " for letter in name) else ""
