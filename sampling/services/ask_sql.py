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

_READ_ITEMS: Final = """
SELECT decision.id, items.found, respondent.opted_out_until, respondent.epsilon_spent, respondent.right_count,
    respondent.wrong_count, asks.found, respondent.is_blocked
FROM (VALUES (1)) AS one (row_number)
    LEFT JOIN sampling_askdecision decision
        ON decision.project_id = %(project)s AND decision.opportunity_id = %(opportunity)s
    LEFT JOIN labeling_respondent respondent
        ON respondent.project_id = %(project)s AND respondent.respondent_hash = %(respondent)s
    LEFT JOIN LATERAL (
        SELECT json_agg(json_build_array(item.key, item.id, pool.state, item.segments,
            EXISTS (
                SELECT FROM labeling_ask ask
                    JOIN labeling_questionversion version ON version.id = ask.question_version_id
                WHERE ask.item_id = item.id AND version.kind = 'correction'
                    AND (ask.state = 'answered' OR (ask.state IN ('offered', 'shown') AND ask.expires_at > %(now)s))),
            pool.model_version_id, encode(pool.probabilities, 'hex'), prediction.id, prediction.answer)) AS found
        FROM labeling_item item
            JOIN labeling_poolentry pool ON pool.item_id = item.id
            LEFT JOIN labeling_prediction prediction
                ON prediction.item_id = item.id AND prediction.model_version_id = pool.model_version_id
        WHERE item.project_id = %(project)s AND {of_keys}) items ON true
    LEFT JOIN LATERAL (
        SELECT json_agg(json_build_array(extract(epoch FROM ask.created_at)::float8,
            extract(epoch FROM ask.shown_at)::float8, extract(epoch FROM ask.dismissed_at)::float8,
            extract(epoch FROM ask.answered_at)::float8, extract(epoch FROM ask.expires_at)::float8, ask.state,
            version.question_id, ask.session_hash, ask.item_id)) AS found
        FROM (SELECT * FROM labeling_ask
              WHERE project_id = %(project)s AND respondent_hash = %(respondent)s AND created_at > %(since)s
                  AND %(respondent)s <> '' ORDER BY created_at DESC LIMIT %(most)s) ask
            JOIN labeling_questionversion version ON version.id = ask.question_version_id) asks ON true"""

# PostgreSQL takes an array to have ten elements, and would rather plan anew each time than trust that.
_READ_ONE: Final = _READ_ITEMS.format(of_keys="item.key = %(key)s")
_READ: Final = _READ_ITEMS.format(of_keys="item.key = ANY(%(keys)s)")

# Every asking holds the first until commit, shared; who rebuilds the counters holds it alone. The second makes the asks
# of a respondent take turns.
_LOCK: Final = "SELECT pg_advisory_xact_lock_shared(%(counters)s), pg_advisory_xact_lock(%(respondent)s)"

# One statement: the items that are new, what the model says of them, the decision, and (in the second text) the ask.
# `version` is locked so that the pool never gets the word of a champion that is being replaced. An item that somebody
# else created meanwhile is in no snapshot of ours: then `known` is short of it, nothing is decided, and the caller
# begins again.
_WRITE: Final = """
WITH given AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(%(rows)s::jsonb) AS given (
        place integer, item_id bigint, key text, bucket smallint, payload jsonb, segments jsonb, version_id bigint,
        probabilities text, predicted_class text, confidence float8, answer jsonb, context jsonb, prediction_id bigint)
), version AS MATERIALIZED (
    SELECT id FROM labeling_modelversion WHERE id = %(champion)s AND stage = 'champion' FOR SHARE
), created AS (
    INSERT INTO labeling_item (project_id, key, payload, segments, bucket, created_at, updated_at)
    SELECT %(project)s, key, payload, segments, bucket, %(now)s, %(now)s FROM given WHERE item_id IS NULL ORDER BY key
    ON CONFLICT (project_id, key) DO NOTHING
    RETURNING id, key
), known AS MATERIALIZED (
    SELECT given.*, coalesce(given.item_id, created.id) AS id, decode(given.probabilities, 'hex') AS packed
    FROM given LEFT JOIN created ON created.key = given.key
    WHERE given.item_id IS NOT NULL OR created.id IS NOT NULL
), pooled AS (
    INSERT INTO labeling_poolentry (item_id, project_id, state, bucket, model_version_id, probabilities, scored_at)
    SELECT known.id, %(project)s, 0, bucket, version.id, CASE WHEN version.id IS NOT NULL THEN packed END,
        CASE WHEN version.id IS NOT NULL THEN %(now)s END
    FROM known LEFT JOIN version ON version.id = known.version_id WHERE known.item_id IS NULL
), predicted AS (
    INSERT INTO labeling_prediction (item_id, model_version_id, probabilities, predicted_class, answer, confidence,
        respondent_hash, context, created_at)
    SELECT id, version_id, packed, predicted_class, answer, confidence, %(respondent)s, context, %(now)s
    FROM known WHERE version_id IS NOT NULL AND packed IS NOT NULL ORDER BY id
    ON CONFLICT (item_id, model_version_id) DO UPDATE SET
        probabilities = excluded.probabilities, predicted_class = excluded.predicted_class, answer = excluded.answer,
        confidence = excluded.confidence, respondent_hash = excluded.respondent_hash, context = excluded.context,
        created_at = excluded.created_at
    RETURNING id, item_id
), stale AS (
    SELECT entry.item_id, known.packed FROM labeling_poolentry entry
        JOIN known ON known.id = entry.item_id AND known.item_id IS NOT NULL AND known.packed IS NOT NULL
        JOIN version ON version.id = known.version_id
    ORDER BY entry.item_id FOR NO KEY UPDATE OF entry
), scored AS (
    UPDATE labeling_poolentry entry SET model_version_id = %(champion)s, probabilities = stale.packed, scored_at = %(now)s
    FROM stale WHERE entry.item_id = stale.item_id
), subject AS MATERIALIZED (
    SELECT known.id, coalesce(known.prediction_id, predicted.id) AS prediction_id, known.version_id
    FROM known LEFT JOIN predicted ON predicted.item_id = known.id WHERE known.place = %(place)s
){asked}, decided AS (
    INSERT INTO sampling_askdecision (project_id, opportunity_id, policy_id, question_version_id, item_id, prediction_id,
        model_version_id, ask_id, respondent_hash, segment, is_ask, reason, is_eligible, is_blind, propensity, draw, utility,
        terms, log_weight, created_at)
    SELECT %(project)s, %(opportunity)s, %(policy)s, %(question)s, (SELECT id FROM subject),
        (SELECT prediction_id FROM subject), (SELECT version_id FROM subject), {ask_id}, %(respondent)s, %(segment)s,
        %(is_ask)s, %(reason)s, %(is_eligible)s, %(is_blind)s, %(propensity)s::float8, %(draw)s::float8, %(utility)s::float8,
        %(terms)s::jsonb, %(log_weight)s::float8, %(now)s
    WHERE %(is_logged)s AND (SELECT count(*) FROM known) = (SELECT count(*) FROM given)
    {on_conflict}
    RETURNING id
)
SELECT (SELECT id FROM decided), {ask_id}, (SELECT prediction_id FROM subject), (SELECT count(*) FROM known)"""

_ASK: Final = """, met AS (
    INSERT INTO labeling_respondent (project_id, respondent_hash, epsilon_spent, right_count, wrong_count, created_at)
    SELECT %(project)s, %(respondent)s, 0, 0, 0, %(now)s WHERE %(respondent)s <> ''
    ON CONFLICT (project_id, respondent_hash) DO NOTHING
), asked AS (
    INSERT INTO labeling_ask (project_id, opportunity_id, question_version_id, item_id, prediction_id, model_version_id,
        predicted_answer, is_blind, respondent_hash, session_hash, segment, propensity, is_audit, state, created_at, expires_at)
    SELECT %(project)s, %(opportunity)s, %(question)s, id, prediction_id, version_id, %(predicted_answer)s::jsonb,
        %(is_blind)s, %(respondent)s, %(session)s, %(segment)s, %(propensity)s::float8, %(is_audit)s, 'offered', %(now)s,
        %(expires_at)s
    FROM subject WHERE (SELECT count(*) FROM known) = (SELECT count(*) FROM given)
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


@dataclass(frozen=True)
class Record:
    """What is to be logged. `place` is the candidate that it is about; -1 where it is about none of several."""

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
    terms: bytes
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


def read(
    project_id: int,
    opportunity_id: str,
    keys: Sequence[str],
    respondent_hash: str,
    *,
    since: dt.datetime,
    now: dt.datetime,
) -> State:
    """The state in a fresh snapshot. `since` is how far back asks of the respondent matter."""
    values: dict[str, prepared.Value] = {
        "project": project_id,
        "opportunity": opportunity_id,
        "respondent": respondent_hash,
        "since": since,
        "now": now,
        "most": MOST_PAST_ASKS,
    }
    if len(keys) == 1:
        found = prepared.fetch(_READ_ONE, {**values, "key": keys[0]})
    else:
        found = prepared.fetch(_READ, {**values, "keys": list(keys)})
    ((decision_id, items, opted_out, epsilon, right, wrong, asks, is_blocked),) = found
    return State(
        decision_id,
        {key: _known(*columns) for key, *columns in items or _nothing},
        opted_out,
        epsilon or 0.0,
        right or 0,
        wrong or 0,
        tuple(Asked(*columns) for columns in asks or _nothing),
        bool(is_blocked),
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


def _as_text(number: float | None) -> str | None:
    """Numbers and their absence as one type: a statement is prepared and planned anew for each combination of types."""
    return None if number is None else repr(number)


def write(project_id: int, record: Record, *, now: dt.datetime) -> Written:
    """Store items, predictions, decision and ask in one statement."""
    values: dict[str, prepared.Value] = {
        "rows": _encode(record.rows).decode(),
        "project": project_id,
        "now": now,
        "champion": record.champion_id,
        "respondent": record.respondent_hash,
        "opportunity": record.opportunity_id,
        "policy": record.policy_id,
        "question": record.question_version_id,
        "segment": record.segment,
        "place": record.place,
        "is_ask": record.is_ask,
        "reason": record.reason,
        "is_eligible": record.is_eligible,
        "is_blind": record.is_blind,
        "propensity": _as_text(record.propensity),
        "draw": _as_text(record.draw),
        "utility": _as_text(record.utility),
        "terms": record.terms.decode(),
        "log_weight": record.log_weight,
        "is_logged": record.is_logged,
    }
    if record.is_ask:
        values |= {
            "session": record.session_hash,
            "is_audit": record.is_audit,
            "expires_at": record.expires_at,
            "predicted_answer": None if record.predicted_answer is None else _encode(record.predicted_answer).decode(),
        }
    ((decision_id, ask_id, prediction_id, count),) = prepared.fetch(_OFFER if record.is_ask else _REFUSE, values)
    return Written(decision_id, ask_id, prediction_id, count == len(record.rows))
