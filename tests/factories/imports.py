"""Files to import, and what became of them."""

import datetime as dt
import io
import json
from typing import Any

from django.contrib.auth.models import User

from labeling.models import ImportJob, ImportRowError, Project
from labeling.services import imports

NOW = dt.datetime(2026, 5, 4, 12, tzinfo=dt.UTC)


def lines(count: int, start: int = 0, **others: Any) -> bytes:
    rows = ({"key": f"k{n}", "text": f"text {n}", **others} for n in range(start, start + count))
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def made(
    project: Project, content: bytes, name: str = "rows.jsonl", by: User | None = None, **options: Any
) -> ImportJob:
    return imports.create(
        project, name=name, content=io.BytesIO(content), size=len(content), by=by, now=NOW, options=options
    )


def done(
    project: Project, content: bytes, name: str = "rows.jsonl", by: User | None = None, **options: Any
) -> ImportJob:
    job = imports.execute(made(project, content, name, by, **options).pk)
    assert job is not None
    return job


def figures(job: ImportJob) -> dict[str, int]:
    names = ("created", "updated", "skipped", "failed", "annotation")
    return {name: getattr(job, f"{name}_count") for name in names if getattr(job, f"{name}_count")}


def errors(job: ImportJob) -> list[tuple[int, str, str]]:
    return [(each.row, each.key, each.code) for each in ImportRowError.objects.filter(job=job).order_by("row")]


def named(content: bytes, name: str = "rows.jsonl") -> io.BytesIO:
    file = io.BytesIO(content)
    file.name = name
    return file
