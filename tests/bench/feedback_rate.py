"""Feedback over HTTP: how soon a single row or an answer is taken at 300 a second, and how many rows a second in bulk."""

import datetime as dt
import http.client
import json
import os
import time
import urllib.parse
from collections.abc import Sequence

import numpy as np
from django.utils import timezone

from labeling.models import ApiKey, Ask, Correction, Feedback, Item, Prediction, Project
from labeling.services import api_keys, ask_keys, intake, projects, questions
from labeling.services.questions import Wording
from tests.bench import server
from tests.bench.open_load import Call, latencies
from tests.bench.result import Result

ITEMS = 20_000
CLASSES = [f"class-{number}" for number in range(10)]
RATE = 300
SECONDS = 20
WARM_UP = 600
BULK_ROWS = 100_000


def _project() -> tuple[Project, str]:
    project = projects.create(
        slug="bench", name="Bench", definition={"classes": [{"key": key} for key in CLASSES]}, by=None
    )
    intake.register_model_version(project, name="m1", classes=CLASSES)
    probabilities = [0.55] + [0.05] * 9
    rows = (
        {
            "key": f"item-{number}",
            "payload": {"text": f"text {number}"},
            "prediction": {
                "model_version": "m1",
                "probabilities": probabilities,
                "context": {"request_id": f"request-{number}"},
            },
        }
        for number in range(ITEMS)
    )
    report = intake.record_items(project, rows)
    if report.created != ITEMS:
        raise RuntimeError(f"only {report.created} items were made")
    return project, api_keys.create(project, name="bench", kind=ApiKey.Kind.SECRET, by=None).key


def _asks(project: Project, count: int) -> list[Ask]:
    """As a policy would have made them."""
    wording = Wording({"text": {"en": "Is this right?"}})
    version = questions.create(project, key="right", kind="correction", wording=wording, by=None)
    now = timezone.now()
    about = list(
        Prediction.objects.filter(item__project=project).values_list("id", "item_id", "model_version_id")[:count]
    )
    return Ask.objects.bulk_create(
        Ask(
            project=project,
            opportunity_id=f"o-{number}",
            question_version=version,
            item_id=item_id,
            prediction_id=prediction_id,
            model_version_id=version_id,
            predicted_answer={"choice": CLASSES[0]},
            respondent_hash=f"{number:064x}",
            propensity=0.3,
            state=Ask.State.SHOWN,
            created_at=now,
            shown_at=now,
            expires_at=now + dt.timedelta(days=1),
        )
        for number, (prediction_id, item_id, version_id) in enumerate(about)
    )


def _row(number: int, prefix: str) -> bytes:
    kinds = ({"kind": "thumb", "value": "up"}, {"kind": "click"}, {"kind": "dwell", "value": 12.5})
    row = {
        "id": f"{prefix}-{number}",
        **kinds[number % 3],
        "request_id": f"request-{number % ITEMS}",
        "respondent": f"user-{number % 5000}",
        "context": {"position": number % 10},
    }
    return json.dumps(row).encode()


def _rows(count: int, prefix: str, key: str) -> list[Call]:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    return [Call("/api/v1/projects/bench/feedback", _row(number, prefix), headers) for number in range(count)]


def _answers(asked: Sequence[Ask]) -> list[Call]:
    body = json.dumps({"event": "answered", "answer": {"is_right": True}, "id": "c-1", "duration_ms": 1500}).encode()
    calls = []
    for number, ask in enumerate(asked):
        # Each from its own address, as behind a proxy: it is not the rate limits that are measured, but they are asked.
        address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        headers = {"Content-Type": "application/json", "X-Forwarded-For": address}
        calls.append(Call(f"/api/v1/asks/{ask_keys.token_for(ask)}", body, headers))
    return calls


def _bulk(url: str, key: str, rows: Sequence[bytes]) -> float:
    """Rows a second of one NDJSON request."""
    address = urllib.parse.urlsplit(url)
    client = http.client.HTTPConnection(address.hostname or "", address.port, timeout=600)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/x-ndjson"}
    body = b"\n".join(rows)
    start = time.perf_counter()
    client.request("POST", "/api/v1/projects/bench/feedback?results=errors", body=body, headers=headers)
    response = client.getresponse()
    answer = json.loads(response.read())
    seconds = time.perf_counter() - start
    if response.status != 200 or answer["created"] != len(rows):
        raise RuntimeError(f"bulk failed: {response.status} {str(answer)[:500]}")
    return len(rows) / seconds


def run() -> list[Result]:
    with server.engines():
        project, key = _project()
        asked = _asks(project, WARM_UP + RATE * SECONDS)
        answers = _answers(asked)
        os.environ["PROXY_COUNT"] = "1"  # see `_answers`
        with server.web() as web:
            latencies(web.url, _rows(WARM_UP, "warm", key), RATE)
            single = latencies(web.url, _rows(RATE * SECONDS, "single", key), RATE)
            latencies(web.url, answers[:WARM_UP], RATE)
            token = latencies(web.url, answers[WARM_UP:], RATE)
            _bulk(web.url, key, [_row(number, "bulk-warm") for number in range(2_000)])
            rate = _bulk(web.url, key, [_row(number, "bulk") for number in range(BULK_ROWS)])
        expected = WARM_UP + 2 * RATE * SECONDS + WARM_UP + 2_000 + BULK_ROWS
        stored, corrections = Feedback.objects.count(), Correction.objects.count()
        if stored != expected or corrections != len(asked) or Feedback.objects.filter(item__isnull=True).exists():
            raise RuntimeError(f"{stored} of {expected} feedback and {corrections} corrections are stored")
        if Item.objects.count() != ITEMS:
            raise RuntimeError("feedback made items")
    return [
        Result(f"feedback, one row at {RATE}/s, p50", float(np.percentile(single, 50)), "ms", None, "at_most"),
        Result(f"feedback, one row at {RATE}/s, p99", float(np.percentile(single, 99)), "ms", 20, "at_most"),
        Result(f"answer by token at {RATE}/s, p50", float(np.percentile(token, 50)), "ms", None, "at_most"),
        Result(f"answer by token at {RATE}/s, p99", float(np.percentile(token, 99)), "ms", 20, "at_most"),
        Result(f"feedback in bulk, {BULK_ROWS:,} rows", rate, "rows/s", 20_000),
    ]
