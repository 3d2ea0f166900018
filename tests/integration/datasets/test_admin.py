"""The admin shows beliefs and snapshots and lets nobody edit them."""

import pytest
from django.apps import apps
from django.contrib.admin import site
from django.contrib.auth.models import User
from django.db.models import Model
from django.test import Client

from datasets.models import (
    AcceptancePolicy,
    AcceptedLabel,
    BeliefRun,
    GoldItem,
    ItemBelief,
    LabelCheck,
    PendingEvidence,
    PendingItem,
    ReviewCase,
    ReviewDecision,
    Snapshot,
    SourceDecision,
    SourceExamination,
    SourceStanding,
    SuspectLabel,
)
from datasets.services import snapshot
from labeling.models import Project
from tests.factories import beliefs as believed
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


@pytest.fixture
def everything(project: Project, annotator: User, reviewer: User) -> None:
    """A row of each table that the label model, reviews and judged sources have."""
    (labelled,) = make.accepted(project, annotator, {"labelled": "cat"})
    items = believed.crowd(project, believed.annotators(project, 3), size=6)
    believed.policy(project)
    believed.fitted(project)
    believed.correction(items[0], "cat")
    believed.decision(items[1], reviewer, "dog")
    GoldItem.objects.create(
        item=items[2], project=project, label_schema=project.label_schemas.get(), answer={"choice": "cat"}
    )
    found = SourceStanding.objects.create(project=project, annotator=annotator, step="quarantine", weight=0.0)
    SourceDecision.objects.create(standing=found, step_before="none", step_after="quarantine", weight_after=0.0)
    SourceExamination.objects.create(
        project=project, said_count=9, source_count=3, judged_count=3, changed_count=1,
        started_at=make.NOW, finished_at=make.NOW,
    )  # fmt: skip
    LabelCheck.objects.create(project=project, last_change=0, started_at=make.NOW, finished_at=make.NOW)
    SuspectLabel.objects.create(
        accepted_label=AcceptedLabel.objects.get(item=labelled), item=labelled, project=project,
        source=SuspectLabel.Source.CROSS_VALIDATION, model="logistic", score=0.5, self_confidence=0.1, suggested="dog",
    )  # fmt: skip


@pytest.mark.parametrize(
    "model",
    [
        AcceptancePolicy, BeliefRun, ItemBelief, PendingItem, GoldItem, ReviewCase, ReviewDecision, SourceStanding,
        SourceDecision, SourceExamination, LabelCheck, SuspectLabel,
    ],
    ids=lambda model: model.__name__,
)  # fmt: skip
@pytest.mark.usefixtures("everything")
def test_what_is_believed_and_decided_is_looked_at_only(admin: Client, model: type[Model]) -> None:
    rows = model._default_manager.all()
    row, count = rows.first(), rows.count()
    assert row is not None
    base = f"/admin/datasets/{model._meta.model_name}"
    assert admin.get(f"{base}/", {"q": "crowd-0"} if model is ItemBelief else {}).status_code == 200
    assert admin.get(f"{base}/{row.pk}/change/").status_code == 200
    for verb, body in (("change", {"step": "none"}), ("delete", {"post": "yes"})):
        assert admin.post(f"{base}/{row.pk}/{verb}/", body).status_code == 403
    assert admin.post(f"{base}/add/", {}).status_code == 403
    assert rows.count() == count


def test_every_table_of_people_and_beliefs_is_in_the_admin() -> None:
    hidden = {model.__name__ for model in apps.get_app_config("datasets").get_models() if not site.is_registered(model)}
    # These are tables of millions, whose rows mean little alone: snapshots are read by their export.
    assert {name for name in hidden if "_" not in name} == {"SnapshotRow", "HeldOutPrediction"}
