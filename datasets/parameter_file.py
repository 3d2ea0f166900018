"""What the label model learned of its sources as bytes, as they are kept in the row of a fit."""

import io
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from datasets.consensus.evidence import Kind
from datasets.consensus.layout import Channel
from datasets.consensus.parameters import Parameters

_STORED: Final = np.float32


@dataclass(frozen=True, eq=False)
class Learned:
    """Parameters whose annotators are known by their ids, not by positions that another read of the evidence would give anew.

    annotator_ids
        Shape (A,), int64, ascending; `parameters.annotators` are the positions 0 to A - 1 in it.
    typical_confusion
        Shape (K, K): what an answer by whoever answers next is like, see `adaptive_overlap.typical_confusion`.
    judged
        Shape (A + 1, K, K): as `parameters.confusion`, judged by others, see `without_own.judged_by_others`. The same as that where the
        fit kept none.
    """

    parameters: Parameters
    annotator_ids: NDArray[np.int64]
    typical_confusion: NDArray[np.float64]
    judged: NDArray[np.float64]

    def for_sources(self, ids: NDArray[np.int64]) -> Parameters:
        """The parameters for evidence whose source positions are these annotators.

        `ids`, shape (n_sources,), is the annotator's id at each position, -1 for other sources. Those who are not known here
        count as newcomers; those who are not among `ids` are left out. O(n_sources log A + K^2 for each who is).
        """
        size = len(self.annotator_ids)
        place = np.searchsorted(self.annotator_ids, ids)
        is_known = np.zeros(len(ids), dtype=bool)
        if size:
            is_known = (self.annotator_ids[np.minimum(place, size - 1)] == ids) & (ids >= 0)
        rows = np.append(place[is_known], size)
        return replace(self.parameters, annotators=np.flatnonzero(is_known), confusion=self.parameters.confusion[rows])


def dumps(
    parameters: Parameters,
    source_ids: NDArray[np.int64],
    typical_confusion: NDArray[np.float64],
    judged: NDArray[np.float64] | None = None,
) -> bytes:
    """Compressed npz with float32 numbers; `source_ids` is the annotator's id at each source position.

    `judged`: confusion of the same annotators, in the same order, as judged by others.

    Raises ValueError if a position among `parameters.annotators` is nobody's or two are the same person.

    >>> from datasets.consensus.parameters import Parameters
    >>> prior, matrices = np.array([0.5, 0.5]), np.ones((3, 2, 2))
    >>> matrices[0] *= 7
    >>> learned = loads(dumps(Parameters(prior, np.array([0, 2]), matrices, {}), np.array([31, -1, 12]), np.eye(2)))
    >>> learned.annotator_ids.tolist(), learned.parameters.confusion[:, 0, 0].tolist()
    ([12, 31], [1.0, 7.0, 1.0])
    """
    ids = source_ids[parameters.annotators]
    if (ids < 0).any() or len(np.unique(ids)) < len(ids):
        raise ValueError("every annotator of the parameters needs an id of their own")
    order = np.argsort(ids)
    channels = list(parameters.channels)
    arrays = {
        "class_prior": parameters.class_prior.astype(_STORED),
        "annotator_ids": ids[order].astype(np.int64),
        "confusion": parameters.confusion[np.append(order, len(ids))].astype(_STORED),
        "typical_confusion": typical_confusion.astype(_STORED),
        # Numbers that name a channel or are given are kept as they are.
        "review_accuracy": np.float64(parameters.review_accuracy),
        "channel_kind": np.array([each.kind for each in channels], dtype=np.int64),
        "channel_number": np.array([each.number for each in channels], dtype=np.int64),
        "channel_epsilon": np.array([each.epsilon for each in channels], dtype=np.float64),
    }
    for number, channel in enumerate(channels):
        arrays[f"channel_{number}"] = parameters.channels[channel].astype(_STORED)
    if judged is not None:
        arrays["judged"] = judged[np.append(order, len(ids))].astype(_STORED)
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()


def loads(content: bytes) -> Learned:
    """Read what `dumps` wrote. ValueError or KeyError for anything else; nothing in it is ever executed."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        names = zip(arrays["channel_kind"], arrays["channel_number"], arrays["channel_epsilon"], strict=True)
        channels = {
            Channel(Kind(kind), int(number), float(epsilon)): arrays[f"channel_{place}"].astype(np.float64)
            for place, (kind, number, epsilon) in enumerate(names)
        }
        ids = arrays["annotator_ids"]
        prior = arrays["class_prior"].astype(np.float64)
        parameters = Parameters(
            prior / prior.sum(),
            np.arange(len(ids)),
            arrays["confusion"].astype(np.float64),
            channels,
            float(arrays["review_accuracy"]),
        )
        judged = arrays["judged"].astype(np.float64) if "judged" in arrays else parameters.confusion
        return Learned(parameters, ids, arrays["typical_confusion"].astype(np.float64), judged)
