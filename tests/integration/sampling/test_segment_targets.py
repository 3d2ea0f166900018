"""Shares of a segment's values in what is asked."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from labeling.models import AnnotationTask, Item, ModelVersion, Project
from sampling.errors import InvalidPolicy
from sampling.models import RefillRun
from sampling.pages.queue_policy import TargetsField
from sampling.services import features, policies, refill
from sampling.services.replay import replay
from tests.factories import sampling as make

pytestmark = pytest.mark.django_db

NOW = make.NOW


@pytest.fixture
def countries(project: Project) -> list[Item]:
    """400 items: 80% of the US, 15% of Germany, the others of no country; a tenth in the audit reserve."""
    items = make.scored_pool(project, 400, buckets=[10 if n % 10 == 0 else make.OUTSIDE_RESERVE for n in range(400)])
    for number, item in enumerate(items):
        place = number % 20
        item.segments = {"country": "us"} if place < 16 else {"country": "de"} if place < 19 else {"plan": "free"}
    Item.objects.bulk_update(items, ["segments"])
    ModelVersion.objects.update(origin=ModelVersion.Origin.APP)
    return items


def run_refill(project: Project) -> RefillRun:
    requested = refill.request(project, trigger=RefillRun.Trigger.MANUAL, seed=5)
    return refill.execute(requested.pk, now=NOW)


@pytest.mark.parametrize("rule", ["stochastic", "top_k", "cluster_quotas"])
def test_what_is_chosen_has_the_shares_and_the_audit_slice_has_not(
    project: Project, countries: list[Item], rule: str
) -> None:
    features.build(project, now=NOW)
    policies.new_version(
        project, by=None, batch_size=100, segment="country", segment_targets={"de": 0.5, "fr": 0.1}, batch_rule=rule
    )
    run = run_refill(project)
    assert run.state == "succeeded", run.message
    tasks = AnnotationTask.objects.filter(batch=run.batch).select_related("item")
    chosen = [task.item.segments.get("country") for task in tasks if not task.is_audit]
    # There is nobody of France: its share goes to the others.
    assert 0.42 < chosen.count("de") / len(chosen) < 0.68
    assert len({task.item_id for task in tasks}) == 100
    assert replay(RefillRun.objects.get(pk=run.pk)).is_same


def test_shards_know_the_shares(project: Project, countries: list[Item]) -> None:
    policy = policies.new_version(project, by=None, segment="country", segment_targets={"de": 0.6})
    assert policy.segment_targets == {"de": 0.6}
    assert policies.new_version(project, by=None, segment="", segment_targets={}).segment == ""


@pytest.mark.parametrize(
    ("segment", "targets"),
    [
        ("country", {}),
        ("", {"de": 0.5}),
        ("country", {"de": 0.7, "us": 0.4}),
        ("country", {"de": -0.1}),
        ("country", {"de": float("nan")}),
        ("country", {"de": 0.0}),
        ("country", {"": 0.5}),
    ],
)
def test_wrong_shares_are_refused(project: Project, segment: str, targets: dict[str, float]) -> None:
    with pytest.raises(InvalidPolicy) as refused:
        policies.new_version(project, by=None, segment=segment, segment_targets=targets)
    assert set(refused.value.fields) == {"segment_targets"}


def test_the_form_reads_and_writes_lines() -> None:
    field = TargetsField(required=False)
    assert field.clean("de = 50%\n\n a = b =0.25") == {"de": 0.5, "a = b": 0.25}
    assert field.prepare_value({"de": 0.5, "fr": 0.125}) == "de = 50%\nfr = 12.5%"
    assert field.clean("") == {}


def test_a_line_that_is_none_is_named_on_the_page(owner: User, project: Project) -> None:
    client = Client()
    client.force_login(owner)
    form = {
        "action": "policy", "strategy": "margin", "score_source": "auto", "batch_rule": "softmax", "beta": "3", "epsilon": "0.1",
        "batch_size": "25", "low_watermark": "5", "answers_per_item": "1", "cold_start": "uniform", "stop_below_gain": "0",
        "hand_over_labels_per_class": "5", "shortlist_factor": "10", "segment": "country", "segment_targets": "half de",
    }  # fmt: skip
    page = client.post(reverse("queue", args=["pets"]), form)
    assert page.status_code == 422
    assert "is not of the form: value = 50%" in page.content.decode()
