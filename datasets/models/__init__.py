from datasets.models.accepted import AcceptedLabel, NextChange, PendingEvidence
from datasets.models.belief import AcceptancePolicy, BeliefRun, ItemBelief, PendingItem
from datasets.models.label_check import HeldOutPrediction, LabelCheck, SuspectLabel
from datasets.models.review import GoldItem, ReviewCase, ReviewDecision
from datasets.models.snapshot import Snapshot, SnapshotRow
from datasets.models.source import SourceDecision, SourceExamination, SourceStanding

__all__ = [
    "AcceptancePolicy",
    "AcceptedLabel",
    "BeliefRun",
    "GoldItem",
    "HeldOutPrediction",
    "ItemBelief",
    "LabelCheck",
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
    "SuspectLabel",
]
