"""All that was said about items of a project, as arrays for the label model and the detectors.

Of single-choice projects; answers whose class the current label schema does not have are left out.
"""

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from datasets.consensus.evidence import Evidence, Kind, evidence
from datasets.consensus.source_quality.examination import Timing
from datasets.models import AcceptancePolicy, ReviewDecision, SourceStanding
from datasets.services.binary_rows import Columns, read
from labeling.models import Feedback, Project
from labeling.models.feedback import Said

_KINDS: Final = Feedback.Kind
GOOD_RATING: Final = 0.75
BAD_RATING: Final = 0.25
"""Ratings (0 to 1) from the one on say that the prediction was right, up to the other that it was wrong; between, nothing."""

CORRECTION_CHANNELS: Final = tuple(Said.Channel)
VERDICT_CHANNELS: Final = (
    _KINDS.THUMB, _KINDS.RATING, _KINDS.CLICK, _KINDS.COPY, _KINDS.CONVERSION, _KINDS.RETRY, _KINDS.ABANDONMENT,
    _KINDS.EDIT,
)  # fmt: skip
"""Channels of the label model by position: part of the stored parameters, so new ones are added at the end."""
OPINIONS: Final = (_KINDS.THUMB, _KINDS.RATING)
BEHAVIOUR: Final = tuple(kind for kind in VERDICT_CHANNELS if kind not in OPINIONS)

_SAYS_RIGHT: Final = (_KINDS.CLICK, _KINDS.COPY, _KINDS.CONVERSION)
_SAYS_WRONG: Final = (_KINDS.RETRY, _KINDS.ABANDONMENT)
_OPINION_CHANNELS: Final = [VERDICT_CHANNELS.index(kind) for kind in OPINIONS]
_NOBODY: Final = b" " * 64
_Scalar = TypeVar("_Scalar", bound=np.generic)


class Source(NamedTuple):
    """Who said it: an annotator or reviewer, a respondent by their keyed hash, or nobody known."""

    annotator_id: int | None = None
    respondent_hash: str = ""


class Origin(StrEnum):
    """The table that a piece of evidence is stored in."""

    ANNOTATION = "annotation"
    CORRECTION = "correction"
    FEEDBACK = "feedback"
    GOLD = "gold"
    REVIEW = "review"


@dataclass(frozen=True, eq=False)
class Gathered:
    """The evidence and what its positions stand for.

    item_ids, sources
        By position; item ids ascend. Who is not known has a position for each thing said.
    origin, row_id, taken
        Shape (n,): where each piece is stored, and how it was given.
    """

    evidence: Evidence
    classes: tuple[str, ...]
    item_ids: NDArray[np.int64]
    sources: list[Source]
    origin: NDArray[np.str_]
    row_id: NDArray[np.int64]
    timing: Timing

    @property
    def annotator_ids(self) -> NDArray[np.int64]:
        """By source position the annotator's id, -1 for other sources."""
        ids = (-1 if source.annotator_id is None else source.annotator_id for source in self.sources)
        return np.fromiter(ids, dtype=np.int64, count=len(self.sources))

    def fingerprint(self) -> str:
        """SHA-256 over every row, in an order and in terms that do not depend on this read; hex."""
        order = np.lexsort((self.row_id, self.origin))
        said = self.evidence
        digest = hashlib.sha256(repr(self.classes).encode())
        for column in (
            self.row_id, self.item_ids[said.item] if len(said) else said.item, said.answer, said.kind.astype(np.int64),
            said.channel, said.predicted, said.epsilon, said.weight,
        ):  # fmt: skip
            digest.update(column[order].astype(column.dtype.newbyteorder("<")).tobytes())
        return digest.hexdigest()


def gather(
    project: Project,
    policy: AcceptancePolicy,
    classes: Iterable[str],
    *,
    item_ids: Collection[int] | None = None,
    weighs_sources: bool = True,
    anchored_weight: float = 1.0,
) -> Gathered:
    """Read the standing evidence about these items, or all there is.

    Parameters
    ----------
    classes
        Keys in the order of the posteriors.
    weighs_sources
        Whether what a source says counts by its standing; the detectors look at everybody alike.
    anchored_weight
        What an answer counts that agrees with a model's answer its giver had seen.

    Of reviewers the newest word about an item counts, and only if it states a class.

    Four statements whatever the number of items, and about 400 bytes of memory for each piece of evidence meanwhile.
    """
    keys = tuple(classes)
    said = _Statements(project, keys, item_ids)
    parts = [said.annotations(), *said.of_respondents(policy), said.decisions()]
    return _put_together(project, keys, [part for part in parts if len(part.item_id)], weighs_sources, anchored_weight)


# Columns of nothing yet known are given a value, so that all records have one width.
_ANNOTATIONS: Final = """
    SELECT said.id, said.item_id, said.annotator_id::bigint, class.place - 1, said.is_ground_truth,
        COALESCE(said.suggested_answer->>'choice' = class.key, false) AND NOT said.is_ground_truth,
        extract(epoch FROM said.created_at)::double precision, COALESCE(said.duration_ms / 1000.0, 'NaN')::double precision
    FROM labeling_annotation said JOIN labeling_item item ON item.id = said.item_id AND item.project_id = %(project)s
    JOIN unnest(%(classes)s::text[]) WITH ORDINALITY AS class (key, place) ON class.key = said.answer->>'choice'
    WHERE said.withdrawn_at IS NULL AND {wanted}"""
_ANNOTATION_COLUMNS: Final[Columns] = {
    "id": ">i8", "item_id": ">i8", "source": ">i8", "answer": ">i8", "is_truth": "?", "agrees": "?", "at": ">f8",
    "taken": ">f8",
}  # fmt: skip

_CORRECTIONS: Final = """
    SELECT said.id, said.item_id, rpad(said.respondent_hash, 64), class.place - 1, COALESCE(about.place, 0) - 1,
        (array_position(%(channels)s::text[], said.channel::text) - 1)::bigint,
        COALESCE(said.is_anchored AND prediction.predicted_class = class.key, false),
        extract(epoch FROM said.occurred_at)::double precision
    FROM labeling_correction said
    JOIN unnest(%(classes)s::text[]) WITH ORDINALITY AS class (key, place) ON class.key = said.answer->>'choice'
    LEFT JOIN labeling_prediction prediction ON prediction.id = said.prediction_id
    LEFT JOIN unnest(%(classes)s::text[]) WITH ORDINALITY AS about (key, place) ON about.key = prediction.predicted_class
    WHERE said.project_id = %(project)s AND said.superseded_at IS NULL AND said.item_id IS NOT NULL AND {wanted}"""
_CORRECTION_COLUMNS: Final[Columns] = {
    "id": ">i8", "item_id": ">i8", "source": "S64", "answer": ">i8", "predicted": ">i8", "channel": ">i8",
    "agrees": "?", "at": ">f8",
}  # fmt: skip

_VERDICTS: Final = """
    SELECT said.id, said.item_id, rpad(said.respondent_hash, 64),
        (array_position(%(channels)s::text[], said.kind::text) - 1)::bigint, COALESCE(said.score, 'NaN'),
        about.place - 1, COALESCE(said.epsilon, 'NaN'), extract(epoch FROM said.occurred_at)::double precision
    FROM labeling_feedback said JOIN labeling_prediction prediction ON prediction.id = said.prediction_id
    JOIN unnest(%(classes)s::text[]) WITH ORDINALITY AS about (key, place) ON about.key = prediction.predicted_class
    WHERE said.project_id = %(project)s AND said.superseded_at IS NULL AND said.item_id IS NOT NULL
        AND said.kind = ANY(%(kinds)s) AND {wanted}"""
_VERDICT_COLUMNS: Final[Columns] = {
    "id": ">i8", "item_id": ">i8", "source": "S64", "channel": ">i8", "score": ">f8", "predicted": ">i8",
    "epsilon": ">f8", "at": ">f8",
}  # fmt: skip

# Gold and what reviewers said last, of which only a class says something.
_DECISIONS: Final = """
    SELECT said.id, said.item_id, -1::bigint, class.place - 1, true, extract(epoch FROM said.created_at)::double precision
    FROM datasets_golditem said
    JOIN unnest(%(classes)s::text[]) WITH ORDINALITY AS class (key, place) ON class.key = said.answer->>'choice'
    WHERE said.project_id = %(project)s AND {wanted}
    UNION ALL
    SELECT last.id, last.item_id, last.reviewer_id::bigint, class.place - 1, false,
        extract(epoch FROM last.decided_at)::double precision
    FROM (
        SELECT DISTINCT ON (said.item_id, said.reviewer_id) said.*
        FROM datasets_reviewdecision said
        JOIN labeling_item item ON item.id = said.item_id AND item.project_id = %(project)s
        WHERE said.action <> 'open' AND {wanted} ORDER BY said.item_id, said.reviewer_id, said.id DESC
    ) last
    JOIN unnest(%(classes)s::text[]) WITH ORDINALITY AS class (key, place) ON class.key = last.answer->>'choice'
    WHERE last.action = ANY(%(deciding)s)"""
_DECISION_COLUMNS: Final[Columns] = {
    "id": ">i8", "item_id": ">i8", "source": ">i8", "answer": ">i8", "is_gold": "?", "at": ">f8",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Part:
    """Some of the evidence: each column an array or what all rows have. `source`: ids, hashes, or -1 and blank for nobody."""

    origin: NDArray[np.str_]
    row_id: NDArray[np.int64]
    item_id: NDArray[np.int64]
    source: NDArray[np.int64] | NDArray[np.bytes_]
    answer: NDArray[np.int64]
    kind: NDArray[np.int64] | Kind
    given_at: NDArray[np.float64]
    channel: NDArray[np.int64] | int = 0
    predicted: NDArray[np.int64] | int = -1
    epsilon: NDArray[np.float64] | float = np.nan
    agrees_with_shown: NDArray[np.bool_] | bool = False
    taken: NDArray[np.float64] | float = np.nan


class _Statements:
    """The statements, for one project and perhaps some items of it."""

    def __init__(self, project: Project, classes: tuple[str, ...], item_ids: Collection[int] | None) -> None:
        self.wanted = "true" if item_ids is None else "said.item_id = ANY(%(items)s)"
        self.values = {
            "project": project.pk,
            "classes": list(classes),
            "items": None if item_ids is None else list(item_ids),
        }

    def _read(self, statement: str, columns: Columns, **values: object) -> NDArray[np.void]:
        return read(statement.format(wanted=self.wanted), {**self.values, **values}, columns)

    def annotations(self) -> _Part:
        rows = self._read(_ANNOTATIONS, _ANNOTATION_COLUMNS)
        return _Part(
            np.full(len(rows), Origin.ANNOTATION.value),
            _whole(rows["id"]),
            _whole(rows["item_id"]),
            _whole(rows["source"]),
            _whole(rows["answer"]),
            np.where(rows["is_truth"], Kind.GOLD, Kind.ANNOTATION).astype(np.int64),
            _real(rows["at"]),
            agrees_with_shown=rows["agrees"],
            taken=_real(rows["taken"]),
        )

    def of_respondents(self, policy: AcceptancePolicy) -> list[_Part]:
        """What the policy counts of it."""
        parts = [self._corrections()] if policy.uses_corrections else []
        kinds = [*(OPINIONS if policy.uses_thumbs else ()), *(BEHAVIOUR if policy.uses_implicit else ())]
        return [*parts, self._verdicts(kinds)] if kinds else parts

    def _corrections(self) -> _Part:
        rows = self._read(_CORRECTIONS, _CORRECTION_COLUMNS, channels=list(map(str, CORRECTION_CHANNELS)))
        return _Part(
            np.full(len(rows), Origin.CORRECTION.value),
            _whole(rows["id"]),
            _whole(rows["item_id"]),
            rows["source"],
            _whole(rows["answer"]),
            Kind.CORRECTION,
            _real(rows["at"]),
            channel=_whole(rows["channel"]),
            predicted=_whole(rows["predicted"]),
            agrees_with_shown=rows["agrees"],
        )

    def _verdicts(self, kinds: list[Feedback.Kind]) -> _Part:
        rows = self._read(
            _VERDICTS, _VERDICT_COLUMNS, channels=list(map(str, VERDICT_CHANNELS)), kinds=list(map(str, kinds))
        )
        verdict = _verdicts(rows["channel"], rows["score"])
        rows, verdict = rows[verdict >= 0], verdict[verdict >= 0]
        is_opinion = np.isin(rows["channel"], _OPINION_CHANNELS)
        return _Part(
            np.full(len(rows), Origin.FEEDBACK.value),
            _whole(rows["id"]),
            _whole(rows["item_id"]),
            rows["source"],
            verdict,
            np.where(is_opinion, Kind.THUMB, Kind.IMPLICIT).astype(np.int64),
            _real(rows["at"]),
            channel=_whole(rows["channel"]),
            predicted=_whole(rows["predicted"]),
            epsilon=_real(rows["epsilon"]),
        )

    def decisions(self) -> _Part:
        deciding = [ReviewDecision.Action.DECIDE.value, ReviewDecision.Action.GOLD.value]
        rows = self._read(_DECISIONS, _DECISION_COLUMNS, deciding=deciding)
        return _Part(
            np.where(rows["is_gold"], Origin.GOLD.value, Origin.REVIEW.value),
            _whole(rows["id"]),
            _whole(rows["item_id"]),
            _whole(rows["source"]),
            _whole(rows["answer"]),
            np.where(rows["is_gold"], Kind.GOLD, Kind.REVIEW).astype(np.int64),
            _real(rows["at"]),
        )


def _put_together(
    project: Project, classes: tuple[str, ...], parts: list[_Part], weighs_sources: bool, anchored_weight: float
) -> Gathered:
    sizes = [len(part.item_id) for part in parts]
    item_ids, item = _distinct([part.item_id for part in parts])
    sources, source = _sources([part.source for part in parts])
    agrees = _column([part.agrees_with_shown for part in parts], sizes, np.bool_)
    weight = np.where(agrees, anchored_weight, 1.0)
    if weighs_sources:
        weight = weight * _standings(project, sources)[source]
    found = evidence(
        item,
        source,
        _column([part.answer for part in parts], sizes, np.int64),
        n_items=len(item_ids),
        n_sources=len(sources),
        n_classes=len(classes),
        kind=_column([part.kind for part in parts], sizes, np.int64),
        channel=_column([part.channel for part in parts], sizes, np.int64),
        predicted=_column([part.predicted for part in parts], sizes, np.int64),
        epsilon=_column([part.epsilon for part in parts], sizes, np.float64),
        weight=weight,
    )
    return Gathered(
        found,
        classes,
        item_ids,
        sources,
        np.concatenate([np.empty(0, dtype="U1"), *(part.origin for part in parts)]),
        _column([part.row_id for part in parts], sizes, np.int64),
        Timing(
            _column([part.given_at for part in parts], sizes, np.float64),
            _column([part.taken for part in parts], sizes, np.float64),
        ),
    )


def _distinct(ids: list[NDArray[np.int64]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    found, place = np.unique(np.concatenate([np.empty(0, dtype=np.int64), *ids]), return_inverse=True)
    return found, place.astype(np.int64)


def _sources(named: list[NDArray[np.int64] | NDArray[np.bytes_]]) -> tuple[list[Source], NDArray[np.int64]]:
    """Everybody once, annotators first, and at which position whoever said each row stands."""
    people = [names for names in named if names.dtype.kind == "i"]
    hashes = [names for names in named if names.dtype.kind == "S"]
    ids = np.unique(np.concatenate([np.empty(0, dtype=np.int64), *people]))
    ids = ids[ids >= 0]
    respondents = np.unique(np.concatenate([np.empty(0, dtype="S64"), *hashes]))
    respondents = respondents[respondents != _NOBODY]
    sources = [Source(annotator_id) for annotator_id in ids.tolist()]
    sources += [Source(None, name.decode().rstrip()) for name in respondents.tolist()]
    positions = []
    for names in named:
        if names.dtype.kind == "i":
            place, is_nobody = np.searchsorted(ids, names), np.asarray(names == -1)
        else:
            place, is_nobody = len(ids) + np.searchsorted(respondents, names), names == _NOBODY
        unknown = int(is_nobody.sum())
        place[is_nobody] = len(sources) + np.arange(unknown)
        sources += [Source()] * unknown
        positions.append(place)
    return sources, np.concatenate([np.empty(0, dtype=np.int64), *positions])


def _standings(project: Project, sources: list[Source]) -> NDArray[np.float64]:
    """What each source counts, shape (n_sources,)."""
    doubted = SourceStanding.objects.filter(project=project, weight__lt=1.0)
    weight_of = {
        Source(annotator_id, respondent): weight
        for annotator_id, respondent, weight in doubted.values_list("annotator_id", "respondent_hash", "weight")
    }
    if not weight_of:
        return np.ones(len(sources))
    return np.array([weight_of.get(source, 1.0) for source in sources], dtype=np.float64)


def _verdicts(channel: NDArray[np.int64], score: NDArray[np.float64]) -> NDArray[np.int64]:
    """1: it says that the prediction was right, 0: that it was wrong, -1: neither."""
    kind = np.array(VERDICT_CHANNELS)[channel] if len(channel) else np.empty(0, dtype=np.str_)
    says_right = np.select(
        [np.isin(kind, _SAYS_RIGHT), kind == _KINDS.EDIT, kind == _KINDS.THUMB, kind == _KINDS.RATING],
        [True, score <= 0.0, score >= 0.5, score >= GOOD_RATING],
        False,
    )
    says_wrong = np.select(
        [np.isin(kind, _SAYS_WRONG), kind == _KINDS.EDIT, kind == _KINDS.THUMB, kind == _KINDS.RATING],
        [True, score > 0.0, score < 0.5, score <= BAD_RATING],
        False,
    )
    return np.select([says_right, says_wrong], [1, 0], -1).astype(np.int64)


def _whole(column: NDArray[np.int64]) -> NDArray[np.int64]:
    return column.astype(np.int64)


def _real(column: NDArray[np.float64]) -> NDArray[np.float64]:
    return column.astype(np.float64)


def _column(values: list[Any], sizes: list[int], dtype: type[_Scalar]) -> NDArray[_Scalar]:
    """One column of all parts; a single value stands for all rows of its part."""
    columns = [np.full(size, value, dtype=dtype) for value, size in zip(values, sizes, strict=True)]
    return np.concatenate([np.empty(0, dtype=dtype), *columns])
