"""Known answers among asks: who is checked, that it is not told, and what an answer changes."""

import datetime as dt

import msgspec
import pytest
from django.contrib.auth.models import User

from datasets.models import GoldItem, ItemBelief
from datasets.services import acceptance_policies, beliefs, gold, gold_answers
from datasets.tasks import mix_gold
from labeling.ask_tokens import AskToken
from labeling.models import Ask, Correction, Item, LabelSchema, PoolEntry, Project, Respondent
from labeling.schema import JSONValue
from labeling.services import ask_events, intake
from labeling.services.ask_events import Event, EventKind
from labeling.splitting import AUDIT_RESERVE_END
from sampling.asking import deciding, draws
from sampling.asking.situation import Situation
from sampling.models import AskDecision, AskPolicy
from sampling.services import ask_policies, ask_replay, ask_setting, objectives
from sampling.services.ask_policies import pure
from sampling.services.ask_replies import Answer
from tests.factories import asking as make
from tests.factories.labeling import item_row
from tests.statements import statements_counted

NOW, HOUR = make.NOW, make.HOUR
CHECKS = {"check_share": 1.0, "check_until_answers": 3}


def known(project: Project, owner: User, key: str = "gold", truth: str = "dog") -> Item:
    intake.record_items(project, [item_row(key)])
    item = Item.objects.get(project=project, key=key)
    # Outside the audit reserve, whose items stay in the pool when they are known.
    PoolEntry.objects.filter(item=item).update(bucket=AUDIT_RESERVE_END)
    item.bucket = AUDIT_RESERVE_END
    item.save()
    gold.make(project, item, answer={"choice": truth}, explanation="", by=owner)
    return item


def said(answer: Answer, choice: str, *, at: dt.datetime = NOW) -> None:
    """The respondent's correction in answer to the ask."""
    make.close(answer, "answered", at=at)
    assert answer.ask_id is not None
    ask = Ask.objects.get(pk=answer.ask_id)
    Correction.objects.create(
        project=ask.project, client_id=f"answer:{ask.pk}", channel=Correction.Channel.TOKEN, item=ask.item, ask=ask,
        prediction=ask.prediction, respondent_hash=ask.respondent_hash, occurred_at=at, received_at=at,
        label_schema=GoldItem.objects.filter(item=ask.item).get().label_schema, answer={"choice": choice},
    )  # fmt: skip


def test_a_little_known_respondent_is_asked_about_a_known_answer_and_not_told(project: Project, owner: User) -> None:
    make.asking(project, **CHECKS)
    item = known(project, owner)
    answer = make.decide(project, "o-1", key="gold", respondent="u")
    assert (answer.ask, answer.reason, answer.key, answer.propensity) == (True, "selected", "gold", 1.0)
    decision = AskDecision.objects.get()
    assert (decision.reason, decision.item, decision.propensity, decision.is_eligible) == ("check", item, 1.0, True)
    assert decision.ask is not None
    assert (decision.ask.propensity, decision.ask.is_audit) == (1.0, False)
    again = make.decide(project, "o-1", key="gold", respondent="u")
    assert (again.ask_id, again.reason) == (answer.ask_id, "selected")


def test_known_answers_are_not_asked_about_unless_the_policy_says_so(project: Project, owner: User) -> None:
    make.asking(project)
    known(project, owner)
    assert make.decide(project, "o-1", key="gold").reason == "labelled"


@pytest.mark.parametrize("case", ["nobody named", "retired gold", "asked before", "known well"])
def test_who_cannot_be_checked_by_it_meets_the_gate_of_known_labels(project: Project, owner: User, case: str) -> None:
    make.asking(project, cooldown_shown_seconds=0, question_cooldown_seconds=0, cooldown_answered_seconds=0, **CHECKS)
    item = known(project, owner)
    respondent, session = "u", ""
    if case == "nobody named":
        respondent, session = "", "s"
    elif case == "retired gold":
        GoldItem.objects.filter(item=item).update(is_active=False)
    elif case == "asked before":
        said(make.decide(project, "o-0", key="gold", respondent="u"), "dog")
    else:
        make.decide(project, "o-0", respondent="u", now=NOW - 40 * make.DAY)
        Respondent.objects.update(right_count=2, wrong_count=1)
    answer = make.decide(project, "o-1", key="gold", respondent=respondent, session=session, now=NOW + HOUR)
    assert (answer.ask, answer.reason) == (False, "labelled")


def test_two_respondents_are_checked_by_the_same_item_at_once(project: Project, owner: User) -> None:
    make.asking(project, **CHECKS)
    known(project, owner)
    assert [make.decide(project, f"o-{who}", key="gold", respondent=who).ask for who in ("u", "v")] == [True, True]


def test_budgets_hold_for_checks(project: Project, owner: User) -> None:
    make.asking(project, budget_asks=1, budget_period_seconds=3_600, **CHECKS)
    known(project, owner)
    assert make.decide(project, "o-1", key="gold", respondent="u").ask
    assert make.decide(project, "o-2", key="gold", respondent="v").reason == "budget"


def test_a_check_takes_as_many_statements_as_any_other_decision(project: Project, owner: User) -> None:
    make.asking(project, check_share=0.0001, least_propensity=0.0001)
    known(project, owner)
    make.decide(project, "o-0")
    setting = ask_setting.of(project)
    with pytest.MonkeyPatch.context() as patch, statements_counted() as statements:
        patch.setattr(ask_setting, "of", lambda *_, **__: setting)
        assert make.decide(project, "o-1", key="gold").reason == "not_drawn"
    assert len(statements) == 2


def test_decisions_about_known_answers_repeat_from_the_log_and_are_replayed_with_their_share(
    project: Project, owner: User
) -> None:
    make.asking(project, check_share=0.4, check_until_answers=3)
    known(project, owner)
    for number in range(60):
        make.decide(project, f"o-{number}", key="gold", respondent=f"u-{number}")
    key = ask_setting.of(project).draw_key
    decisions = list(AskDecision.objects.select_related("policy"))
    assert {each.propensity for each in decisions} == {0.4}
    assert {each.reason for each in decisions} == {"check", "not_drawn"}
    for logged in decisions:
        situation = msgspec.convert(logged.terms["situation"], Situation)
        again = deciding.decide(pure(logged.policy), situation, draws.of_opportunity(key, logged.opportunity_id))
        assert (again.reason.value, again.is_ask, again.propensity) == (logged.reason, logged.is_ask, logged.propensity)
    for share in (0.4, 0.1, 0.0):
        draft = ask_policies.draft(project, check_share=share)
        replayed = ask_replay.replay(project, draft, since=NOW - HOUR, until=NOW + HOUR)
        assert replayed.asks.value == pytest.approx(60 * share)


def test_by_votes_answers_about_known_items_make_the_record_and_no_label(project: Project, owner: User) -> None:
    make.asking(
        project, cooldown_shown_seconds=0, question_cooldown_seconds=0, cooldown_answered_seconds=0, most_per_session=9,
        most_per_7_days=9, **CHECKS,
    )  # fmt: skip
    for number in range(4):
        known(project, owner, f"gold-{number}")
    for number, choice in enumerate(("dog", "cat", "dog")):
        said(make.decide(project, f"o-{number}", key=f"gold-{number}", respondent="u", now=NOW + number * HOUR), choice)
    mix_gold(project.pk)
    respondent = Respondent.objects.get()
    assert (respondent.right_count, respondent.wrong_count) == (2, 1)
    assert gold_answers.store_records(project) == 0  # again changes nothing
    assert make.decide(project, "o-9", key="gold-3", respondent="u", now=NOW + 9 * HOUR).reason == "labelled"


@pytest.mark.parametrize(
    ("truth", "answer", "record"),
    [
        ("cat", {"is_right": False}, (0, 1)),
        ("dog", {"is_right": False}, (1, 0)),
        ("cat", {"is_right": True}, (1, 0)),
        ("dog", {"is_right": True}, (0, 1)),
        ("dog", {"is_right": False, "correction": {"choice": "bird"}}, (0, 1)),
    ],
)
def test_by_votes_an_answer_counts_once_and_with_or_without_a_correction(
    project: Project, owner: User, truth: str, answer: JSONValue, record: tuple[int, int]
) -> None:
    make.asking(project, **CHECKS)
    LabelSchema.objects.update(created_at=NOW - make.DAY)
    known(project, owner, truth=truth)
    asked = make.decide(project, "o-1", key="gold", respondent="u", probabilities=(0.8, 0.1, 0.1))
    token = AskToken(project.pk, asked.ask_id or 0, 0, int((NOW + HOUR).timestamp()), False, b"")
    ask_events.record(token, Event(EventKind.ANSWERED, answer=answer), now=NOW)
    gold_answers.store_records(project)
    respondent = Respondent.objects.get()
    assert (respondent.right_count, respondent.wrong_count) == record


def test_by_the_label_model_they_make_the_record_and_the_known_answer_stands(project: Project, owner: User) -> None:
    make.asking(project, **CHECKS)
    acceptance_policies.new_version(project, by=owner, method="label_model")
    items = [known(project, owner, f"gold-{number}") for number in range(6)]
    for number, item in enumerate(items):
        said(make.decide(project, f"o-{number}", key=item.key, respondent=f"u-{number % 2}-{number}"), "cat")
    beliefs.fit(project, now=NOW + HOUR)
    assert set(ItemBelief.objects.filter(project=project).values_list("label", flat=True)) == {"dog"}
    assert list(Respondent.objects.values_list("right_count", "wrong_count")) == [(0, 1)] * 6
    assert gold_answers.store_records(project) == 0


def test_checks_are_no_progress_of_a_question(project: Project, owner: User) -> None:
    version = make.asking(project, **CHECKS)
    known(project, owner)
    said(make.decide(project, "o-1", key="gold", respondent="u"), "dog")
    make.close(make.decide(project, "o-2"), "answered", at=NOW)
    assert objectives.progress_of(version, answer_rate=0.5, now=NOW).answers == 1


def test_shares_out_of_range_are_refused(project: Project) -> None:
    with pytest.raises(Exception, match="not valid") as refused:
        ask_policies.new_version(project, by=None, check_share=1.5, check_until_answers=-1)
    assert set(getattr(refused.value, "fields", {})) == {"check_share", "check_until_answers"}
    assert AskPolicy.objects.filter(project=project).count() <= 1
