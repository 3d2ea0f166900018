"""What the pages do: each form's effect, its refusals with the form shown again, and fragments."""

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from datasets.models import Snapshot
from labeling.models import ApiKey, LabelSchema, Membership, ModelVersion, Project
from labeling.services import api_keys, projects
from sampling.models import QueuePolicy, RefillRun
from tests.factories.datasets import accepted
from training.models import RetrainingPolicy, TrainingRun


@pytest.fixture
def page(client: Client, owner: User, project: Project) -> Client:
    client.force_login(owner)
    return client


def _said(client: Client, path: str) -> str:
    """The messages on the page, without markup."""
    notices = re.findall(r'<div class="notice[^>]*><div>(.*?)</div>', client.get(path).content.decode(), re.DOTALL)
    return " ".join(notices)


def test_logging_in_and_out(client: Client, owner: User) -> None:
    wrong = client.post("/login/", {"username": "owner", "password": "guess"})
    assert wrong.status_code == 200
    assert "Please enter a correct username and password" in wrong.content.decode()
    right = client.post("/login/?next=/account/", {"username": "owner", "password": "owner-pass", "next": "/account/"})
    assert right.headers["Location"] == "/account/"
    assert client.post("/logout/").headers["Location"] == "/login/"
    assert client.get("/account/").status_code == 302


def test_the_login_sends_nobody_to_another_site(client: Client, owner: User) -> None:
    data = {"username": "owner", "password": "owner-pass", "next": "https://example.com/"}
    assert client.post("/login/", data).headers["Location"] == "/"


@pytest.mark.parametrize("target", ["https://example.com/", "//example.com/"])
def test_choosing_colours_sends_nobody_to_another_site(target: str, client: Client) -> None:
    response = client.post("/theme/", {"theme": "dark", "next": target})
    assert response.headers["Location"] == "/"
    assert response.cookies["theme"].value == "dark"


def test_an_unknown_colour_scheme_is_not_kept(client: Client) -> None:
    response = client.post("/theme/", {"theme": '"><script>', "next": "/login/"})
    assert response.cookies["theme"].value == ""


def test_a_password_is_changed_and_the_person_stays_logged_in(page: Client, owner: User) -> None:
    data = {"old_password": "owner-pass", "new_password1": "quite-a-new-one", "new_password2": "quite-a-new-one"}
    assert page.post("/account/", data).status_code == 302
    owner.refresh_from_db()
    assert owner.check_password("quite-a-new-one")
    assert page.get("/account/").status_code == 200


def test_a_new_project_belongs_to_its_maker(page: Client, owner: User) -> None:
    data = {"name": "Spam filter", "definition": "spam | Spam | Nobody asked\nham", "guidelines": "Be kind."}
    assert page.post("/projects/new/", data).headers["Location"] == "/projects/spam-filter/"
    made = Project.objects.get(slug="spam-filter")
    assert Membership.objects.get(project=made, user=owner).role == "owner"
    assert made.label_schemas.get().definition == {
        "classes": [{"key": "spam", "title": "Spam", "description": "Nobody asked"}, {"key": "ham"}],
        "guidelines": "Be kind.",
    }


@pytest.mark.parametrize(
    ("changed", "blamed"),
    [
        ({"definition": "only one"}, "2 to 1000 classes"),
        ({"definition": "same\nsame"}, "used twice"),
        ({"slug": "pets"}, "There is a project “pets” already"),
        ({"name": ""}, "This field is required"),
        ({"name": "???"}, "mend"),
    ],
)
def test_a_project_that_is_refused_shows_the_form_again(changed: dict[str, str], blamed: str, page: Client) -> None:
    data = {"name": "Kept name", "slug": "", "definition": "a\nb", "guidelines": "kept text"} | changed
    response = page.post("/projects/new/", data)
    assert response.status_code == 422
    assert blamed in response.content.decode().replace("&#x27;", "'")
    assert "kept text" in response.content.decode()
    assert Project.objects.count() == 1


def test_classes_become_a_new_version_and_keep_their_hotkeys(page: Client, owner: User, project: Project) -> None:
    definition = {"classes": [{"key": "cat", "hotkey": "c"}, {"key": "dog"}, {"key": "bird"}]}
    projects.new_schema_version(project, definition=definition, by=owner)
    data = {
        "name": "Pets",
        "objective": "New words.",
        "definition": "cat | Cat\ndog\nbird\nfish",
        "guidelines": "Look.",
    }
    assert page.post("/projects/pets/classes/", data).status_code == 302
    newest = LabelSchema.objects.filter(project=project).latest("version")
    assert newest.version == 3
    assert newest.definition["classes"][0] == {"key": "cat", "title": "Cat", "hotkey": "c"}
    assert newest.definition["guidelines"] == "Look."
    project.refresh_from_db()
    assert project.objective == "New words."


def test_broken_classes_change_nothing(page: Client, project: Project) -> None:
    data = {"name": "Changed", "definition": "one", "guidelines": ""}
    assert page.post("/projects/pets/classes/", data).status_code == 422
    project.refresh_from_db()
    assert project.name == "Pets"
    assert project.label_schemas.count() == 1


@pytest.mark.parametrize(
    ("kind", "filled", "definition"),
    [
        ("multi_label", {"definition": "a\nb", "min_choices": "1", "max_choices": ""}, {
            "classes": [{"key": "a"}, {"key": "b"}], "min_choices": 1,
        }),
        ("rating", {"minimum": "0", "maximum": "3", "maximum_title": "Best"}, {
            "minimum": 0, "maximum": 3, "maximum_title": "Best",
        }),
        ("text_correction", {"source": "draft"}, {"source": "draft"}),
        ("preference", {"a": "left", "b": "right", "allows_tie": "on"}, {
            "a": "left", "b": "right", "allows_both_bad": False,
        }),
        ("spans", {"definition": "PER", "field": "body"}, {"classes": [{"key": "PER"}], "field": "body"}),
        ("numeric", {"minimum": "-1", "maximum": "2.5", "unit": "EUR", "step": "0.5"}, {
            "minimum": -1.0, "maximum": 2.5, "unit": "EUR", "step": 0.5,
        }),
        ("boxes", {"definition": "cat | Cat", "field": "image", "confidence_rule": "mean"}, {
            "classes": [{"key": "cat", "title": "Cat"}], "confidence_rule": "mean",
        }),
    ],
)  # fmt: skip
def test_a_project_of_every_kind_is_made_and_its_schema_saved_again(
    page: Client, kind: str, filled: dict[str, str], definition: dict[str, object]
) -> None:
    shown = page.get(f"/projects/new/?kind={kind}").content.decode()
    assert all(f'name="{name}"' in shown for name in filled)
    common = {"name": "Made", "guidelines": ""}
    response = page.post("/projects/new/", {**common, "kind": kind, **filled})
    assert response.status_code == 302, response.content.decode()
    made = Project.objects.get(slug="made")
    schema = made.label_schemas.get()
    assert (schema.kind, schema.definition) == (kind, definition)
    form = page.get("/projects/made/classes/").context["form"]
    shown_again = {name: form[name].value() for name in form.fields}
    again = {name: "" if value is None else value for name, value in shown_again.items() if value is not False}
    assert page.post("/projects/made/classes/", again).status_code == 302
    assert made.label_schemas.get().definition == definition
    assert page.post("/projects/made/classes/", {**again, "guidelines": "Look."}).status_code == 302
    assert made.label_schemas.latest("version").definition == definition | {"guidelines": "Look."}


def test_an_unknown_kind_shows_the_form_of_a_single_choice(page: Client, project: Project) -> None:
    assert 'name="definition"' in page.get("/projects/new/?kind=telepathy").content.decode()


@pytest.mark.parametrize(
    ("kind", "filled"),
    [
        ("rating", {"minimum": "1", "maximum": "30"}),
        ("numeric", {"minimum": "2", "maximum": "1"}),
        ("numeric", {"minimum": "nan", "maximum": "1"}),
        ("preference", {"a": "x", "b": "x"}),
        ("boxes", {"definition": "", "field": "image"}),
    ],
)
def test_a_schema_that_cannot_be_shows_the_form_again(
    page: Client, project: Project, kind: str, filled: dict[str, str]
) -> None:
    response = page.post("/projects/new/", {"name": "Made", "guidelines": "kept text", "kind": kind, **filled})
    assert response.status_code == 422
    assert "kept text" in response.content.decode()
    assert list(Project.objects.all()) == [project]


def test_how_a_project_is_labelled_is_saved_apart_from_its_schema(page: Client, project: Project) -> None:
    data = {
        "action": "settings",
        "blind_share": "0.2",
        "skill_segment": "language",
        "image_origins": "https://a.org\nhttps://b.org/",
    }
    assert page.post("/projects/pets/classes/", data).status_code == 302
    project.refresh_from_db()
    assert (project.shows_suggestions, project.blind_share, project.skill_segment) == (False, 0.2, "language")
    assert project.image_origins == ["https://a.org", "https://b.org"]
    assert project.label_schemas.count() == 1
    refused = page.post("/projects/pets/classes/", data | {"image_origins": "http://a.org", "skill_segment": "other"})
    assert refused.status_code == 422
    assert "is not an origin" in refused.content.decode()
    project.refresh_from_db()
    assert project.skill_segment == "language"


def test_skills_of_a_member_are_saved(page: Client, project: Project, annotator: User) -> None:
    members = "/projects/pets/members/"
    assert page.post(members, {"skills_of": "annotator", "skills": "de, law,, de"}).status_code == 302
    membership = Membership.objects.get(project=project, user=annotator)
    assert membership.skills == ["de", "law"]
    assert page.post(members, {"username": "annotator", "role": "reviewer", "skills": ""}).status_code == 302
    membership.refresh_from_db()
    assert (membership.role, membership.skills) == ("reviewer", ["de", "law"])
    assert "de, law" in page.get(members).content.decode()
    assert page.post(members, {"skills_of": "ghost", "skills": "de"}).status_code == 404
    assert page.post(members, {"skills_of": "annotator", "skills": ""}).status_code == 302
    membership.refresh_from_db()
    assert membership.skills == []


def test_members_come_change_and_go(page: Client, project: Project, stranger: User) -> None:
    assert page.post("/projects/pets/members/", {"username": "stranger", "role": "annotator"}).status_code == 302
    assert page.post("/projects/pets/members/", {"username": "stranger", "role": "manager"}).status_code == 302
    assert Membership.objects.get(project=project, user=stranger).role == "manager"
    assert page.post("/projects/pets/members/", {"remove": "stranger"}).status_code == 302
    assert not Membership.objects.filter(project=project, user=stranger).exists()


def test_an_unknown_person_is_named_at_the_field(page: Client, project: Project) -> None:
    response = page.post("/projects/pets/members/", {"username": "ghost", "role": "annotator"})
    assert response.status_code == 422
    assert "There is no user “ghost”." in response.content.decode()
    assert project.memberships.count() == 1


def test_the_last_owner_stays(page: Client, owner: User, project: Project) -> None:
    response = page.post("/projects/pets/members/", {"remove": "owner"})
    assert response.status_code == 409
    assert "at least one owner" in response.content.decode()
    assert Membership.objects.filter(project=project, user=owner).exists()


def test_a_key_is_shown_in_the_answer_only(page: Client, project: Project) -> None:
    shown = page.post("/projects/pets/keys/", {"name": "backend", "kind": "secret"}).content.decode()
    key = re.search(r'id="new-key">([^<]+)<', shown)
    assert key is not None
    assert api_keys.hash_key(key[1]) == project.api_keys.get().key_hash
    assert key[1] not in page.get("/projects/pets/keys/").content.decode()


def test_a_key_of_another_project_cannot_be_revoked(page: Client, stranger: User) -> None:
    other = Project.objects.get(slug="other")
    made = api_keys.create(other, name="theirs", kind=ApiKey.Kind.SECRET, by=stranger)
    assert page.post("/projects/pets/keys/", {"revoke": str(made.api_key.pk)}).status_code == 404
    assert page.post("/projects/pets/keys/", {"revoke": "1; drop"}).status_code == 404
    made.api_key.refresh_from_db()
    assert made.api_key.revoked_at is None


def test_the_queue_is_filled_paused_and_resumed(page: Client, project: Project, owner: User) -> None:
    assert page.post("/projects/pets/queue/", {"action": "refill"}).status_code == 302
    run = RefillRun.objects.get(project=project)
    assert (run.state, run.trigger, run.created_by) == ("pending", "manual", owner)
    page.post("/projects/pets/queue/", {"action": "pause"})
    project.refresh_from_db()
    assert not project.is_queue_open
    RefillRun.objects.all().delete()
    page.post("/projects/pets/queue/", {"action": "refill"})
    assert "paused" in _said(page, "/projects/pets/queue/")
    assert not RefillRun.objects.exists()
    page.post("/projects/pets/queue/", {"action": "resume"})
    project.refresh_from_db()
    assert project.is_queue_open


def test_the_queue_policy_is_versioned(page: Client, project: Project, owner: User) -> None:
    page.get("/projects/pets/queue/")
    data = {
        "action": "policy", "strategy": "entropy", "batch_rule": "top_k", "beta": "2", "epsilon": "0.2",
        "batch_size": "50", "low_watermark": "10", "answers_per_item": "2",
        "score_source": "surrogate", "stop_below_gain": "0.01", "segment": "country", "segment_targets": "de = 50%\nfr=0.25", "falls_back": "on", "cold_start": "uniform", "hand_over_labels_per_class": "3", "shortlist_factor": "5",
    }  # fmt: skip
    assert page.post("/projects/pets/queue/", data).status_code == 302
    newest = QueuePolicy.objects.filter(project=project).latest("version")
    assert (newest.version, newest.strategy, newest.batch_size, newest.created_by) == (2, "entropy", 50, owner)
    assert newest.answers_per_item == 2
    assert (newest.cold_start, newest.hand_over_labels_per_class, newest.shortlist_factor) == ("uniform", 3, 5)
    refused = page.post("/projects/pets/queue/", data | {"low_watermark": "60", "epsilon": "7"})
    assert refused.status_code == 422
    assert QueuePolicy.objects.filter(project=project).count() == 2


def test_an_unknown_action_is_refused(page: Client) -> None:
    assert page.post("/projects/pets/queue/", {"action": "explode"}).status_code == 400
    assert page.post("/projects/pets/models/", {}).status_code == 400


def test_a_queue_being_filled_is_watched_until_it_is_done(page: Client, project: Project) -> None:
    page.post("/projects/pets/queue/", {"action": "refill"})
    assert 'data-live-part="state"' in page.get("/projects/pets/queue/").content.decode()
    asked = {"HX-Request": "true", "Live-Parts": "state"}
    busy = page.get("/projects/pets/queue/", headers=asked)
    assert "<html" not in busy.content.decode()
    assert "refill at work" in busy.content.decode()
    tag = re.findall(r'data-live-tag="([^"]+)"', busy.content.decode())
    assert len(tag) == 1
    known = asked | {"If-None-Match": f'"{tag[0]}"'}
    assert page.get("/projects/pets/queue/", headers=known).status_code == 204
    RefillRun.objects.all().delete()
    done = page.get("/projects/pets/queue/", headers=known)
    assert done.status_code == 200
    assert "refill at work" not in done.content.decode()


@pytest.mark.parametrize(
    "query", ["state=answered", "state=nonsense", "page=999", "page=x", "reason=audit&key=%3Ci%3E"]
)
def test_odd_filters_of_the_queue_are_answered(query: str, page: Client) -> None:
    assert page.get(f"/projects/pets/queue/?{query}").status_code == 200


def test_a_snapshot_needs_labels(page: Client, project: Project) -> None:
    page.post("/projects/pets/datasets/", {"action": "take"})
    assert "nothing to freeze" in _said(page, "/projects/pets/datasets/")
    assert not Snapshot.objects.exists()


def test_a_snapshot_is_taken_and_listed(page: Client, project: Project, owner: User) -> None:
    accepted(project, owner, {"a": "cat", "b": "dog", "c": "cat"})
    assert page.post("/projects/pets/datasets/", {"action": "take", "note": "first"}).status_code == 302
    taken = Snapshot.objects.get(project=project)
    content = page.get("/projects/pets/datasets/").content.decode()
    assert (taken.row_count, taken.note, taken.created_by) == (3, "first", owner)
    assert taken.content_hash[:12] in content
    assert f"/api/v1/projects/pets/snapshots/{taken.number}/export?export_format=csv" in content


def test_training_is_asked_for_once(page: Client, project: Project, owner: User) -> None:
    page.post("/projects/pets/models/", {"action": "train"})
    assert not TrainingRun.objects.exists()  # nothing is labelled
    accepted(project, owner, {"a": "cat", "b": "dog"})
    page.post("/projects/pets/models/", {"action": "train"})
    page.post("/projects/pets/models/", {"action": "train"})
    run = TrainingRun.objects.get(project=project)
    assert (run.trigger, run.created_by) == ("manual", owner)
    assert 'id="training"' in page.get("/projects/pets/models/", headers={"HX-Request": "true"}).content.decode()


def test_the_retraining_policy_is_versioned(page: Client, project: Project) -> None:
    page.get("/projects/pets/models/")
    data = {
        "action": "policy",
        "trainer": "text",
        "min_new_labels": "10",
        "growth_fraction": "0",
        "cooldown_seconds": "5",
    }
    assert page.post("/projects/pets/models/", data).status_code == 302
    newest = RetrainingPolicy.objects.filter(project=project).latest("version")
    assert (newest.version, newest.trainer, newest.promotes_automatically) == (2, "text", False)
    assert page.post("/projects/pets/models/", data | {"growth_fraction": "-1"}).status_code == 422
    assert RetrainingPolicy.objects.filter(project=project).count() == 2


def test_a_promotion_that_cannot_be_is_told(page: Client, project: Project, owner: User) -> None:
    accepted(project, owner, {"a": "cat"})
    champion = ModelVersion.objects.create(project=project, name="one", classes=["cat", "dog"], stage="champion")
    page.post("/projects/pets/models/", {"action": "promote", "version": "one"})
    assert "is the champion already" in _said(page, "/projects/pets/models/")
    assert page.post("/projects/pets/models/", {"action": "promote", "version": "none"}).status_code == 404
    assert ModelVersion.objects.get(stage="champion") == champion
