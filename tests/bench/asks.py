"""Asking over HTTP: requests a second in a closed loop, latency at 300 requests a second, beside an empty DRF view.

Each request is a new opportunity of one of 50,000 respondents about a new item with a prediction, so it stores an item, a
pool entry, a prediction and a decision. The policy is the default one with a budget, so that most answers are a no, as in
any app; what they were is printed. The empty view is the same server, middleware and API key with nothing behind.
"""

import json
import urllib.parse
import uuid
from collections import Counter

import numpy as np

from labeling.models import ApiKey, Project, Question, QuestionVersion
from labeling.services import api_keys, intake, projects
from sampling.models import AskDecision
from sampling.services import ask_policies
from tests.bench import http_load, server
from tests.bench.http_load import Measured, Plan, percentile
from tests.bench.result import Result

CLASSES = tuple(f"class-{number}" for number in range(10))
RESPONDENTS = 50_000
REQUESTS = 40_000
CONNECTIONS = 16
WARM_UP_SECONDS = 22.0
"""Until autovacuum has analysed the new tables, twice over: before, statements are planned as for empty ones. What a connection
planned then it keeps in part, until it is made anew, after ten minutes at most; here by a new start of the web server."""
START_SECONDS = 3.0
SECONDS = 10.0
OPEN_SECONDS = 20.0
OPEN_RATE = 300.0


def _project() -> tuple[Project, str]:
    definition = {"kind": "single_choice", "classes": [{"key": key} for key in CLASSES]}
    project = projects.create(slug="asks", name="Asks", definition=definition, by=None)
    intake.register_model_version(project, name="m1", classes=CLASSES)
    question = Question.objects.create(project=project, key="is_right")
    QuestionVersion.objects.create(
        question=question, version=1, kind="correction", definition={"text": {"en": "Is this right?"}}
    )
    ask_policies.new_version(project, by=None, budget_asks=10_000)
    return project, api_keys.create(project, name="bench", kind=ApiKey.Kind.SECRET, by=None).key


def _bodies(count: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    run = uuid.uuid4().hex[:8]
    chances = rng.dirichlet(np.full(len(CLASSES), 0.3), count).round(6)
    respondents = rng.integers(0, RESPONDENTS, count)
    return [
        json.dumps(
            {
                "opportunity_id": f"{run}-{number}",
                "key": f"{run}-{number}",
                "payload": {"text": "What the user typed, and it was not short: " + "lorem ipsum " * 20},
                "segments": {"country": "de"},
                "prediction": {
                    "model_version": "m1",
                    "probabilities": (chances[number] / chances[number].sum()).tolist(),
                    "context": {"request_id": f"r-{run}-{number}", "latency_ms": 12},
                },
                "respondent": f"user-{respondents[number]}",
                "session": f"s-{run}-{number}",
                "consent": True,
            }
        )
        for number in range(count)
    ]


def _play(
    url: str, path: str, key: str, *, seconds: float, rate: float = 0.0, seed: int = 0, connections: int = CONNECTIONS
) -> Measured:
    parts = urllib.parse.urlsplit(url)
    count = int(rate * seconds) + 1 if rate else REQUESTS
    plan = Plan(
        parts.hostname or "",
        parts.port or 80,
        path,
        {"Authorization": f"Bearer {key}"},
        _bodies(count, seed),
        connections,
        seconds,
        rate,
    )
    return http_load.play(plan)


def run() -> list[Result]:
    with server.engines():
        _, key = _project()
        asks, empty = "/api/v1/projects/asks/asks", "/bench/empty"
        with server.web() as web:
            _play(web.url, asks, key, seconds=WARM_UP_SECONDS, seed=1)
        with server.web(application="tests.bench.empty_view:application") as web:
            _play(web.url, asks, key, seconds=START_SECONDS, seed=6)
            bare = _play(web.url, empty, key, seconds=SECONDS / 2, seed=2)
            closed = _play(web.url, asks, key, seconds=SECONDS, seed=3)
            slow_bare = _play(web.url, empty, key, seconds=OPEN_SECONDS / 2, rate=OPEN_RATE, seed=4, connections=64)
            paced = _play(web.url, asks, key, seconds=OPEN_SECONDS, rate=OPEN_RATE, seed=5, connections=64)
        said = Counter(AskDecision.objects.values_list("reason", flat=True))
        print(f"decisions: {dict(said.most_common())}")
    return [
        Result("ask, closed loop", closed.per_second, "requests/s", 800),
        Result("empty DRF view, closed loop", bare.per_second, "requests/s", None),
        Result("ask / empty view", closed.per_second / bare.per_second, "", None),
        Result("ask, p50 at 300 requests/s", percentile(paced.milliseconds, 0.5), "ms", 5, "at_most"),
        Result("ask, p99 at 300 requests/s", percentile(paced.milliseconds, 0.99), "ms", 20, "at_most"),
        Result("empty DRF view, p50 at 300 requests/s", percentile(slow_bare.milliseconds, 0.5), "ms", None, "at_most"),
        Result(
            "empty DRF view, p99 at 300 requests/s", percentile(slow_bare.milliseconds, 0.99), "ms", None, "at_most"
        ),
    ]
