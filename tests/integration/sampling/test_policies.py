"""Queue policies as versions: read, change, refuse."""

from functools import partial

import pytest
from django.contrib.auth.models import User

from labeling.models import Project
from sampling.errors import InvalidPolicy
from sampling.models import QueuePolicy
from sampling.services import policies
from sampling.services.policies import PolicyChanges
from tests.integration.datasets.concurrency import at_once

pytestmark = pytest.mark.django_db


def test_the_first_use_creates_the_default_policy(project: Project) -> None:
    policy = policies.current_policy(project)
    assert (policy.version, policy.strategy, policy.batch_rule) == (1, "margin", "stochastic")
    assert (policy.beta, policy.epsilon, policy.batch_size, policy.low_watermark) == (12.0, 0.1, 100, 20)
    assert policies.current_policy(project) == policy


def test_a_new_version_keeps_what_is_not_named_and_leaves_the_old_one(project: Project, owner: User) -> None:
    first = policies.current_policy(project)
    second = policies.new_version(project, by=owner, strategy="entropy", batch_size=50)
    assert policies.current_policy(project) == second
    assert (second.version, second.created_by) == (2, owner)
    assert (second.strategy, second.batch_size, second.beta, second.low_watermark) == ("entropy", 50, 12.0, 20)
    first.refresh_from_db()
    assert (first.strategy, first.batch_size) == ("margin", 100)


def test_a_change_that_changes_nothing_makes_no_version(project: Project, owner: User) -> None:
    first = policies.current_policy(project)
    assert policies.new_version(project, by=owner) == first
    assert policies.new_version(project, by=owner, strategy="margin", beta=12.0) == first
    assert QueuePolicy.objects.count() == 1


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"strategy": "astrology"}, {"strategy"}),
        ({"batch_rule": "whim"}, {"batch_rule"}),
        ({"batch_rule": "typicality"}, {"batch_rule"}),
        ({"cold_start": "stochastic"}, {"cold_start"}),
        ({"shortlist_factor": 0}, {"shortlist_factor"}),
        ({"score_source": "oracle"}, {"score_source"}),
        ({"hand_over_labels_per_class": -1}, {"hand_over_labels_per_class"}),
        ({"hand_over_labels_per_class": 1_001}, {"hand_over_labels_per_class"}),
        ({"beta": -0.1}, {"beta"}),
        ({"beta": 50.1}, {"beta"}),
        ({"beta": float("nan")}, {"beta"}),
        ({"epsilon": 1.5}, {"epsilon"}),
        ({"epsilon": float("nan")}, {"epsilon"}),
        ({"batch_size": 0, "low_watermark": 0}, {"batch_size"}),
        ({"batch_size": 10_001}, {"batch_size"}),
        ({"low_watermark": 101}, {"low_watermark"}),
        ({"low_watermark": -1}, {"low_watermark"}),
        ({"batch_size": 10}, {"low_watermark"}),
        ({"strategy": "", "epsilon": -1.0}, {"strategy", "epsilon"}),
    ],
)
def test_a_policy_out_of_range_is_refused_by_field(
    project: Project, owner: User, changes: PolicyChanges, fields: set[str]
) -> None:
    policies.current_policy(project)
    with pytest.raises(InvalidPolicy) as caught:
        policies.new_version(project, by=owner, **changes)
    assert set(caught.value.fields) == fields
    assert QueuePolicy.objects.count() == 1


@pytest.mark.parametrize("changes", [{"beta": 0.0}, {"beta": 50.0}, {"epsilon": 0.0}, {"epsilon": 1.0}])
def test_the_ends_of_the_ranges_are_allowed(project: Project, owner: User, changes: PolicyChanges) -> None:
    assert policies.new_version(project, by=owner, **changes).version == 2


@pytest.mark.django_db(transaction=True)
def test_changes_at_once_are_counted_without_gaps(project: Project) -> None:
    works = [partial(policies.new_version, project, by=None, batch_size=size) for size in range(30, 36)]
    at_once(works)
    versions = list(QueuePolicy.objects.order_by("version").values_list("version", flat=True))
    assert versions == list(range(1, 8))


@pytest.mark.django_db(transaction=True)
def test_first_uses_at_once_agree(project: Project) -> None:
    assert len({policy.pk for policy in at_once([partial(policies.current_policy, project)] * 6)}) == 1
