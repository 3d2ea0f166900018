from datasets.models.accepted import AcceptedLabel, NextChange, PendingEvidence
from datasets.models.belief import AcceptancePolicy, BeliefRun, ItemBelief, PendingItem
from datasets.models.review import GoldItem, ReviewCase, ReviewDecision
from datasets.models.snapshot import Snapshot, SnapshotRow
from datasets.models.source import SourceDecision, SourceExamination, SourceStanding

__all__ = [
    "AcceptancePolicy",
    "AcceptedLabel",
    "BeliefRun",
    "GoldItem",
    "ItemBelief",
    "NextChange",
    "PendingEvidence",
    "PendingItem",
    "ReviewCase",
    "ReviewDecision",
    "Snapshot",
    "SnapshotRow",
    "SourceDecision",
    "SourceExamination",
    "SourceStanding",
]
