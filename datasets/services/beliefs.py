"""What is believed of the items of a project: fits over all evidence, and single items anew by the last fit's parameters.

See docs/algorithms/label_model.md. Only projects whose acceptance policy is the label model have beliefs.
"""

import datetime as dt
import math
import time
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from django.db import connection, transaction
from django.db.models import Exists, Max, OuterRef, Q, QuerySet, Subquery, Sum
from numpy.typing import NDArray

from datasets import parameter_file
from datasets.consensus import label_model
from datasets.consensus.acceptance import Decisions, decide
from datasets.consensus.adaptive_overlap import typical_confusion
from datasets.consensus.evidence import Kind
from datasets.consensus.identifiability import BeliefWarning
from datasets.consensus.label_model import posterior_of
from datasets.consensus.model_prior import ModelPrior
from datasets.consensus.parameters import Parameters
from datasets.consensus.source_quality.reliability import peer_record
from datasets.consensus.without_own import judged_by_others
from datasets.models import AcceptancePolicy, AcceptedLabel, BeliefRun, GoldItem, ItemBelief, ReviewCase, SourceStanding
from datasets.parameter_file import Learned
from datasets.services import acceptance_policies, belief_rows
from datasets.services.evidence import BEHAVIOUR, OPINIONS, Gathered, gather
from labeling import news, selectors
from labeling.locks import LockKind, held, hold_until_commit
from labeling.models import Correction, Feedback, LabelSchema, PoolEntry, Project
from labeling.probability import STORED_DTYPE

LEAST_GROWTH: Final = 20
LEAST_GROWTH_SHARE: Final = 0.05
LEAST_GROWTH_SHARE_OF_KIND: Final = 0.2
"""Of what respondents and reviewers say: beside many annotations it may double and be no twentieth of all evidence."""
LONGEST_PAUSE: Final = dt.timedelta(hours=1)
FITTED_FROM_VOTES: Final = 50_000
"""Pieces of evidence up to which each fit begins anew: what EM believed while there was little it would keep, and the errors too."""
KEPT_UNNAMED: Final = dt.timedelta(days=7)
"""For how long a fit is kept that no label and no belief rests on."""
SMALLEST_CHANGE: Final = 0.01
"""A posterior that moved by less leaves a label as it is."""


@dataclass(frozen=True, eq=False)
class Setting:
    """By what a project's beliefs are worked out now."""

    project: Project
    policy: AcceptancePolicy
    label_schema: LabelSchema
    classes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Worked:
    """Beliefs about some items, by position in `gathered.item_ids`, as they were stored."""

    run: BeliefRun
    gathered: Gathered
    posterior: NDArray[np.float32]
    decisions: Decisions


def setting_of(project: Project) -> Setting | None:
    """None where the project goes by votes."""
    policy = acceptance_policies.current_policy(project)
    if policy.method != AcceptancePolicy.Method.LABEL_MODEL:
        return None
    label_schema = selectors.current_schema(project)
    classes = tuple(each.key for each in selectors.schema_of(label_schema.pk).label_classes)
    return Setting(project, policy, label_schema, classes)


# -- single items ------------------------------------------------------------------------------------------------------


def last_run(setting: Setting) -> BeliefRun | None:
    """The last fit, without its parameters; None if there is none over the classes of the label schema in force."""
    run = BeliefRun.objects.filter(project=setting.project).defer("parameters").order_by("-pk").first()
    return run if run is not None and tuple(run.classes) == setting.classes else None


def update(setting: Setting, item_ids: Collection[int], *, now: dt.datetime) -> Worked | None:
    """Work out the beliefs about these items from all their evidence, by the last fit's parameters, and store them.

    Items of which nothing is known any more lose theirs. The sources stay what the fit found them to be; who is new since counts
    as a newcomer. None, and nothing changed, while there is no fit to go by. The caller holds the transaction and the lock of
    acceptance. A dozen statements whatever the number of items.
    """
    run = last_run(setting)
    if run is None:
        return None
    gathered = gather(
        setting.project, setting.policy, setting.classes, item_ids=item_ids, anchored_weight=run.anchored_weight
    )
    standing = belief_rows.standing_labels(setting.project.pk, gathered.item_ids, setting.classes)
    worked = _work_out(setting, run, learned_of(run), gathered, standing)
    belief_rows.store(run, gathered, worked.posterior, worked.decisions, now=now)
    if unknown := set(item_ids).difference(gathered.item_ids.tolist()):
        ItemBelief.objects.filter(item__in=unknown).delete()
    return worked


def learned_of(run: BeliefRun) -> Learned:
    """What the fit learned. Rows of fits never change, so it is read once in each process."""
    return learned_by(run.pk, run.evidence_hash)


@lru_cache(maxsize=16)
def learned_by(run_id: int, evidence_hash: str) -> Learned:
    """What the fit of this id and hash learned."""
    stored = BeliefRun.objects.filter(evidence_hash=evidence_hash).values_list("parameters", flat=True).get(pk=run_id)
    return parameter_file.loads(bytes(stored))


def posterior_by(setting: Setting, learned: Learned, gathered: Gathered) -> NDArray[np.float32]:
    """The posterior of every item of the evidence, given what was learned; shape (n_items, K), float32."""
    parameters = learned.for_sources(gathered.annotator_ids)
    posterior = posterior_of(gathered.evidence, parameters, model_prior=_model_prior(setting, gathered))
    return posterior.astype(np.float32)


def _work_out(
    setting: Setting, run: BeliefRun, learned: Learned, gathered: Gathered, standing: NDArray[np.int64]
) -> Worked:
    posterior = posterior_by(setting, learned, gathered)
    policy = acceptance_policies.pure(setting.policy, setting.classes)
    decisions = decide(posterior, gathered.evidence, learned.typical_confusion, policy, standing=standing)
    return Worked(run, gathered, posterior, decisions)


# -- fits --------------------------------------------------------------------------------------------------------------


def fit(project: Project, *, now: dt.datetime, anchored_weight: float = 1.0) -> BeliefRun | None:
    """Fit the label model to all evidence of the project, and store the run and the belief about every item.

    With much evidence EM begins where the last fit ended. Items whose label no longer agrees with what is believed, and those that changed
    while this was at work, are noted for acceptance; respondents' records are brought up to date. All of it is one
    transaction: killed before its end nothing has changed, and the fit is due as before. None, if the project goes by votes
    or another worker is at it (advisory lock). Beliefs are worked out from the parameters as stored, so that the row gives them again.
    """
    with held(LockKind.BELIEFS, project.pk) as is_taken:
        setting = setting_of(project) if is_taken else None
        if setting is None:
            return None
        clock = time.monotonic()
        gathered = gather(project, setting.policy, setting.classes, anchored_weight=anchored_weight)
        beliefs = label_model.fit(
            gathered.evidence,
            start=_start(setting, gathered),
            model_prior=_model_prior(setting, gathered),
            settings=label_model.Settings(review_accuracy=setting.policy.review_accuracy),
        )
        content = parameter_file.dumps(
            beliefs.parameters,
            gathered.annotator_ids,
            typical_confusion(beliefs.parameters, gathered.evidence),
            judged_by_others(gathered.evidence, beliefs.parameters).confusion,
        )
        learned = parameter_file.loads(content)
        run = BeliefRun(
            project=project, policy=setting.policy, label_schema=setting.label_schema, classes=list(setting.classes),
            evidence_count=len(gathered.evidence), evidence_by_kind=_by_kind(gathered),
            evidence_hash=gathered.fingerprint(), item_count=len(gathered.item_ids),
            anchored_weight=anchored_weight, rounds=beliefs.rounds, has_converged=beliefs.has_converged,
            warnings=_in_words(beliefs.warnings, setting.classes), parameters=content, started_at=now, finished_at=now,
        )  # fmt: skip
        with transaction.atomic():
            hold_until_commit(LockKind.ACCEPTANCE, project.pk)
            if acceptance_policies.current_policy(project) != setting.policy:
                return None  # changed meanwhile, so another fit is due
            run.finished_at = now + dt.timedelta(seconds=time.monotonic() - clock)
            run.save()
            _store_all(setting, run, learned, gathered, now)
            _store_records(project, gathered, learned.for_sources(gathered.annotator_ids))
            _forget_unnamed(project, now)
            news.tell(news.annotation_recorded, project_id=project.pk)
    return run


def _forget_unnamed(project: Project, now: dt.datetime) -> None:
    names = (ItemBelief.objects.filter(run=OuterRef("pk")), AcceptedLabel.objects.filter(run=OuterRef("pk")))
    old = BeliefRun.objects.filter(project=project, finished_at__lt=now - KEPT_UNNAMED)
    old.filter(*(~Exists(rows) for rows in names)).delete()


def _by_kind(gathered: Gathered) -> dict[str, int]:
    counts = np.bincount(gathered.evidence.kind, minlength=len(Kind)).tolist()
    return {kind.name.lower(): count for kind, count in zip(Kind, counts, strict=True) if count}


def _start(setting: Setting, gathered: Gathered) -> Parameters | None:
    """Where EM begins: from what was learned before, or from the votes (None)."""
    run = last_run(setting)
    return (
        None
        if run is None or len(gathered.evidence) < FITTED_FROM_VOTES
        else learned_of(run).for_sources(gathered.annotator_ids)
    )


def _in_words(warnings: tuple[BeliefWarning, ...], classes: tuple[str, ...]) -> list[dict[str, object]]:
    """Warnings as they are stored: classes by key, and of long lists of items only the message."""
    of_classes = {"class_never_seen", "class_vanished", "classes_swapped"}
    return [
        {
            "code": each.code,
            "message": each.message,
            "classes": [classes[place] for place in each.about] if each.code in of_classes else [],
        }
        for each in warnings
    ]


def _store_all(setting: Setting, run: BeliefRun, learned: Learned, gathered: Gathered, now: dt.datetime) -> None:
    standing = belief_rows.standing_labels(setting.project.pk, gathered.item_ids, setting.classes, is_all=True)
    worked = _work_out(setting, run, learned, gathered, standing)
    with connection.cursor() as cursor:
        # Before they are overwritten: who came in while this fit was at work, and what was to be reviewed already.
        cursor.execute(_REMEMBER, {"project": setting.project.pk, "since": run.started_at})
        belief_rows.store(run, gathered, worked.posterior, worked.decisions, now=now)
        values: dict[str, int | float | dt.datetime] = {
            "project": setting.project.pk,
            "run": run.pk,
            "change": SMALLEST_CHANGE,
            "since": run.started_at,
        }
        cursor.execute(_FORGET, values)
        cursor.execute(_NOTE, values)
        cursor.execute("DROP TABLE beliefs_before")


_REMEMBER: Final = """
CREATE TEMPORARY TABLE beliefs_before ON COMMIT DROP AS
SELECT item_id, action, updated_at >= %(since)s AS is_newer FROM datasets_itembelief
WHERE project_id = %(project)s AND (action = 'review' OR updated_at >= %(since)s)"""

# Nothing is known of them any more, unless something came in meanwhile.
_FORGET: Final = """
DELETE FROM datasets_itembelief WHERE project_id = %(project)s AND run_id <> %(run)s AND updated_at < %(since)s"""

# Items whose label says something else than the belief, that are to be reviewed now, or that changed meanwhile.
_NOTE: Final = """
INSERT INTO datasets_pendingitem (project_id, item_id)
SELECT %(project)s, item_id FROM (
    SELECT belief.item_id FROM datasets_itembelief belief
    LEFT JOIN datasets_acceptedlabel label ON label.item_id = belief.item_id AND label.superseded_at IS NULL
    LEFT JOIN beliefs_before before ON before.item_id = belief.item_id
    WHERE belief.project_id = %(project)s AND (
        before.is_newer
        OR (belief.action = 'review' AND before.item_id IS NULL)
        OR (belief.action <> 'accept' AND label.id IS NOT NULL)
        OR (belief.action = 'accept' AND (label.id IS NULL OR label.label <> belief.label
            OR abs(label.probability - belief.probability) >= %(change)s
            OR label.method NOT IN ('label_model', 'reviewed', 'ground_truth'))))
    UNION
    SELECT label.item_id FROM datasets_acceptedlabel label
    WHERE label.project_id = %(project)s AND label.superseded_at IS NULL
        AND NOT EXISTS (SELECT FROM datasets_itembelief belief WHERE belief.item_id = label.item_id)
) outdated
WHERE NOT EXISTS (
    SELECT FROM datasets_pendingitem noted WHERE noted.project_id = %(project)s AND noted.item_id = outdated.item_id)
ORDER BY item_id"""


_STORE_RECORDS: Final = """
UPDATE labeling_respondent respondent SET right_count = said.hits, wrong_count = said.misses
FROM unnest(%(hashes)s::text[], %(hits)s::int[], %(misses)s::int[]) AS said (respondent_hash, hits, misses)
WHERE respondent.project_id = %(project)s AND respondent.respondent_hash = said.respondent_hash
    AND (respondent.right_count, respondent.wrong_count) IS DISTINCT FROM (said.hits, said.misses)"""


def _store_records(project: Project, gathered: Gathered, parameters: Parameters) -> None:
    """How often each respondent was right, as far as all others' evidence tells: expected numbers, rounded."""
    places = [place for place, source in enumerate(gathered.sources) if source.respondent_hash]
    if not places:
        return
    hits, misses = peer_record(gathered.evidence, parameters)
    values = {
        "project": project.pk,
        "hashes": [gathered.sources[place].respondent_hash for place in places],
        "hits": np.rint(hits[places]).astype(np.int64).tolist(),
        "misses": np.rint(misses[places]).astype(np.int64).tolist(),
    }
    with connection.cursor() as cursor:
        cursor.execute(_STORE_RECORDS, values)


# -- when a fit is due -------------------------------------------------------------------------------------------------


def projects_by_label_model() -> list[int]:
    """The projects whose policy in force is the label model."""
    newest = AcceptancePolicy.objects.filter(project=OuterRef("pk")).order_by("-version")
    projects = Project.objects.annotate(method=Subquery(newest.values("method")[:1]))
    return list(projects.filter(method=AcceptancePolicy.Method.LABEL_MODEL).order_by("pk").values_list("pk", flat=True))


def why_due(project: Project, *, now: dt.datetime) -> str:
    """Why a fit is due now, in a word; empty: it is not.

    It is before the first one and after another policy, other classes, a source's standing or gold changed; when the evidence
    has grown by a twentieth, or that of corrections, opinions, behaviour or reviews alone by a fifth, and by 20 pieces at least; and
    an hour after the last one if anything changed.
    """
    setting = setting_of(project)
    if setting is None:
        return ""
    run = last_run(setting)
    if run is None:
        return "first"
    if run.policy_id != setting.policy.pk:
        return "policy"
    changed = Q(project=project)
    if SourceStanding.objects.filter(changed, changed_at__gt=run.started_at).exists():
        return "standing"
    if GoldItem.objects.filter(changed, created_at__gt=run.started_at).exists():
        return "gold"
    known = ItemBelief.objects.filter(project=project).aggregate(count=Sum("evidence_count"), newest=Max("updated_at"))
    growth = abs((known["count"] or 0) - run.evidence_count)
    if growth >= max(LEAST_GROWTH, LEAST_GROWTH_SHARE * run.evidence_count) or _has_grown_by_kind(setting, run):
        return "growth"
    has_changed = known["newest"] is not None and known["newest"] > run.started_at
    is_old = now - run.finished_at >= LONGEST_PAUSE
    return "time" if is_old and (has_changed or setting.policy.uses_model) else ""


def _has_grown_by_kind(setting: Setting, run: BeliefRun) -> bool:
    """Whether some kind of evidence beside annotations has grown enough since the fit. No more rows are counted than that takes."""
    of_project = Q(project=setting.project)
    said = of_project & Q(received_at__gt=run.started_at, superseded_at__isnull=True, item__isnull=False)
    opinions = Feedback.objects.filter(said, prediction__isnull=False).order_by()
    decided = Q(state=ReviewCase.State.DECIDED, closed_at__gt=run.started_at)
    rows_of: dict[Kind, QuerySet[Any]] = {Kind.REVIEW: ReviewCase.objects.filter(of_project, decided).order_by()}
    if setting.policy.uses_corrections:
        rows_of[Kind.CORRECTION] = Correction.objects.filter(said).order_by()
    if setting.policy.uses_thumbs:
        rows_of[Kind.THUMB] = opinions.filter(kind__in=OPINIONS)
    if setting.policy.uses_implicit:
        rows_of[Kind.IMPLICIT] = opinions.filter(kind__in=BEHAVIOUR)
    for kind, rows in rows_of.items():
        known = run.evidence_by_kind.get(kind.name.lower(), 0)
        needed = max(LEAST_GROWTH, math.ceil(LEAST_GROWTH_SHARE_OF_KIND * known))
        if rows[:needed].count() == needed:
            return True
    return False


# -- the model's word --------------------------------------------------------------------------------------------------


def _model_prior(setting: Setting, gathered: Gathered) -> ModelPrior | None:
    """The champion's probabilities, over the classes of the label schema, where the policy wants them."""
    champion = selectors.champion(setting.project) if setting.policy.uses_model else None
    if champion is None or not len(gathered.item_ids):
        return None
    place = {key: position for position, key in enumerate(setting.classes)}
    columns = [(number, place[key]) for number, key in enumerate(champion.classes) if key in place]
    entries = PoolEntry.objects.filter(project=setting.project, model_version_id=champion.pk)
    if len(gathered.item_ids) <= belief_rows.BATCH:
        entries = entries.filter(item__in=gathered.item_ids.tolist())
    said = np.full((len(gathered.item_ids), len(setting.classes)), np.nan)
    stored = entries.exclude(probabilities=None).values_list("item_id", "probabilities")
    for item_id, packed in stored.iterator(chunk_size=belief_rows.BATCH):
        position = int(np.searchsorted(gathered.item_ids, item_id))
        values = np.frombuffer(packed or b"", dtype=STORED_DTYPE)
        is_wanted = position < len(gathered.item_ids) and gathered.item_ids[position] == item_id
        if not is_wanted or len(values) != len(champion.classes):
            continue
        row = np.zeros(len(setting.classes))
        for number, column in columns:
            row[column] = values[number]
        # A champion may know classes that the schema has dropped; what is left of its word is spread anew.
        if row.sum() > 0.0:
            said[position] = row / row.sum()
    return ModelPrior(said)
