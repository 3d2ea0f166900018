"""The SQL under the events of an ask: one statement to lock it, one to write what became of it."""

import datetime as dt
from typing import Any, Final, NamedTuple


class LockedAsk(NamedTuple):
    id: int
    project_id: int
    state: str
    created_at: dt.datetime
    expires_at: dt.datetime
    answered_at: dt.datetime | None
    is_blind: bool
    item_id: int
    prediction_id: int | None
    predicted_answer: Any
    respondent_hash: str
    question_version_id: int
    label_schema_id: int
    """The label schema in force."""
    item_key: str


READ: Final = """
SELECT ask.id, ask.project_id, ask.state, ask.created_at, ask.expires_at, ask.answered_at, ask.is_blind, ask.item_id,
    ask.prediction_id, ask.predicted_answer, ask.respondent_hash, ask.question_version_id,
    (SELECT id FROM labeling_labelschema WHERE project_id = ask.project_id ORDER BY version DESC LIMIT 1),
    (SELECT key FROM labeling_item WHERE id = ask.item_id)
FROM labeling_ask ask WHERE ask.id = %(ask)s AND ask.project_id = %(project)s"""

LOCK: Final = f"{READ} FOR NO KEY UPDATE OF ask"

NOTE_SHOWN: Final = """
UPDATE labeling_ask SET state = CASE WHEN state = 'offered' THEN 'shown' ELSE state END,
    shown_at = coalesce(shown_at, %(at)s),
    started_at = CASE WHEN %(started)s THEN coalesce(started_at, %(at)s) ELSE started_at END
WHERE id = %(ask)s RETURNING id"""

DISMISS: Final = """
UPDATE labeling_ask SET state = 'dismissed', dismissed_at = %(at)s, shown_at = coalesce(shown_at, %(at)s)
WHERE id = %(ask)s AND state IN ('offered', 'shown') RETURNING id"""

OPT_OUT: Final = """
INSERT INTO labeling_respondent (project_id, respondent_hash, opted_out_until, epsilon_spent, right_count,
    wrong_count, created_at)
VALUES (%(project)s, %(respondent)s, %(until)s, 0, 0, 0, %(now)s)
ON CONFLICT (project_id, respondent_hash) DO UPDATE
    SET opted_out_until = greatest(labeling_respondent.opted_out_until, excluded.opted_out_until)
RETURNING id"""

# What stands of an answered ask, and whether this very answer came before. Other feedback that names the ask stands
# beside its answer.
STANDING: Final = """
WITH said AS MATERIALIZED (
    SELECT id, occurred_at, stated_at FROM labeling_feedback
    WHERE ask_id = %(ask)s AND superseded_at IS NULL AND channel = 'token' AND starts_with(client_id, %(answers)s)
), stated AS MATERIALIZED (
    SELECT id, occurred_at, stated_at FROM labeling_correction
    WHERE ask_id = %(ask)s AND superseded_at IS NULL AND channel = 'token' AND starts_with(client_id, %(answers)s)
)
SELECT EXISTS (SELECT FROM labeling_feedback WHERE project_id = %(project)s AND client_id = %(client_id)s)
    OR EXISTS (SELECT FROM labeling_correction WHERE project_id = %(project)s AND client_id = %(client_id)s),
    (SELECT max(id) FROM said), (SELECT max(id) FROM stated), max(occurred_at), max(stated_at)
FROM (SELECT * FROM said UNION ALL SELECT * FROM stated) standing"""

# The ledger is charged for every answer to a private question: whether its noise is that of an answer before, only the
# device knows, and another device of the same person draws anew.
ANSWER: Final = """
WITH moved AS (
    UPDATE labeling_ask SET state = 'answered', answered_at = coalesce(answered_at, %(at)s::timestamptz),
        shown_at = coalesce(shown_at, %(at)s::timestamptz)
    WHERE id = %(ask)s AND state IN ('offered', 'shown', 'answered') RETURNING id
), said AS (
    INSERT INTO labeling_feedback (project_id, client_id, channel, item_id, prediction_id, ask_id, question_version_id,
        request_id, item_key, model_version_name, is_waiting, respondent_hash, comment, context, is_anchored,
        occurred_at, stated_at, received_at, supersedes_id, superseded_at, kind, value, score, epsilon)
    SELECT %(project)s, %(client_id)s::text, 'token', %(item)s, %(prediction)s, id, %(version)s, '', '', '', false,
        %(respondent)s::text, %(comment)s::text, %(context)s::jsonb, %(is_anchored)s, %(at)s::timestamptz, %(stated_at)s::timestamptz, %(now)s::timestamptz,
        %(older_feedback)s::bigint, %(superseded_at)s::timestamptz, %(kind)s::text, %(value)s::jsonb, %(score)s::float8, %(epsilon)s::float8
    FROM moved WHERE %(kind)s::text <> '' ON CONFLICT (project_id, client_id) DO NOTHING RETURNING id
), stated AS (
    INSERT INTO labeling_correction (project_id, client_id, channel, item_id, prediction_id, ask_id, question_version_id,
        request_id, item_key, model_version_name, is_waiting, respondent_hash, comment, context, is_anchored,
        occurred_at, stated_at, received_at, supersedes_id, superseded_at, answer, label_schema_id)
    SELECT %(project)s, %(client_id)s::text, 'token', %(item)s, %(prediction)s, id, %(version)s, '', '', '', false,
        %(respondent)s::text, CASE WHEN %(kind)s::text = '' THEN %(comment)s::text ELSE '' END, %(context)s::jsonb, %(is_anchored)s,
        %(at)s::timestamptz, %(stated_at)s::timestamptz, %(now)s::timestamptz, %(older_correction)s::bigint, %(superseded_at)s::timestamptz,
        %(correction)s::jsonb, %(schema)s
    FROM moved WHERE %(correction)s::jsonb IS NOT NULL ON CONFLICT (project_id, client_id) DO NOTHING RETURNING id
), older_said AS (
    UPDATE labeling_feedback SET superseded_at = %(now)s::timestamptz WHERE id = %(older_feedback)s::bigint
), older_stated AS (
    UPDATE labeling_correction SET superseded_at = %(now)s::timestamptz WHERE id = %(older_correction)s::bigint
), known AS (
    INSERT INTO labeling_respondent AS respondent (project_id, respondent_hash, epsilon_spent, right_count,
        wrong_count, created_at)
    SELECT %(project)s, %(respondent)s::text, coalesce(%(epsilon)s::float8, 0), 0, 0, %(now)s::timestamptz
    WHERE %(respondent)s::text <> '' AND (%(epsilon)s::float8 IS NOT NULL OR NOT EXISTS (
        SELECT FROM labeling_respondent old
        WHERE old.project_id = %(project)s AND old.respondent_hash = %(respondent)s::text))
    ON CONFLICT (project_id, respondent_hash) DO UPDATE
        SET epsilon_spent = respondent.epsilon_spent + excluded.epsilon_spent WHERE excluded.epsilon_spent > 0
)
SELECT (SELECT id FROM said), (SELECT id FROM stated)"""
