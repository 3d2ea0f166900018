"""Starts the embedded engines of the tests and offers a project with the people around it."""

import pytest
from django.contrib.auth.models import User
from hypothesis import HealthCheck, settings
from rest_framework.test import APIClient

from feedbackproject import embedded
from labeling.models import ApiKey, LabelSchema, Membership, Project
from labeling.services import api_keys

# How fast a machine makes examples says nothing of the code under test.
settings.register_profile("ours", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ours")


def pytest_configure(config: pytest.Config) -> None:
    started = embedded.ensure_from_environment().started

    def stop() -> None:
        embedded.stop(embedded.var_directory(), started)

    config.add_cleanup(stop)


@pytest.fixture
def owner(db: None) -> User:
    return User.objects.create_user("owner", password="owner-pass")


@pytest.fixture
def project(owner: User) -> Project:
    """A project with the classes cat, dog and bird, whose suggestions are never hidden by chance."""
    project = Project.objects.create(
        slug="pets", name="Pets", objective="Sort pet photos.", created_by=owner, blind_share=0
    )
    definition = {"classes": [{"key": "cat"}, {"key": "dog"}, {"key": "bird"}]}
    LabelSchema.objects.create(
        project=project, version=1, kind="single_choice", definition=definition, created_by=owner
    )
    Membership.objects.create(project=project, user=owner, role=Membership.Role.OWNER)
    return project


def _member(project: Project, role: Membership.Role) -> User:
    user = User.objects.create_user(role.value, password=f"{role.value}-pass")
    Membership.objects.create(project=project, user=user, role=role)
    return user


@pytest.fixture
def manager(project: Project) -> User:
    return _member(project, Membership.Role.MANAGER)


@pytest.fixture
def reviewer(project: Project) -> User:
    return _member(project, Membership.Role.REVIEWER)


@pytest.fixture
def annotator(project: Project) -> User:
    return _member(project, Membership.Role.ANNOTATOR)


@pytest.fixture
def stranger(db: None) -> User:
    """Somebody with a login and a project of their own, but no part in `project`."""
    user = User.objects.create_user("stranger", password="stranger-pass")
    other = Project.objects.create(slug="other", name="Other", created_by=user)
    Membership.objects.create(project=other, user=user, role=Membership.Role.OWNER)
    return user


@pytest.fixture
def secret_key(project: Project, owner: User) -> str:
    return api_keys.create(project, name="test app", kind=ApiKey.Kind.SECRET, by=owner).key


@pytest.fixture
def api_client() -> APIClient:
    return APIClient()


@pytest.fixture
def app_client(secret_key: str) -> APIClient:
    """A client that shows the project's secret key."""
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret_key}")
    return client


@pytest.fixture
def owner_client(owner: User, project: Project) -> APIClient:
    client = APIClient()
    client.force_login(owner)
    return client


@pytest.fixture
def annotator_client(annotator: User) -> APIClient:
    client = APIClient()
    client.force_login(annotator)
    return client
