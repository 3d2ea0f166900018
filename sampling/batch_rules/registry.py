"""The batch rules by the name that policies store. A new one is one file and one entry here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from sampling import item_random
from sampling.batch_rules import (
    badge,
    cluster_quotas,
    facility_location,
    k_center,
    k_means_plus_plus,
    probability_coverage,
    softmax,
    stochastic,
    stochastic_clusters,
    top_k,
    typicality,
    uniform,
)
from sampling.batch_rules.candidates import Candidates, Chosen, Floats, Need, Parameters, check, in_order
from sampling.batch_rules.tallies import Tally, cut, remaining, tally

# A stream of the seed; see item_random.
SHORTLIST_STREAM: Final = 1


class Pick(Protocol):
    """A rule's own file: candidates in order of ids, checked and shortlisted -> the batch."""

    def __call__(self, candidates: Candidates, *, size: int, seed: int, parameters: Parameters) -> Chosen: ...


@dataclass(frozen=True)
class BatchRule:
    """How a batch is made of candidates.

    needs
        What the candidates must have.
    pick
        For rules that look at a shortlist. None: the rule draws by `log_weights`.
    log_weights
        (informativeness, parameters) -> (n,) float64, for rules that draw one item after the other in proportion to
        weights, without replacement. Their propensities are exact.
    is_cold_start
        It works before any model has spoken: without informativeness.
    shortlist
        "none": it looks at all items. "best": at the `shortlist_factor * size` items of highest informativeness, of a
        pool without informativeness at a sample. "drawn": at as many, drawn as by the rule "stochastic". "sample": at
        `sample_size` items, chosen by chance. So callers need to fetch embeddings and predictions for `shortlisted` only.
    """

    needs: frozenset[Need]
    shortlist: Literal["none", "best", "drawn", "sample"]
    pick: Pick | None = None
    log_weights: Callable[[Floats, Parameters], NDArray[np.float64]] | None = None
    is_cold_start: bool = False

    @property
    def has_propensities(self) -> bool:
        """Whether every item has a known chance above zero at each draw."""
        return self.log_weights is not None

    def choose(self, candidates: Candidates, *, size: int, seed: int, parameters: Parameters | None = None) -> Chosen:
        """Choose min(size, n) items.

        The same candidates, size, seed and parameters give the same items, in whatever order the rows come. No argument
        is changed. ValueError for candidates the rule cannot take, naming the row where it is one.
        """
        settings = parameters or Parameters()
        check(candidates, needs=self.needs, size=size)
        ordered, places = in_order(candidates)
        if self.pick is None:
            kept = cut(self.tally(ordered, size=size, seed=seed, parameters=settings), size)
            chosen = drawn(kept, np.searchsorted(ordered.item_ids, kept.item_ids))
        else:
            rows = self.shortlisted(ordered, size=size, seed=seed, parameters=settings)
            short = ordered if len(rows) == len(ordered) else ordered.take(rows)
            result = self.pick(short, size=min(size, len(short)), seed=seed, parameters=settings)
            chosen = Chosen(rows[result.index], result.proposal, result.propensity)
        if places is None:
            return chosen
        return Chosen(places[chosen.index], chosen.proposal, chosen.propensity)

    def tally(self, candidates: Candidates, *, size: int, seed: int, parameters: Parameters) -> Tally:
        """What this rule must remember of a part of the pool (checked, in order of ids); see `tallies`."""
        ids = candidates.item_ids
        weighted = self.log_weights or stochastic.log_weights
        scores = (
            np.ones(len(ids), dtype=np.float32) if candidates.informativeness is None else candidates.informativeness
        )
        logs = weighted(scores, parameters)
        if self.log_weights is not None or self.shortlist == "drawn":
            keys = stochastic.gumbel_keys(logs, ids, seed=seed)
        elif self.shortlist == "best" and candidates.informativeness is not None:
            keys = scores.astype(np.float64)
        else:
            keys = -item_random.exponentials(seed, ids, stream=SHORTLIST_STREAM)
        carried = np.full(len(ids), np.nan) if candidates.informativeness is None else scores
        return tally(
            *(ids, keys, np.exp(logs, out=logs), carried.astype(np.float32, copy=False)),
            size=self.kept(candidates, size=size, parameters=parameters),
        )

    def rated(self, best: Tally, score: float, parameters: Parameters) -> Tally:
        """What `tally` would say of the same items, all of informativeness 1, had they all this one; their order stays."""
        if self.log_weights is not None or self.shortlist == "drawn":
            weighted = self.log_weights or stochastic.log_weights
            at_score, at_one = weighted(np.array([score, 1.0]), parameters)
            step = at_score - at_one
            factor = np.exp(step)
            return replace(best, keys=best.keys + step, weights=best.weights * factor, rest=best.rest * factor)
        if self.shortlist == "best":
            return replace(best, keys=np.full(len(best.keys), score))
        return best

    def kept(self, candidates: Candidates, *, size: int, parameters: Parameters) -> int:
        """How many items of a pool the rule must remember to choose `size` of them."""
        if self.log_weights is not None or size == 0:
            return size
        if self.needs == {"informativeness"}:
            return size
        if self.shortlist in ("best", "drawn") and candidates.informativeness is not None:
            return parameters.shortlist_factor * size if parameters.shortlist_factor else 2**62
        return max(size, parameters.sample_size)

    def shortlisted(self, candidates: Candidates, *, size: int, seed: int, parameters: Parameters) -> NDArray[np.int64]:
        """Rows of the items that the rule will look at, ascending; the candidates must be in order of ids.

        It reads ids and informativeness only.
        """
        if self.pick is None or self.kept(candidates, size=size, parameters=parameters) >= len(candidates):
            return np.arange(len(candidates))
        best = self.tally(candidates, size=size, seed=seed, parameters=parameters)
        return np.sort(np.searchsorted(candidates.item_ids, best.item_ids))


def drawn(kept: Tally, index: NDArray[np.int64]) -> Chosen:
    """The kept items of a tally as draws, one after the other in proportion to their weights."""
    left = remaining(kept)
    return Chosen(index, kept.weights / left[0], kept.weights / left[:-1])


_GEOMETRY: Final[frozenset[Need]] = frozenset({"embeddings"})
_BOTH: Final[frozenset[Need]] = frozenset({"informativeness", "embeddings"})
_SCORES: Final[frozenset[Need]] = frozenset({"informativeness"})
_GRADIENTS: Final[frozenset[Need]] = frozenset({"informativeness", "embeddings", "predictions"})

RULES: Final[Mapping[str, BatchRule]] = MappingProxyType(
    {
        "stochastic": BatchRule(_SCORES, "none", log_weights=stochastic.log_weights),
        "softmax": BatchRule(_SCORES, "none", log_weights=softmax.log_weights),
        "uniform": BatchRule(frozenset(), "none", log_weights=uniform.log_weights, is_cold_start=True),
        "top_k": BatchRule(_SCORES, "best", top_k.pick),
        "cluster_quotas": BatchRule(_BOTH, "best", cluster_quotas.pick),
        "stochastic_clusters": BatchRule(_BOTH, "drawn", stochastic_clusters.pick),
        "k_center": BatchRule(_BOTH, "best", k_center.pick),
        "k_means_plus_plus": BatchRule(_BOTH, "best", k_means_plus_plus.pick),
        "badge": BatchRule(_GRADIENTS, "best", badge.pick),
        "facility_location": BatchRule(_BOTH, "best", facility_location.pick),
        "typicality": BatchRule(_GEOMETRY, "sample", typicality.pick, is_cold_start=True),
        "k_center_cold": BatchRule(_GEOMETRY, "sample", k_center.pick, is_cold_start=True),
        "probability_coverage": BatchRule(_GEOMETRY, "sample", probability_coverage.pick, is_cold_start=True),
    }
)


def find(name: str) -> BatchRule:
    """Return the rule of that name; ValueError listing the known ones."""
    if name not in RULES:
        raise ValueError(f"unknown batch rule {name!r}; known: {', '.join(sorted(RULES))}")
    return RULES[name]
