"""The quality overview: agreement, calibration, what signals are worth, and empty states that say what to do."""

import datetime as dt

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient
from sklearn.metrics import cohen_kappa_score

from datasets.models import AcceptancePolicy, AcceptedLabel, BeliefRun, GoldItem, SourceStanding
from datasets.services import accept, quality, review, signals
from labeling import selectors
from labeling.models import Feedback, Item, Prediction, Project
from labeling.services import intake
from tests.factories import datasets as factory
from tests.factories import kinds
from tests.factories import labeling as rows
from tests.factories.reviews import LATER, NOW, case, disputed

LABELS = ("cat", "dog", "bird")


def page(client: Client, who: User) -> str:
    client.force_login(who)
    response = client.get("/projects/pets/quality/")
    assert response.status_code == 200
    return response.content.decode()


def test_agreement_overall_by_class_and_by_pair(project: Project, owner: User, annotator: User) -> None:
    mine = [LABELS[number % 3] for number in range(30)]
    theirs = [LABELS[(number + (number % 5 == 0)) % 3] for number in range(30)]
    for number, (first, second) in enumerate(zip(mine, theirs, strict=True)):
        disputed(project, f"i{number}", {owner: first, annotator: second})
    disputed(project, "alone", {owner: "cat"})
    found = quality.agreement(project)
    assert found is not None
    assert found.percent is not None
    assert found.alpha is not None
    assert (found.items, found.answers, found.percent.value) == (30, 60, 0.8)
    assert found.percent.low < 0.8 < found.percent.high
    assert found.alpha.low < found.alpha.value < found.alpha.high
    (pair,) = found.pairs
    assert {pair.first, pair.second} == {"owner", "annotator"}
    assert pair.kappa == pytest.approx(cohen_kappa_score(mine, theirs))
    assert {each.title: each.answers for each in found.classes} == {
        label: (mine + theirs).count(label) for label in LABELS
    }


def test_ratings_agree_by_their_order(annotator: User, owner: User) -> None:
    made = kinds.project("rating", annotator=annotator)
    item = Item.objects.filter(project=made)[0]
    task = item.annotation_tasks.get()
    for who, rating in ((annotator, 4), (owner, 5)):
        item.annotations.create(
            task=task,
            annotator=who,
            label_schema=selectors.current_schema(made),
            answer={"rating": rating},
            created_at=NOW,
        )
    found = quality.agreement(made)
    assert found is not None
    assert (found.items, found.is_ordinal) == (1, True)
    assert quality.agreement(kinds.project("spans", annotator=annotator)) is None


def test_what_nobody_answered_twice_has_no_agreement(project: Project, owner: User, client: Client) -> None:
    disputed(project, "alone", {owner: "cat"})
    found = quality.agreement(project)
    assert found == quality.AgreementReport(items=0, answers=1, is_sampled=False)
    text = page(client, owner)
    for said in (
        "No item has answers of two people yet",
        "No accepted label has been judged",
        "votes decide",
        "No thumb",
    ):
        assert said in text


def test_posteriors_are_compared_with_what_reviewers_and_gold_said_later(
    project: Project, owner: User, annotator: User, reviewer: User
) -> None:
    assert quality.calibration(project) is None
    items = [disputed(project, f"i{number}", {owner: "cat", annotator: "cat", reviewer: "dog"}) for number in range(10)]
    for number, item in enumerate(items):
        truth = "cat" if number < 6 else "dog"
        if number % 2:
            review.decide(project, case(item).pk, by=reviewer, now=LATER, answer={"choice": truth})
        else:
            schema = selectors.current_schema(project)
            GoldItem.objects.create(
                item=item, project=project, label_schema=schema, answer={"choice": truth}, created_at=LATER
            )
    accept.accept_pending(project.pk, now=LATER)  # labels by reviewers are not compared with themselves
    found = quality.calibration(project)
    assert found is not None
    assert found.n == 10
    assert found.curve.confidence.tolist() == [pytest.approx(2 / 3)]
    assert found.curve.accuracy.tolist() == [0.6]
    assert found.curve.expected_error == pytest.approx(2 / 3 - 0.6)


def _signal(item: Item, number: int, kind: str, score: float | None) -> None:
    Feedback.objects.create(
        project=item.project, client_id=f"s{number}", channel="browser", kind=kind, score=score, item=item,
        prediction=Prediction.objects.get(item=item), occurred_at=NOW, received_at=NOW,
    )  # fmt: skip


def test_signals_are_worth_what_they_came_with(project: Project, owner: User) -> None:
    assert signals.signals(project) is None
    rows.model_version(project)
    for number in range(20):
        item = factory.item(project, f"i{number}")
        factory.annotation(item, owner, "cat")
        is_right = number < 10
        intake.record_predictions(
            project, [rows.prediction_row(item.key, *((0.8, 0.1, 0.1) if is_right else (0.1, 0.8, 0.1)))]
        )
        _signal(item, 3 * number, "thumb", float(is_right if number % 5 else not is_right))
        _signal(item, 3 * number + 1, "click" if is_right else "retry", None)
        _signal(item, 3 * number + 2, "dwell", 30.0 - number)
    accept.accept_pending(project.pk, now=NOW)
    found = signals.signals(project)
    assert found is not None
    assert (found.base.value, found.base.n) == (0.5, 20)
    shares = {signal.name: (signal.right.value, signal.right.n) for signal in found.signals}
    assert shares == {"Thumb up": (0.8, 10), "Thumb down": (0.2, 10), "Click": (1.0, 10), "Retry": (0.0, 10)}
    ((name, groups),) = found.curves
    assert name == "Dwell"
    assert [group.right.n for group in groups] == [4, 4, 4, 4, 4]
    assert [group.right.value for group in groups] == [0.0, 0.0, 0.5, 1.0, 1.0]
    AcceptedLabel.objects.update(other_evidence={"feedback": [1]})  # it would bear witness of itself
    assert signals.signals(project) is None


def _clicked(project: Project, owner: User, *, n: int) -> None:
    """Predictions of known truth: three in four are right, and clicks and retries tell which, mostly. Some were only seen."""
    rows.model_version(project)
    said = [(0.8, 0.1, 0.1) if number % 4 else (0.1, 0.8, 0.1) for number in range(n)]
    intake.record_predictions(project, [rows.prediction_row(f"i{number}", *each) for number, each in enumerate(said)])
    for number in range(n):
        item = Item.objects.get(project=project, key=f"i{number}")
        is_right, is_usual = bool(number % 4), bool(number % 5)
        _signal(item, 3 * number, "impression", None)
        if number % 3:
            _signal(item, 3 * number + 1, "click" if is_right == is_usual else "retry", None)
        _signal(item, 3 * number + 2, "dwell", 10.0 if is_right else 2.0 + number % 3)


def test_what_signals_foretell_is_compared_with_what_came_true(project: Project, owner: User, client: Client) -> None:
    for number in range(120):
        factory.annotation(factory.item(project, f"i{number}"), owner, "cat")
    _clicked(project, owner, n=120)
    accept.accept_pending(project.pk, now=NOW)
    report = signals.signals(project)
    assert report is not None
    found = report.calibration
    assert found is not None
    assert (found.n, sum(each.right.n for each in found.bins)) == (120, 120)
    assert [each.foretold for each in found.bins] == sorted(each.foretold for each in found.bins)
    assert found.brier < found.base_brier == pytest.approx(0.75 * 0.25)
    assert found.bins[0].right.high < 0.5 < found.bins[-1].right.low
    text = page(client, owner)
    assert '<svg class="reliability"' in text
    assert 'role="img"' in text
    assert "Expected calibration error" in text


def test_few_predictions_make_no_curve(project: Project, owner: User, client: Client) -> None:
    for number in range(signals.LEAST_CALIBRATED - 1):
        factory.annotation(factory.item(project, f"i{number}"), owner, "cat")
    _clicked(project, owner, n=signals.LEAST_CALIBRATED - 1)
    accept.accept_pending(project.pk, now=NOW)
    report = signals.signals(project)
    assert report is not None
    assert report.calibration is None
    assert "The curve needs 50 predictions" in page(client, owner)


def test_the_api_tells_what_signals_are_worth(
    project: Project, owner: User, owner_client: APIClient, stranger: User, annotator_client: APIClient
) -> None:
    nothing = owner_client.get("/api/v1/projects/pets/signals").json()
    assert nothing == {"base": None, "signals": [], "curves": [], "calibration": None, "is_sampled": False}
    for number in range(60):
        factory.annotation(factory.item(project, f"i{number}"), owner, "cat")
    _clicked(project, owner, n=60)
    accept.accept_pending(project.pk, now=NOW)
    found = owner_client.get("/api/v1/projects/pets/signals").json()
    assert found["base"]["n"] == found["calibration"]["n"] == 60
    assert {each["name"] for each in found["signals"]} == {"Click", "Retry"}
    assert found["curves"][0]["name"] == "Dwell"
    bins = found["calibration"]["bins"]
    assert sum(each["n"] for each in bins) == 60
    assert all(each["low"] <= each["right"] <= each["high"] for each in bins)
    outside = APIClient()
    outside.force_login(stranger)
    assert outside.get("/api/v1/projects/pets/signals").status_code == 404


def test_steps_of_sources_and_warnings_of_the_last_fit_are_shown(
    project: Project, owner: User, annotator: User, client: Client
) -> None:
    SourceStanding.objects.create(project=project, annotator=annotator, step="weight", weight=0.5)
    SourceStanding.objects.create(project=project, respondent_hash="f" * 64, step="quarantine", weight=0.0)
    policy = AcceptancePolicy.objects.create(project=project, version=1, method="label_model")
    BeliefRun.objects.create(
        project=project, policy=policy, label_schema=selectors.current_schema(project), classes=list(LABELS),
        evidence_count=9, evidence_hash="0" * 64, item_count=3, rounds=5, has_converged=True,
        warnings=[{"code": "no_overlap", "message": "Nobody answered the same item."}], parameters=b"",
        started_at=NOW, finished_at=NOW,
    )  # fmt: skip
    counts = {each.step: (each.annotators, each.respondents) for each in quality.steps(project)}
    assert (counts["Counts less"], counts["In quarantine"]) == ((1, 0), (0, 1))
    text = page(client, owner)
    assert "Nobody answered the same item." in text
    assert "9 pieces of evidence" in text


def test_the_page_costs_as_many_statements_however_much_there_is(
    project: Project, owner: User, annotator: User, client: Client
) -> None:
    page(client, owner)  # finds out who may do what
    counts = []
    for batch in range(2):
        for number in range(5):
            disputed(project, f"{batch}-{number}", {owner: "cat", annotator: "dog"})
        with CaptureQueriesContext(connection) as captured:
            page(client, owner)
        counts.append(len(captured))
    assert counts[0] == counts[1]


def test_a_claim_that_is_over_shows_nobody_on_the_list(project: Project, owner: User, client: Client) -> None:
    wanted = case(factory.item(project, "a"))
    review.claim(project, wanted.pk, by=owner, now=NOW - dt.timedelta(days=1))
    client.force_login(owner)
    assert "nobody" in client.get("/projects/pets/review/").content.decode()
