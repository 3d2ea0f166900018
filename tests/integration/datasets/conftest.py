"""A project that goes by the label model."""

import pytest
from django.contrib.auth.models import User

from datasets.services import accept
from labeling.models import Item, Project
from tests.factories import beliefs as make

NOW = make.NOW


@pytest.fixture
def people(project: Project) -> list[User]:
    return make.annotators(project, 4)


@pytest.fixture
def crowd(project: Project, people: list[User]) -> list[Item]:
    """Thirty items with answers of the first three people, of a project that goes by the label model and was fitted."""
    items = make.crowd(project, people[:3])
    make.policy(project)
    make.fitted(project)
    accept.accept_pending(project.pk, now=NOW)
    return items
