"""Which tasks hide the model's suggestion from whom, so that it can be measured how much people follow what they see.

The draw is a hash of task and annotator and nothing else: a task that is released and served again to the same person looks
the same again, and what was hidden can be told later without a column of its own. See docs/algorithms/anchoring.md.
"""

from hashlib import blake2b
from typing import Final

_RANGE: Final = 2**64


def draw_of(task_id: int, annotator_id: int) -> float:
    """Return the fixed random number of the pair, in [0, 1), uniform and independent over pairs.

    BLAKE2b-64("blind:<task id>:<annotator id>"), big-endian, divided by 2**64. The definition is part of the stored data:
    with another one, the arms of earlier answers could not be told.

    >>> round(draw_of(1, 1), 4)
    0.5186
    """
    digest = blake2b(f"blind:{task_id}:{annotator_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / _RANGE


def is_blind(task_id: int, annotator_id: int, share: float) -> bool:
    """Whether the suggestion of the task is hidden from the annotator, where a `share` in [0, 1] of them is to be hidden.

    Who was blind at a share stays so at every larger one.
    """
    return draw_of(task_id, annotator_id) < share
