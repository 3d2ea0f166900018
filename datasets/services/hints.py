"""What makes respondents worth a look and proves nothing: comments that are nearly the same, and new accounts that speak
against one target. Shown to reviewers beside the findings; no standing follows from it."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np

from datasets.consensus.evidence import VERDICTS
from datasets.consensus.source_quality import near_duplicates
from datasets.consensus.source_quality.targeting import NEWEST_SHARE, newest_accounts
from datasets.services.evidence import Gathered, Origin, Source
from datasets.services.standings import StoredReason
from labeling.models import Correction, Feedback, Item, Project, Respondent

LATEST: Final = 5_000
"""So many comments and so many verdicts are looked at, the latest."""
LEAST_COMMENT: Final = 20
"""Shorter comments are the same by chance."""
LEAST_SOURCES: Final = 3
LEAST_NEGATIVE: Final = 10
_SHOWN: Final = 80


class _Verdict(NamedTuple):
    respondent: str
    item_id: int
    feedback_id: int
    is_negative: bool


def of(project: Project, gathered: Gathered) -> dict[Source, list[StoredReason]]:
    """The hints about each respondent of whom there are any. At most six queries."""
    found: dict[Source, list[StoredReason]] = defaultdict(list)
    _same_comments(project, found)
    _targets(project, gathered, found)
    return dict(found)


def _same_comments(project: Project, found: dict[Source, list[StoredReason]]) -> None:
    rows: list[tuple[str, str]] = []
    for model in (Feedback, Correction):
        said = model._default_manager.filter(project=project).exclude(comment="").exclude(respondent_hash="")
        rows += said.order_by("-received_at").values_list("respondent_hash", "comment")[:LATEST]
    rows = [(respondent, text) for respondent, text in rows if len(text.strip()) >= LEAST_COMMENT]
    for group in near_duplicates.groups([text for _, text in rows]):
        authors = {rows[place][0] for place in group}
        if len(authors) < LEAST_SOURCES:
            continue
        for place in group:
            respondent, text = rows[place]
            reasons = found[Source(None, respondent)]
            if not any(reason["family"] == "text" for reason in reasons):
                shown = text.strip() if len(text) <= _SHOWN else f"{text.strip()[:_SHOWN]}…"
                reasons.append({
                    "family": "text",
                    "nats": 0.0,
                    "text": f"{len(authors) - 1} other respondents wrote nearly the same comment: “{shown}”",
                })  # fmt: skip


def _targets(project: Project, gathered: Gathered, found: dict[Source, list[StoredReason]]) -> None:
    """New accounts give far more of the blame of an item, a model version or a segment than of its praise."""
    verdicts = _verdicts(gathered)
    if sum(each.is_negative for each in verdicts) < LEAST_NEGATIVE:
        return
    age_rank = _age_ranks(project, {each.respondent for each in verdicts})
    by_target: dict[str, list[_Verdict]] = defaultdict(list)
    segments = _segments(verdicts)
    versions = dict(
        Feedback.objects.filter(pk__in=[each.feedback_id for each in verdicts]).values_list(
            "pk", "prediction__model_version__name"
        )
    )
    for each in verdicts:
        by_target[f"item {each.item_id}"].append(each)
        by_target[f"model {versions.get(each.feedback_id)}"].append(each)
        for name, value in segments.get(each.item_id, {}).items():
            by_target[f"segment {name} = {value}"].append(each)
    for target, about in by_target.items():
        ranks = np.array([age_rank.get(each.respondent, 1.0) for each in about])
        test = newest_accounts(ranks, np.array([each.is_negative for each in about]))
        if test.negative < LEAST_NEGATIVE or test.p_value * len(by_target) > np.exp(-6.0):
            continue
        nats = -float(np.log(max(test.p_value * len(by_target), np.exp(-50.0))))
        text = (
            f"Is one of the newest accounts, which give {test.from_newest} of the {test.negative} negative opinions about "
            f"{target}."
        )
        for respondent in {each.respondent for each in about if each.is_negative}:
            if age_rank.get(respondent, 1.0) < NEWEST_SHARE:
                found[Source(None, respondent)].append({"family": "targeting", "nats": round(nats, 1), "text": text})


def _verdicts(gathered: Gathered) -> list[_Verdict]:
    evidence = gathered.evidence
    rows = np.flatnonzero(np.isin(evidence.kind, VERDICTS) & (gathered.origin == Origin.FEEDBACK))
    rows = rows[np.argsort(gathered.timing.given_at[rows], kind="stable")][-LATEST:]
    return [
        _Verdict(
            gathered.sources[evidence.source[row]].respondent_hash,
            int(gathered.item_ids[evidence.item[row]]),
            int(gathered.row_id[row]),
            not evidence.answer[row],
        )
        for row in rows.tolist()
        if gathered.sources[evidence.source[row]] != Source()
    ]


def _age_ranks(project: Project, respondents: Iterable[str]) -> dict[str, float]:
    """By respondent, the share of all accounts of the project that are newer."""
    born = dict(
        Respondent.objects.filter(project=project, respondent_hash__in=list(respondents)).values_list(
            "respondent_hash", "created_at"
        )
    )
    everybody = np.sort([at.timestamp() for at in born.values()])
    newer = {who: len(everybody) - np.searchsorted(everybody, at.timestamp(), side="right") for who, at in born.items()}
    return {who: count / len(everybody) for who, count in newer.items()}


def _segments(verdicts: list[_Verdict]) -> dict[int, dict[str, str]]:
    items = Item.objects.filter(pk__in={each.item_id for each in verdicts}).exclude(segments={})
    return {
        pk: {str(name): str(value) for name, value in named.items()}
        for pk, named in items.values_list("pk", "segments")
    }
