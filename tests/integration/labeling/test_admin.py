"""The admin's lists and forms open, in a project that has everything."""

import datetime as dt

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from labeling import models, selectors
from labeling.models import (
    Annotation,
    AnnotationTask,
    AnnotatorDay,
    Draft,
    Embedding,
    EmbeddingSpace,
    IdempotentRequest,
    ImportJob,
    ImportRowError,
    Item,
    MediaFile,
    Project,
    RespondentMove,
    RetentionRun,
    Skip,
)
from labeling.services import intake, retention_policies
from tests.factories import asks
from tests.factories.labeling import item_row, model_version, prediction_part

NOW = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
REGISTERED = [model for model in admin.site._registry if model._meta.app_label == "labeling"]


@pytest.fixture
def everything(project: Project, owner: User, secret_key: str) -> None:
    model_version(project)
    intake.record_items(project, [item_row("<script>", prediction=prediction_part())])
    item = Item.objects.get()
    task = AnnotationTask.objects.create(project=project, item=item, state="answered", reason="manual", closed_at=NOW)
    schema = selectors.current_schema(project)
    Annotation.objects.create(task=task, item=item, annotator=owner, label_schema=schema, answer={"choice": "cat"})
    Skip.objects.create(task=task, annotator=owner)
    Draft.objects.create(task=task, annotator=owner, answer={"choice": "cat"})
    job = ImportJob.objects.create(project=project, format="csv", file_name="<script>.csv", stored_as="imports/1.csv")
    ImportRowError.objects.create(job=job, row=0, code="invalid_key", message="<script>")
    MediaFile.objects.create(
        project=project, sha256="0" * 64, file_name="<script>", stored_as="media/0", content_type="image/png", size=1,
        width=1, height=1,
    )  # fmt: skip
    space = EmbeddingSpace.objects.create(project=project, origin="app", width=1)
    Embedding.objects.create(item=item, project=project, space=space, vector=b"\0\0")
    AnnotatorDay.objects.create(project=project, annotator=owner, day=NOW.date())
    IdempotentRequest.objects.create(project=project, endpoint="items", key="k")
    RespondentMove.objects.create(project=project, earlier_hash="a", current_hash="b")
    policy = retention_policies.new_version(project, by=owner, text_days=30)
    RetentionRun.objects.create(project=project, policy=policy, counts={"text_days": 3})
    ask = asks.ask(project, "correction")
    answer = {"is_right": False, "correction": {"choice": "cat"}}
    assert asks.tell(APIClient(), ask, "answered", answer=answer, comment="<script></script>").status_code == 200


@pytest.fixture
def root(client: Client, db: None) -> Client:
    client.force_login(User.objects.create_superuser("root"))
    return client


def test_every_model_is_registered() -> None:
    assert {model.__name__ for model in REGISTERED} == set(models.__all__)


@pytest.mark.parametrize("model", REGISTERED, ids=lambda model: model.__name__)
def test_lists_searches_and_forms_open(root: Client, everything: None, model: type[Model]) -> None:
    name = f"admin:labeling_{model._meta.model_name}"
    assert root.get(reverse(f"{name}_changelist")).status_code == 200
    assert root.get(reverse(f"{name}_changelist"), {"q": "x"}).status_code == 200
    row = model._default_manager.first()
    assert row is not None
    page = root.get(reverse(f"{name}_change", args=[row.pk]))
    assert page.status_code == 200
    assert "<script></script>" not in page.content.decode()


def test_the_hash_of_a_key_is_not_shown(root: Client, everything: None) -> None:
    key = models.ApiKey.objects.get()
    page = root.get(reverse("admin:labeling_apikey_change", args=[key.pk]))
    assert key.key_hash not in page.content.decode()


def test_facts_are_not_edited(root: Client, everything: None) -> None:
    item = Item.objects.get(key="<script>")
    answer = root.post(reverse("admin:labeling_item_change", args=[item.pk]), {"key": "other"})
    assert answer.status_code == 403
    assert root.get(reverse("admin:labeling_item_add")).status_code == 403
    item.refresh_from_db()
    assert item.key == "<script>"
