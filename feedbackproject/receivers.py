"""Who hears the news of the lower apps. A receiver only wakes a Celery task, which reads the state."""

from typing import Any

from labeling import news
from labeling.wakeup import wake, wake_soon

ACCEPT_PENDING = "datasets.accept_pending"
MIX_GOLD = "datasets.mix_gold"
CHECK_WATERMARK = "sampling.check_watermark"
CHECK_RETRAINING = "training.check_retraining"
JOIN_FEEDBACK = "labeling.join_feedback"
CHECK_LABELS = "training.check_labels"


def _on_annotation_recorded(sender: object, *, project_id: int, **kwargs: Any) -> None:
    wake_soon(ACCEPT_PENDING, project_id)
    wake_soon(MIX_GOLD, project_id)
    wake_soon(CHECK_WATERMARK, project_id)


def _on_queue_low(sender: object, *, project_id: int, **kwargs: Any) -> None:
    wake(CHECK_WATERMARK, project_id)
    wake(MIX_GOLD, project_id)


def _on_labels_accepted(sender: object, *, project_id: int, **kwargs: Any) -> None:
    wake(CHECK_RETRAINING, project_id)


def _on_feedback_recorded(sender: object, *, project_id: int, **kwargs: Any) -> None:
    wake_soon(ACCEPT_PENDING, project_id)


def _on_feedback_joinable(sender: object, *, project_id: int, **kwargs: Any) -> None:
    wake_soon(JOIN_FEEDBACK, project_id)


def _on_label_check_wanted(sender: object, *, project_id: int, **kwargs: Any) -> None:
    wake(CHECK_LABELS, project_id)


def connect() -> None:
    news.annotation_recorded.connect(_on_annotation_recorded, dispatch_uid="annotation_recorded")
    news.queue_low.connect(_on_queue_low, dispatch_uid="queue_low")
    news.champion_changed.connect(_on_queue_low, dispatch_uid="champion_changed")
    news.labels_accepted.connect(_on_labels_accepted, dispatch_uid="labels_accepted")
    news.feedback_recorded.connect(_on_feedback_recorded, dispatch_uid="feedback_recorded")
    news.feedback_joinable.connect(_on_feedback_joinable, dispatch_uid="feedback_joinable")
    news.label_check_wanted.connect(_on_label_check_wanted, dispatch_uid="label_check_wanted")
