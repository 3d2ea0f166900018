"""The log of decisions is kept for ever, or for the days that the settings say."""

import pytest
from django.test import override_settings

from labeling.models import Ask, Project, RetentionRun
from labeling.services import retention, retention_policies
from sampling import tasks
from sampling.models import AskDecision
from sampling.services import ask_log
from tests.factories import asking as make
from tests.factories.asking import DAY, NOW

pytestmark = pytest.mark.django_db


def test_decisions_are_kept_for_ever_by_default(project: Project) -> None:
    make.asking(project)
    make.decide(project, "o-1")
    tasks.forget_old_decisions()
    assert AskDecision.objects.count() == 1


def test_old_decisions_not_to_ask_are_deleted_and_asks_stay(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    make.asking(project)
    make.decide(project, "o-asked", now=NOW)
    for number in range(5):
        make.decide(project, f"o-{number}", now=NOW + number * DAY, consent=False)
    with override_settings(ASK_DECISION_KEEP_DAYS=10):
        assert ask_log.delete_old_decisions(project, now=NOW + 10 * DAY) == 0
        assert ask_log.delete_old_decisions(project, now=NOW + 13 * DAY) == 3
        assert ask_log.delete_old_decisions(project, now=NOW + 13 * DAY) == 0
    assert sorted(AskDecision.objects.values_list("opportunity_id", flat=True)) == ["o-3", "o-4", "o-asked"]
    assert make.decide(project, "o-asked", now=NOW + 13 * DAY).reason == "selected"  # and not asked about again
    assert Ask.objects.count() == 1


def test_a_project_may_delete_its_decisions_sooner_and_says_how_many(project: Project) -> None:
    make.asking(project)
    for number in range(5):
        make.decide(project, f"o-{number}", now=NOW + number * DAY, consent=False)
    retention_policies.new_version(project, by=None, decision_days=2)
    with override_settings(ASK_DECISION_KEEP_DAYS=10):
        assert ask_log.delete_old_decisions(project, now=NOW + 5 * DAY) == 3
        assert ask_log.delete_old_decisions(project, now=NOW + 5 * DAY) == 0
    run = RetentionRun.objects.get()
    assert (run.counts, run.days, run.started_at) == ({"decision_days": 3}, {"decision_days": 2}, NOW + 5 * DAY)
