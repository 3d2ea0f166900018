"""Sources are examined on the evidence that is stored: who does not look is set aside, and honest people stay."""

import datetime as dt

import numpy as np
import pytest
from django.contrib.auth.models import User

from datasets.models import AcceptancePolicy, PendingItem, SourceDecision, SourceStanding
from datasets.services import examination, gold, standings
from datasets.services.standings import Action
from labeling.models import (
    Annotation,
    Correction,
    Feedback,
    Item,
    LabelSchema,
    Membership,
    Prediction,
    Project,
    Respondent,
)  # fmt: skip
from labeling.models.feedback import Said
from tests.factories import crowd
from tests.factories import sampling as factory

NOW, LATER = crowd.NOW, crowd.NOW + dt.timedelta(hours=2)
Step = SourceStanding.Step
HONEST = 8


def standing(user: User) -> SourceStanding:
    return SourceStanding.objects.get(annotator=user)


def families(of: SourceStanding) -> set[str]:
    return {reason["family"] for reason in of.reasons}


def a_crowd(project: Project, *spammers: crowd.Habit, count: int = 120, known: int = 0) -> list[User]:
    """Eight honest people and those, who all answer all items; the answers to the first few are known."""
    of, truth = crowd.items(project, count, segment="country"), crowd.truths(count)
    habits = [crowd.honest(0.8 + 0.02 * (number % 5)) for number in range(HONEST)] + list(spammers)
    people = [crowd.person(project, f"honest{number}") for number in range(HONEST)]
    people += [crowd.person(project, f"spammer{number}") for number in range(len(spammers))]
    said = [crowd.say(habit, truth, seed) for seed, habit in enumerate(habits)]
    crowd.answer(project, people, said, of)
    for item, each in list(zip(of, truth, strict=True))[:known]:
        gold.make(project, item, answer={"choice": crowd.CLASSES[each]}, explanation="", by=None)
    return people


def test_honest_people_stay_trusted_and_get_a_record(project: Project) -> None:
    people = a_crowd(project)
    done = examination.examine(project, now=NOW)
    assert done is not None
    assert (done.judged_count, done.changed_count) == (HONEST, 0)
    for user in people:
        found = standing(user)
        assert (found.step, found.weight, found.answers) == (Step.NONE, 1.0, 120)
        right = sum(
            given["choice"] == crowd.CLASSES[truth]
            for given, truth in zip(
                Annotation.objects.filter(annotator=user).order_by("item_id").values_list("answer", flat=True),
                crowd.truths(120),
                strict=True,
            )
        )
        assert found.hits / (found.hits + found.misses) == pytest.approx(right / 120, abs=0.05)
    assert not SourceDecision.objects.exists()


@pytest.mark.parametrize("habit", [crowd.guessing, crowd.always_the_same, crowd.inverted])
def test_who_does_not_look_is_set_aside_with_reasons_in_words(project: Project, habit: crowd.Habit) -> None:
    *honest, spammer = a_crowd(project, habit)
    examination.examine(project, now=NOW)
    found = standing(spammer)
    assert found.step in (Step.QUARANTINE, Step.SHADOW_IGNORE)
    assert found.weight == 0.0
    assert all(reason["text"] and reason["nats"] > 0 for reason in found.reasons)
    assert "agreement" in families(found) or "invariability" in families(found)
    assert {standing(user).step for user in honest} == {Step.NONE}
    (decision,) = found.decisions.all()
    assert (decision.step_before, decision.step_after, decision.decided_by) == (Step.NONE, found.step, None)
    assert decision.reasons == found.reasons
    assert Annotation.objects.filter(annotator=spammer, withdrawn_at__isnull=True).count() == 120


def test_who_answers_too_fast_to_read_is_set_aside_for_it(project: Project) -> None:
    of, truth = crowd.items(project, 80), crowd.truths(80)
    people = [crowd.person(project, f"p{number}") for number in range(9)]
    said = [crowd.say(crowd.honest(), truth, seed) for seed in range(9)]
    crowd.answer(project, people, said, of, seconds=lambda who, place: 0.3 if who == 8 else 5.0 + place % 4)
    examination.examine(project, now=NOW)
    found = standing(people[8])
    assert found.step in (Step.QUARANTINE, Step.SHADOW_IGNORE)
    assert "speed" in families(found)
    assert "100% of 80 answers took less than" in next(r["text"] for r in found.reasons if r["family"] == "speed")
    assert {standing(user).step for user in people[:8]} == {Step.NONE}


def test_imported_answers_are_no_burst(project: Project) -> None:
    people = a_crowd(project, count=120)
    theirs = Annotation.objects.filter(annotator=people[0])
    theirs.update(created_at=NOW, duration_ms=1)
    examination.examine(project, now=NOW)
    assert "speed" in families(standing(people[0]))
    for row in theirs:
        row.import_key = f"k{row.pk}"
    Annotation.objects.bulk_update(theirs, ["import_key"])
    SourceStanding.objects.all().delete()
    examination.examine(project, now=LATER)
    assert "speed" not in families(standing(people[0]))
    assert standing(people[0]).step == Step.NONE


def test_a_pair_that_copies_is_set_aside_and_each_told_of_the_other(project: Project) -> None:
    of, truth = crowd.items(project, 120), crowd.truths(120)
    people = [crowd.person(project, f"p{number}") for number in range(10)]
    said = [crowd.say(crowd.honest(0.75 if seed < 8 else 0.45), truth, seed) for seed in range(9)]
    said.append(list(said[8]))
    crowd.answer(project, people, said, of)
    examination.examine(project, now=NOW)
    pair = [standing(user) for user in people[8:]]
    assert all(each.step in (Step.QUARANTINE, Step.SHADOW_IGNORE) for each in pair)
    assert "the same answer as p9 to 120 of 120 items" in pair[0].reasons[0]["text"]
    assert {standing(user).step for user in people[:8]} == {Step.NONE}


def test_only_known_answers_and_another_finding_block_and_shut_an_annotator_out(project: Project) -> None:
    *honest, spammer = a_crowd(project, crowd.inverted, known=15)
    examination.examine(project, now=NOW)
    found = standing(spammer)
    assert found.step == Step.BLOCK
    assert {"gold", "agreement"} <= families(found)
    assert (found.gold_hits, found.gold_misses) == (0, 15)
    assert Membership.objects.get(project=project, user=spammer).stage == Membership.Stage.BLOCKED
    assert {standing(user).step for user in honest} == {Step.NONE}


def test_who_runs_the_project_is_not_locked_out_by_statistics(project: Project) -> None:
    *_, spammer = a_crowd(project, crowd.inverted, known=15)
    Membership.objects.filter(user=spammer).update(role=Membership.Role.MANAGER)
    examination.examine(project, now=NOW)
    assert standing(spammer).step == Step.SHADOW_IGNORE
    assert Membership.objects.get(project=project, user=spammer).stage == Membership.Stage.WORKING


def test_examining_again_changes_nothing(project: Project) -> None:
    a_crowd(project, crowd.guessing)
    examination.examine(project, now=NOW)
    before = list(SourceDecision.objects.values_list("pk"))
    done = examination.examine(project, now=LATER)
    assert done is not None
    assert done.changed_count == 0
    assert list(SourceDecision.objects.values_list("pk")) == before


def test_a_release_sticks_until_there_are_new_answers_and_stronger_findings(project: Project, reviewer: User) -> None:
    *honest, spammer = a_crowd(project, crowd.guessing)
    examination.examine(project, now=NOW)
    found = standing(spammer)
    newest = found.decisions.first()
    assert newest is not None
    standings.decide(
        project, found.pk, action=Action.RELEASE, by=reviewer, now=NOW, last_decision_id=newest.pk, comment="New here."
    )
    examination.examine(project, now=LATER)
    found = standing(spammer)
    assert (found.step, found.weight, found.decided_by) == (Step.NONE, 1.0, reviewer)

    of, truth = crowd.items(project, 60, prefix="more"), crowd.truths(60, seed=9)
    said = [crowd.say(crowd.honest(), truth, 50 + seed) for seed in range(HONEST)]
    said.append(crowd.say(crowd.inverted, truth, 99))
    crowd.answer(project, [*honest, spammer], said, of)
    SourceStanding.objects.filter(pk=found.pk).update(nats_when_decided=500.0)
    examination.examine(project, now=LATER)
    assert standing(spammer).step == Step.NONE
    SourceStanding.objects.filter(pk=found.pk).update(nats_when_decided=newest.reasons[0]["nats"])
    examination.examine(project, now=LATER)
    found = standing(spammer)
    assert found.step in (Step.QUARANTINE, Step.SHADOW_IGNORE)
    assert found.decided_by is None
    steps = [(each.step_before, each.step_after) for each in found.decisions.order_by("pk")]
    assert [after for _, after in steps[:-1]] == [before for before, _ in steps[1:]]


def test_a_changed_standing_has_the_items_believed_anew_only_by_the_label_model(project: Project) -> None:
    a_crowd(project, crowd.guessing, count=60)
    examination.examine(project, now=NOW)
    assert not PendingItem.objects.exists()
    SourceStanding.objects.all().delete()
    AcceptancePolicy.objects.create(project=project, version=1, method=AcceptancePolicy.Method.LABEL_MODEL)
    examination.examine(project, now=NOW)
    assert PendingItem.objects.filter(project=project).count() == 60


def test_sources_with_few_answers_are_not_judged(project: Project) -> None:
    people = a_crowd(project, crowd.inverted, count=7)
    done = examination.examine(project, now=NOW)
    assert done is not None
    assert (done.source_count, done.judged_count) == (len(people), 0)
    assert not SourceStanding.objects.exists()


def test_a_project_without_answers_is_examined_without_harm(project: Project) -> None:
    done = examination.examine(project, now=NOW)
    assert done is not None
    assert done.judged_count == 0
    assert not examination.is_due(project, now=LATER)


def test_answers_that_are_no_single_choice_are_not_judged(project: Project) -> None:
    LabelSchema.objects.filter(project=project).update(kind="numeric", definition={"minimum": 0, "maximum": 1})
    assert examination.examine(project, now=NOW) is None
    assert project not in examination.judgeable_projects()


def test_an_examination_is_due_when_the_evidence_grew_by_a_twentieth_or_after_an_hour(project: Project) -> None:
    people = a_crowd(project, count=40)
    assert examination.is_due(project, now=NOW)
    examination.examine(project, now=NOW)
    soon, hour = NOW + dt.timedelta(minutes=5), NOW + dt.timedelta(minutes=61)
    assert not examination.is_due(project, now=hour)
    one = crowd.items(project, 1, prefix="one")
    crowd.answer(project, people[:1], [[0]], one)
    assert (examination.is_due(project, now=soon), examination.is_due(project, now=hour)) == (False, True)
    crowd.answer(project, people, [[0] * 3] * HONEST, crowd.items(project, 3, prefix="three"))
    assert examination.is_due(project, now=soon)
    assert not examination.is_due(project, now=NOW + dt.timedelta(seconds=30))


def corrections_of(project: Project, respondent: str, said: list[int], of: list[int], comment: str = "") -> None:
    Correction.objects.bulk_create(
        Correction(
            project=project, client_id=f"{respondent}-{item}", channel=Said.Channel.APP, item_id=item,
            respondent_hash=respondent, answer={"choice": crowd.CLASSES[choice]}, comment=comment,
            label_schema=LabelSchema.objects.get(project=project),
            occurred_at=NOW + dt.timedelta(hours=number), received_at=NOW,
        )
        for number, (item, choice) in enumerate(zip(of, said, strict=True))
    )  # fmt: skip


def test_respondents_are_judged_and_a_blocked_one_is_marked(project: Project) -> None:
    a_crowd(project, known=60)
    of = list(Annotation.objects.order_by("item_id").values_list("item_id", flat=True).distinct()[:60])
    truth = crowd.truths(120)[:60]
    rng = np.random.default_rng(3)
    for number in range(4):
        corrections_of(project, f"good{number}".ljust(64, "0"), [crowd.honest(0.9)(rng, each) for each in truth], of)
    liar = "liar".ljust(64, "0")
    corrections_of(project, liar, [0] * 60, of)
    Respondent.objects.create(project=project, respondent_hash=liar)
    examination.examine(project, now=NOW)
    found = SourceStanding.objects.get(respondent_hash=liar)
    assert found.step == Step.BLOCK
    assert Respondent.objects.get(respondent_hash=liar).is_blocked
    others = SourceStanding.objects.filter(respondent_hash__startswith="good")
    assert set(others.values_list("step", flat=True)) == {Step.NONE}


def test_comments_that_are_nearly_the_same_are_shown_and_set_nobody_aside(project: Project) -> None:
    a_crowd(project)
    of = list(Annotation.objects.order_by("item_id").values_list("item_id", flat=True).distinct()[:20])
    for number in range(3):
        corrections_of(
            project,
            f"r{number}".ljust(64, "0"),
            crowd.truths(120)[:20],
            of,
            comment="This label is wrong, as anybody sees!",
        )
    examination.examine(project, now=NOW)
    for found in SourceStanding.objects.filter(annotator=None):
        assert "2 other respondents wrote nearly the same comment" in found.reasons[-1]["text"]
        assert found.reasons[-1]["nats"] == 0.0


def test_new_accounts_behind_the_blame_of_a_segment_are_shown(project: Project) -> None:
    a_crowd(project, count=60)
    of = list(Item.objects.filter(project=project).order_by("pk"))
    version = factory.champion(project)
    factory.scores(version, of, np.tile([0.8, 0.1, 0.1], (len(of), 1)))
    prediction_of = dict(Prediction.objects.values_list("item_id", "pk"))
    accounts = [f"account{number:03}".ljust(64, "0") for number in range(300)]
    Respondent.objects.bulk_create(
        Respondent(project=project, respondent_hash=who, created_at=NOW - dt.timedelta(days=300 - number))
        for number, who in enumerate(accounts)
    )
    new = accounts[-2:]
    said = [(accounts[number % 200], of[number % 60], 1.0) for number in range(400)]
    said += [(who, item, 0.0) for who in new for item in of[::2]]
    Feedback.objects.bulk_create(
        Feedback(
            project=project, client_id=f"f{number}", channel=Said.Channel.APP, item=item, respondent_hash=who,
            prediction_id=prediction_of[item.pk], kind=Feedback.Kind.THUMB, score=score,
            occurred_at=NOW + dt.timedelta(hours=number), received_at=NOW,
        )
        for number, (who, item, score) in enumerate(said)
    )  # fmt: skip
    examination.examine(project, now=NOW)
    found = SourceStanding.objects.get(respondent_hash=new[0])
    told = [reason["text"] for reason in found.reasons if reason["family"] == "targeting"]
    assert any("give 60 of the 60 negative opinions about segment country = de" in text for text in told)
    assert not SourceStanding.objects.exclude(respondent_hash__in=[*new, ""]).exclude(reasons=[]).exists()
