"""Whom to ask about an item once more: the open tasks of `overlap`, in the order of what this annotator's answer would teach.

The ranker of labeling.serving_order. Reads nothing but the beliefs as they stand, a second old at most.
"""

import datetime as dt
import time
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from django.conf import settings
from numpy.typing import NDArray

from datasets.consensus.adaptive_overlap import least_worth_asking_again, value_of_answer, worth_of_annotators
from datasets.consensus.confusion import mean_of
from datasets.parameter_file import Learned
from datasets.services import beliefs
from labeling import prepared
from labeling.probability import STORED_DTYPE
from labeling.services.queue_sql import IS_RANKED
from labeling.serving_order import ServingOrder

PATIENCE: Final = dt.timedelta(minutes=10)
"""For how long such a task is kept for those whose answers teach more."""

# A belief by an older fit may be about other classes.
_OPEN: Final = f"""
SELECT newest.draws_first, run.id, run.evidence_hash, task.id, task.informativeness, task.created_at, belief.posterior
FROM (SELECT method, draws_first FROM datasets_acceptancepolicy WHERE project_id = %(project)s
        ORDER BY version DESC LIMIT 1) newest
    CROSS JOIN (SELECT id, evidence_hash FROM datasets_beliefrun WHERE project_id = %(project)s ORDER BY id DESC LIMIT 1) run
    JOIN labeling_annotationtask task ON task.project_id = %(project)s AND task.state = 'open' AND task.assigned_to_id IS NULL
        AND {IS_RANKED}
    LEFT JOIN datasets_itembelief belief ON belief.item_id = task.item_id AND belief.run_id = run.id
WHERE newest.method = 'label_model'
ORDER BY task.id"""  # noqa: S608 - all constants


@dataclass(frozen=True, eq=False)
class _Board:
    """What is open in a project, and what is believed of it; `orders` are those worked out from it so far."""

    draws_first: bool
    learned: Learned
    task_ids: NDArray[np.int64]
    created_at: list[dt.datetime]
    informativeness: NDArray[np.float64]
    has_posterior: NDArray[np.bool_]
    posterior: NDArray[np.float64]
    least_worth: float
    orders: dict[int, ServingOrder] = field(default_factory=dict)

    def order_for(self, annotator_id: int, now: dt.datetime) -> ServingOrder:
        ids = self.learned.annotator_ids
        place = int(np.searchsorted(ids, annotator_id))
        is_known = place < len(ids) and ids[place] == annotator_id
        # As others judge them; somebody unknown counts as a newcomer, and may turn out good.
        confusion = mean_of(self.learned.judged[place if is_known else len(ids)])
        value = self.informativeness.copy()
        value[self.has_posterior] = value_of_answer(self.posterior, confusion)
        by_value = np.argsort(-value, kind="stable")
        ceiling = float(self.informativeness.max())
        worth = worth_of_annotators(confusion[None], self.learned.parameters.class_prior)[0]
        if not is_known or worth >= self.least_worth:
            asked = self.task_ids[by_value].tolist()
            return ServingOrder((), asked, ceiling) if self.draws_first else ServingOrder(asked, (), ceiling)
        is_kept = np.array([created_at > now - PATIENCE for created_at in self.created_at])
        waited = by_value[~is_kept[by_value]]
        kept = [self.created_at[number] for number in np.flatnonzero(is_kept)]
        return ServingOrder((), self.task_ids[waited].tolist(), ceiling, min(kept) + PATIENCE if kept else None)


def order_for(project_id: int, annotator_id: int, now: dt.datetime) -> ServingOrder | None:
    """In which order this annotator is asked about items once more; None where nobody decides that by beliefs.

    The most valuable for them come first, before drawn tasks unless the policy says that draws come first. Whose answers teach
    clearly less than the median annotator's draws first whatever the policy says, and gets such a task only when it has
    waited PATIENCE for somebody else. As of at most QUEUE_SIZE_SECONDS ago; what changed since, the claim checks.
    """
    tick = time.monotonic()
    until, board = _boards.get(project_id, (tick, None))
    if tick >= until:
        if len(_boards) >= _MOST_BOARDS:
            _boards.clear()
        board = _read(project_id)
        _boards[project_id] = (tick + settings.QUEUE_SIZE_SECONDS, board)
    if board is None:
        return None
    order = board.orders.get(annotator_id)
    if order is None:
        order = board.orders[annotator_id] = board.order_for(annotator_id, now)
    return order


_MOST_BOARDS: Final = 1000
_boards: dict[int, tuple[float, _Board | None]] = {}


def _read(project_id: int) -> _Board | None:
    rows = prepared.fetch(_OPEN, {"project": project_id})
    if not rows:
        return None
    draws_first, run_id, evidence_hash, *_ = rows[0]
    learned = beliefs.learned_by(run_id, evidence_hash)
    prior = learned.parameters.class_prior
    packed = [row[6] for row in rows]
    has_posterior = np.array([each is not None for each in packed])
    posterior = np.frombuffer(b"".join(each for each in packed if each is not None), dtype=STORED_DTYPE)
    return _Board(
        draws_first=draws_first,
        learned=learned,
        task_ids=np.array([row[3] for row in rows], dtype=np.int64),
        created_at=[row[5] for row in rows],
        informativeness=np.array([row[4] for row in rows], dtype=np.float64),
        has_posterior=has_posterior,
        posterior=posterior.reshape(-1, len(prior)).astype(np.float64),
        least_worth=least_worth_asking_again(worth_of_annotators(mean_of(learned.judged[:-1]), prior)),
    )
