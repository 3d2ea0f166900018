"""What is gathered of a project: everything that stands, from every table, and nothing else."""

import numpy as np
import pytest
from django.contrib.auth.models import User

from datasets.consensus.evidence import Kind
from datasets.models import AcceptancePolicy, GoldItem, SourceStanding
from datasets.services.evidence import VERDICT_CHANNELS, Gathered, Origin, Source, gather
from labeling import selectors
from labeling.models import Annotation, Correction, Feedback, Project
from tests.factories import beliefs as make
from tests.factories import datasets as facts
from tests.factories.labeling import other_project

CLASSES = ("cat", "dog", "bird")
EVERYTHING = AcceptancePolicy(version=0, method="label_model", uses_implicit=True)


def rows(gathered: Gathered) -> set[tuple[str, int, str, int]]:
    """Origin, item, kind and answer of each piece."""
    said = gathered.evidence
    return {
        (str(gathered.origin[n]), int(gathered.item_ids[said.item[n]]), Kind(said.kind[n]).name, int(said.answer[n]))
        for n in range(len(said))
    }


def test_every_table_speaks_with_its_kind_and_source(project: Project, annotator: User, reviewer: User) -> None:
    item = facts.item(project, "a")
    facts.annotation(item, annotator, "dog")
    make.correction(item, "bird", by="ada", prediction=make.predicted(item, "cat"), is_anchored=True)
    make.feedback(item, "thumb", 0.0, by="bob", epsilon=1.5)
    make.feedback(item, "click", None, by="ada")
    make.decision(item, reviewer, "dog")
    GoldItem.objects.create(
        item=item, project=project, label_schema=selectors.current_schema(project), answer={"choice": "dog"}
    )

    found = gather(project, EVERYTHING, CLASSES)

    assert rows(found) == {
        (Origin.ANNOTATION, item.pk, "ANNOTATION", 1),
        (Origin.CORRECTION, item.pk, "CORRECTION", 2),
        (Origin.FEEDBACK, item.pk, "THUMB", 0),
        (Origin.FEEDBACK, item.pk, "IMPLICIT", 1),
        (Origin.REVIEW, item.pk, "REVIEW", 1),
        (Origin.GOLD, item.pk, "GOLD", 1),
    }
    said = found.evidence
    assert said.predicted[said.kind == Kind.THUMB].tolist() == [0]
    assert said.epsilon[said.kind == Kind.THUMB].tolist() == [1.5]
    assert np.isnan(said.epsilon[said.kind != Kind.THUMB]).all()
    assert VERDICT_CHANNELS[said.channel[said.kind == Kind.IMPLICIT][0]] == Feedback.Kind.CLICK
    who = {Kind(kind).name: found.sources[source] for kind, source in zip(said.kind, said.source, strict=True)}
    assert who["ANNOTATION"] == Source(annotator.pk)
    assert who["REVIEW"] == Source(reviewer.pk)
    assert who["CORRECTION"] == who["IMPLICIT"] == Source(None, "ada".ljust(64, "0"))
    assert who["GOLD"] == Source()


def test_what_was_taken_back_superseded_or_not_understood_does_not_count(project: Project, annotator: User) -> None:
    item = facts.item(project, "a")
    undone = facts.annotation(item, annotator, "dog")
    Annotation.objects.filter(pk=undone.pk).update(withdrawn_at=facts.NOW)
    old = make.correction(item, "bird", by="ada")
    Correction.objects.filter(pk=old.pk).update(superseded_at=facts.NOW)
    make.correction(item, "unicorn")
    make.feedback(item, "rating", 0.5)
    make.feedback(item, "dwell", 12.0)
    elsewhere = facts.item(other_project(), "a")
    facts.annotation(elsewhere, annotator, "cat")

    assert len(gather(project, EVERYTHING, CLASSES).evidence) == 0


@pytest.mark.parametrize(
    ("kind", "score", "verdict"),
    [
        ("thumb", 1.0, 1), ("thumb", 0.0, 0), ("rating", 0.75, 1), ("rating", 0.25, 0), ("edit", 0.0, 1), ("edit", 3.0, 0),
        ("copy", None, 1), ("retry", None, 0), ("abandonment", None, 0), ("conversion", None, 1),
    ],
)  # fmt: skip
def test_a_verdict_says_right_or_wrong(project: Project, kind: str, score: float | None, verdict: int) -> None:
    make.feedback(facts.item(project, "a"), kind, score)
    assert gather(project, EVERYTHING, CLASSES).evidence.answer.tolist() == [verdict]


def test_a_policy_says_which_feedback_counts(project: Project) -> None:
    item = facts.item(project, "a")
    make.correction(item, "bird")
    make.feedback(item, "thumb", 1.0)
    make.feedback(item, "click", None)
    counted = []
    for corrections, thumbs, implicit in ((False, False, False), (True, False, False), (True, True, False)):
        policy = AcceptancePolicy(
            method="label_model", uses_corrections=corrections, uses_thumbs=thumbs, uses_implicit=implicit
        )
        counted.append(len(gather(project, policy, CLASSES).evidence))
    assert counted == [0, 1, 2]


def test_the_newest_word_of_each_reviewer_counts(project: Project, reviewer: User, manager: User) -> None:
    item, other = facts.item(project, "a"), facts.item(project, "b")
    make.decision(item, reviewer, "cat")
    make.decision(item, reviewer, "dog")
    make.decision(item, manager, "cat")
    make.decision(other, reviewer, "cat")
    make.decision(other, reviewer, None, action="send_back")
    assert rows(gather(project, EVERYTHING, CLASSES)) == {
        (Origin.REVIEW, item.pk, "REVIEW", 1),
        (Origin.REVIEW, item.pk, "REVIEW", 0),
    }


def test_who_is_not_known_is_a_source_for_each_thing_said(project: Project) -> None:
    item = facts.item(project, "a")
    for _ in range(2):
        make.correction(item, "bird")
        make.feedback(item, "thumb", 1.0)
    found = gather(project, EVERYTHING, CLASSES)
    assert sorted(found.evidence.source.tolist()) == [0, 1, 2, 3]
    assert found.sources == [Source()] * 4


def test_a_doubted_source_counts_by_its_standing_and_an_anchored_answer_less(project: Project, annotator: User) -> None:
    item = facts.item(project, "a")
    said = facts.annotation(item, annotator, "dog")
    Annotation.objects.filter(pk=said.pk).update(suggested_answer={"choice": "dog"})
    make.correction(item, "bird", by="ada")
    SourceStanding.objects.create(project=project, respondent_hash="ada".ljust(64, "0"), step="quarantine", weight=0.0)

    found = gather(project, EVERYTHING, CLASSES, anchored_weight=0.5)
    assert dict(zip(found.evidence.kind.tolist(), found.evidence.weight.tolist(), strict=True)) == {
        Kind.ANNOTATION: 0.5,
        Kind.CORRECTION: 0.0,
    }
    alike = gather(project, EVERYTHING, CLASSES, weighs_sources=False)
    assert alike.evidence.weight.tolist() == [1.0, 1.0]


def test_some_items_give_their_part_of_the_whole(project: Project, annotator: User, reviewer: User) -> None:
    items = [facts.item(project, key) for key in "abc"]
    for item in items:
        facts.annotation(item, annotator, "dog")
        make.correction(item, "bird", by=item.key)
        make.decision(item, reviewer, "dog")
    whole = gather(project, EVERYTHING, CLASSES)
    part = gather(project, EVERYTHING, CLASSES, item_ids=[items[2].pk, items[0].pk])
    assert part.item_ids.tolist() == [items[0].pk, items[2].pk]
    assert rows(part) == {row for row in rows(whole) if row[1] != items[1].pk}


def test_a_fingerprint_is_that_of_the_evidence_and_of_nothing_else(project: Project, annotator: User) -> None:
    item = facts.item(project, "a")
    facts.annotation(item, annotator, "dog")
    made = make.correction(item, "bird", by="ada")
    before = gather(project, EVERYTHING, CLASSES).fingerprint()
    assert gather(project, EVERYTHING, CLASSES).fingerprint() == before
    Correction.objects.filter(pk=made.pk).update(answer={"choice": "cat"})
    assert gather(project, EVERYTHING, CLASSES).fingerprint() != before
