"""The examples of the client's README do what they show, one after another, with the service they talk to."""

import ast
import asyncio
import re
from collections.abc import Coroutine
from pathlib import Path
from types import CodeType

import feedback_client
import numpy as np
import pytest
from pytest_django.live_server_helper import LiveServer
from sklearn.dummy import DummyClassifier

from labeling.models import ApiKey, Correction, Feedback, Prediction
from labeling.services import api_keys, intake, projects
from tests.factories import asking

pytestmark = pytest.mark.django_db(transaction=True)

README = Path(__file__).resolve().parents[3] / "client" / "README.md"


def _blocks(url: str, key: str) -> list[CodeType]:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(blocks) == 6
    return [
        compile(
            block.replace("https://feedback.example.com", url).replace('"fb_sk_..."', f'"{key}", options=PATIENT'),
            str(README),
            "exec",
            flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
        )
        for block in blocks
    ]


def test_the_examples_work(live_server: LiveServer) -> None:
    classes = ["billing", "login"]
    definition = {"classes": [{"key": name} for name in classes]}
    project = projects.create(slug="tickets", name="Tickets", definition=definition, by=None)
    intake.register_model_version(project, name="m3", classes=classes)
    asking.forget_counters()
    asking.policy(project, **asking.ALWAYS)
    asking.question(project)
    key = api_keys.create(project, name="app", kind=ApiKey.Kind.SECRET, by=None).key

    shown: list[object] = []
    features = np.ones((1, 2))
    names = {
        "PATIENT": feedback_client.Options(ask_timeout_seconds=20.0),
        **vars(feedback_client),
        "show_widget": shown.append,
        "model": DummyClassifier().fit(np.ones((2, 2)), classes),
        "FEATURES": "features",
        "ids": ["ticket-18"],
        "payloads": [{"text": "I cannot log in."}],
        "features": features,
        "get_wsgi_application": lambda: None,
        "app": None,
    }
    first: object = None
    for code in _blocks(live_server.url, key):
        done = eval(code, names)
        if isinstance(done, Coroutine):
            asyncio.run(done)
            names["client"] = first
        first = names["client"]
        assert isinstance(first, feedback_client.Client)
        assert first.flush(30.0)

    client = first
    assert isinstance(client, feedback_client.Client)
    assert len(shown) == 1
    assert (client.stats.failed, client.stats.lost, client.stats.invalid) == (0, 0, 0)
    assert client.stats.asks_unanswered == 0
    assert set(Prediction.objects.values_list("item__key", flat=True)) == {"ticket-17", "ticket-18"}
    assert sorted(Feedback.objects.values_list("kind", flat=True)) == ["click", "rating", "rating", "thumb"]
    assert Correction.objects.get().answer == {"choice": "login"}
    tickets = {"ticket_id": ["ticket-17"], "features": features}
    assert names["score"](tickets).shape == (1, 2)
    assert client.shutdown(30.0)
    assert client.stats.failed == 0
