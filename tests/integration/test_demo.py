"""The demo comes in over HTTP, completely, once."""

import pytest
from django.contrib.auth.models import User
from pytest_django.live_server_helper import LiveServer

from datasets.models import AcceptedLabel
from feedbackproject import demo
from labeling.models import ApiKey, Item, Membership, PoolEntry, Project
from labeling.splitting import is_in_audit_reserve
from sampling.models import RefillRun

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def people() -> tuple[User, User]:
    return User.objects.create_user("demo"), User.objects.create_user("ann")


def test_the_digits_come_with_a_model_its_examples_and_a_refill(
    live_server: LiveServer, people: tuple[User, User]
) -> None:
    owner, annotator = people
    digits = demo.digits()
    assert demo.load(digits, url=live_server.url, owner=owner, annotator=annotator)

    project = Project.objects.get(slug="digits")
    assert Item.objects.filter(project=project).count() == len(digits.payloads) == 1797
    assert PoolEntry.objects.filter(project=project, model_version__name="digits-first").count() == 1797
    labels = AcceptedLabel.objects.filter(project=project).select_related("item")
    truth = dict(zip(digits.keys, digits.labels, strict=True))
    assert labels.count() == 10 * demo.EXAMPLES_PER_CLASS
    assert all(label.label == truth[label.item.key] for label in labels)
    assert not any(is_in_audit_reserve(label.item.bucket) for label in labels)
    assert Membership.objects.get(project=project, user=annotator).role == Membership.Role.ANNOTATOR
    assert project.is_queue_open
    assert RefillRun.objects.get(project=project).trigger == RefillRun.Trigger.MANUAL
    assert ApiKey.objects.get(project=project).revoked_at is not None


def test_loading_again_adds_nothing(live_server: LiveServer, people: tuple[User, User]) -> None:
    owner, annotator = people
    cells = demo.breast_cancer()
    assert demo.load(cells, url=live_server.url, owner=owner, annotator=annotator)
    before = [Item.objects.count(), AcceptedLabel.objects.count(), ApiKey.objects.count()]
    assert not demo.load(cells, url=live_server.url, owner=owner, annotator=annotator)
    assert [Item.objects.count(), AcceptedLabel.objects.count(), ApiKey.objects.count()] == before


def test_a_service_that_refuses_is_reported_and_leaves_the_queue_open(
    live_server: LiveServer, people: tuple[User, User]
) -> None:
    owner, annotator = people
    with pytest.raises(demo.DemoError, match="404"):
        demo.load(demo.breast_cancer(), url=f"{live_server.url}/nowhere", owner=owner, annotator=annotator)
    assert Project.objects.get(slug="cells").is_queue_open
