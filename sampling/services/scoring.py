"""Reads the pool, scores it and draws a batch: what a refill will queue, and what a preview shows. Writes nothing.

In three steps that different workers may take: a `Plan` of who scores and which rule draws; a summary of every range of
the pool; the draw from the merged summaries. So any number of workers gives the same batch as one.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from datasets import selectors as datasets_selectors
from labeling import selectors as labeling_selectors
from labeling.models import AnnotationTask, EmbeddingSpace, ModelVersion, PoolEntry, Prediction, Project
from labeling.probability import STORED_DTYPE
from labeling.schema import KINDS, PredictionForm
from sampling import hand_over, pool_record, pool_summary, selectors
from sampling.batch_rules import registry as rules
from sampling.batch_rules.candidates import Candidates, Parameters
from sampling.batch_rules.registry import BatchRule
from sampling.models import QueuePolicy, RefillRun, Surrogate
from sampling.pool_summary import Batch, PoolSummary
from sampling.services import control_arm, features, pool, surrogates
from sampling.services.pool import Column, IdRange, PoolBlock, Rows, Strata
from sampling.strategies import registry
from sampling.strategies.column_blocks import find_bad_rows
from sampling.strategies.inputs import Inputs

ITEMS_A_RANGE: Final = 4_000_000
"""A pool with more items is read and scored in ranges of about so many, one after the other: about 60 bytes an item."""
_MOST_KNOWN: Final = 5_000
"""So many of the newest labelled or waiting items are looked at by rules that keep away from what is known."""
_ENTRIES_A_BLOCK: Final = 1 << 22

_Score = Callable[[PoolBlock], NDArray[np.float32]]
"""Informativeness of the block's items, NaN where the model said nothing."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Who scores the pool, and which rule draws how many items.

    surrogate
        Scores in place of the champion, where there is one.
    space
        Whose vectors the rule or the surrogate looks at; None where neither does.
    remark
        What a person should know, e.g. that another rule than the policy's had to be used; mostly empty.
    """

    project: Project
    policy: QueuePolicy
    champion: ModelVersion | None
    surrogate: Surrogate | None
    space: EmbeddingSpace | None
    phase: RefillRun.Phase
    phase_reason: str
    rule_name: str
    remark: str
    size: int
    seed: int

    @property
    def rule(self) -> BatchRule:
        return rules.find(self.rule_name)

    @property
    def reason(self) -> AnnotationTask.Reason:
        """Why the items are asked that it chooses: all but the audit draws."""
        reasons = AnnotationTask.Reason
        scores_matter = self.policy.strategy != "uniform" and self.policy.beta > 0.0
        if self.rule_name == "uniform" or (self.rule.log_weights is not None and not scores_matter):
            return reasons.RANDOM
        return reasons.UNCERTAIN if self.phase == RefillRun.Phase.ACTIVE else reasons.COLD_START

    @property
    def strata(self) -> Strata | None:
        """The strata that have shares of their own; None where the policy names none."""
        targets = self.policy.segment_targets
        return Strata(self.policy.segment, tuple(sorted(targets))) if self.policy.segment and targets else None

    @property
    def shares(self) -> list[float]:
        """Of each stratum, what is left over last."""
        targets = self.policy.segment_targets
        if self.strata is None:
            return [1.0]
        named = [float(targets[value]) for value in self.strata.values]
        return [*named, max(1.0 - sum(named), 0.0)]

    @property
    def parameters(self) -> Parameters:
        return Parameters(beta=self.policy.beta, shortlist_factor=self.policy.shortlist_factor)


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """A range of the pool, or all of it: its summary, its ids (see `pool_record.dumps_part`), and what it took."""

    summary: PoolSummary
    ids: bytes
    read_seconds: float
    score_seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A batch, and how it came about.

    record
        What a replay needs beside the plan, see `pool_record`.
    """

    plan: Plan
    batch: Batch
    summary: PoolSummary
    record: bytes
    read_seconds: float
    score_seconds: float
    remark: str

    @property
    def drawable_count(self) -> int:
        """Items that had a chance: at epsilon 0 the reserve has none, and at 1 nothing else has."""
        epsilon, summary = self.plan.policy.epsilon, self.summary
        return (summary.active_count if epsilon < 1 else 0) + (summary.reserve.count if epsilon > 0 else 0)


def score_and_draw(project: Project, policy: QueuePolicy, *, size: int, seed: int) -> Drawn:
    """Draw `size` items by the policy from what is available now.

    The same pool, policy and seed give the same batch. Raises ValueError for what is wrong with data or policy.
    """
    plan = make_plan(project, policy, size=size, seed=seed)
    parts = [score(plan, available(plan, each)) for each in ranges(project)]
    return draw(plan, parts)


def available(plan: Plan, within: IdRange | None) -> Rows:
    """The items of a range that may be drawn now."""
    return pool.available(plan.project.pk, within, plan.strata)


def ranges(project: Project) -> list[IdRange | None]:
    """The ranges that one worker takes one after the other; None: all at once."""
    cut = pool.ranges(project.pk, items_a_range=ITEMS_A_RANGE)
    return [None] if len(cut) == 1 else [*cut]


def make_plan(project: Project, policy: QueuePolicy, *, size: int, seed: int) -> Plan:
    """Decide who scores, the phase and the rule, by what is accepted and trained now."""
    champion, space = selectors.scoring_champion(project), features.current_space(project)
    wants_surrogate = selectors.wants_surrogate(project, policy)
    surrogate = selectors.newest_surrogate(project, space) if wants_surrogate else None
    scorer = None if policy.score_source == QueuePolicy.ScoreSource.SURROGATE else champion
    phase, reason = _phase(project, policy, scorer, surrogate)
    if phase == RefillRun.Phase.ACTIVE and (because := control_arm.should_fall_back(project, policy)):
        phase, reason = RefillRun.Phase.FALLBACK, because
    name = {RefillRun.Phase.ACTIVE: policy.batch_rule, RefillRun.Phase.FALLBACK: "uniform"}.get(
        phase, policy.cold_start
    )
    remark = ""
    if "embeddings" in rules.find(name).needs and space is None:
        stand_in = "stochastic" if phase == RefillRun.Phase.ACTIVE else "uniform"
        remark = f"Items have no vectors yet, which “{name}” needs: “{stand_in}” was used."
        name = stand_in
    looks_at_vectors = surrogate is not None or "embeddings" in rules.find(name).needs
    return Plan(
        project=project,
        policy=policy,
        champion=None if surrogate else scorer,
        surrogate=surrogate,
        space=space if looks_at_vectors else None,
        phase=phase,
        phase_reason=reason,
        rule_name=name,
        remark=remark,
        size=size,
        seed=seed,
    )


def plan_of(run: RefillRun) -> Plan:
    """The plan that is noted on a run."""
    policy = run.policy
    has_champion = run.surrogate is None and policy.score_source != QueuePolicy.ScoreSource.SURROGATE
    return Plan(
        project=run.project,
        policy=policy,
        champion=run.model_version if has_champion else None,
        surrogate=run.surrogate,
        space=run.space,
        phase=RefillRun.Phase(run.phase),
        phase_reason=run.phase_reason,
        rule_name=run.rule,
        remark=run.message,
        size=run.wanted_count or 0,
        seed=run.seed,
    )


def score(plan: Plan, rows: Rows) -> Scored:
    """Read and score some of the items and summarise them for the plan's rule."""
    begin, score_seconds = perf_counter(), 0.0
    scored = _scorer(plan)
    columns: list[tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.float32], NDArray[np.int64]]] = []
    nothing = np.empty(0, dtype=np.int64)
    for block in pool.blocks(rows, _column(plan, rows)):
        scoring_begins = perf_counter()
        strata = nothing if block.strata is None else block.strata
        columns.append((block.item_ids, block.in_reserve, scored(block), strata))
        score_seconds += perf_counter() - scoring_begins
    read_seconds = perf_counter() - begin - score_seconds

    begin = perf_counter()
    item_ids, in_reserve, scores, strata = (np.concatenate(column) for column in zip(*columns, strict=True))
    del columns
    summary = pool_summary.summarise(
        *(item_ids, in_reserve, scores),
        rule=plan.rule,
        size=plan.size,
        seed=plan.seed,
        parameters=plan.parameters,
        strata=strata if rows.has_strata else None,
        n_strata=len(plan.shares),
    )
    item_ids.sort()
    score_seconds += perf_counter() - begin
    return Scored(summary, pool_record.dumps_part(item_ids), read_seconds, score_seconds)


def draw(plan: Plan, parts: list[Scored], *, known: NDArray[np.int64] | None = None) -> Drawn:
    """Draw the batch from the summaries of all ranges.

    `known`: the items to keep away from, in place of those that are labelled or wait now.
    """
    begin = perf_counter()
    summary = pool_summary.merge([part.summary for part in parts])
    if known is None:
        known = _labelled_or_waiting(plan.project) if plan.rule.pick and plan.space else np.empty(0, dtype=np.int64)
    batch = pool_summary.draw(
        summary,
        rule=plan.rule,
        size=plan.size,
        epsilon=plan.policy.epsilon,
        seed=plan.seed,
        parameters=plan.parameters,
        complete=lambda candidates: _complete(plan, candidates, known),
        shares=plan.shares,
    )
    remark = plan.remark
    if plan.phase == RefillRun.Phase.ACTIVE and summary.active_count and not summary.scored_count:
        remark = f"{remark} No item of the pool has a score: all were alike.".strip()
    return Drawn(
        plan=plan,
        batch=batch,
        summary=summary,
        record=pool_record.joined([*(part.ids for part in parts), pool_record.dumps_part(known)]),
        read_seconds=sum(part.read_seconds for part in parts),
        score_seconds=sum(part.score_seconds for part in parts) + perf_counter() - begin,
        remark=remark,
    )


def predicted_classes(plan: Plan, item_ids: NDArray[np.int64]) -> list[str]:
    """The class that the plan's surrogate thinks most likely of each item; empty where an item has no vector."""
    assert plan.space is not None  # noqa: S101 - for the type checker: a surrogate reads vectors
    committee = _Committee(plan)
    vectors, has_vector = features.vectors(plan.space, item_ids)
    best = committee(vectors).mean(axis=1).argmax(axis=1)
    return [committee.classes[code] if known else "" for code, known in zip(best, has_vector, strict=True)]


def _phase(
    project: Project, policy: QueuePolicy, champion: ModelVersion | None, surrogate: Surrogate | None
) -> tuple[RefillRun.Phase, str]:
    """Cold start until hand-over. The model an app has deployed learned elsewhere: its doubt counts at once."""
    is_of_app = surrogate is None and champion is not None and champion.origin == ModelVersion.Origin.APP
    said = hand_over.decide(
        datasets_selectors.class_counts(project),
        classes=max(len(labeling_selectors.parsed_schema(project).label_classes), 1),
        labels_per_class=0 if is_of_app else policy.hand_over_labels_per_class,
        has_scores=surrogate is not None or champion is not None,
    )
    if said.is_done and is_of_app:
        return RefillRun.Phase.ACTIVE, "By informativeness: the app's own model scores the pool."
    return (RefillRun.Phase.ACTIVE if said.is_done else RefillRun.Phase.COLD_START), said.reason


def _column(plan: Plan, rows: Rows) -> Column | None:
    if plan.surrogate is not None and plan.space is not None:
        return pool.vectors(plan.space)
    return pool.probabilities(plan.champion, rows) if plan.champion is not None else None


def _scorer(plan: Plan) -> _Score:
    kind = labeling_selectors.current_schema(plan.project).kind
    form = KINDS[kind].prediction_form
    if plan.surrogate is None and plan.champion is None:
        return lambda block: np.full(len(block.item_ids), np.nan, dtype=np.float32)
    if plan.surrogate is None:
        strategy = registry.find(plan.policy.strategy, kind)

        def by_champion(block: PoolBlock) -> NDArray[np.float32]:
            scores = np.full(len(block.item_ids), np.nan, dtype=np.float32)
            if block.values.shape[1]:
                is_known = ~np.isnan(block.values[:, 0])
                known = block.values.astype(np.float32, copy=False)
                known = known if is_known.all() else known[is_known]
                scores[is_known] = _checked(strategy, known, form, block.item_ids, is_known)
            return scores

        return by_champion

    committee, scored = _Committee(plan), registry.scorer(plan.policy.strategy, kind)

    def by_surrogate(block: PoolBlock) -> NDArray[np.float32]:
        scores = np.full(len(block.item_ids), np.nan, dtype=np.float32)
        is_known = ~np.isnan(block.values[:, 0])
        rows = np.flatnonzero(is_known)
        for begin in range(0, len(rows), committee.rows_a_block):
            some = rows[begin : begin + committee.rows_a_block]
            vectors = block.values[some]
            scores[some] = scored(Inputs(committee=committee(vectors), embeddings=vectors))
        return scores

    return by_surrogate


class _Committee:
    """The plan's surrogate over all classes of the label schema: those without a label have probability 0."""

    def __init__(self, plan: Plan) -> None:
        assert plan.surrogate is not None  # noqa: S101 - for the type checker
        self._fitted = surrogates.load(plan.surrogate)
        classes = labeling_selectors.parsed_schema(plan.project).class_keys
        # A class that the schema has lost since keeps a column, at the end.
        self.classes = [*classes, *(each for each in self._fitted.classes if each not in classes)]
        self._places = [self.classes.index(each) for each in self._fitted.classes]
        self._width = len(self.classes)
        self.rows_a_block = max(1, _ENTRIES_A_BLOCK // (self._fitted.size * self._width))

    def __call__(self, vectors: NDArray[np.floating]) -> NDArray[np.float32]:
        """Shape (n, M, C)."""
        said = self._fitted.probabilities(vectors)
        if self._places == list(range(self._width)):
            return said
        everything = np.zeros((*said.shape[:2], self._width), dtype=np.float32)
        everything[:, :, self._places] = said
        return everything


def _checked(
    strategy: registry.Informativeness,
    known: NDArray[np.float32],
    form: PredictionForm,
    item_ids: NDArray[np.int64],
    is_known: NDArray[np.bool_],
) -> NDArray[np.float32]:
    try:
        return strategy(known)
    except ValueError as error:
        is_bad = find_bad_rows(known, form)
        if not is_bad.any():
            raise
        item_id = item_ids[is_known][is_bad.argmax()]
        raise ValueError(f"What is stored as the prediction for item {item_id} is none: {error}") from error


def _complete(plan: Plan, short: Candidates, known_ids: NDArray[np.int64]) -> Candidates:
    """Add what the rule looks at: read for the shortlist only."""
    if plan.space is None or "embeddings" not in plan.rule.needs:
        return short
    vectors, _ = features.vectors(plan.space, short.item_ids)
    known, has_vector = features.vectors(plan.space, known_ids)
    predictions = _predictions(plan, short.item_ids, vectors) if "predictions" in plan.rule.needs else None
    return replace(short, embeddings=vectors, labelled=known[has_vector], predictions=predictions)


def _predictions(plan: Plan, item_ids: NDArray[np.int64], vectors: NDArray[np.float16]) -> NDArray[np.float32]:
    """What the scorer says of the items; of those it said nothing of, that every class is as likely."""
    if plan.surrogate is not None:
        said: NDArray[np.float32] = _Committee(plan)(vectors).mean(axis=1)
        return said
    assert plan.champion is not None  # noqa: S101 - for the type checker: such rules are for the active phase
    width = len(plan.champion.classes)
    found = np.full((len(item_ids), width), 1.0 / width, dtype=np.float32)
    rows = Prediction.objects.filter(model_version=plan.champion, item__in=item_ids.tolist())
    for item_id, packed in rows.values_list("item_id", "probabilities"):
        if len(packed) == found.itemsize * width:
            found[np.searchsorted(item_ids, item_id)] = np.frombuffer(packed, dtype=STORED_DTYPE)
    return found


def _labelled_or_waiting(project: Project) -> NDArray[np.int64]:
    known = PoolEntry.objects.filter(
        project=project, state__in=[PoolEntry.State.QUEUED, PoolEntry.State.ANSWERED]
    ).order_by("-item_id")
    return np.array(sorted(known.values_list("item_id", flat=True)[:_MOST_KNOWN]), dtype=np.int64)
