"""Training over HTTP: what each caller gets, and an external trainer from end to end."""

import json

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from labeling.models import ApiKey, Item, ModelVersion, PoolEntry, Project
from labeling.services import api_keys
from tests.factories import training as make
from tests.factories.training import NOW
from training.models import Promotion, RetrainingPolicy, TrainingRun
from training.services import runs

pytestmark = pytest.mark.django_db

BASE = "/api/v1/projects/pets"
RUNS, PROMOTIONS, POLICIES = f"{BASE}/training-runs", f"{BASE}/promotions", f"{BASE}/retraining-policies"
PROMOTE = f"{BASE}/model-versions/better/promote"


def client_of(user: User) -> APIClient:
    client = APIClient()
    client.force_login(user)
    return client


def done(project: Project) -> TrainingRun:
    run = runs.request(project, trigger=TrainingRun.Trigger.MANUAL, by=None, now=NOW)
    return runs.execute(run.pk, now=NOW)


def test_a_run_is_started_and_read(project: Project, annotator: User, app_client: APIClient) -> None:
    make.pets(project, annotator)
    started = app_client.post(RUNS, {}, format="json")
    assert started.status_code == 202
    body = started.json()
    assert (body["state"], body["trigger"], body["trainer"], body["snapshot"]) == ("pending", "manual", "auto", 1)
    assert (body["model_version"], body["metrics"]["candidate"]) == (None, None)

    runs.execute(body["id"], now=NOW)

    body = app_client.get(f"{RUNS}/{body['id']}").json()
    assert (body["state"], body["model_version"]) == ("succeeded", "text-0001")
    assert body["metrics"]["candidate"]["n"] == 12
    assert [row["id"] for row in app_client.get(RUNS).json()["results"]] == [body["id"]]


def test_a_second_run_is_refused_while_one_is_active(project: Project, annotator: User, app_client: APIClient) -> None:
    make.pets(project, annotator)
    assert app_client.post(RUNS, {}, format="json").status_code == 202
    answer = app_client.post(RUNS, {}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (409, "training_already_active")
    assert TrainingRun.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 409, "nothing_to_snapshot"),
        ({"trainer": "forest"}, 400, "invalid_input"),
        ({"snapshot": 5}, 404, "snapshot_not_found"),
        ({"model_version": "mine"}, 400, "invalid_input"),
        ({"model_version": "mine", "snapshot": 5}, 404, "snapshot_not_found"),
    ],
)
def test_a_run_that_cannot_be_started_leaves_nothing(
    project: Project, app_client: APIClient, body: dict[str, object], status: int, code: str
) -> None:
    answer = app_client.post(RUNS, body, format="json")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not TrainingRun.objects.exists()
    assert not project.snapshots.exists()


def test_runs_of_another_project_are_not_found(
    project: Project, annotator: User, app_client: APIClient, stranger: User
) -> None:
    make.pets(project, annotator)
    run = done(project)
    assert client_of(stranger).get(f"/api/v1/projects/other/training-runs/{run.pk}").status_code == 404
    assert app_client.get(f"{RUNS}/{run.pk + 1}").json()["code"] == "training_run_not_found"


@pytest.mark.parametrize(
    ("role", "may_read", "may_manage"),
    [("manager", True, True), ("reviewer", True, False), ("annotator", False, False), ("stranger", False, False)],
)
def test_who_may_do_what(
    project: Project, request: pytest.FixtureRequest, role: str, may_read: bool, may_manage: bool
) -> None:
    client = client_of(request.getfixturevalue(role))
    make.pets(project, request.getfixturevalue("annotator"))
    policies_before = RetrainingPolicy.objects.count()
    refusal = 404 if role == "stranger" else 403
    for address in (RUNS, PROMOTIONS, POLICIES):
        assert client.get(address).status_code == (200 if may_read else refusal)
    if may_manage:
        assert client.post(RUNS, {}, format="json").status_code == 202
        assert client.post(POLICIES, {"min_new_labels": 7}, format="json").status_code == 201
        assert client.post(PROMOTE, {}, format="json").status_code == 404
    else:
        for address in (RUNS, POLICIES, PROMOTE):
            assert client.post(address, {}, format="json").status_code == refusal
        assert not TrainingRun.objects.exists()
        assert RetrainingPolicy.objects.count() - policies_before <= 1  # reading makes the default version


@pytest.mark.parametrize("kind", ["revoked", "wrong", "publishable"])
def test_keys_without_the_right_start_nothing(project: Project, owner: User, annotator: User, kind: str) -> None:
    make.pets(project, annotator)
    wanted = ApiKey.Kind.PUBLISHABLE if kind == "publishable" else ApiKey.Kind.SECRET
    made = api_keys.create(project, name="k", kind=wanted, by=owner)
    if kind == "revoked":
        api_keys.revoke(made.api_key, now=NOW)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {'fb_sk_nonsense' if kind == 'wrong' else made.key}")
    assert client.post(RUNS, {}, format="json").status_code == (403 if kind == "publishable" else 401)
    assert not TrainingRun.objects.exists()


def test_policies_are_read_and_changed(project: Project, owner_client: APIClient) -> None:
    [first] = owner_client.get(POLICIES).json()["results"]
    assert (first["version"], first["trainer"], first["min_new_labels"]) == (1, "auto", 50)
    changed = owner_client.post(POLICIES, {"trainer": "text", "promotes_automatically": False}, format="json")
    assert changed.status_code == 201
    assert (changed.json()["version"], changed.json()["created_by"]) == (2, "owner")
    assert [row["version"] for row in owner_client.get(POLICIES).json()["results"]] == [2, 1]


@pytest.mark.parametrize("body", [{"min_new_labels": -1}, {"growth_fraction": "much"}, {"trainer": "forest"}])
def test_a_bad_policy_is_refused(project: Project, owner_client: APIClient, body: dict[str, object]) -> None:
    owner_client.get(POLICIES)
    answer = owner_client.post(POLICIES, body, format="json")
    assert answer.status_code == 400
    assert list(answer.json()["fields"]) == list(body)
    assert RetrainingPolicy.objects.count() == 1


def test_promotion_by_gate_and_by_force(project: Project, annotator: User, owner_client: APIClient) -> None:
    pets = make.pets(project, annotator, n_audit=30)
    make.model_saying(project, "deployed", pets.truth)
    worse = make.model_saying(project, "better", make.wrong_about(pets.truth, pets.ids()))

    refused = owner_client.post(PROMOTE, {}, format="json")
    assert (refused.status_code, refused.json()["code"]) == (409, "not_promotable")
    assert "Worse" in refused.json()["message"]
    worse.refresh_from_db()
    assert not worse.is_champion

    forced = owner_client.post(PROMOTE, {"force": True}, format="json")
    assert forced.status_code == 201
    assert (forced.json()["outcome"], forced.json()["is_forced"], forced.json()["created_by"]) == (
        "promoted", True, "owner",
    )  # fmt: skip
    again = owner_client.post(PROMOTE, {"force": True}, format="json")
    assert (again.status_code, again.json()["code"]) == (409, "already_champion")

    listed = owner_client.get(PROMOTIONS).json()["results"]
    assert [row["outcome"] for row in listed] == ["promoted", "refused"]
    assert listed[1]["gate"]["verdict"] == "worse"


def test_promoting_an_unknown_version_is_not_found(project: Project, owner_client: APIClient) -> None:
    answer = owner_client.post(PROMOTE, {}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (404, "model_version_not_found")


def test_an_external_trainer_goes_all_the_way_over_http(
    project: Project, annotator: User, app_client: APIClient
) -> None:
    """Snapshot, own training, predictions, report, promotion: with an API key and nothing else."""
    pets = make.pets(project, annotator, n_train=12, n_audit=24, n_unlabelled=6)
    audit = list(Item.objects.filter(bucket=0).values_list("pk", flat=True))
    deployed = make.model_saying(project, "deployed", make.wrong_about(pets.truth, audit[:8]))

    number = app_client.post(f"{BASE}/snapshots", {}, format="json").json()["number"]
    export = app_client.get(f"{BASE}/snapshots/{number}/export?export_format=jsonl")
    rows = [json.loads(line) for line in b"".join(export.streaming_content).splitlines()]  # type: ignore[attr-defined]  # streamed
    lesson = {row["payload"]["text"].split()[0]: row["label"] for row in rows if row["split"] != "test"}
    assert len(lesson) == 9

    registered = app_client.post(
        f"{BASE}/model-versions", {"name": "ours-2", "classes": ["bird", "cat", "dog"]}, format="json"
    )
    assert registered.status_code == 201
    early = app_client.post(f"{BASE}/model-versions/ours-2/promote", {}, format="json")
    assert (early.status_code, early.json()["code"]) == (409, "predictions_missing")

    items = app_client.get(f"{BASE}/items?page_size=1000").json()["results"]
    predictions = [
        {"key": item["key"], "model_version": "ours-2", "probabilities": {
            name: 0.9 if name == lesson[item["payload"]["text"].split()[0]] else 0.05 for name in make.CLASSES
        }}
        for item in items
    ]  # fmt: skip
    posted = app_client.post(f"{BASE}/predictions", predictions, format="json")
    assert posted.status_code in (200, 201), posted.content

    reported = app_client.post(RUNS, {"model_version": "ours-2", "snapshot": number}, format="json")
    assert reported.status_code == 201
    metrics = reported.json()["metrics"]
    assert (reported.json()["trigger"], reported.json()["trainer"]) == ("api", "external")
    assert (metrics["candidate"]["accuracy"], metrics["champion"]["accuracy"]) == (1.0, pytest.approx(16 / 24))

    promoted = app_client.post(f"{BASE}/model-versions/ours-2/promote", {}, format="json")
    assert promoted.status_code == 201
    assert promoted.json()["gate"]["verdict"] == "not_worse"
    deployed.refresh_from_db()
    assert deployed.stage == ModelVersion.Stage.RETIRED
    assert not PoolEntry.objects.exclude(model_version__name="ours-2").exists()
    assert Promotion.objects.count() == TrainingRun.objects.count() == 1
