"""What a draw needs to know of a pool: small, and mergeable from ranges of item ids that were scored one by one.

A pool that does not fit into memory is summarised a range at a time, and several workers may each take some of the
ranges. The merged summary, and with it the batch, is the same bit for bit however the pool was cut, as long as the cuts
are whole blocks of ids (`tallies.IDS_A_BLOCK`).
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sampling import item_random, selection
from sampling.batch_rules import segment_quotas
from sampling.batch_rules.candidates import Candidates, Chosen, Parameters, check_scores
from sampling.batch_rules.registry import BatchRule, drawn
from sampling.batch_rules.tallies import IDS_A_BLOCK, Tally, cut, merged, tally, union

AUDIT_STREAM: Final = 2
BINS: Final = 20

_TALLIES: Final = ("scored", "unscored")
_PLAIN: Final = ("blocks", "power_sums", "histogram")

Complete = Callable[[Candidates], Candidates]
"""Adds to a shortlist what its rule looks at beside ids and scores: embeddings, predictions, labelled."""


@dataclass(frozen=True, slots=True, eq=False)
class StratumSummary:
    """The items of one stratum that active draws may take: those outside the audit reserve.

    scored, unscored
        Items with and without a score; the latter as if they scored 1.
    blocks, power_sums
        For each block of ids the sum of score ** beta over the scored items.
    histogram
        Shape (20,): scored items by informativeness, in equal steps over [0, 1].
    """

    scored: Tally
    unscored: Tally
    blocks: NDArray[np.int64]
    power_sums: NDArray[np.float64]
    histogram: NDArray[np.int64]

    @property
    def count(self) -> int:
        """Items of the stratum."""
        return self.scored.count + self.unscored.count


@dataclass(frozen=True, slots=True, eq=False)
class PoolSummary:
    """Some ranges of a pool, summarised for one rule, batch size and seed.

    strata
        What active draws may take: one stratum, or one for each that gets a share of its own.
    reserve
        Items of the audit reserve, in the random order in which audit draws take them.
    scored_count
        Items with a score, in the reserve or not.
    checksum
        Shape (2,), uint64: the same for the same items with the same scores, in whatever order.
    """

    strata: tuple[StratumSummary, ...]
    reserve: Tally
    scored_count: int
    checksum: NDArray[np.uint64]

    @property
    def active_count(self) -> int:
        """Items outside the audit reserve."""
        return sum(stratum.count for stratum in self.strata)

    @property
    def histogram(self) -> NDArray[np.int64]:
        """Of all strata together."""
        together: NDArray[np.int64] = np.sum([stratum.histogram for stratum in self.strata], axis=0)
        return together

    @property
    def digest(self) -> str:
        """The checksum as 32 hexadecimal digits."""
        return "".join(f"{int(number):016x}" for number in self.checksum)


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Drawn items in draw order; all arrays have one length.

    informativeness
        float32, NaN where an item has no score.
    proposal, propensity, is_audit
        As in `selection.Draw`.
    """

    item_ids: NDArray[np.int64]
    informativeness: NDArray[np.float32]
    proposal: NDArray[np.float64]
    propensity: NDArray[np.float64]
    is_audit: NDArray[np.bool_]


def summarise(
    item_ids: NDArray[np.int64],
    in_reserve: NDArray[np.bool_],
    scores: NDArray[np.float32],
    *,
    rule: BatchRule,
    size: int,
    seed: int,
    parameters: Parameters,
    strata: NDArray[np.integer] | None = None,
    n_strata: int = 1,
) -> PoolSummary:
    """Summarise the items of whole blocks of ids.

    Parameters
    ----------
    item_ids
        Shape (n,), int64, all different, in any order.
    in_reserve
        Shape (n,), True for items of the audit reserve.
    scores
        Shape (n,), float32 informativeness in [0, 1], NaN where the model said nothing.
    rule, size, seed, parameters
        What the batch will be drawn by.
    strata
        Shape (n,), in [0, n_strata): the stratum of each item; None: all are of the first.

    Raises
    ------
    ValueError
        An item comes twice, or a score lies outside [0, 1].

    Notes
    -----
    O(n) time after sorting, about 60 bytes an item while it runs.
    """
    order = np.argsort(item_ids, kind="stable")
    ids, reserve, scores = item_ids[order], in_reserve[order], scores[order]
    if (np.diff(ids) == 0).any():
        raise ValueError(f"item {ids[int(np.argmin(np.diff(ids)))]} comes more than once")
    is_scored = ~np.isnan(scores)
    check_scores(scores[is_scored])

    stratum_of = np.zeros(len(ids), dtype=np.int64) if strata is None else strata[order]

    def tallied(rows: NDArray[np.bool_], given: NDArray[np.float32] | None) -> Tally:
        candidates = Candidates(ids[rows], informativeness=given)
        best = rule.tally(candidates, size=size, seed=seed, parameters=parameters)
        return replace(best, scores=scores[np.searchsorted(ids, best.item_ids)])

    def summarised(active: NDArray[np.bool_]) -> StratumSummary:
        with_score = active & is_scored
        if rule.is_cold_start:
            # Such a rule treats all items alike.
            scored, unscored = tallied(active, None), tallied(np.zeros_like(active), None)
        else:
            without = active & ~is_scored
            scored = tallied(with_score, scores[with_score])
            unscored = tallied(without, np.ones(int(without.sum()), dtype=np.float32))
        powers = scores[with_score].astype(np.float64) ** parameters.beta
        blocks, starts = np.unique(ids[with_score] // IDS_A_BLOCK, return_index=True)
        sums = np.add.reduceat(powers, starts) if len(starts) else np.empty(0)
        return StratumSummary(scored, unscored, blocks, sums, histogram(scores[with_score]))

    return PoolSummary(
        strata=tuple(summarised(~reserve & (stratum_of == number)) for number in range(n_strata)),
        reserve=tally(
            ids[reserve],
            -item_random.exponentials(seed, ids[reserve], stream=AUDIT_STREAM),
            np.ones(int(reserve.sum())),
            scores[reserve],
            size=size,
        ),
        scored_count=int(is_scored.sum()),
        checksum=_checksum(ids, scores),
    )


def merge(parts: Sequence[PoolSummary]) -> PoolSummary:
    """The summary of all parts together. ValueError if a block is in two of them, or for none."""
    if not parts:
        raise ValueError("there is nothing to merge")
    return PoolSummary(
        strata=tuple(_merged(each) for each in zip(*(part.strata for part in parts), strict=True)),
        reserve=merged([part.reserve for part in parts]),
        scored_count=sum(part.scored_count for part in parts),
        checksum=np.sum([part.checksum for part in parts], axis=0, dtype=np.uint64),
    )


def _merged(parts: Sequence[StratumSummary]) -> StratumSummary:
    blocks = np.concatenate([part.blocks for part in parts])
    order = np.argsort(blocks, kind="stable")
    return StratumSummary(
        scored=merged([part.scored for part in parts]),
        unscored=merged([part.unscored for part in parts]),
        blocks=blocks[order],
        power_sums=np.concatenate([part.power_sums for part in parts])[order],
        histogram=np.sum([part.histogram for part in parts], axis=0),
    )


def draw(
    summary: PoolSummary,
    *,
    rule: BatchRule,
    size: int,
    epsilon: float,
    seed: int,
    parameters: Parameters,
    complete: Complete,
    shares: Sequence[float] = (1.0,),
) -> Batch:
    """Draw a batch from a pool of which only the summary is known.

    The coins between audit and active draws are those of `selection.coins`; audit draws are uniform over the reserve. The
    stratum of every active draw is drawn by the shares (`segment_quotas.draw_strata`), the item within it by the rule. Items
    without a score get the one that is drawn as often as the scored items of the stratum are on average, s = (mean of s **
    beta) ** (1 / beta): so they get their share of the draws, neither all nor none.

    Parameters
    ----------
    summary
        Made for the same rule, seed and parameters, and for a batch of at least this size.
    complete
        Called at most once a stratum, with the rule's shortlist.
    shares
        One for each stratum.
    """
    rng = np.random.default_rng(seed)
    is_audit = selection.coins(summary.active_count, summary.reserve.count, size=size, epsilon=epsilon, rng=rng)
    audits = int(np.count_nonzero(is_audit))
    active = len(is_audit) - audits
    counts = [stratum.count for stratum in summary.strata]
    strata = segment_quotas.draw_strata(counts, shares, size=active, seed=seed)
    item_ids, informativeness = np.empty(active, dtype=np.int64), np.empty(active, dtype=np.float32)
    proposal, propensity = np.empty(active), np.empty(active)
    for number, stratum in enumerate(summary.strata):
        places = np.flatnonzero(strata.of == number)
        kept, chosen = _drawn(stratum, rule, len(places), seed, parameters, complete)
        item_ids[places], informativeness[places] = kept.item_ids[chosen.index], kept.scores[chosen.index]
        proposal[places] = strata.first[number] * chosen.proposal
        propensity[places] = strata.chance[places] * chosen.propensity
    proposal, propensity = selection.chances(
        is_audit,
        active_proposal=proposal,
        active_propensity=propensity,
        n_active=summary.active_count,
        n_reserve=summary.reserve.count,
        epsilon=epsilon,
    )
    everything = Batch(
        np.empty(len(is_audit), dtype=np.int64),
        np.empty(len(is_audit), dtype=np.float32),
        proposal,
        propensity,
        is_audit,
    )
    everything.item_ids[~is_audit], everything.informativeness[~is_audit] = item_ids, informativeness
    reserve = summary.reserve
    everything.item_ids[is_audit], everything.informativeness[is_audit] = (
        reserve.item_ids[:audits],
        reserve.scores[:audits],
    )
    return everything


def _drawn(
    stratum: StratumSummary, rule: BatchRule, size: int, seed: int, parameters: Parameters, complete: Complete
) -> tuple[Tally, Chosen]:
    """`size` items of a stratum: the kept ones, and which of these were drawn."""
    average = average_score(stratum, parameters.beta)
    best = union(stratum.scored, rule.rated(stratum.unscored, average, parameters))
    if rule.pick is None:
        kept = cut(best, size)
        return kept, drawn(kept, np.arange(len(kept.item_ids)))
    kept, short = _shortlist(best, rule, average, size=size, parameters=parameters)
    return kept, rule.choose(complete(short), size=size, seed=seed, parameters=parameters)


def average_score(stratum: StratumSummary, beta: float) -> float:
    """The score that stands for items without one; 1 where no item has a score. See `draw`."""
    if not len(stratum.blocks):
        return 1.0
    mean = float(stratum.power_sums.sum()) / int(stratum.histogram.sum())
    # beta = 0: any score is drawn as often as any other.
    return 1.0 if beta == 0 else min(mean ** (1 / beta), 1.0)


def histogram(scores: NDArray[np.float32]) -> NDArray[np.int64]:
    """Scores in [0, 1] counted in 20 equal steps; 1 belongs to the last."""
    return np.bincount(np.minimum((scores * BINS).astype(np.int64), BINS - 1), minlength=BINS)


def dumps(summary: PoolSummary) -> bytes:
    """The summary as a compressed numpy archive."""
    arrays = {"scored_count": np.asarray(summary.scored_count), "checksum": summary.checksum}
    tallies = {"reserve": summary.reserve}
    for number, stratum in enumerate(summary.strata):
        tallies |= {f"{number}.{name}": getattr(stratum, name) for name in _TALLIES}
        arrays |= {f"{number}.{name}": getattr(stratum, name) for name in _PLAIN}
    for prefix, part in tallies.items():
        arrays |= {f"{prefix}.{field.name}": np.asarray(getattr(part, field.name)) for field in fields(Tally)}
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **arrays)
    return content.getvalue()


def loads(content: bytes) -> PoolSummary:
    """Read what `dumps` wrote."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:

        def tallied(prefix: str) -> Tally:
            return Tally(**{field.name: _plain(arrays[f"{prefix}.{field.name}"]) for field in fields(Tally)})

        strata: list[StratumSummary] = []
        while f"{len(strata)}.blocks" in arrays:
            number = len(strata)
            plain = {name: arrays[f"{number}.{name}"] for name in _PLAIN}
            scored, unscored = (tallied(f"{number}.{name}") for name in _TALLIES)
            strata.append(StratumSummary(scored, unscored, **plain))
        return PoolSummary(tuple(strata), tallied("reserve"), int(arrays["scored_count"]), arrays["checksum"])


def _plain(array: NDArray[np.generic]) -> Any:
    return array if array.ndim else array.item()


def _shortlist(
    best: Tally, rule: BatchRule, average: float, *, size: int, parameters: Parameters
) -> tuple[Tally, Candidates]:
    """What the rule looks at, in order of ids: as it is, and with scores where there are none."""
    scores = None if rule.is_cold_start else np.where(np.isnan(best.scores), np.float32(average), best.scores)
    kept = cut(best, rule.kept(Candidates(best.item_ids, scores), size=size, parameters=parameters))
    order = np.argsort(kept.item_ids)
    kept = replace(kept, item_ids=kept.item_ids[order], scores=kept.scores[order])
    shown = None if scores is None else scores[: len(order)][order]
    return kept, Candidates(kept.item_ids, informativeness=shown)


def _checksum(ids: NDArray[np.int64], scores: NDArray[np.float32]) -> NDArray[np.uint64]:
    bits = scores.view(np.uint32).astype(np.uint64)
    bits[np.isnan(scores)] = 0
    return np.array([item_random.hashes(stream, ids, bits).sum(dtype=np.uint64) for stream in range(2)])
