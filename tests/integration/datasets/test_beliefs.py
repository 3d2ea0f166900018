"""Fits and single beliefs: equal to the pure model, reproducible from their rows, due when they should be."""

import datetime as dt

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.db import transaction
from numpy.typing import NDArray

from datasets import parameter_file
from datasets.consensus import label_model
from datasets.consensus.label_model import posterior_of
from datasets.models import BeliefRun, GoldItem, ItemBelief, PendingItem, SourceStanding
from datasets.services import accept, acceptance_policies, beliefs
from datasets.services.evidence import gather
from labeling import selectors
from labeling.locks import LockKind, held
from labeling.models import Annotation, Item, ModelVersion, Project, Respondent
from labeling.services import projects
from tests.factories import beliefs as make
from tests.factories import datasets as facts

NOW = facts.NOW
LATER = NOW + dt.timedelta(minutes=5)


@pytest.fixture
def people(project: Project) -> list[User]:
    return make.annotators(project, 3)


def posterior(item: Item) -> NDArray[np.float32]:
    return np.frombuffer(make.belief(item).posterior, dtype="<f4")


def setting(project: Project) -> beliefs.Setting:
    found = beliefs.setting_of(project)
    assert found is not None
    return found


def test_a_fit_believes_every_item(project: Project, people: list[User]) -> None:
    items = make.crowd(project, people)
    policy = make.policy(project)
    run = beliefs.fit(project, now=NOW)
    assert run is not None
    assert (run.policy, run.classes, run.evidence_count, run.item_count) == (policy, ["cat", "dog", "bird"], 90, 30)
    assert run.has_converged
    assert ItemBelief.objects.filter(project=project, run=run).count() == 30
    right = [make.belief(item).label == ("cat", "dog", "bird")[n % 3] for n, item in enumerate(items)]
    assert sum(right) >= 28
    assert {each.evidence_count for each in ItemBelief.objects.all()} == {3}


def test_beliefs_are_reproducible_from_the_row_of_their_fit(project: Project, people: list[User]) -> None:
    items = make.crowd(project, people)
    for item in items[:5]:
        make.correction(item, "cat", by=item.key)
        make.feedback(item, "thumb", 1.0, by="ada", about="dog", epsilon=1.0)
    make.decision(items[0], people[0], "dog")
    make.policy(project)
    make.fitted(project)

    run = BeliefRun.objects.get()
    again = gather(project, run.policy, run.classes, anchored_weight=run.anchored_weight)
    assert again.fingerprint() == run.evidence_hash
    learned = parameter_file.loads(bytes(run.parameters))
    expected = posterior_of(again.evidence, learned.for_sources(again.annotator_ids))
    for place, item_id in enumerate(again.item_ids.tolist()):
        stored = ItemBelief.objects.get(item=item_id)
        assert np.frombuffer(stored.posterior, dtype="<f4") == pytest.approx(expected[place], abs=1e-6)
        assert stored.probability == pytest.approx(expected[place].max(), abs=1e-6)


def test_one_item_is_believed_as_the_e_step_over_everything_says(project: Project, people: list[User]) -> None:
    items = make.crowd(project, people)
    make.policy(project)
    make.fitted(project)
    newcomer = User.objects.create_user("newcomer")
    make.answers(items[4], {newcomer: "bird"})
    make.correction(items[4], "bird", by="ada")
    with transaction.atomic():
        worked = beliefs.update(setting(project), [items[4].pk], now=LATER)
    assert worked is not None

    run = BeliefRun.objects.get()
    everything = gather(project, run.policy, run.classes)
    full = beliefs.posterior_by(setting(project), beliefs.learned_of(run), everything)
    place = everything.item_ids.tolist().index(items[4].pk)
    assert posterior(items[4]) == pytest.approx(full[place], abs=1e-6)
    assert make.belief(items[4]).evidence_count == 5
    assert make.belief(items[4]).updated_at == LATER
    assert make.belief(items[3]).updated_at == NOW


def test_a_second_fit_of_much_evidence_begins_where_the_first_ended(
    project: Project, people: list[User], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beliefs, "FITTED_FROM_VOTES", 50)
    items = make.crowd(project, people, size=60, skill=0.6)
    make.policy(project)
    make.fitted(project)
    # A respondent and somebody new move the positions of all others.
    make.correction(items[0], "cat", by="ada")
    make.answers(items[1], {User.objects.create_user("newcomer"): "dog"})
    make.fitted(project, now=LATER)
    first, second = BeliefRun.objects.order_by("pk")
    assert second.rounds < first.rounds
    assert len(beliefs.learned_of(second).annotator_ids) == 4


def test_old_fits_are_kept_only_if_a_label_or_a_belief_names_them(project: Project, people: list[User]) -> None:
    make.crowd(project, people)
    make.policy(project)
    named = beliefs.fit(project, now=NOW)
    assert named is not None
    accept.accept_pending(project.pk, now=NOW)
    unnamed = beliefs.fit(project, now=NOW + dt.timedelta(hours=1))
    assert unnamed is not None
    last = beliefs.fit(project, now=NOW + dt.timedelta(days=9))
    assert last is not None
    assert set(BeliefRun.objects.values_list("pk", flat=True)) == {named.pk, last.pk}


def test_a_known_channel_is_not_learned_and_a_private_thumb_says_little(project: Project, people: list[User]) -> None:
    items = make.crowd(project, people)
    for item in items:
        make.feedback(item, "thumb", 1.0, by=item.key, about="cat", epsilon=0.5)
    for item in items[:15]:
        make.decision(item, people[0], "cat")
    make.policy(project, review_accuracy=0.9)
    make.fitted(project)
    parameters = beliefs.learned_of(BeliefRun.objects.get()).parameters
    assert parameters.review_accuracy == 0.9
    assert [(channel.kind.name, channel.epsilon) for channel in parameters.channels] == [("THUMB", 0.5)]


def test_items_nobody_speaks_of_any_more_lose_their_belief(project: Project, people: list[User]) -> None:
    items = make.crowd(project, people)
    make.policy(project)
    make.fitted(project)
    Annotation.objects.filter(item__in=items[:2]).update(withdrawn_at=NOW)
    with transaction.atomic():
        beliefs.update(setting(project), [items[0].pk], now=LATER)
    assert not ItemBelief.objects.filter(item=items[0]).exists()
    make.fitted(project, now=LATER + dt.timedelta(minutes=1))
    assert ItemBelief.objects.count() == 28


def test_a_fit_notes_items_whose_label_says_something_else(project: Project, people: list[User]) -> None:
    items = make.crowd(project, people)
    make.policy(project)
    make.fitted(project)
    accept.accept_pending(project.pk, now=NOW)
    assert not PendingItem.objects.exists()
    items[0].accepted_labels.update(label="bird")
    items[1].accepted_labels.update(probability=0.5)
    items[2].accepted_labels.update(superseded_at=NOW)
    make.fitted(project, now=LATER)
    assert set(PendingItem.objects.values_list("item_id", flat=True)) >= {item.pk for item in items[:3]}
    assert PendingItem.objects.count() <= 5


def test_what_changed_while_a_fit_was_at_work_is_believed_anew(
    project: Project, people: list[User], monkeypatch: pytest.MonkeyPatch
) -> None:
    items = make.crowd(project, people)
    make.policy(project)
    make.fitted(project)
    accept.accept_pending(project.pk, now=NOW)
    gathered = gather

    def and_somebody_answers(*args: object, **options: object) -> object:
        found = gathered(*args, **options)  # type: ignore[arg-type]  # handed through
        if "item_ids" not in options:
            make.correction(items[0], "dog", by="ada")
            make.correction(items[0], "dog", by="bob")
            accept.accept_pending(project.pk, now=LATER + dt.timedelta(seconds=1))
        return found

    monkeypatch.setattr(beliefs, "gather", and_somebody_answers)
    make.fitted(project, now=LATER)
    assert make.belief(items[0]).evidence_count == 3  # the fit knew nothing of it
    assert list(PendingItem.objects.filter(item=items[0])) != []
    accept.accept_pending(project.pk, now=LATER + dt.timedelta(seconds=2))
    assert make.belief(items[0]).evidence_count == 5


def test_a_project_without_evidence_can_be_fitted(project: Project) -> None:
    make.policy(project)
    make.fitted(project)
    run = BeliefRun.objects.get()
    assert (run.evidence_count, run.item_count) == (0, 0)
    assert [each["code"] for each in run.warnings] == ["no_evidence"]
    assert accept.accept_pending(project.pk, now=NOW) == 0


def test_a_project_that_goes_by_votes_is_not_fitted(project: Project, people: list[User]) -> None:
    make.crowd(project, people, size=3)
    assert beliefs.fit(project, now=NOW) is None
    assert beliefs.why_due(project, now=NOW) == ""
    assert beliefs.projects_by_label_model() == []


def test_other_classes_make_another_fit_due_and_what_is_pending_waits_for_it(
    project: Project, people: list[User], owner: User
) -> None:
    items = make.crowd(project, people)
    make.policy(project)
    make.fitted(project)
    accept.accept_pending(project.pk, now=NOW)
    classes = [{"key": key} for key in ("cat", "dog", "bird", "fish")]
    projects.new_schema_version(project, definition={"classes": classes}, by=owner)
    assert beliefs.why_due(project, now=NOW) == "first"
    make.correction(items[0], "fish")
    assert accept.accept_pending(project.pk, now=LATER) == 0
    assert PendingItem.objects.filter(item=items[0]).exists()
    make.fitted(project, now=LATER)
    accept.accept_pending(project.pk, now=LATER)
    assert len(posterior(items[0])) == 4
    assert not PendingItem.objects.exists()


def test_a_fit_is_due_by_growth_time_policy_standing_and_gold(project: Project, people: list[User]) -> None:
    items = make.crowd(project, people)
    make.policy(project)
    assert beliefs.why_due(project, now=NOW) == "first"
    make.fitted(project)
    accept.accept_pending(project.pk, now=NOW)
    assert beliefs.why_due(project, now=NOW) == ""

    make.policy(project, threshold=0.8)
    assert beliefs.why_due(project, now=NOW) == "policy"
    make.fitted(project)
    SourceStanding.objects.create(project=project, annotator=people[0], step="weight", weight=0.5, changed_at=LATER)
    assert beliefs.why_due(project, now=LATER) == "standing"
    make.fitted(project, now=LATER)
    schema = selectors.current_schema(project)
    soon = LATER + dt.timedelta(minutes=1)
    gold = GoldItem.objects.create(
        item=items[0], project=project, label_schema=schema, answer={"choice": "cat"}, created_at=soon
    )
    assert beliefs.why_due(project, now=soon) == "gold"
    make.fitted(project, now=gold.created_at)
    accept.accept_pending(project.pk, now=gold.created_at)
    assert beliefs.why_due(project, now=soon) == ""

    then = soon + dt.timedelta(minutes=1)
    for number in range(19):
        make.correction(items[1], "cat", by=f"user-{number}")
    accept.accept_pending(project.pk, now=then)
    assert beliefs.why_due(project, now=then) == ""
    assert beliefs.why_due(project, now=then + dt.timedelta(hours=2)) == "time"
    make.correction(items[1], "cat", by="one more")
    accept.accept_pending(project.pk, now=then)
    assert beliefs.why_due(project, now=then) == "growth"


def give(kind: str, item: Item, person: User, at: dt.datetime) -> None:
    if kind == "correction":
        make.correction(item, "cat", by=f"user {item.key}", at=at)
    elif kind == "review":
        make.decision(item, person, "cat", at=at)
    else:
        make.feedback(item, kind, 1.0, by=f"user {item.key}", at=at)


@pytest.mark.parametrize("kind", ["correction", "thumb", "click", "review"])
def test_a_fit_is_due_when_what_others_than_annotators_say_has_grown_by_a_fifth(
    project: Project, people: list[User], kind: str
) -> None:
    items = make.crowd(project, people, size=200)
    make.policy(project, uses_implicit=True)
    make.fitted(project)
    for item in items[:19]:
        give(kind, item, people[0], LATER)
    accept.accept_pending(project.pk, now=LATER)
    assert beliefs.why_due(project, now=LATER) == ""  # 19 pieces beside 600, of which a twentieth are 30
    give(kind, items[19], people[0], LATER)
    assert beliefs.why_due(project, now=LATER) == "growth"

    make.fitted(project, now=LATER + dt.timedelta(minutes=1))
    then = LATER + dt.timedelta(minutes=2)
    assert beliefs.why_due(project, now=then) == ""


def test_of_much_feedback_a_fifth_must_be_new_and_what_the_policy_does_not_count_makes_no_fit_due(
    project: Project, people: list[User]
) -> None:
    items = make.crowd(project, people, size=300)
    for item in items[:150]:
        give("correction", item, people[0], NOW)
    make.policy(project)
    make.fitted(project)
    for item in items[150:179]:
        give("correction", item, people[0], LATER)
        give("click", item, people[0], LATER)
    assert beliefs.why_due(project, now=LATER) == ""
    give("correction", items[179], people[0], LATER)
    assert beliefs.why_due(project, now=LATER) == "growth"


def test_only_one_worker_fits_a_project(project: Project, people: list[User], monkeypatch: pytest.MonkeyPatch) -> None:
    make.crowd(project, people, size=3)
    make.policy(project)

    class Elsewhere:
        def __enter__(self) -> bool:
            return False

        def __exit__(self, *error: object) -> None:
            pass

    monkeypatch.setattr(beliefs, "held", lambda *_: Elsewhere())
    assert beliefs.fit(project, now=NOW) is None
    assert not BeliefRun.objects.exists()
    with held(LockKind.BELIEFS, project.pk) as taken:
        assert taken


def test_a_policy_that_changed_meanwhile_leaves_no_beliefs_of_the_old_one(
    project: Project, people: list[User], monkeypatch: pytest.MonkeyPatch
) -> None:
    make.crowd(project, people, size=3)
    make.policy(project)
    fit = label_model.fit

    def and_somebody_changes_it(*args: object, **options: object) -> object:
        acceptance_policies.new_version(project, by=None, method="votes")
        return fit(*args, **options)  # type: ignore[arg-type]  # handed through

    monkeypatch.setattr(label_model, "fit", and_somebody_changes_it)
    assert beliefs.fit(project, now=NOW) is None
    assert not BeliefRun.objects.exists()
    assert not ItemBelief.objects.exists()


def test_respondents_get_a_record_of_how_often_they_are_right(project: Project, people: list[User]) -> None:
    items = make.crowd(project, people)
    for name in ("ada", "eve", "silent"):
        Respondent.objects.create(project=project, respondent_hash=name.ljust(64, "0"))
    for number, item in enumerate(items):
        truth = ("cat", "dog", "bird")[number % 3]
        make.correction(item, truth, by="ada")
        make.correction(item, "dog" if truth != "dog" else "cat", by="eve")
    make.policy(project)
    make.fitted(project)
    record = dict(Respondent.objects.values_list("respondent_hash", "right_count"))
    assert record["ada".ljust(64, "0")] > 24
    assert record["eve".ljust(64, "0")] < 6
    assert record["silent".ljust(64, "0")] == 0
    wrong = Respondent.objects.get(respondent_hash="eve".ljust(64, "0")).wrong_count
    assert wrong + record["eve".ljust(64, "0")] == 30


def test_the_models_word_counts_only_if_the_policy_says_so(project: Project, people: list[User]) -> None:
    make.crowd(project, people)
    alone = facts.item(project, "alone", bucket=9000)
    make.answers(alone, {people[0]: "cat", people[1]: "dog"})
    make.predicted(alone, "dog")
    version = ModelVersion.objects.get()
    alone.pool_entry.model_version = version
    alone.pool_entry.probabilities = np.array([0.1, 0.8, 0.1], dtype="<f4").tobytes()
    alone.pool_entry.scored_at = NOW
    alone.pool_entry.save()
    make.policy(project)
    make.fitted(project)
    without = posterior(alone)[1]
    make.policy(project, uses_model=True)
    make.fitted(project, now=LATER)
    assert posterior(alone)[1] > without + 0.05
