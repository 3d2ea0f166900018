"""The built-in trainers by name, and the choice among them."""

from collections.abc import Mapping, Sequence
from typing import Final

from training.trainers.numeric import NumericTrainer
from training.trainers.pipeline import PipelineTrainer
from training.trainers.port import Payload, TrainerError
from training.trainers.text import TextTrainer

AUTO: Final = "auto"

# In the order in which `choose` prefers them: a payload may carry features beside its text.
TRAINERS: Final[Mapping[str, PipelineTrainer]] = {
    trainer.name: trainer for trainer in (TextTrainer(), NumericTrainer())
}


def names() -> list[str]:
    """What a policy or a run may name."""
    return [AUTO, *TRAINERS]


def choose(payloads: Sequence[Payload]) -> PipelineTrainer:
    """Return the first trainer whose key most of the payloads have.

    Rows without that key then make the training fail by name, instead of being left out in silence.

    Raises
    ------
    TrainerError
        No payload has a key that any trainer reads.

    >>> choose([{"features": [1, 2]}]).name
    'numeric'
    """
    counts = {name: sum(trainer.payload_key in row for row in payloads) for name, trainer in TRAINERS.items()}
    best = max(counts, key=lambda name: counts[name])
    if not counts[best]:
        keys = " or ".join(f"“{trainer.payload_key}”" for trainer in TRAINERS.values())
        raise TrainerError(f"no payload has {keys}, which the built-in trainers read")
    return TRAINERS[best]


def get(name: str, payloads: Sequence[Payload]) -> PipelineTrainer:
    """The trainer of that name; for `auto`, the one that fits the payloads. TrainerError for an unknown name."""
    if name == AUTO:
        return choose(payloads)
    if name not in TRAINERS:
        raise TrainerError(f"there is no trainer “{name}”; there are {', '.join(names())}")
    return TRAINERS[name]
