"""Who sees which page: the owner, each role, a stranger, nobody."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from labeling.models import Membership, Project
from labeling.services import projects

PROJECT_PAGES = {
    "": {"owner", "manager", "reviewer", "annotator"},
    "annotate/": {"owner", "manager", "reviewer", "annotator"},
    "queue/": {"owner", "manager", "reviewer"},
    "asks/": {"owner", "manager", "reviewer"},
    "asks/questions/": {"owner", "manager", "reviewer"},
    "asks/answers/": {"owner", "manager", "reviewer"},
    "asks/new-question/": {"owner", "manager"},
    "asks/policy/": {"owner", "manager", "reviewer"},
    "asks/retention/": {"owner", "manager", "reviewer"},
    "asks/snippets/": {"owner", "manager", "reviewer"},
    "review/": {"owner", "manager", "reviewer"},
    "quality/": {"owner", "manager", "reviewer"},
    "acceptance/": {"owner", "manager", "reviewer"},
    "datasets/": {"owner", "manager", "reviewer"},
    "models/": {"owner", "manager", "reviewer"},
    "classes/": {"owner", "manager", "reviewer"},
    "history/": {"owner", "manager", "reviewer", "annotator"},
    "annotators/": {"owner", "manager"},
    "imports/": {"owner", "manager"},
    "members/": {"owner"},
    "keys/": {"owner"},
}
CHANGES = [
    ("queue/", {"action": "pause"}),
    ("queue/", {"action": "refill"}),
    ("asks/policy/", {"action": "policy", "is_asking": ""}),
    ("asks/new-question/", {"key": "mood", "text": "Well?"}),
    ("acceptance/", {"method": "label_model"}),
    ("datasets/", {"action": "take"}),
    ("models/", {"action": "train"}),
    ("classes/", {"name": "x", "definition": "a\nb"}),
]


@pytest.fixture
def people(request: pytest.FixtureRequest, project: Project) -> dict[str, User]:
    names = ("owner", "manager", "reviewer", "annotator", "stranger")
    return {name: request.getfixturevalue(name) for name in names}


@pytest.mark.parametrize("path", PROJECT_PAGES)
def test_a_page_opens_for_the_roles_that_may_see_it(path: str, client: Client, people: dict[str, User]) -> None:
    for name in ("owner", "manager", "reviewer", "annotator"):
        client.force_login(people[name])
        response = client.get(f"/projects/pets/{path}")
        assert response.status_code == (200 if name in PROJECT_PAGES[path] else 403), name


@pytest.mark.parametrize("path", PROJECT_PAGES)
def test_a_stranger_learns_nothing(path: str, client: Client, people: dict[str, User]) -> None:
    client.force_login(people["stranger"])
    theirs, missing = client.get(f"/projects/pets/{path}"), client.get(f"/projects/missing/{path}")
    assert theirs.status_code == missing.status_code == 404
    assert "Pets" not in theirs.content.decode()
    assert _text(theirs.content) == _text(missing.content)


@pytest.mark.parametrize("path", [*PROJECT_PAGES, "list"])
def test_nobody_is_sent_to_the_login(path: str, client: Client, project: Project) -> None:
    address = "/" if path == "list" else f"/projects/pets/{path}"
    response = client.get(address)
    assert response.status_code == 302
    assert response.headers["Location"] == f"/login/?next={address}"


@pytest.mark.parametrize(("path", "data"), CHANGES)
def test_who_may_not_manage_changes_nothing(
    path: str, data: dict[str, str], client: Client, people: dict[str, User], project: Project
) -> None:
    for name, status in (("reviewer", 403), ("annotator", 403), ("stranger", 404)):
        client.force_login(people[name])
        assert client.post(f"/projects/pets/{path}", data).status_code == status
    project.refresh_from_db()
    assert project.is_queue_open
    assert project.name == "Pets"
    assert not project.refill_runs.exists()
    assert not project.snapshots.exists()
    assert not project.questions.exists()
    assert not project.ask_policies.exists()
    assert not project.training_runs.exists()
    assert project.label_schemas.count() == 1


def test_a_manager_may_not_touch_members_and_keys(client: Client, people: dict[str, User], project: Project) -> None:
    client.force_login(people["manager"])
    assert client.post("/projects/pets/members/", {"username": "stranger", "role": "owner"}).status_code == 403
    assert client.post("/projects/pets/keys/", {"name": "k", "kind": "secret"}).status_code == 403
    assert not Membership.objects.filter(project=project, user=people["stranger"]).exists()
    assert not project.api_keys.exists()


def test_the_list_shows_one_s_own_projects_only(client: Client, people: dict[str, User]) -> None:
    client.force_login(people["stranger"])
    content = client.get("/").content.decode()
    assert "Other" in content
    assert "Pets" not in content


def test_a_superuser_sees_every_project(client: Client, project: Project) -> None:
    client.force_login(User.objects.create_superuser("root", password="root-pass"))
    assert "Pets" in client.get("/").content.decode()
    assert client.get("/projects/pets/keys/").status_code == 200


def test_a_form_without_a_token_is_refused_with_a_page(owner: User, project: Project) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(owner)
    response = client.post("/projects/pets/queue/", {"action": "pause"})
    assert response.status_code == 403
    assert "Go back, reload the page" in response.content.decode()
    project.refresh_from_db()
    assert project.is_queue_open


def test_an_annotator_s_front_page_is_about_their_work(client: Client, annotator: User, project: Project) -> None:
    client.force_login(annotator)
    content = client.get("/projects/pets/").content.decode()
    assert "Start labeling" in content
    assert "From item to model" not in content
    projects.pause_queue(project, now=timezone.now())
    assert "The queue is paused" in client.get("/projects/pets/").content.decode()


def test_an_unknown_address_is_a_page_for_people_and_json_for_apps(client: Client, owner: User) -> None:
    client.force_login(owner)
    page = client.get("/nowhere/")
    assert page.status_code == 404
    assert "text/html" in page.headers["Content-Type"]
    api = client.get("/api/v1/nowhere")
    assert api.status_code == 404
    assert api.json()["code"] == "not_found"


def _text(content: bytes) -> str:
    """The page without what differs from answer to answer: tokens and the address asked for."""
    lines = content.decode().splitlines()
    return "\n".join(line for line in lines if "csrfmiddlewaretoken" not in line and 'name="next"' not in line)
