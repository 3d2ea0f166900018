"""Pages about sources: what they show, who may see them, and that they work with nothing and with much."""

import datetime as dt

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from datasets import source_figures
from datasets.annotator_quality import annotator_quality
from datasets.models import GoldItem, SourceDecision, SourceStanding
from datasets.services import accept, examination, gold
from labeling.models import Annotation, Correction, LabelSchema, Membership, Project
from labeling.models.feedback import Said
from tests.factories import crowd

NOW = crowd.NOW
CLASSES = [(key, key) for key in crowd.CLASSES]
QUARANTINE = "/projects/pets/quarantine/"
QUALITY = "/projects/pets/annotators/quality/"
GOLD = "/projects/pets/gold/"
Step = SourceStanding.Step


@pytest.fixture
def page(client: Client, owner: User, project: Project) -> Client:
    client.force_login(owner)
    return client


@pytest.fixture
def crowded(project: Project) -> list[User]:
    """Six honest people and one who guesses, examined."""
    of, truth = crowd.items(project, 90, segment="country"), crowd.truths(90)
    people = [crowd.person(project, f"p{number}") for number in range(7)]
    said = [crowd.say(crowd.honest(0.85), truth, number) for number in range(6)]
    said.append(crowd.say(crowd.guessing, truth, 6))
    crowd.answer(project, people, said, of)
    accept.accept_pending(project.pk, now=NOW)
    examination.examine(project, now=timezone.now())
    return people


def text(client: Client, url: str, status: int = 200, *, htmx: bool = False) -> str:
    answer = client.get(url, headers={"HX-Request": "true"} if htmx else {})
    assert answer.status_code == status
    return answer.content.decode()


def test_the_quarantine_says_who_and_why_with_figures(page: Client, crowded: list[User]) -> None:
    shown = text(page, QUARANTINE)
    assert "p6" in shown
    assert "kappa" in shown
    assert "practically certain" in shown
    assert "Waiting for you (1)" in shown
    assert "p0" not in shown
    assert "p0" in text(page, f"{QUARANTINE}?view=all")
    assert "country = de" in shown


def test_the_fragment_is_what_changes(page: Client, crowded: list[User]) -> None:
    fragment = text(page, f"{QUARANTINE}?view=all", htmx=True)
    assert "<html" not in fragment
    assert "p0" in fragment


def test_a_source_is_shown_with_what_others_said_and_its_trail(page: Client, crowded: list[User]) -> None:
    found = SourceStanding.objects.get(annotator=crowded[6])
    shown = text(page, f"{QUARANTINE}{found.pk}/")
    assert "×" in shown
    assert "differs" in shown
    assert "The examination" in shown
    said = source_figures.last_answers(found)
    assert len(said) == source_figures.LAST_ANSWERS
    assert all(sum(count for _, count in each.others) == 6 for each in said)
    assert text(page, f"{QUARANTINE}0/", 404)


def test_answers_that_others_gave_one_to_come_before_newer_ones_beside_nothing(
    project: Project, crowded: list[User]
) -> None:
    alone = crowd.items(project, 20, prefix="alone")
    crowd.answer(project, crowded[6:], [[0] * 20], alone, now=NOW + dt.timedelta(days=1))
    said = source_figures.last_answers(SourceStanding.objects.get(annotator=crowded[6]), limit=100)
    assert [bool(each.others) for each in said] == [True] * 90 + [False] * 10
    assert said[0].at > said[89].at
    assert all(each.item_key.startswith("alone") for each in said[90:])


def test_a_decision_on_the_page_is_stored_and_a_late_one_is_told_so(
    page: Client, crowded: list[User], reviewer: User
) -> None:
    found = SourceStanding.objects.get(annotator=crowded[6])
    url, seen = f"{QUARANTINE}{found.pk}/", found.decisions.values_list("pk", flat=True)[0]
    body = {"action": "release", "comment": "She is new.", "last_decision_id": str(seen)}
    assert page.post(url, body).status_code == 302
    other = Client()
    other.force_login(reviewer)
    late = other.post(url, body | {"action": "shadow_ignore", "comment": "Still bad."})
    assert late.status_code == 409
    assert "Meanwhile owner decided" in late.content.decode()
    assert "Still bad." in late.content.decode()
    swapped = other.post(url, body | {"action": "shadow_ignore"}, headers={"HX-Request": "true"})
    assert (swapped.status_code, "Meanwhile owner decided" in swapped.content.decode()) == (200, True)
    found.refresh_from_db()
    assert (found.step, found.decisions.count()) == (Step.NONE, 2)
    assert "Nobody waits for a decision" in text(page, QUARANTINE)
    assert "decided by owner" in text(page, f"{QUARANTINE}?view=decided")


@pytest.mark.parametrize(
    "body",
    [{}, {"action": "odd"}, {"action": "block", "last_decision_id": "1"}, {"action": "keep", "last_decision_id": "x"}],
)
def test_a_decision_that_cannot_be_read_changes_nothing(
    page: Client, crowded: list[User], body: dict[str, str]
) -> None:
    found = SourceStanding.objects.get(annotator=crowded[6])
    assert page.post(f"{QUARANTINE}{found.pk}/", body).status_code in (409, 422)
    assert found.decisions.count() == 1


def test_respondents_are_shown_by_the_start_of_their_hash(page: Client, project: Project, crowded: list[User]) -> None:
    item = Annotation.objects.earliest("pk").item
    Correction.objects.create(
        project=project, client_id="c", channel=Said.Channel.APP, item=item, respondent_hash="f" * 64,
        answer={"choice": "cat"}, label_schema=LabelSchema.objects.get(project=project), occurred_at=NOW, received_at=NOW,
    )  # fmt: skip
    found = SourceStanding.objects.create(project=project, respondent_hash="f" * 64, step=Step.QUARANTINE, weight=0.0)
    shown = text(page, f"{QUARANTINE}{found.pk}/")
    assert "Respondent ffffffff…" in shown
    assert "f" * 20 not in shown
    assert item.key in shown


def test_annotators_and_strangers_do_not_see_the_pages(
    client: Client, project: Project, annotator: User, reviewer: User, stranger: User
) -> None:
    for user, url, status in (
        (annotator, QUARANTINE, 403), (annotator, QUALITY, 403), (annotator, GOLD, 403),
        (reviewer, QUARANTINE, 200), (reviewer, QUALITY, 200), (reviewer, GOLD, 403),
        (stranger, QUARANTINE, 404), (stranger, QUALITY, 404), (stranger, GOLD, 404),
    ):  # fmt: skip
        client.force_login(user)
        assert client.get(url).status_code == status, (user, url)
    client.force_login(reviewer)
    assert client.post(QUALITY, {"username": "annotator", "stage": "training"}).status_code == 403


def test_flag_rates_count_each_source_once_and_have_an_interval(project: Project, crowded: list[User]) -> None:
    rates = {rate.value: rate for rate in source_figures.flag_rates(project)}
    assert set(rates) == {"de", "fr"}
    for rate in rates.values():
        assert (rate.sources.n, rate.flagged_sources, rate.answers, rate.flagged_answers) == (7, 1, 7 * 45, 45)
        assert rate.sources.value is not None
        assert rate.sources.value == pytest.approx(1 / 7)
        assert rate.sources.low < rate.sources.value < rate.sources.high
        assert rate.answer_share == pytest.approx(1 / 7)


def test_pages_work_where_nothing_is_known(page: Client, project: Project) -> None:
    for url in (
        QUARANTINE,
        f"{QUARANTINE}?view=all",
        f"{QUARANTINE}?view=odd&page=x",
        QUALITY,
        f"{QUALITY}?from=x",
        GOLD,
    ):
        assert text(page, url)
    LabelSchema.objects.filter(project=project).update(kind="numeric", definition={"minimum": 0, "maximum": 1})
    for url in (QUARANTINE, QUALITY, GOLD):
        assert text(page, url)


# -- annotators' quality -----------------------------------------------------------------------------------------


def test_quality_is_worked_out_from_labels_gold_and_others(project: Project, crowded: list[User]) -> None:
    for item in {each.item for each in Annotation.objects.filter(annotator=crowded[0])[:10]}:
        gold.make(project, item, answer={"choice": "cat"}, explanation="", by=None)
    found = annotator_quality(project, CLASSES, now=NOW)
    by_name = {each.username: each for each in found.people}
    good, bad = by_name["p0"], by_name["p6"]
    assert good.reliability is not None
    assert bad.reliability is not None
    assert good.reliability.mean > 0.7 > 0.5 > bad.reliability.mean
    assert good.reliability_interval is not None
    assert good.reliability_interval[0] < good.reliability.mean < good.reliability_interval[1]
    assert sum(cell.count for row in good.confusion for cell in row.cells) == 90
    right = sum(row.cells[place].count for place, row in enumerate(good.confusion))
    assert right > sum(row.cells[place].count for place, row in enumerate(bad.confusion))
    assert good.alpha is not None
    assert bad.alpha is not None
    assert good.alpha_interval is not None
    assert good.alpha_interval[0] <= good.alpha.value <= good.alpha_interval[1]
    assert good.alpha.value > 0.6 > 0.3 > bad.alpha.value
    assert good.gold[0] == 10
    assert good.median_ms == pytest.approx(8000, abs=2100)
    assert good.seconds_per_label is not None
    assert good.seconds_per_label >= 8.0
    assert "<svg" in good.trend
    assert good.stage_name == "Working"


def test_quality_reads_the_same_whatever_the_crowd(page: Client, project: Project, owner: User) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as caught:
            assert page.get(QUALITY).status_code == 200
        return len(caught)

    none = statements()
    of, truth = crowd.items(project, 20), crowd.truths(20)
    people = [crowd.person(project, "first")]
    crowd.answer(project, people, [truth], of)
    one = statements()
    people += [crowd.person(project, f"more{number}") for number in range(49)]
    more = crowd.items(project, 20, prefix="more")
    crowd.answer(project, people, [crowd.say(crowd.honest(), truth, seed) for seed in range(50)], more)
    many = statements()
    assert none == one == many
    shown = text(page, QUALITY)
    assert "more48" in shown
    assert "Confusion of" not in shown  # no label is accepted yet


def test_one_annotator_alone_agrees_with_nobody(project: Project, annotator: User) -> None:
    crowd.answer(project, [annotator], [crowd.truths(12)], crowd.items(project, 12))
    found = {each.username: each for each in annotator_quality(project, CLASSES, now=NOW).people}["annotator"]
    assert (found.agreement, found.alpha, found.reliability, found.seconds_per_label) == (None, None, None, None)


def test_more_people_than_fit_are_on_further_pages(page: Client, project: Project) -> None:
    users = User.objects.bulk_create(User(username=f"u{number:03}") for number in range(70))
    Membership.objects.bulk_create(Membership(project=project, user=user, role="annotator") for user in users)
    assert "?from=60" in text(page, QUALITY)
    assert "u069" in text(page, f"{QUALITY}?from=60")


def test_a_manager_sends_somebody_to_training_and_sees_how_far_they_are(
    page: Client, project: Project, annotator: User
) -> None:
    assert page.post(QUALITY, {"username": "annotator", "stage": "training"}).status_code == 302
    assert Membership.objects.get(user=annotator).stage == Membership.Stage.TRAINING
    shown = text(page, QUALITY)
    assert "In training: 0 right, 0 wrong; not decided yet." in shown
    assert "There are no known answers" in shown
    page.post(QUALITY, {"username": "annotator", "stage": "blocked"})
    page.post(QUALITY, {"username": "nobody", "stage": "working"})
    assert Membership.objects.get(user=annotator).stage == Membership.Stage.TRAINING
    members = "/projects/pets/members/"
    assert page.post(members, {"stage_of": "annotator", "stage": "working"}).status_code == 302
    assert Membership.objects.get(user=annotator).stage == Membership.Stage.WORKING
    assert "Train<" in text(page, members)


@pytest.mark.parametrize(
    ("stage", "said", "is_invited"), [("training", "You are in training", True), ("blocked", "You are blocked", False)]
)
def test_the_front_page_says_that_one_is_in_training_or_blocked(
    client: Client, project: Project, annotator: User, stage: str, said: str, is_invited: bool
) -> None:
    Membership.objects.filter(user=annotator).update(stage=stage)
    client.force_login(annotator)
    shown = text(client, "/projects/pets/")
    assert said in shown
    assert ("Start labeling" in shown) is is_invited


# -- known answers -----------------------------------------------------------------------------------------------


def test_known_answers_are_named_used_and_taken_back_on_their_page(
    page: Client, project: Project, crowded: list[User]
) -> None:
    body = {"key": "crowd-0001", "answer": "dog", "explanation": "It barks."}
    assert page.post(GOLD, body).status_code == 302
    made = GoldItem.objects.get()
    assert (made.answer, made.explanation) == ({"choice": "dog"}, "It barks.")
    assert "of 7" in text(page, GOLD)
    assert "It barks." in text(page, f"/projects/pets/items/{made.item_id}/")
    for action, is_active in (("rest", False), ("use", True)):
        assert page.post(GOLD, {"action": action, "gold": str(made.pk)}).status_code == 302
        made.refresh_from_db()
        assert made.is_active is is_active
    page.post(GOLD, {"action": "of_label", "key": "crowd-0002"})
    assert GoldItem.objects.count() == 2
    page.post(GOLD, {"action": "remove", "gold": str(made.pk)})
    page.post(GOLD, {"action": "remove", "gold": "nonsense"})
    assert page.post(GOLD, {"action": "of_label", "key": "crowd\0"}).status_code == 302
    assert GoldItem.objects.count() == 1


@pytest.mark.parametrize("body", [{"key": "nobody", "answer": "dog"}, {"key": "crowd-0001", "answer": "fish"}, {}])
def test_what_cannot_be_known_is_refused_on_the_page(page: Client, crowded: list[User], body: dict[str, str]) -> None:
    assert page.post(GOLD, body).status_code == 422
    assert not GoldItem.objects.exists()


def test_other_kinds_take_their_answer_as_json(page: Client, project: Project) -> None:
    LabelSchema.objects.filter(project=project).update(kind="numeric", definition={"minimum": 0, "maximum": 1})
    crowd.items(project, 1)
    assert page.post(GOLD, {"key": "crowd-0000", "answer": "{nonsense"}).status_code == 422
    assert page.post(GOLD, {"key": "crowd-0000", "answer": '{"number": 0.5}'}).status_code == 302
    assert GoldItem.objects.get().answer == {"number": 0.5}


def test_the_trail_of_a_source_is_never_edited(crowded: list[User]) -> None:
    found = SourceStanding.objects.get(annotator=crowded[6])
    before = list(SourceDecision.objects.values_list("pk", "step_after", "decided_at"))
    examination.examine(found.project, now=NOW + dt.timedelta(days=1))
    assert list(SourceDecision.objects.values_list("pk", "step_after", "decided_at")) == before
