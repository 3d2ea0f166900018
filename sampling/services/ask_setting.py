"""What a process knows of a project when it decides whether to ask, read at most every two seconds."""

import datetime as dt
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.utils import timezone

from datasets.services import gold_answers
from labeling import ask_tokens, respondent_hash, selectors
from labeling.models import ModelVersion, Project, Question, QuestionVersion
from labeling.questions import Question as Wording
from labeling.questions import QuestionError, parse_question
from labeling.respondent_hash import RespondentKeys
from labeling.schema import AnySchema
from sampling.asking import draws
from sampling.asking.policy import Policy
from sampling.services import ask_policies, ask_rates, policies
from sampling.services.ask_rates import ResponseRates
from sampling.strategies import registry
from sampling.strategies.registry import Informativeness


@dataclass(frozen=True)
class LiveQuestion:
    """The newest version of a live question."""

    question_id: int
    version_id: int
    key: str
    version: int
    wording: Wording
    epsilon: float | None
    deadline: dt.datetime | None

    @property
    def states_the_truth(self) -> bool:
        """Whether its answers are labels: then nobody is asked about what is labelled."""
        return self.wording.kind == "correction"


@dataclass(frozen=True)
class Setting:
    """All that decides and that is not about this very opportunity."""

    project_id: int
    policy: Policy
    policy_id: int
    policy_version: int
    budget_since: float
    ask_lifetime: dt.timedelta
    logged_share_of_no: float
    questions: tuple[LiveQuestion, ...]
    label_schema: AnySchema
    versions: Mapping[str, ModelVersion]
    champion: ModelVersion | None
    informativeness: Informativeness
    rates: ResponseRates
    label_shares: Mapping[str, float]
    gold_keys: frozenset[str]
    draw_key: bytes
    respondent_key: bytes
    session_key: bytes
    token_key: bytes
    earlier_keys: tuple[RespondentKeys, ...]
    """Under which respondents may be known still, the newest first; none unless RESPONDENT_KEY was rotated."""
    holdout_key: bytes
    """Of the draws by which somebody is never asked: the oldest, so that a rotation changes nobody's lot."""

    def version_named(self, model_version_id: int) -> ModelVersion | None:
        return next((each for each in self.versions.values() if each.pk == model_version_id), None)

    def question_named(self, key: str) -> LiveQuestion | None:
        return next((each for each in self.questions if each.key == key), None)


class _Kept:
    """A setting and when it was read; the rates live longer."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.setting: Setting | None = None
        self.read_at = -float("inf")
        self.rated_at = -float("inf")
        self.rates = ResponseRates()
        self.shares: Mapping[str, float] = {}
        self.segment = ""
        self.gold_keys: frozenset[str] = frozenset()


_kept: Final[dict[int, _Kept]] = {}


def of(project: Project, *, now: dt.datetime | None = None, is_fresh: bool = False) -> Setting:
    """The setting of the project, up to ASK_SETTING_SECONDS old. While one thread reads it anew, others use the old one.

    `now` is for the response rates. `is_fresh` waits for what is in force this moment.
    """
    kept = _kept.setdefault(project.pk, _Kept())
    wait = is_fresh or kept.setting is None or not settings.ASK_SETTING_SECONDS
    if kept.setting is not None and not wait and time.monotonic() - kept.read_at < settings.ASK_SETTING_SECONDS:
        return kept.setting
    if not kept.lock.acquire(blocking=wait) and kept.setting is not None:
        return kept.setting
    try:
        begin = time.monotonic()
        kept.setting = _read(project, kept, now or timezone.now())
        kept.read_at = begin
        return kept.setting
    finally:
        kept.lock.release()


def _read(project: Project, kept: _Kept, now: dt.datetime) -> Setting:
    row = ask_policies.current_policy(project)
    schema = selectors.parsed_schema(project)
    versions = {each.name: each for each in ModelVersion.objects.filter(project=project)}
    strategy = registry.find(registry.default_for(schema.kind), schema.kind)
    chosen = policies.current_policy(project).strategy
    if chosen in registry.fitting(schema.kind):
        strategy = registry.find(chosen, schema.kind)
    _rate(project, kept, row.segment, now)
    return Setting(
        project_id=project.pk,
        policy=ask_policies.pure(row),
        policy_id=row.pk,
        policy_version=row.version,
        budget_since=ask_policies.budget_since(project, row).timestamp(),
        ask_lifetime=dt.timedelta(seconds=row.ask_lifetime_seconds),
        logged_share_of_no=row.logged_share_of_no,
        questions=_live_questions(project, schema),
        label_schema=schema,
        versions=versions,
        champion=next((each for each in versions.values() if each.is_champion), None),
        informativeness=strategy,
        rates=kept.rates,
        label_shares=kept.shares,
        gold_keys=kept.gold_keys,
        # Not of SECRET_KEY: when that changes, replays repeat.
        draw_key=draws.key_for(settings.RESPONDENT_KEY, project.pk),
        respondent_key=respondent_hash.respondent_key(project.pk, settings.RESPONDENT_KEY),
        session_key=respondent_hash.session_key(project.pk, settings.RESPONDENT_KEY),
        token_key=ask_tokens.signing_key(settings.SECRET_KEY),
        earlier_keys=respondent_hash.earlier_keys(
            project.pk, settings.RESPONDENT_KEY, settings.RESPONDENT_KEY_FALLBACKS
        ),
        holdout_key=draws.key_for([settings.RESPONDENT_KEY, *settings.RESPONDENT_KEY_FALLBACKS][-1], project.pk),
    )


def _rate(project: Project, kept: _Kept, segment: str, now: dt.datetime) -> None:
    if time.monotonic() - kept.rated_at < settings.ASK_RATES_SECONDS and kept.segment == segment:
        return
    kept.rates = ask_rates.response_rates(project.pk, now=now)
    kept.shares = ask_rates.label_shares(project.pk, segment, now=now)
    kept.gold_keys = gold_answers.keys(project)
    kept.segment, kept.rated_at = segment, time.monotonic()


def _live_questions(project: Project, schema: AnySchema) -> tuple[LiveQuestion, ...]:
    """Those that fit the label schema, by key."""
    newest = (
        QuestionVersion.objects.filter(question__project=project, question__state=Question.State.LIVE)
        .select_related("question")
        .order_by("question__key", "-version")
        .distinct("question__key")
    )
    found = []
    for each in newest:
        try:
            wording = parse_question(each.kind, each.definition)
            wording.check_fits(schema)
        except QuestionError:
            continue  # the label schema changed since it was written
        found.append(
            LiveQuestion(
                each.question_id, each.pk, each.question.key, each.version, wording, each.epsilon, each.deadline
            )
        )
    return tuple(found)
