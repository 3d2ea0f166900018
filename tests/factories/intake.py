"""Sending items over HTTP, and reading the answer."""

import io
import json
from typing import Any

from rest_framework.test import APIClient

from tests.factories.labeling import NDJSON

URL = "/api/v1/projects/pets/items"


def send(client: APIClient, body: bytes | object, *, query: str = "", content_type: str = "", **headers: Any) -> Any:
    """Bytes go out as NDJSON unless told otherwise, everything else as JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    default = NDJSON if isinstance(body, bytes) else "application/json"
    return client.post(f"{URL}{query}", raw, content_type=content_type or default, **headers)


def send_stream(client: Any, content_type: str, stream: io.RawIOBase | io.BytesIO, **environ: Any) -> Any:
    """As a server hands it over: an input that ends by itself and perhaps no length."""
    environ = {"wsgi.input": stream, "wsgi.input_terminated": True, "CONTENT_LENGTH": "", **environ}
    return client.generic("POST", URL, b"", content_type, **environ)


def counts(answer: Any) -> dict[str, int]:
    """The counts that are not zero."""
    names = ("received", "created", "updated", "skipped", "failed")
    return {name: answer.json()[name] for name in names if answer.json()[name]}


def failures(answer: Any) -> list[tuple[int, str | None, str]]:
    """Index, key and code of each failed row."""
    return [(row["index"], row["key"], row["code"]) for row in answer.json()["results"] if row["status"] == "failed"]
