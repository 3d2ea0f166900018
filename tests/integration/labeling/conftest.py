"""People beside the annotator."""

import pytest
from django.contrib.auth.models import User


@pytest.fixture
def other(reviewer: User) -> User:
    """A second person who may annotate."""
    return reviewer
