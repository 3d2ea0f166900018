"""What end users say and do, in rows: opinions and behaviour become feedback, statements of the truth corrections."""

import datetime as dt
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import msgspec
from django.db import connection, transaction

from labeling import feedback_rows, news, prepared, selectors
from labeling.errors import NotAllowed
from labeling.feedback_rows import CORRECTION, IMPLICIT_KINDS, FeedbackRow
from labeling.file_formats import labels
from labeling.models import ApiKey, LabelSchema, Project
from labeling.models.feedback import Said
from labeling.respondent_hash import keyed_hash
from labeling.schema import AnySchema, JSONValue, SchemaError
from labeling.services import ask_keys, feedback_sql, respondent_moves
from labeling.services.feedback_sql import StagedFeedback, Stored, Table
from labeling.services.recording import IntakeReport, OnConflict, Outcome, RowRecorder
from labeling.wire import RowError

_IMPLICIT: Final = sorted(IMPLICIT_KINDS)
_PROBLEMS: Final[Mapping[str, str]] = {
    "unknown_ask": "There is no such ask in this project.",
    "unknown_prediction": "There is no such prediction in this project.",
    "private_question": "The question is private: nothing is kept of it but the answer to its token.",
}

_NAMED: Final = """
SELECT client_id, id, superseded_at IS NOT NULL, channel FROM labeling_{table}
WHERE project_id = %(project)s AND client_id = ANY (%(ids)s) ORDER BY client_id COLLATE "C" FOR UPDATE"""
_NAMED_IN: Final[Mapping[Table, str]] = {
    "feedback": _NAMED.format(table="feedback"),
    "correction": _NAMED.format(table="correction"),
}

_encode: Final = msgspec.json.Encoder().encode


def record_feedback(
    project: Project,
    rows: Iterable[bytes | object],
    *,
    on_conflict: OnConflict = OnConflict.SKIP,
    lists_good_rows: bool = False,
    browser_key: ApiKey | None = None,
    now: dt.datetime | None = None,
) -> IntakeReport:
    """Store feedback and corrections; see labeling.feedback_rows for the form of a row.

    Every row is judged on its own. Each id counts once for ever: rows that exist are skipped, or refused if `on_conflict`
    is error. What a row is about may come in later; it is joined then. A row that supersedes another one stays beside it,
    and the older one stands no more. With `browser_key` the rows come from a browser, which may send what that key
    allows.
    """
    recorder = FeedbackRecorder(
        project, on_conflict=on_conflict, lists_good_rows=lists_good_rows, browser_key=browser_key, now=now
    )
    return recorder.record(rows)


@dataclass
class _Ready:
    """A row that may be stored, and the id by which it is known here."""

    position: int
    row: FeedbackRow
    client_id: str
    channel: Said.Channel
    ask_id: int | None
    answer: bytes | None
    older: str
    """The id here of what it supersedes."""
    supersedes_id: int | None = None

    @property
    def table(self) -> Table:
        return "correction" if self.row.kind == CORRECTION else "feedback"


class FeedbackRecorder(RowRecorder[FeedbackRow]):
    """Feedback of a server, or with `browser_key` of a browser."""

    def __init__(
        self,
        project: Project,
        *,
        on_conflict: OnConflict,
        lists_good_rows: bool,
        browser_key: ApiKey | None = None,
        now: dt.datetime | None = None,
    ) -> None:
        super().__init__(project, on_conflict=on_conflict, lists_good_rows=lists_good_rows, now=now)
        self._browser_key = browser_key

    def _parse(self, raw: bytes) -> FeedbackRow:
        return feedback_rows.parse(raw, largest_bytes=self._largest_row)

    @transaction.atomic
    def _store_rows(self, rows: Sequence[FeedbackRow]) -> dict[int, Outcome]:
        outcomes: dict[int, Outcome] = {}
        respondent_moves.move_known(self._project.pk, (row.respondent for row in rows), now=self._now)
        schema_row, schema = self._schema(rows)
        ready: list[_Ready] = []
        for position, row in enumerate(rows):
            try:
                ready.append(self._ready(position, row, schema))
            except RowError as error:
                outcomes[position] = error
        for table in ("feedback", "correction"):
            of_table = [each for each in ready if each.table == table]
            for wave in _waves(of_table, outcomes):
                outcomes |= self._store_wave(table, wave, schema_row)
        if "created" in outcomes.values():
            news.tell(news.feedback_recorded, project_id=self._project.pk)
        return outcomes

    def _schema(self, rows: Sequence[FeedbackRow]) -> tuple[LabelSchema | None, AnySchema | None]:
        if not any(row.kind == CORRECTION for row in rows):
            return None, None
        label_schema = selectors.current_schema(self._project)
        return label_schema, selectors.parsed(label_schema)

    def _ready(self, position: int, row: FeedbackRow, schema: AnySchema | None) -> _Ready:
        ask_id, channel, prefix = row.ask_id, Said.Channel.APP, ""
        if row.is_natural:
            channel = Said.Channel.IMPORTED
        if row.token:
            ask_id, channel = self._ask_of(row.token), Said.Channel.TOKEN
            if row.kind not in IMPLICIT_KINDS:
                # There it is checked against the question and moves the ask, whose one outcome it is.
                raise RowError("use_token_endpoint", "An answer to an ask goes to /api/v1/asks/{token}.")
        if self._browser_key is not None:
            prefix = self._prefix(row, ask_id, self._browser_key)
            channel = channel if row.token else Said.Channel.BROWSER
        client_id = f"{prefix}{row.key or uuid.uuid4().hex}"
        if client_id.startswith(Said.ANSWERS):
            raise RowError("invalid_id", f"Ids that begin with {Said.ANSWERS!r} are those of answers to asks.")
        answer = None
        if row.kind == CORRECTION and schema is not None:
            answer = _encode(_checked_answer(row, schema))
        return _Ready(
            position, row, client_id, channel, ask_id, answer, f"{prefix}{row.supersedes}" if row.supersedes else ""
        )

    def _ask_of(self, token: str) -> int:
        try:
            known = ask_keys.read(token, now=self._now)
        except NotAllowed as error:
            raise RowError(error.code, error.message) from None
        if known.project_id != self._project.pk:
            raise RowError("invalid_token", "This token belongs to another project.")
        return known.ask_id

    @staticmethod
    def _prefix(row: FeedbackRow, ask_id: int | None, key: ApiKey) -> str:
        """What keeps the ids of browsers apart from those of servers, which nobody must take beforehand.

        Raises RowError `kind_not_allowed` or `target_not_allowed` for what this key may not send.
        """
        if row.token:
            return f"ask:{ask_id}:"
        if row.kind not in key.implicit_kinds:
            raise RowError("kind_not_allowed", "This key may not send this kind of feedback without a token.")
        if row.ask_id is not None:
            raise RowError("target_not_allowed", "From a browser, an ask is named by its token.")
        if row.supersedes:
            raise RowError("supersedes_not_allowed", "From a browser, only what is said by a token is superseded.")
        return "browser:"

    def _store_wave(self, table: Table, wave: Sequence[_Ready], label_schema: LabelSchema | None) -> dict[int, Outcome]:
        outcomes: dict[int, Outcome] = {}
        self._find_superseded(table, wave, outcomes)
        staged = [self._staged(each) for each in wave if each.position not in outcomes]
        if not staged:
            return outcomes
        stored = feedback_sql.record(
            table,
            staged,
            project_id=self._project.pk,
            label_schema_id=label_schema.pk if label_schema is not None else None,
            implicit_kinds=_IMPLICIT,
            now=self._now,
        )
        return outcomes | {row.position: self._outcome(row) for row in stored}

    def _outcome(self, row: Stored) -> Outcome:
        if row.problem is not None:
            return RowError(row.problem, _PROBLEMS[row.problem])
        if row.is_new:
            return "created"
        if self._on_conflict == OnConflict.ERROR:
            return RowError(
                "already_exists", "Feedback of this id exists already, and on_conflict=error was asked for."
            )
        return "skipped"

    def _find_superseded(self, table: Table, wave: Sequence[_Ready], outcomes: dict[int, Outcome]) -> None:
        """Lock what the rows supersede. One that is no more in force, or not known, is refused."""
        replacing = [each for each in wave if each.older]
        if not replacing:
            return
        ids = [name for each in replacing for name in (each.older, each.client_id)]
        rows = prepared.fetch(_NAMED_IN[table], {"project": self._project.pk, "ids": ids})
        known = {client_id: (row_id, is_over) for client_id, row_id, is_over, _ in rows}
        taken: set[int] = set()
        for each in replacing:
            if each.client_id in known:
                continue  # sent again: nothing is superseded twice
            row_id, is_over = known.get(each.older, (None, False))
            if row_id is None:
                outcomes[each.position] = RowError("unknown_feedback", "What this row supersedes is not known.")
            elif is_over or row_id in taken:
                outcomes[each.position] = RowError("already_superseded", "What this row supersedes was superseded.")
            else:
                taken.add(row_id)
                each.supersedes_id = row_id

    def _staged(self, each: _Ready) -> StagedFeedback:
        row = each.row
        try:
            occurred_at = feedback_rows.corrected_times(row.occurred_at, row.sent_at, received_at=self._now)
        except OverflowError:
            occurred_at = self._now
        return StagedFeedback(
            each.position,
            each.client_id,
            each.channel.value,
            row.kind,
            row.value,
            row.score,
            each.answer,
            row.comment,
            row.context,
            row.request_id,
            row.item_key,
            row.model_version,
            each.ask_id,
            row.prediction_id,
            keyed_hash(self._respondent_key, row.respondent) if row.respondent else "",
            occurred_at,
            row.occurred_at,
            each.supersedes_id,
        )


def _waves(rows: Sequence[_Ready], outcomes: dict[int, Outcome]) -> Iterator[list[_Ready]]:
    """The rows in parts: none supersedes a row of its own part, and no id is in a part twice."""
    wave: list[_Ready] = []
    ids: set[str] = set()
    seen: set[str] = set()
    for each in rows:
        if each.client_id in seen:
            outcomes[each.position] = RowError("duplicate_id_in_request", "An earlier row of this request has this id.")
            continue
        seen.add(each.client_id)
        if each.older in ids:
            yield wave
            wave, ids = [], set()
        wave.append(each)
        ids.add(each.client_id)
    if wave:
        yield wave


def _checked_answer(row: FeedbackRow, schema: AnySchema) -> JSONValue:
    if row.is_natural:
        natural = labels.answer_of(schema, row.answer, {})
        return labels.checked(schema, natural, {}) if not schema.needs_payload else _parsed(schema, natural)
    return _parsed(schema, row.answer)


def _parsed(schema: AnySchema, answer: Any) -> JSONValue:
    """Whether spans, boxes and texts fit the payload is asked when the item is known: at acceptance."""
    try:
        parsed = schema.parse_answer(answer)
    except SchemaError as error:
        raise RowError(error.code, f"The answer does not fit the project's labels: {error}.") from None
    return cast("JSONValue", msgspec.json.decode(msgspec.json.encode(parsed)))


# -- what came before the thing it is about ---------------------------------------------------------------------------

JOIN_BATCH: Final = 5_000

_JOIN: Final = f"""
WITH waiting AS MATERIALIZED (
    SELECT id AS row_id, request_id, item_key, model_version_name, context, NULL::bigint AS ask_id,
        NULL::bigint AS prediction_id
    FROM labeling_{{table}}
    WHERE project_id = %(project)s AND is_waiting AND id > %(after)s AND received_at >= %(since)s
    ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), resolved AS MATERIALIZED (
    SELECT staged.row_id, {feedback_sql.FOUND_ITEM} AS found_item, {feedback_sql.FOUND_PREDICTION} AS found_prediction,
        {feedback_sql.IS_WAITING} AS still_waiting
    FROM waiting staged {feedback_sql.TARGETS}
), joined AS (
    UPDATE labeling_{{table}} row SET item_id = found_item, prediction_id = found_prediction, is_waiting = still_waiting
    FROM resolved WHERE row.id = row_id AND found_item IS NOT NULL
        AND (row.item_id IS DISTINCT FROM found_item OR row.prediction_id IS DISTINCT FROM found_prediction
            OR NOT still_waiting)
    RETURNING row.id
)
SELECT (SELECT count(*) FROM waiting), (SELECT max(row_id) FROM waiting), (SELECT count(*) FROM joined)"""  # noqa: S608
_JOIN_IN: Final = {table: _JOIN.format(table=table) for table in ("feedback", "correction")}

_PROJECTS_WAITING: Final = """
SELECT DISTINCT project_id FROM labeling_feedback WHERE is_waiting
UNION SELECT DISTINCT project_id FROM labeling_correction WHERE is_waiting"""


def projects_waiting() -> list[int]:
    """Projects with feedback whose target has not come in yet."""
    with connection.cursor() as cursor:
        cursor.execute(_PROJECTS_WAITING)
        return [project_id for (project_id,) in cursor.fetchall()]


def join_waiting(project_id: int, *, since: dt.datetime | None = None) -> int:
    """Join the project's waiting rows, those received from `since` on, to items and predictions that exist by now.

    Batches are committed one by one; rows that somebody else is joining are passed over. Safe to run twice. Returns the
    number of rows that found something.
    """
    joined = 0
    values: dict[str, prepared.Value] = {
        "project": project_id,
        "since": since or dt.datetime(1970, 1, 1, tzinfo=dt.UTC),
        "limit": JOIN_BATCH,
    }
    for statement in _JOIN_IN.values():
        after, seen = 0, JOIN_BATCH
        while seen == JOIN_BATCH:
            with transaction.atomic():
                ((seen, last, found),) = prepared.fetch(statement, {**values, "after": after})
                if found:
                    news.tell(news.feedback_recorded, project_id=project_id)
            joined += found
            after = last or after
    return joined
