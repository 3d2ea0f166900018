"""What it takes to ask from an app: snippets with this project's names filled in, to copy."""

from dataclasses import dataclass
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from labeling.access import Capability
from labeling.edges import Caller
from labeling.models import ApiKey, ModelVersion, Project, Question
from labeling.page_edges import project_page, render_project

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

_SCRIPT: Final = """<script async src="{base}{widget}"></script>

// in a script of yours that comes after
feedback("init", {{ project: "{slug}", key: "{key}", respondent: user.id }});
const decision = await feedback("ask", {{
  key: "{item}"{question_field},
  target: document.querySelector("#answer"), // left out: in the corner
}});"""

_PYTHON: Final = """from feedback_client import Client

client = Client("{base}", "{slug}", key)  # the secret key {secret}, from your configuration

decision = client.ask(
    "{item}",
    model_version="{model}",
    probabilities=model.predict_proba([text])[0],
    payload={{"text": text}},
    respondent=user.id,
)
if decision:
    context["ask"] = decision.answer  # for the widget: feedback("show", ask)"""

_CURL: Final = """curl {base}/api/v1/projects/{slug}/asks \\
  -H "Authorization: Bearer $FEEDBACK_KEY" -H "Content-Type: application/json" \\
  -d '{{"opportunity_id": "o-1", "key": "{item}", "payload": {{"text": "Hello"}}, "respondent": "user-1",
       "prediction": {{"model_version": "{model}", "probabilities": {probabilities}}}}}'"""

_ANSWER: Final = """curl {base}/api/v1/asks/$TOKEN -H "Content-Type: application/json" \\
  -d '{{"event": "answered", "answer": {{"is_right": true}}}}'"""


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
    n = len(champion.classes) if champion else 2
    item = project.items.order_by("id").values_list("key", flat=True).first()
    names = {
        "base": base,
        "widget": reverse("widget"),
        "slug": project.slug,
        "key": f"{keys[0].prefix}..." if keys else _NO_KEY,
        "secret": f"{secret.prefix}..." if secret else "fb_sk_...",
        "item": _plain(item) or "item-1",
        "model": _plain(champion.name if champion else None) or "model-1",
        "probabilities": str([round(1 / n, 3)] * n),
        "question_attribute": f' data-question="{question.key}"' if question else "",
        "question_field": f', question: "{question.key}"' if question else "",
    }
    return [
        Snippet(
            "snippet-widget", "A page, without a line of script", "The widget asks for itself.", _WIDGET.format(**names)
        ),
        Snippet("snippet-script", "A page, from your script", "When you know the moment.", _SCRIPT.format(**names)),
        Snippet(
            "snippet-python", "A Python server", "Logs the prediction and decides in one call.", _PYTHON.format(**names)
        ),
        Snippet("snippet-curl", "Any server", "The same over HTTP.", _CURL.format(**names)),
        Snippet(
            "snippet-answer",
            "An answer without the widget",
            "The token is the only credential.",
            _ANSWER.format(**names),
        ),
    ]


def _plain(name: str | None) -> str:
    """A name that stands in code as it is; of others the snippet shows a stand-in."""
    return name if name and all(letter.isalnum() or letter in "-_.:/ " for letter in name) else ""
