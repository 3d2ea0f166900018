"""Ask or not: log the prediction, decide, and log the decision, in one go.

PostgreSQL is the truth. A "no" is one statement. A "yes" is a transaction that holds the respondent's lock, so that their
clocks and caps are checked against everything that was committed before, and the project's lock of counters, shared, so
that the budget cannot be counted anew while an ask is on its way. See docs/algorithms/ask_policy.md and
docs/adr/0011-ask-counters.md.
"""

import datetime as dt
import logging
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from django.db import IntegrityError, transaction

from labeling import news, respondent_hash
from labeling.combining import Combiner
from labeling.errors import InvalidInput, Unavailable
from labeling.models import Project, Question
from labeling.services import respondent_moves
from labeling.splitting import bucket_of
from labeling.wire import RowError
from sampling.asking import deciding, draws
from sampling.asking.deciding import Decision
from sampling.asking.gates import DEGRADED_RETRY_SECONDS
from sampling.asking.policy import Reason
from sampling.asking.situation import Situation, Spending
from sampling.services import ask_counters, ask_replies, ask_setting, ask_situation, ask_sql
from sampling.services.ask_counters import CountersDown, Ticket
from sampling.services.ask_replies import Answer
from sampling.services.ask_setting import LiveQuestion, Setting
from sampling.services.ask_situation import Moment, Opportunity, Subject
from sampling.services.ask_sql import Record, State, Wanted, Written, WrittenRow

logger = logging.getLogger(__name__)

_ATTEMPTS: Final = 4
_MOST_AT_ONCE: Final = 16
_encode: Final = msgspec.json.Encoder().encode


def _names(record: Record) -> list[tuple[str, str]]:
    """The opportunity and the items, none of which one statement can write twice."""
    return [("opportunity", record.opportunity_id), *(("item", row.key) for row in record.rows)]


def _project_of(each: Wanted | Record) -> int:
    """A project whose champion is being replaced locks its requests, and must not lock those of others."""
    return each.project_id


_states: Final[Combiner[Wanted, State]] = Combiner(
    lambda several: ask_sql.read(several), most=_MOST_AT_ONCE, group=_project_of
)
_refusals: Final[Combiner[Record, Written]] = Combiner(
    lambda records: ask_sql.write(records), most=_MOST_AT_ONCE, group=_project_of, names=_names
)


class _Raced(Exception):
    """Somebody else decided this opportunity or created an item of it meanwhile: begin again with what is there now."""


def decide(project: Project, opportunity: Opportunity, *, now: dt.datetime, is_dry_run: bool = False) -> Answer:
    """Decide whether to ask, and log it with the items and predictions that came along.

    Idempotent by `opportunity_id`: a decision that is in the log is given again, its token only to the same respondent. Locks the respondent and, shared, the
    project's counters, only if the draw says yes. With Redis down the answer is no, "degraded"; all else is logged.

    Raises InvalidInput with the code of the intake for an item or prediction that is not valid, `unknown_item`,
    `unknown_question`; Unavailable where others were faster again and again.
    """
    setting = _setting(project, opportunity, now)
    try:
        scores = ask_situation.score(setting, opportunity.rows)
        for _ in range(_ATTEMPTS):
            try:
                return _Deciding(project, setting, opportunity, scores, now).run(is_dry_run=is_dry_run)
            except _Raced:
                continue
    except RowError as error:
        raise InvalidInput(error.message, code=error.code, fields={"key": error.key or ""}) from None
    raise Unavailable("Others decided about the same items at the same time; try again.", code="contended")


def _setting(project: Project, opportunity: Opportunity, now: dt.datetime) -> Setting:
    setting = ask_setting.of(project, now=now)
    named = {row.prediction.model_version for row in opportunity.rows if row.prediction is not None}
    if not named <= setting.versions.keys():
        setting = ask_setting.of(project, now=now, is_fresh=True)  # one that was registered a moment ago
    wanted = opportunity.question
    if (
        wanted
        and setting.question_named(wanted) is None
        and not Question.objects.filter(project=project, key=wanted).exists()
    ):
        raise InvalidInput(f"There is no question “{wanted}”.", code="unknown_question", fields={"question": wanted})
    return setting


@dataclass
class _Deciding:
    """One attempt."""

    project: Project
    setting: Setting
    opportunity: Opportunity
    scores: dict[int, Any]
    now: dt.datetime

    def __post_init__(self) -> None:
        setting, opportunity = self.setting, self.opportunity
        session = respondent_hash.keyed_hash(setting.session_key, opportunity.session)
        # A hash as long as a respondent's; they cannot meet, for the keys differ.
        self.respondent_hash = respondent_hash.keyed_hash(setting.respondent_key, opportunity.respondent) or session
        self.session_hash = session
        self.earlier_hashes = (
            [each.hash_of(opportunity.respondent, opportunity.session) for each in setting.earlier_keys]
            if self.respondent_hash
            else []
        )
        self.draws = draws.of_opportunity(setting.draw_key, opportunity.opportunity_id)
        self.keys = [row.key for row in opportunity.rows]
        self.window = ask_counters.window_of(
            setting.project_id, setting.policy, anchor=setting.budget_since, now=self.now
        )

    def run(self, *, is_dry_run: bool) -> Answer:
        state = self._read()
        if state.decision_id is not None:
            return ask_replies.replayed(
                self.setting,
                state.decision_id,
                respondents={self.respondent_hash, *self.earlier_hashes},
                locale=self.opportunity.locale,
                now=self.now,
            )
        moment = self._moment(state)
        situation, decision = self._decide(moment)
        if is_dry_run:
            return self._answer(moment, decision, None, None)
        if decision.is_ask:
            return self._ask()
        return self._refuse(moment, situation, decision)

    def _read(self) -> State:
        state = self._read_present()
        if not state.is_known_by_earlier:
            return state
        respondent_moves.move(
            self.setting.project_id,
            earlier=self.earlier_hashes,
            current=self.respondent_hash,
            sessions={
                respondent_hash.keyed_hash(each.session, self.opportunity.session): self.session_hash
                for each in self.setting.earlier_keys
                if self.session_hash
            },
            now=self.now,
        )
        return self._read_present()

    def _read_present(self) -> State:
        return _states(
            Wanted(
                project_id=self.setting.project_id,
                opportunity_id=self.opportunity.opportunity_id,
                keys=self.keys,
                respondent_hash=self.respondent_hash,
                earlier_hashes=self.earlier_hashes,
                since=self.now - dt.timedelta(seconds=self.setting.policy.memory_seconds),
                now=self.now,
            )
        )

    def _moment(self, state: State) -> Moment:
        subjects = ask_situation.subjects(self.setting, self.opportunity.rows, self.scores, state)
        return Moment(
            self.setting,
            self.opportunity,
            subjects,
            state,
            respondent_hash=self.respondent_hash,
            session_hash=self.session_hash,
            holdout_name=self.earlier_hashes[-1] if self.earlier_hashes else self.respondent_hash,
            now=self.now,
        )

    def _decide(self, moment: Moment, *, is_locked: bool = False) -> tuple[Situation, Decision]:
        """Decide; the counters are read only where nothing before them refuses. Whoever holds locks must not rebuild them, and
        reads them as they are; without locks a moment's delay does no harm, since a yes is decided again with them."""
        policy = self.setting.policy
        situation = moment.situation(moment.question)
        decision = deciding.decide(policy, situation, self.draws)
        if decision.reason != Reason.DEGRADED:
            return situation, decision
        segments = sorted({each.segment for each in situation.candidates if each.segment in policy.segment_quotas})
        try:
            counts = (
                ask_counters.read(self.window, policy, segments, now=self.now, may_rebuild=False)
                if is_locked
                else ask_counters.recent(self.window, policy, segments, now=self.now)
            )
        except CountersDown:
            return situation, decision
        situation = msgspec.structs.replace(
            situation,
            spending=Spending(counts.spent, self.window.elapsed(self.now), counts.price),
            candidates=tuple(
                msgspec.structs.replace(each, quota_spent=counts.segments.get(each.segment, 0))
                for each in situation.candidates
            ),
        )
        return situation, deciding.decide(policy, situation, self.draws)

    def _refuse(self, moment: Moment, situation: Situation, decision: Decision) -> Answer:
        setting, name = self.setting, self.opportunity.opportunity_id
        share = setting.logged_share_of_no
        is_logged = share >= 1.0 or draws.uniform(setting.draw_key, "log", name) < share
        record = self._record(moment, situation, decision, is_logged=is_logged, log_weight=1.0 / share)
        written = _refusals(record)
        if not written.is_complete or (is_logged and written.decision_id is None):
            raise _Raced
        self._tell()
        return self._answer(moment, decision, None, written.prediction_id)

    def _ask(self) -> Answer:
        """Decide again with the locks held, and ask if the answer still is yes."""
        ticket: Ticket | None = None
        is_committing = False
        try:
            with transaction.atomic():
                ask_sql.lock(self.setting.project_id, self.respondent_hash)
                state = self._read()
                if state.decision_id is not None:
                    raise _Raced
                moment = self._moment(state)
                situation, decision = self._decide(moment, is_locked=True)
                if decision.is_ask:
                    ticket, decision = self._reserve(moment, decision)
                if ticket is None:
                    return self._refuse(moment, situation, decision)
                record = self._record(moment, situation, decision)
                (written,) = ask_sql.write([record])
                if not written.is_complete or written.ask_id is None:
                    raise _Raced
                self._tell()
                answer = self._answer(moment, decision, written.ask_id, written.prediction_id)
                is_committing = True
        except IntegrityError:
            # Another respondent's request decided the same opportunity.
            self._give_back(ticket)
            raise _Raced from None
        except BaseException:
            # Whether a commit that broke off was one is not known: then what was reserved stays counted.
            if not is_committing:
                self._give_back(ticket)
            raise
        return answer

    def _tell(self) -> None:
        """Feedback may have waited for what was stored."""
        if self.scores:
            news.tell(news.feedback_joinable, project_id=self.project.pk)

    def _give_back(self, ticket: Ticket | None) -> None:
        if ticket is not None:
            ask_counters.release(ticket)

    def _reserve(self, moment: Moment, decision: Decision) -> tuple[Ticket | None, Decision]:
        """Take one ask from the counters, or the refusal that there was none left."""
        segment = moment.segments[decision.chosen or 0]
        try:
            reserved = ask_counters.reserve(self.window, self.setting.policy, segment, now=self.now)
        except CountersDown:
            reserved = "missing"
        if isinstance(reserved, Ticket):
            return reserved, decision
        reason = {"budget": Reason.BUDGET, "quota": Reason.SEGMENT_QUOTA, "missing": Reason.DEGRADED}[reserved]
        return None, Decision(reason=reason, retry_after=DEGRADED_RETRY_SECONDS)

    def _record(
        self,
        moment: Moment,
        situation: Situation,
        decision: Decision,
        *,
        is_logged: bool = True,
        log_weight: float = 1.0,
    ) -> Record:
        setting, question = self.setting, moment.question
        # A no about several candidates is about none of them; which they were, the terms say.
        place = decision.chosen if decision.chosen is not None else -1 if self.opportunity.is_list else 0
        subject = moment.subjects[place] if place >= 0 else None
        about = decision.eligible.index(place) if place in decision.eligible else None
        return Record(
            now=self.now,
            project_id=setting.project_id,
            opportunity_id=self.opportunity.opportunity_id,
            policy_id=setting.policy_id,
            question_version_id=question.version_id if question else None,
            champion_id=self._champion(moment),
            respondent_hash=self.respondent_hash,
            session_hash=self.session_hash,
            segment=moment.segments[max(place, 0)],
            place=place,
            is_ask=decision.is_ask,
            reason=decision.reason.value,
            is_eligible=decision.is_eligible,
            propensity=decision.propensity,
            draw=decision.draw,
            utility=None if about is None else decision.terms[about].utility,
            terms=_terms(situation, decision, is_list=self.opportunity.is_list),
            rows=[_row(self.setting, place, each) for place, each in enumerate(moment.subjects)],
            is_blind=decision.is_blind,
            is_audit=decision.is_audit,
            is_logged=is_logged,
            log_weight=log_weight,
            predicted_answer=subject.predicted_answer(setting) if decision.is_ask and subject else None,
            expires_at=self._expiry(question) if decision.is_ask else None,
        )

    def _champion(self, moment: Moment) -> int | None:
        """The champion, if its word is to be stored: its row is locked then."""
        champion = self.setting.champion
        said = {each.score.version_id for each in moment.subjects if each.score is not None}
        return champion.pk if champion is not None and champion.pk in said else None

    def _expiry(self, question: LiveQuestion | None) -> dt.datetime:
        expires_at = self.now + self.setting.ask_lifetime
        deadline = question.deadline if question else None
        return expires_at if deadline is None else min(expires_at, deadline)

    def _answer(self, moment: Moment, decision: Decision, ask_id: int | None, prediction_id: int | None) -> Answer:
        place = decision.chosen if decision.chosen is not None else None if self.opportunity.is_list else 0
        wait = decision.retry_after
        answer = Answer(
            ask=decision.is_ask,
            reason=decision.reason.told.value,
            opportunity_id=self.opportunity.opportunity_id,
            key=None if place is None else self.keys[place],
            prediction_id=prediction_id,
            propensity=decision.propensity,
            policy_version=self.setting.policy_version,
            retry_after_seconds=None if wait is None else max(int(-(-wait // 1)), 1),
        )
        question = moment.question
        if decision.is_ask and question is not None and place is not None:
            ask_replies.offer(
                answer,
                self.setting,
                question,
                predicted=moment.subjects[place].predicted_answer(self.setting),
                is_blind=decision.is_blind,
                locale=self.opportunity.locale,
                ask_id=ask_id,
                expires_at=self._expiry(question),
            )
        return answer


class _Logged(msgspec.Struct, omit_defaults=True):
    """The form of AskDecision.terms."""

    situation: Situation
    terms: tuple[Any, ...] = ()
    eligible: tuple[int, ...] = ()
    propensities: tuple[float, ...] = ()


def _terms(situation: Situation, decision: Decision, *, is_list: bool) -> msgspec.Raw:
    if not is_list:
        return msgspec.Raw(_encode(_Logged(situation, decision.terms)))
    return msgspec.Raw(_encode(_Logged(situation, decision.terms, decision.eligible, decision.propensities)))


def _row(setting: Setting, place: int, subject: Subject) -> WrittenRow:
    row, known, score = subject.row, subject.known, subject.score
    written = WrittenRow(place=place, key=row.key, item_id=None if known is None else known.item_id)
    if known is None:
        written.bucket = bucket_of(setting.project_id, row.key)
        written.payload, written.segments = msgspec.Raw(row.payload), msgspec.Raw(row.segments)
    if score is not None:
        written.version_id, written.predicted_class = score.version_id, score.predicted_class
        written.probabilities, written.confidence = score.probabilities.hex(), score.confidence
        written.answer = None if score.answer is None else msgspec.Raw(score.answer)
        written.context = msgspec.Raw(row.context)
    elif known is not None and known.version_id is not None:
        written.version_id, written.prediction_id = known.version_id, known.prediction_id
    return written
