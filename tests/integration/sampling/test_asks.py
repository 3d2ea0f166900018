"""Asking: what is logged, what is answered, and which gates hold, on the real engines."""

import datetime as dt
from typing import Any

import msgspec
import pytest

from labeling import ask_tokens, wire
from labeling.errors import InvalidInput
from labeling.models import Ask, Item, PoolEntry, Prediction, Project, Question, Respondent
from labeling.redis_client import redis_client
from labeling.schema import JSONValue
from labeling.services import ask_events
from labeling.services.ask_events import Event, EventKind
from sampling.asking import deciding, draws
from sampling.asking.situation import Rates, Situation
from sampling.models import AskDecision
from sampling.services import ask_policies, ask_rates, ask_replay, ask_setting, asks
from sampling.services.ask_policies import pure
from sampling.services.ask_rates import ResponseRates
from sampling.services.ask_replies import Answer
from sampling.services.ask_situation import Opportunity
from tests.factories import asking as make
from tests.factories.asking import DAY, HOUR, NOW
from tests.statements import statements_counted

pytestmark = pytest.mark.django_db


def test_an_ask_logs_item_prediction_decision_and_ask(project: Project) -> None:
    make.asking(project)
    answer = make.decide(project, "o-1", context={"request_id": "r-1"}, segments={"country": "de"}, locale="de")

    assert (answer.ask, answer.reason, answer.opportunity_id, answer.key) == (True, "selected", "o-1", "item-o-1")
    assert answer.question is not None
    assert (answer.question["text"], answer.question["key"]) == ("Stimmt das?", "is_right")
    item = Item.objects.get(project=project, key="item-o-1")
    prediction = Prediction.objects.get(item=item)
    assert (item.payload, item.segments) == ({"text": "o-1"}, {"country": "de"})
    assert (prediction.predicted_class, prediction.context) == ("cat", {"request_id": "r-1"})
    assert answer.prediction_id == prediction.pk
    entry = PoolEntry.objects.get(item=item)
    assert (entry.state, bytes(entry.probabilities or b""), entry.scored_at) == (
        0,
        bytes(prediction.probabilities),
        NOW,
    )
    assert entry.model_version == prediction.model_version

    ask = Ask.objects.get()
    assert (ask.pk, ask.item, ask.prediction, ask.state) == (answer.ask_id, item, prediction, "offered")
    assert (ask.predicted_answer, ask.expires_at) == ({"choice": "cat"}, NOW + DAY)
    assert ask.respondent_hash == prediction.respondent_hash == Respondent.objects.get().respondent_hash != ""
    decision = AskDecision.objects.get()
    assert (decision.ask, decision.item, decision.prediction, decision.is_ask) == (ask, item, prediction, True)
    assert decision.propensity == ask.propensity == answer.propensity == pytest.approx(1.0)

    token = ask_tokens.read(answer.token or "", keys=[ask_setting.of(project).token_key], now=NOW.timestamp())
    assert (token.ask_id, token.project_id, token.is_blind) == (ask.pk, project.pk, ask.is_blind)


def test_a_no_is_logged_with_its_chance_and_its_draw(project: Project) -> None:
    make.asking(project, threshold=5.0, audit_share=0.0)
    answer = make.decide(project, "o-1")
    decision = AskDecision.objects.get()
    assert (answer.ask, answer.reason, answer.token) == (False, "not_drawn", None)
    assert (decision.reason, decision.is_ask, decision.is_eligible) == ("not_drawn", False, True)
    assert decision.propensity == answer.propensity == pytest.approx(0.01)
    assert decision.draw is not None
    assert decision.draw >= 0.01
    assert Prediction.objects.get().item == decision.item
    assert not Ask.objects.exists()


def test_a_no_takes_three_statements_and_a_replay_no_more(project: Project) -> None:
    """With the one that authenticates, which is not among them: two here."""
    make.asking(project, threshold=5.0, audit_share=0.0)
    make.decide(project, "o-1")
    setting = ask_setting.of(project)
    name = next(name for name in map(str, range(100)) if draws.of_opportunity(setting.draw_key, name).draw > 0.5)
    with pytest.MonkeyPatch.context() as patch, statements_counted() as statements:
        patch.setattr(ask_setting, "of", lambda *_, **__: setting)
        assert not make.decide(project, name).ask
    assert len(statements) == 2


def test_the_same_opportunity_gives_the_same_decision_once(project: Project) -> None:
    make.asking(project)
    first = make.decide(project, "o-1")
    again = make.decide(project, "o-1", now=NOW + HOUR, key="another")
    assert (again.ask, again.ask_id, again.reason, again.propensity) == (
        True,
        first.ask_id,
        first.reason,
        first.propensity,
    )
    assert again.question == first.question
    assert again.token
    assert (AskDecision.objects.count(), Ask.objects.count(), Item.objects.count()) == (1, 1, 1)


@pytest.mark.parametrize("other", [{"respondent": "somebody else"}, {"respondent": ""}, {"session": "s"}])
def test_nobody_gets_the_token_of_somebody_else_by_naming_their_opportunity(
    project: Project, other: dict[str, Any]
) -> None:
    make.asking(project)
    mine: dict[str, Any] = {"respondent": ""} if "session" in other else {}
    assert make.decide(project, "o-1", **mine).token
    theirs = make.decide(project, "o-1", **{**mine, **other})
    assert (theirs.ask, theirs.reason, theirs.token, theirs.question) == (False, "selected", None, None)
    assert (theirs.ask_id, theirs.key, theirs.prediction_id) == (None, None, None)
    assert make.decide(project, "o-1", **mine).token
    assert (AskDecision.objects.count(), Ask.objects.count()) == (1, 1)


def test_an_ask_that_is_over_is_not_shown_again(project: Project) -> None:
    make.asking(project)
    make.close(make.decide(project, "o-1"), "answered", at=NOW + HOUR)
    again = make.decide(project, "o-1", now=NOW + 2 * HOUR)
    assert (again.ask, again.reason, again.token, again.question) == (False, "selected", None, None)


def test_a_dry_run_decides_and_writes_nothing(project: Project) -> None:
    make.asking(project, budget_asks=1)
    for _ in range(3):
        answer = asks.decide(project, make.opportunity("o-1"), now=NOW, is_dry_run=True)
        assert (answer.ask, answer.token, answer.ask_id) == (True, None, None)
        assert answer.question is not None
    assert not Item.objects.exists()
    assert not AskDecision.objects.exists()
    assert make.decide(project, "o-2").ask  # the budget was not touched


@pytest.mark.parametrize(
    ("reason", "others"),
    [
        ("no_consent", {"consent": False}),
        ("quiet", {"is_quiet": True}),
    ],
)
def test_what_the_app_says_is_respected(project: Project, reason: str, others: dict[str, Any]) -> None:
    make.asking(project)
    answer = make.decide(project, "o-1", **others)
    assert (answer.ask, answer.reason) == (False, reason)


def test_clocks_and_caps_hold_for_a_respondent(project: Project) -> None:
    make.asking(project, question_cooldown_seconds=0)
    first = make.decide(project, "o-1", respondent="u")
    assert first.ask
    concurrent = make.decide(project, "o-2", respondent="u", now=NOW + HOUR)
    assert (concurrent.reason, concurrent.retry_after_seconds) == ("concurrent", 23 * 3600)
    make.close(first, "dismissed", at=NOW + HOUR)
    shown = make.decide(project, "o-3", respondent="u", now=NOW + 2 * HOUR)
    assert (shown.reason, shown.retry_after_seconds) == ("cooldown_shown", 23 * 3600)
    assert make.decide(project, "o-4", respondent="u", now=NOW + 3 * DAY).reason == "cooldown_dismissed"
    assert make.decide(project, "o-5", respondent="u", now=NOW + 8 * DAY).ask
    assert make.decide(project, "o-6", respondent="u", now=NOW + 9 * DAY + HOUR).ask
    assert make.decide(project, "o-7", respondent="u", now=NOW + 11 * DAY).reason == "week_cap"
    assert make.decide(project, "o-8", respondent="v", now=NOW + 11 * DAY).ask


def test_a_session_stands_for_a_respondent_whom_nobody_named(project: Project) -> None:
    make.asking(project)
    assert make.decide(project, "o-1", respondent="", session="s").ask
    assert make.decide(project, "o-2", respondent="", session="s").reason == "concurrent"
    assert make.decide(project, "o-3", respondent="", session="t").ask
    assert make.decide(project, "o-4", respondent="").ask
    assert make.decide(project, "o-5", respondent="").ask


def test_a_session_is_asked_once(project: Project) -> None:
    make.asking(project, cooldown_shown_seconds=0, question_cooldown_seconds=0, ask_lifetime_seconds=60)
    assert make.decide(project, "o-1", respondent="u", session="s").ask
    later = NOW + HOUR
    assert make.decide(project, "o-2", respondent="u", session="s", now=later).reason == "session_cap"
    assert make.decide(project, "o-3", respondent="u", session="t", now=later).ask


def test_whoever_opted_out_is_left_alone_until_then(project: Project) -> None:
    make.asking(project)
    make.decide(project, "o-1", respondent="u")
    Respondent.objects.update(opted_out_until=NOW + 180 * DAY)
    refused = make.decide(project, "o-2", respondent="u", now=NOW + 170 * DAY)
    assert (refused.reason, refused.retry_after_seconds) == ("opted_out", 10 * 86_400)
    assert make.decide(project, "o-3", respondent="u", now=NOW + 181 * DAY).ask


def test_whoever_is_blocked_is_asked_nothing(project: Project) -> None:
    make.asking(project)
    assert make.decide(project, "o-1", respondent="u").reason == "selected"
    Respondent.objects.update(is_blocked=True)
    refused = make.decide(project, "o-2", respondent="u", now=NOW + 80 * DAY)
    assert (refused.ask, refused.reason) == (False, "blocked")
    assert make.decide(project, "o-3", respondent="other").reason == "selected"


def test_the_holdout_is_sticky_and_of_the_size_it_says(project: Project) -> None:
    make.asking(project, holdout_share=0.3)
    reasons = {
        name: [
            make.decide(project, f"o-{name}-{turn}", respondent=name, now=NOW + turn * 40 * DAY).reason
            for turn in range(2)
        ]
        for name in (f"u{number}" for number in range(40))
    }
    held = [name for name, said in reasons.items() if said == ["holdout", "holdout"]]
    assert all("holdout" not in said for name, said in reasons.items() if name not in held)
    assert 4 <= len(held) <= 20  # 12 on average, within three standard errors


def test_a_labelled_item_is_not_asked_about_for_its_label_but_for_opinions(project: Project) -> None:
    make.asking(project)
    make.decide(project, "o-1", key="k", respondent="u")
    assert make.decide(project, "o-2", key="k", respondent="v").reason == "labelled"
    thumbs = make.question(project, "helpful", "thumbs", definition={"text": {"en": "Helpful?"}})
    answer = make.decide(project, "o-3", key="k", respondent="w")
    assert answer.ask
    assert answer.question is not None
    assert answer.question["key"] == thumbs.question.key
    PoolEntry.objects.update(state=PoolEntry.State.ANSWERED)
    assert make.decide(project, "o-4", key="k", respondent="x", question="is_right").reason == "labelled"


def test_an_item_that_exists_needs_no_payload_and_keeps_its_own(project: Project) -> None:
    make.asking(project)
    make.decide(project, "o-1", key="k", respondent="u", payload={"text": "first"})
    Ask.objects.update(state="expired")
    again = make.decide(project, "o-2", key="k", respondent="v", payload={}, probabilities=None)
    assert again.ask
    assert Ask.objects.get(opportunity_id="o-2").predicted_answer == {"choice": "cat"}
    assert Ask.objects.get(opportunity_id="o-2").prediction == Prediction.objects.get()
    Ask.objects.update(state="expired")
    make.decide(project, "o-3", key="k", respondent="w", payload={"text": "other"}, probabilities=(0.1, 0.8, 0.1))
    assert Item.objects.get().payload == {"text": "first"}
    # What the model says now is the prediction of the item, and the pool's.
    assert Prediction.objects.get().predicted_class == "dog"
    assert bytes(PoolEntry.objects.get().probabilities or b"") == bytes(Prediction.objects.get().probabilities)


@pytest.mark.parametrize(
    ("code", "others"),
    [
        ("unknown_item", {"payload": {}}),
        ("probabilities_do_not_sum_to_one", {"probabilities": (0.5, 0.1, 0.1)}),
        ("wrong_number_of_probabilities", {"probabilities": (0.5, 0.5)}),
        ("unknown_question", {"question": "no-such"}),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(project: Project, code: str, others: dict[str, Any]) -> None:
    make.asking(project)
    with pytest.raises(InvalidInput) as refused:
        make.decide(project, "o-1", **others)
    assert refused.value.code == code
    assert not Item.objects.exists()
    assert not AskDecision.objects.exists()


def test_without_a_live_question_nobody_is_asked_and_the_prediction_is_kept(project: Project) -> None:
    make.asking(project)
    Question.objects.update(state="paused")
    assert make.decide(project, "o-1").reason == "no_question"
    assert make.decide(project, "o-2", question="is_right").reason == "no_question"
    assert Prediction.objects.count() == 2


def test_a_question_is_over_at_its_deadline_and_so_are_its_asks(project: Project) -> None:
    version = make.asking(project)
    version.deadline = NOW + HOUR
    version.save()
    make.decide(project, "o-1")
    assert Ask.objects.get().expires_at == NOW + HOUR
    assert make.decide(project, "o-2", now=NOW + HOUR).reason == "no_question"


def test_a_budget_is_spent_to_the_last_ask_and_not_further(project: Project) -> None:
    make.asking(project, budget_asks=3, budget_period_seconds=30 * 86_400)
    late = NOW + 29 * DAY
    reasons = [make.decide(project, f"o-{number}", now=late).reason for number in range(5)]
    assert reasons == ["selected"] * 3 + ["budget"] * 2
    assert Ask.objects.count() == 3
    refused = make.decide(project, "o-9", now=late)
    assert (refused.reason, refused.retry_after_seconds) == ("budget", 86_400)
    assert make.decide(project, "o-10", now=NOW + 30 * DAY).ask  # a new period


def test_a_quota_stops_its_segment_alone(project: Project) -> None:
    make.asking(project, segment="country", segment_quotas={"de": 1})
    assert make.decide(project, "o-1", segments={"country": "de"}).ask
    assert make.decide(project, "o-2", segments={"country": "de"}).reason == "segment_quota"
    assert make.decide(project, "o-3", segments={"country": "fr"}).ask
    assert Ask.objects.get(opportunity_id="o-1").segment == "de"


def test_counters_that_are_gone_are_rebuilt_from_the_asks(project: Project) -> None:
    make.asking(project, budget_asks=2)
    late = NOW + 29 * DAY
    make.decide(project, "o-1", now=late)
    redis_client().flushall()
    assert make.decide(project, "o-2", now=late).ask
    redis_client().flushall()
    assert make.decide(project, "o-3", now=late).reason == "budget"


def test_counters_of_another_run_of_redis_do_not_count(project: Project) -> None:
    """As after a crash, when Redis reads an old file back."""
    make.asking(project, budget_asks=2)
    late = NOW + 29 * DAY
    make.decide(project, "o-1", now=late)
    (key,) = redis_client().keys("asks:*")
    redis_client().hset(key, mapping={"run": "f" * 40, "spent": 0})
    make.decide(project, "o-2", now=late)
    assert redis_client().hget(key, "spent") == b"2"


def private_question(project: Project) -> None:
    Question.objects.all().delete()
    make.question(project, "mood", "thumbs", definition={"text": {"en": "Good?"}}, epsilon=1.0)


def answer_privately(project: Project, asked: Answer, *, at: dt.datetime) -> None:
    assert asked.token is not None
    token = ask_tokens.read(asked.token, keys=[ask_setting.of(project).token_key], now=at.timestamp())
    report: JSONValue = {"mechanism": "krr", "epsilon": 1.0, "k": 2}
    ask_events.record(token, Event(EventKind.ANSWERED, {"thumb": "up"}, report), now=at)


def test_every_private_answer_is_charged_until_the_privacy_budget_is_spent(project: Project) -> None:
    """Whether the noise is that of the answer before, only the device knows: a second device draws anew."""
    make.asking(project, privacy_cap=2.5)
    private_question(project)
    for number in range(2):
        at = NOW + number * 40 * DAY
        asked = make.decide(project, f"o-{number}", respondent="u", now=at)
        assert asked.ask
        answer_privately(project, asked, at=at + HOUR)
        assert Respondent.objects.get().epsilon_spent == number + 1.0
    assert make.decide(project, "o-2", respondent="u", now=NOW + 80 * DAY).reason == "privacy_budget"
    assert make.decide(project, "o-3", respondent="v", now=NOW + 80 * DAY).ask


def test_a_private_question_is_put_to_nobody_who_is_not_named(project: Project) -> None:
    """A session ends, and with it a cap that is meant for a lifetime."""
    make.asking(project, privacy_cap=1.5)
    private_question(project)
    assert make.decide(project, "o-1", respondent="").reason == "privacy_budget"
    assert make.decide(project, "o-2", respondent="", session="s").reason == "privacy_budget"
    assert make.decide(project, "o-3", respondent="u", session="s").ask


def test_part_of_the_noes_is_logged_with_its_weight_and_all_predictions(project: Project) -> None:
    make.asking(project, threshold=5.0, audit_share=0.0, logged_share_of_no=0.5)
    for number in range(40):
        make.decide(project, f"o-{number}")
    logged = AskDecision.objects.filter(is_ask=False)
    assert 8 <= logged.count() <= 32
    assert {each.log_weight for each in logged} == {2.0}
    assert Prediction.objects.count() == 40


def unlogged(project: Project, name: str, **changes: Any) -> Answer:
    """A no that was left out of the log."""
    make.asking(project, logged_share_of_no=0.0001, **changes)
    refused = make.decide(project, name)
    assert not refused.ask
    assert not AskDecision.objects.exists()
    return refused


@pytest.mark.parametrize(
    "changes", [{"threshold": 5.0}, {"is_asking": False}, {"holdout_share": 0.5, "threshold": 5.0}]
)
def test_a_no_that_was_not_logged_is_repeated_while_nothing_changes(project: Project, changes: dict[str, Any]) -> None:
    refused = unlogged(project, "o-1", **changes)
    for minutes in (0, 5, 24 * 60):
        again = make.decide(project, "o-1", now=NOW + dt.timedelta(minutes=minutes))
        assert (again.ask, again.reason, again.propensity) == (False, refused.reason, refused.propensity)
    assert not AskDecision.objects.exists()


def test_a_no_that_was_not_logged_is_decided_again_once_things_have_changed(project: Project) -> None:
    unlogged(project, "o-1", is_asking=False)
    make.policy(project, is_asking=True)
    asked = make.decide(project, "o-1")
    assert asked.ask
    make.policy(project, is_asking=False)
    again = make.decide(project, "o-1")
    assert (again.ask, again.ask_id) == (True, asked.ask_id), "what is logged is repeated as it was"


def test_of_a_list_at_most_one_is_asked_and_all_are_logged(project: Project) -> None:
    make.asking(project, threshold=0.3, temperature=0.1)
    rows = [
        wire.checked(
            f"k-{place}",
            payload={"text": str(place)},
            prediction=wire.PredictionPart(
                model_version="m1", probabilities=[chance, 1 - chance, 0.0], context={"position": place}
            ),
        )
        for place, chance in enumerate((0.99, 0.5, 0.7))
    ]
    seen = set()
    for number in range(30):
        name = f"o-{number}"
        answer = asks.decide(
            project, Opportunity(name, rows, respondent=f"u-{number}", is_list=True), now=NOW + number * 2 * DAY
        )
        decision = AskDecision.objects.get(opportunity_id=name)
        if answer.ask:
            seen.add(answer.key)
            assert decision.item is not None
            assert decision.item.key == answer.key
            assert decision.propensity == pytest.approx(
                dict(zip(decision.terms["eligible"], decision.terms["propensities"], strict=True))[
                    int(str(answer.key)[-1])
                ]
            )
        else:
            assert (decision.item, answer.key) == (None, None)
        Ask.objects.update(state="expired")
    assert Prediction.objects.count() == 3
    assert "k-1" in seen


def test_candidates_of_a_list_count_with_the_rates_of_their_own_segments(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = ResponseRates(Rates(), {"de": Rates(answered=0.4), "fr": Rates(answered=0.1)})
    monkeypatch.setattr(ask_rates, "response_rates", lambda *_, **__: rates)
    make.asking(project, segment="country")
    rows = [
        wire.checked(
            country,
            payload={"text": country},
            segments={"country": country},
            prediction=wire.PredictionPart(model_version="m1", probabilities=[0.5, 0.5, 0.0]),
        )
        for country in ("de", "fr", "de2")
    ]
    asks.decide(project, Opportunity("o-1", rows, respondent="u", is_list=True), now=NOW)
    terms = AskDecision.objects.get().terms["terms"]
    assert [each["answering"] for each in terms] == pytest.approx([2.0, 0.5, 1.0])
    replayed = ask_replay.replay(project, ask_policies.current_policy(project), since=NOW, until=NOW + HOUR)
    logged = AskDecision.objects.get().terms["propensities"]
    assert {each.segment: each.asks for each in replayed.coverage} == pytest.approx(
        dict(zip(("de", "fr", "de2"), logged, strict=True))
    )


def test_a_decision_can_be_replayed_from_the_log_bit_for_bit(project: Project) -> None:
    make.asking(project, threshold=0.3, temperature=0.1, audit_share=0.05, blind_share=0.5, budget_asks=10_000)
    for number in range(80):
        sure = 0.5 + number % 5 / 10
        make.decide(
            project,
            f"o-{number}",
            respondent=f"u-{number % 40}",
            probabilities=(sure, 1 - sure, 0.0),
            now=NOW + number * HOUR,
        )
    key = ask_setting.of(project).draw_key
    for logged in AskDecision.objects.select_related("policy"):
        situation = msgspec.convert(logged.terms["situation"], Situation)
        again = deciding.decide(pure(logged.policy), situation, draws.of_opportunity(key, logged.opportunity_id))
        assert (again.reason.value, again.is_ask, again.propensity, again.draw, again.is_blind) == (
            logged.reason,
            logged.is_ask,
            logged.propensity,
            logged.draw,
            logged.is_blind,
        )
    assert {logged.reason for logged in AskDecision.objects.all()} >= {"selected", "not_drawn"}


def test_a_clock_that_is_behind_does_not_forget_asks(project: Project) -> None:
    make.asking(project)
    make.decide(project, "o-1", respondent="u", now=NOW)
    assert make.decide(project, "o-2", respondent="u", now=NOW - dt.timedelta(minutes=5)).reason == "concurrent"
