"""Documents that must not drift from the code."""

import re
from pathlib import Path

import pytest
from celery import current_app

from feedbackproject import celery, receivers, schedule

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCES = [
    path
    for app in ("feedbackproject", "labeling", "datasets", "sampling", "training")
    for path in (ROOT / app).rglob("*.py")
]


def test_operations_lists_exactly_the_environment_variables_that_are_read() -> None:
    read = {
        name
        for path in SOURCES
        for name in re.findall(r"(?:environ(?:\.get\(|\[)|_list\()\"([A-Z_]+)\"", path.read_text())
    } | {"DATABASE_URL", "REDIS_URL"}
    listed = set(re.findall(r"^\| `([A-Z_]+)` \|", (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE))
    assert read - {"DJANGO_SETTINGS_MODULE", "PATH"} == listed


def test_every_scheduled_and_woken_task_exists() -> None:
    celery.app.loader.import_default_modules()
    known = set(current_app.tasks)
    for entry in schedule.BEAT_SCHEDULE.values():
        assert entry["task"] in known
    woken = (
        receivers.ACCEPT_PENDING,
        receivers.MIX_GOLD,
        receivers.CHECK_WATERMARK,
        receivers.CHECK_RETRAINING,
        receivers.JOIN_FEEDBACK,
        receivers.CHECK_LABELS,
    )
    for name in woken:
        assert name in known


@pytest.mark.parametrize("document", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/operations.md"])
def test_files_named_in_documents_exist(document: str) -> None:
    text = (ROOT / document).read_text()
    named = re.findall(r"`((?:feedbackproject|labeling|datasets|sampling|training|docs|tests)/[\w./-]+\w\.?\w*)`", text)
    linked = re.findall(r"\]\(((?!http)[^)#]+)\)", text)
    for name in [*named, *linked]:
        base = ROOT if name in named else (ROOT / document).parent
        assert (base / name).exists(), f"{document} names {name}"
