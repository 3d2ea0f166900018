"""News a lower app tells upwards, after commit.

A signal carries ids only and may be lost: it merely makes things prompt. Whoever hears it reads the state from
the database, and a sweep finds what a lost signal missed.
"""

from functools import partial

from django.db import transaction
from django.dispatch import Signal

annotation_recorded = Signal()
"""An annotation was recorded or withdrawn. Sent with `project_id`."""

queue_low = Signal()
"""An annotator asked for a task and the queue had none to spare. Sent with `project_id`."""

labels_accepted = Signal()
"""Accepted labels changed. Sent with `project_id`."""

champion_changed = Signal()
"""Another model version is the champion now, and the pool holds its probabilities. Sent with `project_id`."""

feedback_recorded = Signal()
"""Feedback or corrections were recorded, or joined to what they are about. Sent with `project_id`."""

feedback_joinable = Signal()
"""Items or predictions came in, and there is feedback that waits for what it is about. Sent with `project_id`."""

label_check_wanted = Signal()
"""Somebody wants the accepted labels checked now. Sent with `project_id`."""


def tell(signal: Signal, *, project_id: int) -> None:
    """Send `signal` once the current transaction has committed; a failing receiver is logged, not raised."""
    transaction.on_commit(partial(signal.send_robust, sender=None, project_id=project_id))
