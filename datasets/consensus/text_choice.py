"""Corrected texts by several people: the one closest to all others, or a review where they are too far apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

LARGEST_DISTANCE: Final = 0.2
LONGEST_COMPARED: Final = 20_000


@dataclass(frozen=True)
class TextChoice:
    """The chosen text, or the advice to let a person decide.

    chosen
        Position of the text with the smallest weighted mean distance to the others (ties: the first).
    distance
        In [0, 1], that mean distance: 0 if all are equal.
    support
        In (0, 1], weighted share of the texts that are equal to it, surrounding white space apart.
    needs_review
        Whether the distance is above the allowed one, or nobody else is near enough to speak for it.
    """

    chosen: int
    distance: float
    support: float
    needs_review: bool


def choose(
    texts: Sequence[str], *, weights: Sequence[float] | None = None, largest_distance: float = LARGEST_DISTANCE
) -> TextChoice:
    """Choose the medoid of the texts by edit distance.

        d(a, b) = insertions, deletions and replacements / length of the longer,     chosen = argmin_i sum_j w_j d(i, j) / sum_j w_j

    A text somebody wrote is chosen, never a mixture nobody wrote. One text alone is chosen with distance 0. Cost O(n^2 L^2) by rows in
    numpy; texts beyond 20,000 characters are compared by equality only.

    Raises
    ------
    ValueError
        Without a text, or for weights that do not fit or are not above 0.

    >>> choose(["the cat sat", "the cat sat.", "a dog"])
    TextChoice(chosen=0, distance=0.4507575757575758, support=0.3333333333333333, needs_review=True)
    """
    if not texts:
        raise ValueError("no text, no choice")
    w = np.ones(len(texts)) if weights is None else np.asarray(weights, dtype=np.float64)
    if w.shape != (len(texts),) or not (w > 0).all():
        raise ValueError("one weight above 0 for each text")
    plain = [text.strip() for text in texts]
    distances = np.zeros((len(texts), len(texts)))
    known: dict[tuple[str, str], float] = {}
    for i, first in enumerate(plain):
        for j in range(i):
            pair = (first, plain[j])
            if pair not in known:
                known[pair] = relative_distance(*pair)
            distances[i, j] = distances[j, i] = known[pair]
    mean = distances @ w / w.sum()
    chosen = int(np.argmin(mean))
    equal = np.array([text == plain[chosen] for text in plain])
    # To the others: one's own distance of 0 says nothing.
    others = w.sum() - w[chosen]
    distance = float(distances[chosen] @ w / others) if others else 0.0
    return TextChoice(chosen, distance, float(w[equal].sum() / w.sum()), distance > largest_distance)


def relative_distance(first: str, second: str) -> float:
    """Edit distance over the length of the longer text; in [0, 1], 0 for equal texts (two empty ones too).

    >>> relative_distance("kitten", "sitting")
    0.42857142857142855
    """
    if first == second:
        return 0.0
    longer = max(len(first), len(second))
    if longer > LONGEST_COMPARED:
        return 1.0
    return edit_distance(first, second) / longer


def edit_distance(first: str, second: str) -> int:
    """Levenshtein's distance: the fewest insertions, deletions and replacements of a character. O(n m), by rows.

    >>> edit_distance("kitten", "sitting"), edit_distance("", "abc")
    (3, 3)
    """
    # What both begin and end with costs nothing, and corrections change little.
    begin = _shared(first, second)
    first, second = first[begin:], second[begin:]
    end = _shared(first[::-1], second[::-1])
    first, second = first[: len(first) - end], second[: len(second) - end]
    if not first or not second:
        return max(len(first), len(second))
    across, down = _codes(second), _codes(first)
    places = np.arange(len(across) + 1)
    row = places.copy()
    for number, code in enumerate(down, start=1):
        step = np.empty_like(row)
        step[0] = number
        step[1:] = np.minimum(row[1:] + 1, row[:-1] + (across != code))
        # Insertions run along the row: the least of step[j] + (i - j) over j <= i.
        row = np.minimum.accumulate(step - places) + places
    return int(row[-1])


def _codes(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def _shared(first: str, second: str) -> int:
    """With how many characters both begin."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(first), len(second)))
