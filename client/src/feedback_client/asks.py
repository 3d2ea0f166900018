"""One ask, written down: what is sent to be decided, and what is logged in any case; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from feedback_client.errors import InvalidArgument
from feedback_client.json_text import encode
from feedback_client.rows import (
    LARGEST_ROW_BYTES,
    Candidate,
    Route,
    Row,
    checked_key,
    context_of,
    prediction_part,
    prediction_row,
)

MOST_CANDIDATES: Final = 50


@dataclass(frozen=True)
class Ask:
    body: bytes
    opportunity_id: str
    key: str | None
    """None for a list."""
    is_dry_run: bool
    rows: tuple[tuple[Route, Row], ...]
    """The predictions: logged in the background if the service cannot be reached, so that they are not lost with the ask."""


@dataclass(frozen=True)
class Occasion:
    """Who might be asked, where, and when not. A field that is None is left out."""

    opportunity_id: str | None = None
    respondent: str | None = None
    session: str | None = None
    consent: bool | None = None
    quiet: bool | None = None
    locale: str | None = None
    question: str | None = None

    def fields(self) -> dict[str, object]:
        given: dict[str, object] = {name: value for name, value in vars(self).items() if value is not None}
        # Without one, an ask that is sent twice could be decided twice.
        given.setdefault("opportunity_id", uuid4().hex)
        return given


def written(
    candidate: Candidate | None,
    candidates: Sequence[Candidate] | None,
    occasion: Occasion,
    *,
    request_id: str | None,
    is_dry_run: bool,
) -> Ask:
    """Ask about the one, or about at most one of the list. Raises InvalidArgument."""
    if candidates is not None and candidate is None:
        return ranked(candidates, occasion, request_id=request_id, is_dry_run=is_dry_run)
    if candidate is not None and candidates is None:
        return one(candidate, occasion, request_id=request_id, is_dry_run=is_dry_run)
    raise InvalidArgument("invalid_candidates", "Ask about one key, or about candidates.")


def one(candidate: Candidate, occasion: Occasion, *, request_id: str | None, is_dry_run: bool) -> Ask:
    """Ask about one prediction. Raises InvalidArgument."""
    fields = occasion.fields()
    entry, row = _entry(candidate, occasion.respondent, request_id, {})
    rows = () if row is None or is_dry_run else (row,)
    return Ask(_body({**fields, **entry}), str(fields["opportunity_id"]), candidate.key, is_dry_run, rows)


def ranked(candidates: Sequence[Candidate], occasion: Occasion, *, request_id: str | None, is_dry_run: bool) -> Ask:
    """Ask about at most one of a list, given in shown order. Raises InvalidArgument."""
    if not 0 < len(candidates) <= MOST_CANDIDATES:
        raise InvalidArgument("invalid_candidates", f"A list has 1 to {MOST_CANDIDATES} candidates.")
    fields = occasion.fields()
    keys = [candidate.key for candidate in candidates]
    entries: list[dict[str, object]] = []
    rows: list[tuple[Route, Row]] = []
    for position, candidate in enumerate(candidates, start=1):
        shown: dict[str, object] = {"position": position, "candidates": keys}
        entry, row = _entry(candidate, occasion.respondent, request_id, shown)
        entries.append(entry)
        if row is not None and not is_dry_run:
            rows.append(row)
    body = _body({**fields, "candidates": entries})
    return Ask(body, str(fields["opportunity_id"]), None, is_dry_run, tuple(rows))


def _entry(
    candidate: Candidate, respondent: str | None, request_id: str | None, shown: Mapping[str, object]
) -> tuple[dict[str, object], tuple[Route, Row] | None]:
    """The candidate as an ask names it, and the row that would log it without an ask; `shown` is its place in a list."""
    entry: dict[str, object] = {"key": checked_key(candidate.key)}
    if candidate.payload is not None:
        entry["payload"] = candidate.payload
    if candidate.segments is not None:
        entry["segments"] = candidate.segments
    if candidate.model_version is None:
        if candidate.probabilities is not None or candidate.answer is not None:
            raise InvalidArgument("invalid_model_version", "A prediction needs the name of its model version.")
        return entry, None
    context = {**shown, **context_of(candidate.context, request_id=request_id, latency_ms=None)}
    part = prediction_part(
        model_version=candidate.model_version,
        probabilities=candidate.probabilities,
        answer=candidate.answer,
        confidence=candidate.confidence,
        std=candidate.std,
        context=context,
        respondent=None,
    )
    entry["prediction"] = part
    logged = dict(part)
    if respondent is not None:
        logged["respondent"] = respondent
    segments = candidate.segments if candidate.payload is not None else None
    row = prediction_row(candidate.key, logged, payload=candidate.payload, segments=segments, embedding=None)
    return entry, row


def _body(fields: Mapping[str, object]) -> bytes:
    body = encode(fields)
    if len(body) > LARGEST_ROW_BYTES:
        raise InvalidArgument("row_too_large", f"An ask has at most {LARGEST_ROW_BYTES:,} bytes.")
    return body
