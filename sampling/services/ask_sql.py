"""The statements under asking. Each is prepared once a connection; a "no" takes two of them, an ask four.

What is asked about and decided travels as one JSON document each way, so that a statement has one text whatever is in it.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from labeling import prepared
from labeling.locks import LockKind, key_of
from labeling.models import PoolEntry

MOST_PAST_ASKS: Final = 200
_LABELLED_STATES: Final = frozenset({PoolEntry.State.QUEUED, PoolEntry.State.ANSWERED, PoolEntry.State.UNUSABLE})

# Each part is looked up for itself, so that no number of wanted rows makes PostgreSQL read a whole table.
_READ: Final = """
SELECT wanted.nth, decision.id, items.found, respondent.opted_out_until, respondent.epsilon_spent, respondent.right_count,
    respondent.wrong_count, asks.found, respondent.is_blocked,
    EXISTS (SELECT FROM labeling_respondent known
        WHERE known.project_id = wanted.project_id AND known.respondent_hash = ANY(wanted.earlier_hashes))
    OR EXISTS (SELECT FROM labeling_ask known
        WHERE known.project_id = wanted.project_id AND known.respondent_hash = ANY(wanted.earlier_hashes))
FROM jsonb_to_recordset(%(wanted)s::jsonb) AS wanted (nth integer, project_id bigint, opportunity_id text, keys text[],
        respondent_hash text, earlier_hashes text[], since timestamptz, now timestamptz)
    LEFT JOIN LATERAL (
        SELECT id FROM sampling_askdecision
        WHERE project_id = wanted.project_id AND opportunity_id = wanted.opportunity_id LIMIT 1) decision ON true
    LEFT JOIN LATERAL (
        SELECT opted_out_until, epsilon_spent, right_count, wrong_count, is_blocked FROM labeling_respondent
        WHERE project_id = wanted.project_id AND respondent_hash = wanted.respondent_hash LIMIT 1) respondent ON true
    LEFT JOIN LATERAL (
        SELECT json_agg(json_build_array(item.key, item.id, pool.state, item.segments,
            EXISTS (
                SELECT FROM labeling_ask ask
                    JOIN labeling_questionversion version ON version.id = ask.question_version_id
                WHERE ask.item_id = item.id AND version.kind = 'correction'
                    AND (ask.state = 'answered'
                        OR (ask.state IN ('offered', 'shown') AND ask.expires_at > wanted.now))),
            pool.model_version_id, encode(pool.probabilities, 'hex'), prediction.id, prediction.answer)) AS found
        FROM labeling_item item
            JOIN labeling_poolentry pool ON pool.item_id = item.id
            LEFT JOIN labeling_prediction prediction
                ON prediction.item_id = item.id AND prediction.model_version_id = pool.model_version_id
        WHERE item.project_id = wanted.project_id AND item.key = ANY(wanted.keys)) items ON true
    LEFT JOIN LATERAL (
        SELECT json_agg(json_build_array(extract(epoch FROM ask.created_at)::float8,
            extract(epoch FROM ask.shown_at)::float8, extract(epoch FROM ask.dismissed_at)::float8,
            extract(epoch FROM ask.answered_at)::float8, extract(epoch FROM ask.expires_at)::float8, ask.state,
            version.question_id, ask.session_hash, ask.item_id)) AS found
        FROM (SELECT * FROM labeling_ask
              WHERE project_id = wanted.project_id AND respondent_hash = wanted.respondent_hash
                  AND created_at > wanted.since AND wanted.respondent_hash <> ''
              ORDER BY created_at DESC LIMIT %(most)s) ask
            JOIN labeling_questionversion version ON version.id = ask.question_version_id) asks ON true"""

# Every asking holds the first until commit, shared; who rebuilds the counters holds it alone. The second makes the asks
# of a respondent take turns.
_LOCK: Final = "SELECT pg_advisory_xact_lock_shared(%(counters)s), pg_advisory_xact_lock(%(respondent)s)"

# One statement: the items that are new, what the model says of them, the decisions, and (in the second text) the asks.
# `version` is locked so that the pool never gets the word of a champion that is being replaced. An item that somebody
# else created meanwhile is in no snapshot of ours: then `known` is short of it, nothing is decided, and the caller
# begins again.
_WRITE: Final = """
WITH made AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(%(records)s::jsonb) AS made (
        nth integer, rows jsonb, project_id bigint, opportunity_id text, policy_id bigint, question_version_id bigint,
        champion_id bigint, respondent_hash text, session_hash text, segment text, place integer, is_ask boolean,
        reason text, is_eligible boolean, is_blind boolean, is_audit boolean, propensity float8, draw float8,
        utility float8, terms jsonb, log_weight float8, is_logged boolean, predicted_answer jsonb,
        expires_at timestamptz, now timestamptz)
), given AS MATERIALIZED (
    SELECT given.*, made.nth, made.project_id, made.respondent_hash, made.now
    FROM made CROSS JOIN LATERAL jsonb_to_recordset(made.rows) AS given (
        place integer, item_id bigint, key text, bucket smallint, payload jsonb, segments jsonb,
        version_id bigint, probabilities text, predicted_class text, confidence float8, answer jsonb, context jsonb,
        prediction_id bigint)
), version AS MATERIALIZED (
    SELECT id FROM labeling_modelversion WHERE id IN (SELECT champion_id FROM made) AND stage = 'champion'
    ORDER BY id FOR SHARE
), created AS (
    INSERT INTO labeling_item (project_id, key, payload, segments, bucket, created_at, updated_at)
    SELECT project_id, key, payload, segments, bucket, now, now FROM given WHERE item_id IS NULL ORDER BY project_id, key
    ON CONFLICT (project_id, key) DO NOTHING
    RETURNING id, project_id, key
), known AS MATERIALIZED (
    SELECT given.*, coalesce(given.item_id, created.id) AS id, decode(given.probabilities, 'hex') AS packed
    FROM given LEFT JOIN created ON created.project_id = given.project_id AND created.key = given.key
    WHERE given.item_id IS NOT NULL OR created.id IS NOT NULL
), pooled AS (
    INSERT INTO labeling_poolentry (item_id, project_id, state, bucket, model_version_id, probabilities, scored_at)
    SELECT known.id, project_id, 0, bucket, version.id, CASE WHEN version.id IS NOT NULL THEN packed END,
        CASE WHEN version.id IS NOT NULL THEN now END
    FROM known LEFT JOIN version ON version.id = known.version_id WHERE known.item_id IS NULL
), predicted AS (
    INSERT INTO labeling_prediction (item_id, model_version_id, probabilities, predicted_class, answer, confidence,
        respondent_hash, context, created_at)
    SELECT id, version_id, packed, predicted_class, answer, confidence, respondent_hash, context, now
    FROM known WHERE version_id IS NOT NULL AND packed IS NOT NULL ORDER BY id
    ON CONFLICT (item_id, model_version_id) DO UPDATE SET
        probabilities = excluded.probabilities, predicted_class = excluded.predicted_class, answer = excluded.answer,
        confidence = excluded.confidence, respondent_hash = excluded.respondent_hash, context = excluded.context,
        created_at = excluded.created_at
    RETURNING id, item_id
), stale AS (
    SELECT entry.item_id, version.id AS version_id, known.packed, known.now FROM labeling_poolentry entry
        JOIN known ON known.id = entry.item_id AND known.item_id IS NOT NULL AND known.packed IS NOT NULL
        JOIN version ON version.id = known.version_id
    ORDER BY entry.item_id FOR NO KEY UPDATE OF entry
), scored AS (
    UPDATE labeling_poolentry entry
    SET model_version_id = stale.version_id, probabilities = stale.packed, scored_at = stale.now
    FROM stale WHERE entry.item_id = stale.item_id
), subject AS MATERIALIZED (
    SELECT made.*, known.id AS item_id, coalesce(known.prediction_id, predicted.id) AS prediction_id, known.version_id,
        (SELECT count(*) FROM known found WHERE found.nth = made.nth)
            = (SELECT count(*) FROM given wanted WHERE wanted.nth = made.nth) AS is_complete
    FROM made
        LEFT JOIN known ON known.nth = made.nth AND known.place = made.place
        LEFT JOIN predicted ON predicted.item_id = known.id
){asked}, decided AS (
    INSERT INTO sampling_askdecision (project_id, opportunity_id, policy_id, question_version_id, item_id, prediction_id,
        model_version_id, ask_id, respondent_hash, segment, is_ask, reason, is_eligible, is_blind, propensity, draw, utility,
        terms, log_weight, created_at)
    SELECT project_id, opportunity_id, policy_id, question_version_id, item_id, prediction_id, version_id, {ask_id},
        respondent_hash, segment, is_ask, reason, is_eligible, is_blind, propensity, draw, utility, terms, log_weight, now
    FROM subject WHERE is_logged AND is_complete
    {on_conflict}
    RETURNING id, project_id, opportunity_id
)
SELECT subject.nth, decided.id, {ask_id}, subject.prediction_id, subject.is_complete
FROM subject LEFT JOIN decided USING (project_id, opportunity_id)"""

_ASK: Final = """, met AS (
    INSERT INTO labeling_respondent (project_id, respondent_hash, epsilon_spent, right_count, wrong_count, created_at)
    SELECT project_id, respondent_hash, 0, 0, 0, now FROM made WHERE respondent_hash <> ''
    ON CONFLICT (project_id, respondent_hash) DO NOTHING
), asked AS (
    INSERT INTO labeling_ask (project_id, opportunity_id, question_version_id, item_id, prediction_id, model_version_id,
        predicted_answer, is_blind, respondent_hash, session_hash, segment, propensity, is_audit, state, created_at, expires_at)
    SELECT project_id, opportunity_id, question_version_id, item_id, prediction_id, version_id, predicted_answer, is_blind,
        respondent_hash, session_hash, segment, propensity, is_audit, 'offered', now, expires_at
    FROM subject WHERE is_complete
    RETURNING id
)"""

_REFUSE: Final = _WRITE.format(
    asked="", ask_id="NULL::bigint", on_conflict="ON CONFLICT (project_id, opportunity_id) DO NOTHING"
)
_OFFER: Final = _WRITE.format(asked=_ASK, ask_id="(SELECT id FROM asked)", on_conflict="")


@dataclass(frozen=True, slots=True)
class KnownItem:
    """An item that exists, and what the champion says of it."""

    item_id: int
    segments: dict[str, str]
    is_labelled: bool
    version_id: int | None
    probabilities: bytes | None
    prediction_id: int | None
    answer: Any


@dataclass(frozen=True, slots=True)
class Asked:
    """An earlier ask of the respondent, by the clock (seconds since 1970)."""

    created: float
    shown: float | None
    dismissed: float | None
    answered: float | None
    expires: float
    state: str
    question_id: int
    session_hash: str
    item_id: int | None = None


@dataclass(frozen=True, slots=True)
class State:
    """What is known of the opportunity before it is decided."""

    decision_id: int | None
    items: dict[str, KnownItem]
    opted_out_until: dt.datetime | None = None
    epsilon_spent: float = 0.0
    right_count: int = 0
    wrong_count: int = 0
    history: tuple[Asked, ...] = ()
    is_blocked: bool = False
    is_known_by_earlier: bool = False
    """Something stands under an earlier hash of the respondent, and is not in here."""


class WrittenRow(msgspec.Struct, kw_only=True):
    """An item as the writing statement takes it: by its id, or with what is needed to create it."""

    place: int
    key: str
    item_id: int | None = None
    bucket: int = 0
    payload: msgspec.Raw | None = None
    segments: msgspec.Raw | None = None
    version_id: int | None = None
    probabilities: str | None = None
    predicted_class: str | None = None
    confidence: float | None = None
    answer: Any = None
    context: msgspec.Raw | None = None
    prediction_id: int | None = None


class Record(msgspec.Struct, kw_only=True):
    """What is to be logged at `now`. `place` is the candidate that it is about; -1 where it is about none of several."""

    nth: int = 0
    now: dt.datetime
    project_id: int
    opportunity_id: str
    policy_id: int
    question_version_id: int | None
    champion_id: int | None
    respondent_hash: str
    session_hash: str
    segment: str
    place: int
    is_ask: bool
    reason: str
    is_eligible: bool
    propensity: float | None
    draw: float | None
    utility: float | None
    terms: msgspec.Raw
    rows: Sequence[WrittenRow]
    is_blind: bool = False
    is_audit: bool = False
    is_logged: bool = True
    log_weight: float = 1.0
    predicted_answer: Any = None
    expires_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """`decision_id` is None where it was not to be logged, or somebody else decided the opportunity; `is_complete` is False
    where somebody else created an item meanwhile, and then nothing was decided."""

    decision_id: int | None
    ask_id: int | None
    prediction_id: int | None
    is_complete: bool


_nothing: Final[Sequence[Any]] = ()
_encode: Final = msgspec.json.Encoder().encode


class Wanted(msgspec.Struct, kw_only=True):
    """Whose state is wanted. `since` is how far back asks of the respondent matter; the earlier hashes are those of keys that were
    rotated."""

    nth: int = 0
    project_id: int
    opportunity_id: str
    keys: Sequence[str]
    respondent_hash: str
    earlier_hashes: Sequence[str] = ()
    since: dt.datetime
    now: dt.datetime


def read(several: Sequence[Wanted]) -> list[State]:
    """The state of each, in one fresh snapshot."""
    for nth, wanted in enumerate(several):
        wanted.nth = nth
    states = {
        nth: _state(*columns)
        for nth, *columns in prepared.fetch(_READ, {"wanted": _encode(several).decode(), "most": MOST_PAST_ASKS})
    }
    return [states[nth] for nth in range(len(several))]


def _state(
    decision_id: int | None,
    items: list[Any] | None,
    opted_out_until: dt.datetime | None,
    epsilon_spent: float | None,
    right_count: int | None,
    wrong_count: int | None,
    asks: list[Any] | None,
    is_blocked: bool | None,
    is_known_by_earlier: bool,
) -> State:
    return State(
        decision_id,
        {key: _known(*columns) for key, *columns in items or _nothing},
        opted_out_until,
        epsilon_spent or 0.0,
        right_count or 0,
        wrong_count or 0,
        tuple(Asked(*columns) for columns in asks or _nothing),
        bool(is_blocked),
        is_known_by_earlier,
    )


def _known(
    item_id: int,
    state: int,
    segments: dict[str, str],
    is_asked: bool,
    version_id: int | None,
    probabilities: str | None,
    prediction_id: int | None,
    answer: Any,
) -> KnownItem:
    return KnownItem(
        item_id,
        segments,
        is_asked or state in _LABELLED_STATES,
        version_id,
        bytes.fromhex(probabilities) if probabilities else None,
        prediction_id,
        answer,
    )


def lock(project_id: int, respondent_hash: str) -> None:
    """Wait for the locks of asking and hold them until the transaction ends. Nobody named: nobody to wait for."""
    respondent = int(respondent_hash[:12], 16) if respondent_hash else None
    prepared.fetch(
        _LOCK,
        {
            "counters": key_of(LockKind.ASK_COUNTERS, project_id),
            "respondent": None if respondent is None else key_of(LockKind.ASKED_RESPONDENT, respondent),
        },
    )


def write(records: Sequence[Record]) -> list[Written]:
    """Store items, predictions, decisions and asks in one statement. Either one ask, or any number that are none; no two may be
    about the same opportunity or the same item."""
    for nth, record in enumerate(records):
        record.nth = nth
    statement = _OFFER if records[0].is_ask else _REFUSE
    written = {
        nth: Written(*columns) for nth, *columns in prepared.fetch(statement, {"records": _encode(records).decode()})
    }
    return [written[nth] for nth in range(len(records))]
