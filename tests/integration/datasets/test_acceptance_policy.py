"""The acceptance policy: versions, what is refused, who may, and what becomes of labels at a switch."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import DjangoCaptureOnCommitCallbacks
from rest_framework.test import APIClient

from datasets.errors import AcceptancePolicyOutdated, InvalidAcceptancePolicy
from datasets.models import AcceptancePolicy, PendingItem, ReviewCase
from datasets.services import accept, acceptance_policies
from labeling import news
from labeling.models import Item, Project
from labeling.services import projects
from tests.factories import beliefs as make
from tests.factories import datasets as facts

NOW = facts.NOW
URL = "/api/v1/projects/pets/acceptance-policy"
PAGE = "/projects/pets/acceptance/"


def test_a_project_without_a_policy_goes_by_votes(project: Project) -> None:
    policy = acceptance_policies.current_policy(project)
    assert (policy.version, policy.method) == (0, "votes")
    assert not AcceptancePolicy.objects.exists()


def test_a_change_is_a_new_version_and_no_change_is_none(project: Project, owner: User) -> None:
    first = acceptance_policies.new_version(project, by=owner, method="label_model", threshold=0.8)
    second = acceptance_policies.new_version(project, by=owner, least_evidence=3)
    assert [(each.version, each.threshold, each.least_evidence) for each in (first, second)] == [
        (1, 0.8, 2),
        (2, 0.8, 3),
    ]
    assert acceptance_policies.new_version(project, by=owner, least_evidence=3) == second
    assert second.created_by == owner


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"method": "oracle"}, "method"),
        ({"threshold": 0.0}, "threshold"),
        ({"threshold": 1.01}, "threshold"),
        ({"threshold": float("nan")}, "threshold"),
        ({"thresholds_by_class": {"unicorn": 0.9}}, "thresholds_by_class"),
        ({"thresholds_by_class": {"cat": 0.0}}, "thresholds_by_class"),
        ({"least_evidence": 0}, "least_evidence"),
        ({"most_answers": 0}, "most_answers"),
        ({"most_answers": 21}, "most_answers"),
        ({"least_annotations": -1}, "least_annotations"),
        ({"least_annotations": 6}, "least_annotations"),
        ({"least_evidence": 6, "uses_thumbs": False}, "least_evidence"),
        ({"review_accuracy": 1.0}, "review_accuracy"),
        ({"review_accuracy": 0.3}, "review_accuracy"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_field(project: Project, changes: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidAcceptancePolicy) as refused:
        acceptance_policies.new_version(project, by=None, **changes)  # type: ignore[arg-type]  # on purpose
    assert list(refused.value.fields) == [field]
    assert not AcceptancePolicy.objects.exists()


def test_more_sources_than_answers_may_be_wanted_where_thumbs_count(project: Project) -> None:
    assert acceptance_policies.new_version(project, by=None, least_evidence=6).least_evidence == 6


def test_the_label_model_is_for_single_choice(owner: User) -> None:
    other = projects.create(slug="texts", name="Texts", kind="text_correction", definition={}, by=owner)
    with pytest.raises(InvalidAcceptancePolicy) as refused:
        acceptance_policies.new_version(other, by=owner, method="label_model")
    assert refused.value.code == "label_model_needs_single_choice"
    assert "method" in refused.value.fields


def test_a_change_to_a_version_that_is_old_by_now_is_refused(project: Project) -> None:
    make.policy(project)
    with pytest.raises(AcceptancePolicyOutdated):
        acceptance_policies.new_version(project, by=None, based_on=0, threshold=0.5)
    assert acceptance_policies.new_version(project, by=None, based_on=1, threshold=0.5).version == 2


def test_a_switch_has_every_item_looked_at_that_anything_is_known_of(
    project: Project, annotator: User, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    answered, corrected, thumbed, silent = (facts.item(project, key) for key in "abcd")
    facts.annotation(answered, annotator, "cat")
    make.correction(corrected, "cat")
    make.feedback(thumbed, "thumb", 1.0)
    told: list[int] = []

    def hear(sender: object, *, project_id: int, **others: object) -> None:
        told.append(project_id)

    news.annotation_recorded.connect(hear)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            make.policy(project)
    finally:
        news.annotation_recorded.disconnect(hear)
    assert set(PendingItem.objects.values_list("item_id", flat=True)) == {answered.pk, corrected.pk, thumbed.pk}
    assert told == [project.pk]
    PendingItem.objects.all().delete()
    make.policy(project, method="votes")
    assert PendingItem.objects.filter(item=answered).exists()
    assert not PendingItem.objects.filter(item=silent).exists()


# -- votes: what reviewers, tests of annotators and flags do -------------------------------------------------------------


def test_by_votes_feedback_leaves_nothing_pending_and_changes_nothing(project: Project, annotator: User) -> None:
    item = facts.item(project, "a")
    facts.annotation(item, annotator, "cat")
    accept.accept_pending(project.pk, now=NOW)
    before = make.label(item)
    make.correction(item, "dog")
    make.feedback(item, "thumb", 0.0)
    assert not PendingItem.objects.exists()
    assert accept.accept_pending(project.pk, now=NOW) == 0
    assert make.label(item) == before


def test_by_votes_a_newer_decision_of_a_reviewer_decides_until_it_is_taken_back(
    project: Project, annotator: User, reviewer: User
) -> None:
    item = facts.item(project, "a")
    said = facts.annotation(item, annotator, "cat", reason="audit", is_audit=True, propensity=0.125)  # type: ignore[arg-type]
    accept.accept_pending(project.pk, now=NOW)
    later = NOW.replace(minute=30)
    made = make.decision(item, reviewer, "dog", at=later)
    PendingItem.objects.create(project=project, item=item)
    assert accept.accept_pending(project.pk, now=later) == 1
    label = make.label(item)
    assert label is not None
    assert (label.label, label.method, label.probability) == ("dog", "reviewed", 0.98)
    assert (label.reason, label.is_audit, label.propensity) == ("audit", True, 0.125)
    assert (label.other_evidence, label.evidence.count()) == ({"review": [made.pk]}, 0)
    PendingItem.objects.create(project=project, item=item)
    assert accept.accept_pending(project.pk, now=later) == 0

    make.decision(item, reviewer, None, action="reopen", at=later.replace(minute=40))
    PendingItem.objects.create(project=project, item=item)
    accept.accept_pending(project.pk, now=later)
    label = make.label(item)
    assert label is not None
    assert (label.label, list(label.evidence.all())) == ("cat", [said])


def test_by_votes_an_older_decision_gives_way_to_a_newer_answer(
    project: Project, annotator: User, reviewer: User
) -> None:
    item = facts.item(project, "a")
    make.decision(item, reviewer, "dog", at=NOW.replace(hour=3))
    PendingItem.objects.create(project=project, item=item)
    accept.accept_pending(project.pk, now=NOW)
    alone = make.label(item)
    assert alone is not None
    assert (alone.label, alone.reason) == ("dog", "manual")
    facts.annotation(item, annotator, "cat")
    accept.accept_pending(project.pk, now=NOW)
    label = make.label(item)
    assert label is not None
    assert (label.label, label.method) == ("cat", "trusted_annotation")


def test_by_votes_a_test_of_an_annotator_changes_no_label(project: Project, annotator: User, reviewer: User) -> None:
    item = facts.item(project, "a")
    facts.annotation(item, reviewer, "cat")
    facts.annotation(item, annotator, "dog", reason="gold")  # type: ignore[arg-type]
    accept.accept_pending(project.pk, now=NOW)
    label = make.label(item)
    assert label is not None
    assert label.label == "cat"


@pytest.mark.parametrize("method", ["votes", "label_model"])
def test_a_flag_opens_a_case_once(project: Project, annotator: User, method: str) -> None:
    item: Item = facts.item(project, "a")
    if method == "label_model":
        make.policy(project)
        make.fitted(project)
    said = facts.annotation(item, annotator, "cat")
    type(said).objects.filter(pk=said.pk).update(is_flagged=True)
    accept.accept_pending(project.pk, now=NOW)
    accept.accept_pending(project.pk, now=NOW)
    assert ReviewCase.objects.get().kind == "flagged"


# -- API and page --------------------------------------------------------------------------------------------------------


def test_the_api_tells_policy_fit_and_counts(app_client: APIClient, project: Project) -> None:
    said = app_client.get(URL).json()
    assert (said["policy"]["version"], said["last_fit"], said["fit_due"]) == (0, None, "")
    people = make.annotators(project, 3)
    items = make.crowd(project, people)
    for item in items:
        make.correction(item, "cat", by=item.key)
    make.feedback(items[0], "thumb", 1.0, by="ada", epsilon=1.0)
    make.policy(project, threshold=0.8)
    make.fitted(project)
    accept.accept_pending(project.pk, now=NOW)

    said = app_client.get(URL).json()
    assert (said["policy"]["version"], said["policy"]["threshold"]) == (1, 0.8)
    assert said["last_fit"]["evidence_by_kind"] == {"annotation": 90, "correction": 30, "thumb": 1}
    assert said["last_fit"]["evidence_count"] == 121
    assert sum(said["items"].values()) == 30
    assert said["items"]["accept"] > 20
    [correction, thumb] = said["channels"]
    assert (correction["kind"], correction["name"], thumb["name"], thumb["epsilon"]) == (
        "correction", "app", "thumb", 1.0,
    )  # fmt: skip
    assert correction["answers"] == pytest.approx(30, abs=0.5)
    assert 0 < correction["accuracy"] < 0.7
    assert thumb["odds_if_right"] > 1 > thumb["odds_if_wrong"]


def test_the_api_changes_the_policy_and_says_what_is_wrong(app_client: APIClient, project: Project) -> None:
    made = app_client.post(URL, {"method": "label_model", "based_on": 0}, format="json")
    assert (made.status_code, made.json()["version"], made.json()["created_by"]) == (201, 1, None)
    outdated = app_client.post(URL, {"threshold": 0.5, "based_on": 0}, format="json")
    assert (outdated.status_code, outdated.json()["code"]) == (409, "policy_outdated")
    wrong = app_client.post(URL, {"threshold": 2, "least_evidence": 0}, format="json")
    assert (wrong.status_code, wrong.json()["code"]) == (400, "invalid_policy")
    assert set(wrong.json()["fields"]) == {"threshold", "least_evidence"}
    nonsense = app_client.post(URL, {"method": "oracle"}, format="json")
    assert (nonsense.status_code, nonsense.json()["code"]) == (400, "invalid_input")
    versions = app_client.get(f"{URL}/versions").json()["results"]
    assert [each["version"] for each in versions] == [1]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"thresholds_by_class": {"cat": 0.9, "dog": 0.8, "cat": 0.7}}', "thresholds_by_class.cat"),
        (b'{"threshold": 0.9, "threshold": 0.7}', "threshold"),
    ],
)
def test_the_api_refuses_what_is_said_twice(app_client: APIClient, project: Project, body: bytes, field: str) -> None:
    refused = app_client.post(URL, body, content_type="application/json")
    assert (refused.status_code, refused.json()["code"]) == (400, "repeated_field")
    assert refused.json()["fields"] == {field: "given more than once"}
    assert not AcceptancePolicy.objects.exists()


@pytest.mark.parametrize(
    ("url", "body", "fields"),
    [
        (URL, [], {"body": ["Must be an object."]}),
        (URL, {"thresholds_by_class": "cat"}, {"thresholds_by_class": ["Must be an object."]}),
        ("/api/v1/projects/pets/gold", {"rows": "x"}, {"rows": ["Must be a list."]}),
        ("/api/v1/projects/pets/gold", {}, {"rows": ["Is missing."]}),
    ],
)
def test_the_api_names_wrong_fields_in_plain_words(
    owner_client: APIClient, url: str, body: object, fields: dict[str, object]
) -> None:
    refused = owner_client.post(url, body, format="json")
    assert (refused.status_code, refused.json()["code"], refused.json()["fields"]) == (400, "invalid_input", fields)


def test_only_managers_change_it_and_strangers_see_nothing(
    project: Project, annotator_client: APIClient, reviewer: User, stranger: User
) -> None:
    assert annotator_client.get(URL).status_code == 403
    client = APIClient()
    client.force_login(reviewer)
    assert client.get(URL).status_code == 200
    assert client.post(URL, {"threshold": 0.5}, format="json").status_code == 403
    client.force_login(stranger)
    assert client.get(URL).status_code == 404
    assert not AcceptancePolicy.objects.exists()


def test_the_page_shows_and_changes_the_policy(client: Client, project: Project, owner: User) -> None:
    client.force_login(owner)
    page = client.get(PAGE).content.decode()
    assert "Labels follow votes" in page
    form = {
        "based_on": "0", "method": "label_model", "threshold": "0.85", "thresholds_by_class": "cat = 0.95",
        "least_evidence": "2", "least_annotations": "0", "most_answers": "5", "uses_corrections": "on",
        "uses_thumbs": "on", "review_accuracy": "0.98",
    }  # fmt: skip
    assert client.post(PAGE, {**form, "threshold": "7"}).status_code == 422
    assert client.post(PAGE, {**form, "thresholds_by_class": "cat: much"}).status_code == 422
    twice = client.post(PAGE, {**form, "thresholds_by_class": "cat = 0.95\ndog = 0.9\ncat = 0.8"})
    assert (twice.status_code, "“cat” has two thresholds" in twice.content.decode()) == (422, True)
    assert not AcceptancePolicy.objects.exists()
    assert client.post(PAGE, form).status_code == 302
    policy = acceptance_policies.current_policy(project)
    assert (policy.version, policy.threshold, policy.thresholds_by_class) == (1, 0.85, {"cat": 0.95})
    assert (policy.uses_implicit, policy.least_annotations) == (False, 0)
    outdated = client.post(PAGE, {**form, "threshold": "0.7"})
    assert outdated.status_code == 422
    assert "is in force by now" in outdated.content.decode()

    people = make.annotators(project, 3)
    for item in make.crowd(project, people):
        make.feedback(item, "thumb", 1.0, by=item.key)
        make.correction(item, "cat", by=item.key)
    page = client.get(PAGE).content.decode()
    assert "the first one is on its way" in page
    make.fitted(project)
    page = client.get(PAGE).content.decode()
    for text in ("Last fit of the label model", "Thumbs and ratings", "Corrections: by the app", "× "):
        assert text in page
