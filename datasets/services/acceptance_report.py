"""What becomes of a project's items under its acceptance policy, and what the label model has learned, for people and apps."""

import datetime as dt
from dataclasses import dataclass, field

from django.db.models import Count

from datasets.consensus.channel_worth import ChannelWorth, worth_of
from datasets.consensus.evidence import Kind
from datasets.consensus.layout import Channel
from datasets.models import AcceptancePolicy, BeliefRun, ItemBelief
from datasets.services import acceptance_policies, beliefs
from datasets.services.evidence import CORRECTION_CHANNELS, VERDICT_CHANNELS
from labeling.models import Project


@dataclass(frozen=True)
class LearnedChannel:
    """What answers of one kind, given in one way, turned out to be worth; see `channel_worth`.

    `epsilon`: of answers that were randomised, the privacy budget; what is learned is of the honest answers behind them.
    """

    kind: str
    name: str
    title: str
    epsilon: float | None
    worth: ChannelWorth


@dataclass(frozen=True)
class AcceptanceReport:
    """`due`: why a fit is due now, in a word; empty: it is not. `items`: how many items by what is to be done about them."""

    policy: AcceptancePolicy
    run: BeliefRun | None = None
    due: str = ""
    items: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ItemBelief.Action.values, 0))
    channels: list[LearnedChannel] = field(default_factory=list)


def report(project: Project, *, now: dt.datetime) -> AcceptanceReport:
    """The policy in force; of a project that goes by the label model also its last fit and what is believed now."""
    setting = beliefs.setting_of(project)
    if setting is None:
        return AcceptanceReport(acceptance_policies.current_policy(project))
    run = beliefs.last_run(setting)
    counts = ItemBelief.objects.filter(project=project).values_list("action").annotate(count=Count("pk")).order_by()
    return AcceptanceReport(
        policy=setting.policy,
        run=run,
        due=beliefs.why_due(project, now=now),
        items={**dict.fromkeys(ItemBelief.Action.values, 0), **dict(counts)},
        channels=_channels(run) if run is not None else [],
    )


def _channels(run: BeliefRun) -> list[LearnedChannel]:
    learned = beliefs.learned_of(run)
    return [_named(each) for each in worth_of(learned.parameters)]


def _named(worth: ChannelWorth) -> LearnedChannel:
    channel = worth.channel
    kind, name, title = channel.kind.name.lower(), *_name(channel)
    return LearnedChannel(kind, name, title, channel.epsilon or None, worth)


def _name(channel: Channel) -> tuple[str, str]:
    if channel.kind == Kind.CORRECTION:
        of_corrections = CORRECTION_CHANNELS[channel.number]
        return of_corrections.value, f"Corrections: {of_corrections.label[:1].lower()}{of_corrections.label[1:]}"
    if channel.is_verdict:
        return VERDICT_CHANNELS[channel.number].value, str(VERDICT_CHANNELS[channel.number].label)
    return "annotation", "Randomised annotations"
