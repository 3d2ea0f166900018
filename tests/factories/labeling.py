"""Rows as an app sends them, and the model version that their predictions name."""

import json
from collections.abc import Iterable, Mapping, Sequence

from labeling.models import ModelVersion, Project
from labeling.schema import JSONValue
from labeling.services import intake, projects

CLASSES = ("cat", "dog", "bird")
NDJSON = "application/x-ndjson"


def model_version(project: Project, name: str = "m1", classes: Sequence[str] = CLASSES) -> ModelVersion:
    """The first one of a project is its champion."""
    return intake.register_model_version(project, name=name, classes=classes)


def other_project(slug: str = "elsewhere") -> Project:
    definition = {"classes": [{"key": key} for key in CLASSES]}
    return projects.create(slug=slug, name=slug, definition=definition, by=None)


def prediction_part(*probabilities: float, model_version: str = "m1", **others: JSONValue) -> dict[str, JSONValue]:
    values: list[JSONValue] = list(probabilities or (0.5, 0.3, 0.2))
    return {"model_version": model_version, "probabilities": values, **others}


def item_row(key: str, **others: JSONValue) -> dict[str, JSONValue]:
    return {"key": key, "payload": {"text": f"text of {key}"}, **others}


def prediction_row(key: str, *probabilities: float, **others: JSONValue) -> dict[str, JSONValue]:
    return {"key": key, **prediction_part(*probabilities), **others}


def ndjson(rows: Iterable[Mapping[str, JSONValue] | bytes]) -> bytes:
    """One row a line; rows given as bytes are taken as they are, broken or not."""
    return b"\n".join(row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows)
