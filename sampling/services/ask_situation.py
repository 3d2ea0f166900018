"""From what is stored and sent to what a policy decides by, see sampling.asking.situation."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np

from labeling.models import ModelVersion
from labeling.probability import STORED_DTYPE
from labeling.services import prediction_rows
from labeling.services.prediction_rows import Score
from labeling.wire import Row, RowError
from sampling.asking import draws, gates
from sampling.asking.gates import Passed
from sampling.asking.policy import Reason
from sampling.asking.situation import Candidate, PastAsk, Situation
from sampling.services.ask_setting import LiveQuestion, Setting
from sampling.services.ask_sql import Asked, KnownItem, State

_UNKNOWN_VALUE: Final = 0.5
"""Informativeness of an item that no model has said anything of."""


@dataclass(frozen=True)
class Opportunity:
    """A moment at which an app could ask. `rows` are one item, or several in the order in which they are shown.

    Without a respondent the session stands for them: clocks and caps then hold within the session, and no private question
    is put. With neither, only the budget holds.
    """

    opportunity_id: str
    rows: Sequence[Row]
    respondent: str = ""
    session: str = ""
    consent: bool | None = None
    is_quiet: bool = False
    locale: str = ""
    question: str = ""
    is_list: bool = False


@dataclass(frozen=True)
class Subject:
    """One item that could be asked about, with what a model says of it: sent along, or the champion's stored word."""

    row: Row
    known: KnownItem | None
    version: ModelVersion | None
    probabilities: bytes | None
    answer: Any
    score: Score | None
    """Set where the prediction came with the request and is to be stored."""

    @property
    def segments(self) -> Mapping[str, str]:
        if self.known is not None:
            return self.known.segments
        decoded: dict[str, str] = msgspec.json.decode(self.row.segments)
        return decoded

    def predicted_answer(self, setting: Setting) -> Any:
        """What the model says, in the form of the label schema; None where it says nothing that could be shown."""
        if self.version is None or self.probabilities is None:
            return None
        if setting.label_schema.prediction_form == "confidence":
            return self.answer
        numbers = np.frombuffer(self.probabilities, STORED_DTYPE).tolist()
        by_class = dict(zip(self.version.classes, numbers, strict=True))
        return setting.label_schema.answer_from([by_class.get(key, 0.0) for key in setting.label_schema.class_keys])


def score(setting: Setting, rows: Sequence[Row]) -> dict[int, Score]:
    """The predictions that came along, by place, as they are stored. Raises RowError for the first that is not valid."""
    if not any(row.prediction is not None for row in rows):
        return {}
    scores = prediction_rows.score(rows, setting.versions, setting.label_schema)
    if scores.refused:
        raise scores.refused[min(scores.refused)]
    return scores.by_position


def subjects(setting: Setting, rows: Sequence[Row], scores: Mapping[int, Score], state: State) -> list[Subject]:
    """The rows with what is known of them. Raises RowError "unknown_item"."""
    found = []
    for place, row in enumerate(rows):
        known = state.items.get(row.key)
        if known is None and not row.payload:
            raise RowError("unknown_item", f"There is no item “{row.key}”, and no payload to make it of.", row.key)
        sent = scores.get(place)
        if sent is not None:
            version = setting.version_named(sent.version_id)
            answer = None if sent.answer is None else msgspec.json.decode(sent.answer)
            found.append(Subject(row, known, version, sent.probabilities, answer, sent))
        elif known is not None and known.version_id is not None:
            version = setting.version_named(known.version_id)
            found.append(Subject(row, known, version, known.probabilities, known.answer, None))
        else:
            found.append(Subject(row, known, None, None, None, None))
    return found


class Moment:
    """An opportunity with everything but the counters: from here on decisions are pure."""

    def __init__(
        self,
        setting: Setting,
        opportunity: Opportunity,
        subjects: Sequence[Subject],
        state: State,
        *,
        respondent_hash: str,
        session_hash: str,
        holdout_name: str,
        now: dt.datetime,
    ) -> None:
        self.setting, self.opportunity, self.subjects, self.state = setting, opportunity, subjects, state
        self.respondent_hash, self.session_hash, self.now = respondent_hash, session_hash, now
        self.holdout_name = holdout_name
        self._values = [_informativeness(setting, subject) for subject in subjects]
        segment = setting.policy.segment
        self.segments = [subject.segments.get(segment, "") if segment else "" for subject in subjects]
        self.question = self._choose()

    def situation(self, question: LiveQuestion | None) -> Situation:
        """What is known, without the counters, if this question were put."""
        setting, state, opportunity = self.setting, self.state, self.opportunity
        opted_out = state.opted_out_until
        truth = question is not None and question.states_the_truth
        return Situation(
            candidates=tuple(self._candidate(place, is_truth=truth) for place in range(len(self.subjects))),
            has_question=question is not None,
            can_be_blind=truth and any(subject.version is not None for subject in self.subjects),
            consent=opportunity.consent,
            is_quiet=opportunity.is_quiet,
            opted_out_seconds=max((opted_out - self.now).total_seconds(), 0.0) if opted_out else 0.0,
            is_blocked=state.is_blocked,
            holdout_draw=draws.uniform(setting.holdout_key, "holdout", self.holdout_name)
            if self.holdout_name
            else None,
            history=tuple(self._past(ask, question) for ask in state.history),
            right_count=state.right_count,
            wrong_count=state.wrong_count,
            epsilon_spent=state.epsilon_spent,
            epsilon_needed=self._epsilon_needed(question),
            rates=setting.rates.of(self.segments[0]),
        )

    def _choose(self) -> LiveQuestion | None:
        """The question to put: the one that was named, else one by chance of those that no gate stands before."""
        live = [
            each
            for each in self.setting.questions
            if (each.deadline is None or self.now < each.deadline) and self.opportunity.question in ("", each.key)
        ]
        if len(live) > 1:
            live = [each for each in live if self._passes(each)] or live
        if not live:
            return None
        drawn = draws.uniform(self.setting.draw_key, "question", self.opportunity.opportunity_id)
        return live[int(drawn * len(live))]

    def _passes(self, question: LiveQuestion) -> bool:
        checked = gates.check(self.setting.policy, self.situation(question))
        # Counters are not read yet, which is the last gate.
        return isinstance(checked, Passed) or checked.reason == Reason.DEGRADED

    def _candidate(self, place: int, *, is_truth: bool) -> Candidate:
        subject = self.subjects[place]
        segment = self.segments[place]
        return Candidate(
            self._values[place],
            key=subject.row.key if self.opportunity.is_list else "",
            segment=segment,
            is_labelled=is_truth and self._is_labelled(subject),
            is_gold=is_truth and self._checks(subject),
            label_share=self.setting.label_shares.get(segment, 0.0) if self.setting.label_shares and segment else None,
            # Those of the first are in the situation.
            rates=None if segment == self.segments[0] else self.setting.rates.of(segment),
        )

    def _is_labelled(self, subject: Subject) -> bool:
        known = subject.known
        return known is not None and (known.is_labelled or subject.row.key in self.setting.gold_keys)

    def _checks(self, subject: Subject) -> bool:
        """Whether what this respondent would say of it tells something about them: a session has no record."""
        if subject.known is None or not self.opportunity.respondent or subject.row.key not in self.setting.gold_keys:
            return False
        return all(ask.item_id != subject.known.item_id for ask in self.state.history)

    def _epsilon_needed(self, question: LiveQuestion | None) -> float | None:
        if question is None or question.epsilon is None:
            return None
        if not self.opportunity.respondent:
            # Nobody's budget can be charged: a session ends, and the cap is for a lifetime.
            return float("inf")
        return question.epsilon

    def _past(self, ask: Asked, question: LiveQuestion | None) -> PastAsk:
        now = self.now.timestamp()
        closed = ask.answered if ask.answered is not None else ask.dismissed
        is_open = ask.state in ("offered", "shown") and ask.expires > now
        outcome = {"answered": "answered", "dismissed": "dismissed"}.get(ask.state, "open" if is_open else "ignored")
        return PastAsk(
            # Clocks of other machines may be ahead of ours.
            max(now - max(ask.created, ask.shown or 0.0), 0.0),
            outcome,  # type: ignore[arg-type]  # one of the four
            closed_age=None if closed is None else max(now - closed, 0.0),
            open_seconds=ask.expires - now if is_open else 0.0,
            is_same_question=question is not None and ask.question_id == question.question_id,
            is_same_session=bool(self.session_hash) and ask.session_hash == self.session_hash,
        )


def _informativeness(setting: Setting, subject: Subject) -> float:
    if subject.probabilities is None:
        return _UNKNOWN_VALUE
    row = np.frombuffer(subject.probabilities, STORED_DTYPE)[None, :]
    return float(setting.informativeness(row)[0])
