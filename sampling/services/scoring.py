"""Reads the pool, scores it and draws a batch: what a refill will queue, and what a preview shows. Writes nothing."""

from dataclasses import dataclass, replace
from time import perf_counter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from datasets import selectors as datasets_selectors
from labeling import selectors as labeling_selectors
from labeling.models import EmbeddingSpace, ModelVersion, PoolEntry, Project
from labeling.schema import KINDS, PredictionForm
from sampling import hand_over, selection, selectors
from sampling.batch_rules import registry as rules
from sampling.batch_rules.candidates import Candidates, Chosen, Parameters
from sampling.batch_rules.registry import BatchRule
from sampling.models import QueuePolicy, RefillRun
from sampling.selection import Coins, Draw
from sampling.services import features, pool
from sampling.strategies import registry
from sampling.strategies.column_blocks import find_bad_rows
from sampling.strategies.registry import Informativeness

_MOST_LABELLED: Final = 5_000
"""So many of the newest labelled or waiting items are looked at by rules that keep away from what is known."""


@dataclass(frozen=True, slots=True, eq=False)
class ScoredPool:
    """The available items in the order of their ids, and how much a label of each would teach.

    informativeness
        Shape (n,), float32. Where `is_scored` is False: the average item's, see `_average`.
    """

    item_ids: NDArray[np.int64]
    in_reserve: NDArray[np.bool_]
    informativeness: NDArray[np.float32]
    is_scored: NDArray[np.bool_]
    read_seconds: float
    score_seconds: float

    @property
    def is_cold(self) -> bool:
        """No item has a score: the draw is uniform."""
        return not self.is_scored.any()


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A batch, and how it came about.

    space
        Whose vectors the rule looked at; None where it needed none.
    remark
        What a person should know, e.g. that another rule than the policy's had to be used; mostly empty.
    """

    pool: ScoredPool
    draw: Draw
    phase: RefillRun.Phase
    phase_reason: str
    champion: ModelVersion | None
    space: EmbeddingSpace | None
    drawable_count: int
    remark: str


def score_and_draw(project: Project, policy: QueuePolicy, *, size: int, seed: int) -> Drawn:
    """Draw `size` items by the policy from what is available now.

    The same pool, policy and seed give the same batch. Raises ValueError for what is wrong with data or policy.
    """
    champion = selectors.scoring_champion(project)
    scored = _read_and_score(project, champion, policy)
    begin = perf_counter()
    phase, reason = _phase(project, policy, scored, champion)
    name = policy.batch_rule if phase == RefillRun.Phase.ACTIVE else policy.cold_start
    rule, remark, space = rules.find(name), "", None
    if "embeddings" in rule.needs and (space := features.current_space(project)) is None:
        stand_in = "stochastic" if phase == RefillRun.Phase.ACTIVE else "uniform"
        rule = rules.find(stand_in)
        remark = f"Items have no vectors yet, which “{name}” needs: “{stand_in}” was used."
    coins_rng, audit_rng = (np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(2))
    coins = selection.toss(scored.in_reserve, size=size, epsilon=policy.epsilon, rng=coins_rng)
    chosen = _choose(project, policy, scored, coins, rule=rule, space=space, seed=seed)
    draw = selection.complete(coins, chosen, rng=audit_rng)
    took = perf_counter() - begin
    return Drawn(
        pool=replace(scored, score_seconds=scored.score_seconds + took),
        draw=draw,
        phase=phase,
        phase_reason=reason,
        champion=champion,
        space=space,
        drawable_count=_drawable_count(scored, policy),
        remark=remark,
    )


def _phase(
    project: Project, policy: QueuePolicy, scored: ScoredPool, champion: ModelVersion | None
) -> tuple[RefillRun.Phase, str]:
    """Cold start until hand-over. The model an app has deployed learned elsewhere: its doubt counts at once."""
    is_of_app = champion is not None and champion.origin == ModelVersion.Origin.APP
    said = hand_over.decide(
        datasets_selectors.class_counts(project),
        classes=max(len(labeling_selectors.parsed_schema(project).label_classes), 1),
        labels_per_class=0 if is_of_app else policy.hand_over_labels_per_class,
        has_scores=not scored.is_cold,
    )
    if said.is_done and is_of_app:
        return RefillRun.Phase.ACTIVE, "By informativeness: the app's own model scores the pool."
    return (RefillRun.Phase.ACTIVE if said.is_done else RefillRun.Phase.COLD_START), said.reason


def _choose(
    project: Project,
    policy: QueuePolicy,
    scored: ScoredPool,
    coins: Coins,
    *,
    rule: BatchRule,
    space: EmbeddingSpace | None,
    seed: int,
) -> Chosen:
    """The active part. Vectors are read only of the items that the rule looks at."""
    parameters = Parameters(beta=policy.beta, shortlist_factor=policy.shortlist_factor)
    size = coins.active_draws
    scores = None if rule.is_cold_start or scored.is_cold else scored.informativeness[coins.active]
    if scores is None and "informativeness" in rule.needs:
        scores = np.ones(len(coins.active), dtype=np.float32)
    candidates = Candidates(scored.item_ids[coins.active], informativeness=scores)
    if space is None:
        return rule.choose(candidates, size=size, seed=seed, parameters=parameters)
    rows = rule.shortlisted(candidates, size=size, seed=seed, parameters=parameters)
    short = candidates.take(rows)
    vectors, _ = features.vectors(space, short.item_ids)
    known, is_known = features.vectors(space, _labelled_or_waiting(project))
    chosen = rule.choose(
        replace(short, embeddings=vectors, labelled=known[is_known]), size=size, seed=seed, parameters=parameters
    )
    return Chosen(rows[chosen.index], chosen.proposal, chosen.propensity)


def _labelled_or_waiting(project: Project) -> NDArray[np.int64]:
    known = PoolEntry.objects.filter(
        project=project, state__in=[PoolEntry.State.QUEUED, PoolEntry.State.ANSWERED]
    ).order_by("-item_id")
    return np.array(sorted(known.values_list("item_id", flat=True)[:_MOST_LABELLED]), dtype=np.int64)


def _read_and_score(project: Project, champion: ModelVersion | None, policy: QueuePolicy) -> ScoredPool:
    kind = labeling_selectors.current_schema(project).kind
    strategy, form = registry.find(policy.strategy, kind), KINDS[kind].prediction_form
    blocks: list[tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.float32]]] = []
    score_seconds = 0.0
    begin = perf_counter()
    for block in pool.blocks(project.pk, champion):
        scoring_begins = perf_counter()
        scores = _score(block, strategy, form)
        score_seconds += perf_counter() - scoring_begins
        blocks.append((block.item_ids, block.in_reserve, scores))
    read_seconds = perf_counter() - begin - score_seconds

    begin = perf_counter()
    item_ids, in_reserve, scores = (np.concatenate(column) for column in zip(*blocks, strict=True))
    # The database may hand rows out in any order; the draw must not depend on it.
    order = np.argsort(item_ids, kind="stable")
    item_ids, in_reserve, scores = item_ids[order], in_reserve[order], scores[order]
    is_scored = ~np.isnan(scores)
    scores[~is_scored] = _average(scores[is_scored], policy.beta)
    score_seconds += perf_counter() - begin
    return ScoredPool(item_ids, in_reserve, scores, is_scored, read_seconds, score_seconds)


def _score(block: pool.PoolBlock, strategy: Informativeness, form: PredictionForm) -> NDArray[np.float32]:
    """Informativeness of each item, NaN where the model said nothing."""
    scores = np.full(len(block.item_ids), np.nan, dtype=np.float32)
    if not block.probabilities.shape[1]:
        return scores
    is_scored = ~np.isnan(block.probabilities[:, 0])
    known = block.probabilities if is_scored.all() else block.probabilities[is_scored]
    try:
        scores[is_scored] = strategy(known)
    except ValueError as error:
        is_bad = find_bad_rows(known, form)
        if not is_bad.any():
            raise
        item_id = block.item_ids[is_scored][is_bad.argmax()]
        raise ValueError(f"What is stored as the prediction for item {item_id} is none: {error}") from error
    return scores


def _average(scores: NDArray[np.float32], beta: float) -> float:
    """The score that is drawn as often as the scored items are on average: s = (mean of s ** beta) ** (1 / beta).

    So items the model said nothing about get their share of the active draws, neither all nor none. beta = 0: any score
    does, the mean is taken. No score at all: 1, the draw is uniform.
    """
    if not len(scores):
        return 1.0
    if beta == 0:
        return float(scores.mean(dtype=np.float64))
    return float(np.mean(scores.astype(np.float64) ** beta) ** (1 / beta))


def _drawable_count(scored: ScoredPool, policy: QueuePolicy) -> int:
    """Items that had a chance: at epsilon 0 the reserve has none, and at 1 nothing else has."""
    reserve = int(np.count_nonzero(scored.in_reserve))
    active = len(scored.item_ids) - reserve
    return (active if policy.epsilon < 1 else 0) + (reserve if policy.epsilon > 0 else 0)
