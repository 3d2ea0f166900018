"""A third demo project: digits that a crowd has labelled, so that review, quality and quarantine have something to show.

The digits are real, the people are not: annotators and a reviewer named sim-…, and readers of an imagined app, all played by
known labels and dice. They work through the services as people do, over the last days, and nobody can log in as them.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from django.contrib.auth.models import User
from django.db import connection, transaction

from datasets import selectors as selectors_of_labels
from datasets.models import ReviewCase
from datasets.services import (
    accept,
    acceptance_policies,
    beliefs,
    examination,
    gold,
    gold_mixing,
    review,
)
from feedbackproject import demo
from labeling import selectors
from labeling.models import AnnotationTask, Item, Membership, Prediction, Project
from labeling.schema import JSONValue
from labeling.services import annotation_queue, feedback, intake, projects, queue_management
from labeling.splitting import is_in_audit_reserve
from training.trainers import registry

SLUG: Final = "crowd"
EVERY_NTH: Final = 5
"""Of the digits that come with scikit-learn."""
SITTINGS: Final = 6
DAYS_BETWEEN: Final = 3
DAYS: Final = SITTINGS * DAYS_BETWEEN
SHARED: Final = 145
ANSWERS_EACH: Final = 3
READERS: Final = 30
SEED: Final = 11
_LOOKS_LIKE: Final = {
    "0": "6", "1": "7", "2": "7", "3": "8", "4": "9", "5": "3", "6": "8", "7": "1", "8": "3", "9": "4",
}  # fmt: skip
_EXPLANATIONS: Final = {
    "0": "A closed ring without a stroke inside.", "1": "One upright stroke; a flag at the top or a foot do not matter.",
    "2": "An open bow above, and a base.", "3": "Two bows that are open to the left.",
    "4": "Two strokes that meet an upright one; open or closed above.", "5": "A roof, a short neck, and a bow open to the left.",
    "6": "One ring, and it is below.", "7": "A roof and a slanted stroke; a bar across does not matter.",
    "8": "Two rings.", "9": "One ring, and it is above.",
}  # fmt: skip
_REMARK: Final = "Could be two digits. Please look."
_FLAGS: Final = 0.08
_READ_AT_ONCE: Final = 60
_SPOILT: Final = 25
_HARD_SHARE: Final = 0.22
_HARDER: Final = 0.6
_FOLLOWS: Final = 0.5
"""How often somebody who would have erred takes a suggestion that they see instead."""


@dataclass(frozen=True)
class Simulated:
    """How somebody answers: rightly with a chance of `skill`, in `seconds` at the median, so many times a sitting. Who has an `always`
    says that and does not look."""

    username: str
    skill: float
    seconds: float
    answers: int
    always: str = ""


CROWD: Final = (
    Simulated("sim-berta", 0.985, 3.4, 16),
    Simulated("sim-carl", 0.97, 2.9, 15),
    Simulated("sim-dora", 0.96, 3.8, 14),
    Simulated("sim-emil", 0.94, 2.6, 13),
    Simulated("sim-frida", 0.95, 4.1, 10),
    Simulated("sim-otto", 0.62, 1.0, 12),
    Simulated("sim-zoe", 0.1, 0.4, 12, always="1"),
)
LEARNER: Final = Simulated("sim-nina", 0.7, 5.0, 4)
REVIEWER: Final = "sim-rosa"


def _crowd_digits() -> demo.DemoProject:
    every = demo.digits()
    return replace(
        every,
        slug=SLUG,
        name="Digits by a crowd (simulated people)",
        objective="Whom can one trust, and what is still in doubt? The digits are real; people named sim-… and all readers are simulated.",
        model_name="crowd-first",
        payloads=every.payloads[::EVERY_NTH],
        labels=every.labels[::EVERY_NTH],
    )


def ensure(*, owner: User, annotator: User, now: dt.datetime) -> bool:
    """Make the project with all that its people said, or nothing of it; False where a project of its name exists.

    One transaction, so that whoever looks meanwhile sees none of it, and a run that is stopped leaves nothing.
    """
    if Project.objects.filter(slug=SLUG).exists():
        return False
    with transaction.atomic():
        _Play(_crowd_digits(), owner, annotator, now).run()
    return True


class _Play:
    def __init__(self, subject: demo.DemoProject, owner: User, annotator: User, now: dt.datetime) -> None:
        self.subject, self.owner, self.now = subject, owner, now
        self.began = now - dt.timedelta(days=DAYS)
        self.rng = np.random.default_rng(SEED)
        self.project = projects.create(
            slug=subject.slug, name=subject.name, objective=subject.objective, definition=subject.definition, by=owner
        )
        projects.set_member(self.project, username=annotator.username, role=Membership.Role.ANNOTATOR, by=owner)
        self.people = {each.username: self._joins(each.username) for each in (*CROWD, LEARNER)}
        self.reviewer = self._joins(REVIEWER, Membership.Role.REVIEWER)
        self._record_items()
        self.truth = self._by_item(subject.labels)
        ids = sorted(self.truth)
        self.is_hard = dict(zip(ids, (self.rng.random(len(ids)) < _HARD_SHARE).tolist(), strict=True))

    def run(self) -> None:
        self._make_known()
        self._share_out()
        for sitting in range(SITTINGS):
            _look_at_tables()
            morning = self.began + dt.timedelta(days=DAYS_BETWEEN * sitting)
            for place, person in enumerate(CROWD):
                self._works(person, morning + dt.timedelta(minutes=50 * place))
        self._learns(self.now - dt.timedelta(hours=5))
        self._readers_speak()
        self._is_believed()
        self._is_reviewed()

    # -- what there is ----------------------------------------------------------------------------------------------

    def _joins(self, username: str, role: Membership.Role = Membership.Role.ANNOTATOR) -> User:
        user, is_new = User.objects.get_or_create(username=username)
        if is_new:
            user.set_unusable_password()
            user.save()
        projects.set_member(self.project, username=username, role=role, by=self.owner)
        return user

    def _record_items(self) -> None:
        subject = self.subject
        segments = [{"form": ("blue", "white")[number % 2]} for number in range(len(subject.payloads))]
        rows = zip(subject.keys, subject.payloads, segments, strict=True)
        items = ({"key": key, "payload": payload, "segments": of} for key, payload, of in rows)
        _require_all(intake.record_items(self.project, items, now=self.began).failed)
        examples = demo.first_examples(subject, self.project)
        payloads = [subject.payloads[row] for row in examples]
        model = registry.choose(payloads).fit(payloads, [subject.labels[row] for row in examples], seed=SEED)
        intake.register_model_version(self.project, name=subject.model_name, classes=list(model.classes))
        said = zip(subject.keys, model.predict_proba(subject.payloads), strict=True)
        predictions = (
            {"key": key, "model_version": subject.model_name, "probabilities": line.tolist()} for key, line in said
        )
        _require_all(intake.record_predictions(self.project, predictions, now=self.began).failed)
        self.examples = [subject.keys[row] for row in examples]

    def _by_item(self, labels: Sequence[str]) -> dict[int, str]:
        ids = dict(Item.objects.filter(project=self.project).values_list("key", "pk"))
        return {ids[key]: label for key, label in zip(self.subject.keys, labels, strict=True)}

    def _make_known(self) -> None:
        """What the app's first model learned from is certain: it tests and teaches."""
        for item in Item.objects.filter(project=self.project, key__in=self.examples).order_by("pk"):
            label = self.truth[item.pk]
            gold.make(self.project, item, answer={"choice": label}, explanation=_EXPLANATIONS[label], by=self.owner)

    def _share_out(self) -> None:
        """Tasks that several people answer. Pinned, so that they come before what is drawn; of the audit reserve none."""
        ids = (
            Item.objects.filter(project=self.project)
            .exclude(gold__isnull=False)
            .order_by("pk")
            .values_list("pk", "bucket")
        )
        free = [pk for pk, bucket in ids if not is_in_audit_reserve(bucket)]
        chosen = self.rng.permutation(free)[:SHARED].tolist()
        queue_management.requeue(self.project, chosen, by=self.owner, now=self.began, answers_wanted=ANSWERS_EACH)

    # -- annotators -------------------------------------------------------------------------------------------------

    def _works(self, person: Simulated, now: dt.datetime) -> None:
        """One sitting."""
        for number in range(person.answers):
            if number % 4 == 0:
                gold_mixing.mix(self.project, now=now)
            if (took := self._answers(person, now)) is None:
                return
            now += took + dt.timedelta(seconds=1)

    def _learns(self, now: dt.datetime) -> None:
        projects.set_stage(
            self.project, username=LEARNER.username, stage=Membership.Stage.TRAINING, by=self.owner, now=now
        )
        self._works(LEARNER, now + dt.timedelta(minutes=1))

    def _answers(self, person: Simulated, now: dt.datetime) -> dt.timedelta | None:
        """Answer the next task; None if there is none."""
        user = self.people[person.username]
        is_learning = person is LEARNER
        tasks = annotation_queue.claim(self.project, annotator=user, now=now, is_in_training=is_learning)
        if not tasks:
            return None
        (task,) = tasks
        shown = selectors.suggestions_for(
            [task], project=self.project, label_schema=selectors.parsed_schema(self.project), annotator_id=user.pk
        ).get(task.pk)
        suggested = shown.answer if shown is not None else None
        took = dt.timedelta(seconds=float(person.seconds * self.rng.lognormal(0.0, 0.35)))
        is_flagged = (
            task.reason != AnnotationTask.Reason.GOLD
            and self.is_hard[task.item_id]
            and not person.always
            and self.rng.random() < _FLAGS
        )
        annotation_queue.submit(
            task.pk, annotator=user, answer=self._says(person, task.item_id, suggested), now=now + took,
            duration_ms=round(took.total_seconds() * 1000), suggested_answer=suggested, is_flagged=is_flagged,
            comment=_REMARK if is_flagged else "",
        )  # fmt: skip
        return took

    def _says(self, person: Simulated, item_id: int, suggested: JSONValue) -> dict[str, JSONValue]:
        truth = self.truth[item_id]
        if person.always:
            return {"choice": person.always}
        if self.rng.random() < person.skill - _HARDER * self.is_hard[item_id]:
            return {"choice": truth}
        if isinstance(suggested, dict) and self.rng.random() < _FOLLOWS:
            return suggested
        return {"choice": self._taken_for(truth)}

    def _taken_for(self, truth: str) -> str:
        """Mostly a digit that looks like it."""
        return _LOOKS_LIKE[truth] if self.rng.random() < 0.7 else str((int(truth) + int(self.rng.integers(1, 10))) % 10)

    # -- readers ----------------------------------------------------------------------------------------------------

    def _readers_speak(self) -> None:
        """Thumbs, corrections and clicks about readings, in batches as an app's server would send them."""
        read = dict(Prediction.objects.filter(item__project=self.project).values_list("item_id", "predicted_class"))
        keys = dict(Item.objects.filter(project=self.project).values_list("pk", "key"))
        ids = sorted(keys)
        for day in range(SITTINGS):
            evening = self.began + dt.timedelta(days=DAYS_BETWEEN * day, hours=10)
            rows = []
            for number in range(_READ_AT_ONCE):
                item_id = ids[int(self.rng.integers(len(ids)))]
                reader = f"reader-{int(self.rng.integers(READERS)):02d}"
                about = {"key": keys[item_id], "model_version": self.subject.model_name, "respondent": reader}
                at = evening - dt.timedelta(minutes=3 * number)
                rows += [
                    {**about, **said, "id": f"{day}-{number}-{said['kind']}", "occurred_at": at.isoformat()}
                    for said in self._reader_says(self.truth[item_id], read[item_id])
                ]
            _require_all(feedback.record_feedback(self.project, rows, now=evening).failed)
        self._one_reader_spoils(keys)

    def _reader_says(self, truth: str, read: str) -> Iterator[dict[str, Any]]:
        is_right = truth == read
        sees_right = is_right if self.rng.random() < 0.93 else not is_right
        if self.rng.random() < 0.5:
            yield {"kind": "thumb", "value": "up" if sees_right else "down"}
        if self.rng.random() < (0.05 if sees_right else 0.6):
            yield {
                "kind": "correction",
                "value": {"choice": truth if self.rng.random() < 0.95 else self._taken_for(truth)},
            }
        if self.rng.random() < 0.4:
            yield {"kind": "click" if self.rng.random() < (0.75 if is_right else 0.35) else "retry"}

    def _one_reader_spoils(self, keys: dict[int, str]) -> None:
        """Calls everything a zero, within minutes."""
        at = self.now - dt.timedelta(hours=7)
        rows = [
            {
                "id": f"spoilt-{number}", "kind": "correction", "value": {"choice": "0"}, "key": keys[item_id],
                "model_version": self.subject.model_name, "respondent": "reader-spoiler",
                "occurred_at": (at + dt.timedelta(seconds=4 * number)).isoformat(),
            }
            for number, item_id in enumerate(sorted(keys)[:_SPOILT])
        ]  # fmt: skip
        _require_all(feedback.record_feedback(self.project, rows, now=at + dt.timedelta(minutes=5)).failed)

    # -- what follows -----------------------------------------------------------------------------------------------

    def _is_believed(self) -> None:
        """As the worker does in the minutes after."""
        acceptance_policies.new_version(
            self.project, by=self.owner, method="label_model", most_answers=ANSWERS_EACH, uses_implicit=True
        )
        beliefs.fit(self.project, now=self.now - dt.timedelta(minutes=9))
        examination.examine(self.project, now=self.now - dt.timedelta(minutes=7))
        beliefs.fit(self.project, now=self.now - dt.timedelta(minutes=6))
        accept.accept_pending(self.project.pk, now=self.now - dt.timedelta(minutes=5))

    def _is_reviewed(self) -> None:
        """A reviewer has decided some cases; the others are for whoever tries the demo, and so are two that the owner sent there."""
        cases = list(
            ReviewCase.objects.filter(project=self.project, state=ReviewCase.State.OPEN).order_by("-value", "pk")
        )
        by, now = self.reviewer, self.now - dt.timedelta(minutes=4)
        for place, case in enumerate(cases[::3]):
            now += dt.timedelta(seconds=20)
            if place == 1:
                review.mark_ambiguous(
                    self.project, case.pk, by=by, now=now, comment="Nobody could tell from these pixels."
                )
            elif place == 2:
                review.send_back(self.project, case.pk, by=by, now=now, comment="Look at the upper half again, please.")
            else:
                review.decide(self.project, case.pk, by=by, now=now, answer={"choice": self.truth[case.item_id]})
        accept.accept_pending(self.project.pk, now=self.now)
        labelled = (
            selectors_of_labels.current_labels(self.project)
            .filter(item__gold__isnull=True)
            .order_by("probability", "pk")
        )
        for label in labelled.select_related("item")[:2]:
            review.send_to_review(self.project, label.item, by=self.owner, now=self.now, comment="Is this certain?")


def _look_at_tables() -> None:
    """Have queries planned for the tables as they are: of what one transaction fills, PostgreSQL knows nothing by itself."""
    with connection.cursor() as cursor:
        cursor.execute(
            "ANALYZE labeling_item, labeling_poolentry, labeling_annotationtask, labeling_annotation, labeling_membership, datasets_golditem"
        )


def _require_all(failed: int) -> None:
    if failed:
        raise demo.DemoError(f"{failed} rows of the crowd were refused")
