"""Questions, asks as the policy would make them, and their tokens."""

import datetime as dt
import json
from typing import Any

from django.conf import settings
from rest_framework.test import APIClient

from labeling.models import ApiKey, Ask, Item, Prediction, Project, Question, QuestionVersion
from labeling.redis_client import redis_client
from labeling.respondent_hash import keyed_hash, respondent_key
from labeling.services import api_keys, ask_keys, intake, questions
from labeling.services.questions import Wording
from tests.factories.labeling import item_row, model_version

PAGE = "https://app.example.org"
DEFINITIONS: dict[str, dict[str, Any]] = {
    "thumbs": {"text": {"en": "Was this helpful?", "de": "War das hilfreich?"}, "comment": True},
    "rating": {"text": {"en": "How good is it?"}},
    "single_choice": {
        "text": {"en": "Which?"},
        "options": [{"key": "a", "text": {"en": "A"}}, {"key": "b", "text": {"en": "B"}}],
    },
    "multiple_choice": {
        "text": {"en": "Which?"},
        "options": [{"key": "a", "text": {"en": "A"}}, {"key": "b", "text": {"en": "B"}}],
    },
    "correction": {"text": {"en": "Is this right?"}, "comment": True},
    "text": {"text": {"en": "What went wrong?"}},
    "preference": {"text": {"en": "Which is better?"}, "a": {"en": "Left"}, "b": {"en": "Right"}},
    "survey": {"text": {"en": "Two things"}, "steps": [{"key": "s1", "kind": "rating", "text": {"en": "How was it?"}}]},
}
KRR = {"mechanism": "krr", "epsilon": 1.0, "k": 2}


def question(
    project: Project, kind: str = "thumbs", *, key: str = "", epsilon: float | None = None, **changes: Any
) -> QuestionVersion:
    found = Question.objects.filter(project=project, key=key or kind).first()
    if found is not None:
        return found.versions.latest("version")
    definition = {**DEFINITIONS[kind], **changes}
    if epsilon is not None:
        definition.pop("comment", None)
    wording = Wording(definition, epsilon=epsilon)
    return questions.create(project, key=key or kind, kind=kind, wording=wording, by=None)


def items(project: Project, *keys: str) -> list[Item]:
    """Items with a prediction of the champion m1, which says dog; the app's request of item a was called r-a."""
    if not project.model_versions.exists():
        model_version(project)
    rows = [
        item_row(
            key,
            prediction={"model_version": "m1", "probabilities": [0.2, 0.7, 0.1], "context": {"request_id": f"r-{key}"}},
        )
        for key in keys
    ]
    report = intake.record_items(project, rows)
    assert report.failed == 0
    return list(Item.objects.filter(project=project, key__in=keys).order_by("key"))


def ask(
    project: Project,
    kind: str = "thumbs",
    *,
    opportunity: str = "",
    respondent: str = "user-1",
    is_blind: bool = False,
    version: QuestionVersion | None = None,
    now: dt.datetime | None = None,
    lifetime: dt.timedelta = dt.timedelta(days=1),
    **others: Any,
) -> Ask:
    """An ask about the prediction of item a, which is made if it does not exist."""
    item = Item.objects.filter(project=project, key="a").first() or items(project, "a")[0]
    prediction = Prediction.objects.get(item=item)
    made_at = now or dt.datetime.now(dt.UTC)
    return Ask.objects.create(
        project=project,
        opportunity_id=opportunity or f"o-{Ask.objects.count()}",
        question_version=version or question(project, kind),
        item=item,
        prediction=prediction,
        model_version=prediction.model_version,
        predicted_answer={"choice": "dog"},
        is_blind=is_blind,
        respondent_hash=hash_of(project, respondent) if respondent else "",
        propensity=0.5,
        created_at=made_at,
        expires_at=made_at + lifetime,
        **others,
    )


def hash_of(project: Project, respondent: str) -> str:
    return keyed_hash(respondent_key(project.pk, settings.RESPONDENT_KEY), respondent)


def forget_rates() -> None:
    """All tests come from one address."""
    for name in redis_client().scan_iter("rate:*"):
        redis_client().delete(name)


def url(of: Ask) -> str:
    return f"/api/v1/asks/{ask_keys.token_for(of)}"


def tell(client: APIClient, of: Ask | str, event: str, *, content_type: str = "application/json", **fields: Any) -> Any:
    """Post an event by the token of the ask."""
    headers = fields.pop("headers", None)
    body = json.dumps({"event": event, **fields}).encode()
    return client.post(url(of) if isinstance(of, Ask) else of, body, content_type=content_type, headers=headers)


def publishable(project: Project, *kinds: str, origins: tuple[str, ...] = (PAGE,)) -> str:
    made = api_keys.create(
        project, name="page", kind=ApiKey.Kind.PUBLISHABLE, by=None, origins=origins, implicit_kinds=kinds
    )
    return made.key
