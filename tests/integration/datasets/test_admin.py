"""The admin shows beliefs and snapshots and lets nobody edit them."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from datasets.models import AcceptedLabel, PendingEvidence, Snapshot
from datasets.services import snapshot
from labeling.models import Project
from tests.factories import datasets as make


@pytest.fixture
def admin(db: None) -> Client:
    User.objects.create_superuser("root", password="root-pass")
    client = Client()
    assert client.login(username="root", password="root-pass")
    return client


@pytest.mark.parametrize("model", [AcceptedLabel, PendingEvidence, Snapshot], ids=lambda model: model.__name__)
def test_rows_are_shown_and_cannot_be_edited(
    admin: Client, project: Project, annotator: User, model: type[AcceptedLabel | PendingEvidence | Snapshot]
) -> None:
    make.accepted(project, annotator, {"a": "cat"})
    snapshot.take(project, by=None, now=make.NOW)
    make.annotation(make.item(project, "b"), annotator, "dog")
    row = model.objects.get()
    base = f"/admin/datasets/{model._meta.model_name}"

    assert admin.get(f"{base}/").status_code == 200
    assert admin.get(f"{base}/{row.pk}/change/").status_code == 200
    refused = [
        admin.post(f"{base}/{row.pk}/change/", {"label": "dog"}),
        admin.post(f"{base}/{row.pk}/delete/", {"post": "yes"}),
        admin.post(f"{base}/add/", {}),
    ]
    assert [response.status_code for response in refused] == [403, 403, 403]
    assert model.objects.get() == row
