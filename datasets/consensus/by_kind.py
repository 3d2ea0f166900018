"""Several answers about one item, merged into one, as the kind of the label schema allows."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from datasets.consensus import one_number, several_marks
from datasets.consensus.text_choice import LARGEST_DISTANCE, choose, relative_distance
from labeling.schema import Answer, AnySchema, JSONValue, Numeric, Rating, SchemaError
from labeling.schema.base import own
from labeling.schema.boxes import Boxes
from labeling.schema.multi_label import Choices, MultiLabel
from labeling.schema.preference import Preference, PreferenceAnswer
from labeling.schema.spans import Spans
from labeling.schema.text_correction import CorrectedText, TextCorrection

LEAST_SHARE = 0.5
"""What is agreed on no better than this is settled by nobody."""


@dataclass(frozen=True)
class Consensus:
    """What several answers amount to.

    answer, stored
        Valid by the schema, and its JSON form; the best guess where it is not settled.
    share
        In [0, 1], how far the answers agree with it; stands for its probability.
    supporting
        Positions of the answers that speak for it.
    is_settled
        Whether it may be a label; else a person should decide.
    """

    answer: Answer
    stored: JSONValue
    share: float
    supporting: frozenset[int]
    is_settled: bool


@dataclass(frozen=True)
class _Found:
    """In the order of the answers as they were sorted. No value: nothing that the schema admits."""

    value: JSONValue
    share: float
    supporting: frozenset[int]
    is_settled: bool


def merge_answers(schema: AnySchema, answers: Sequence[Answer]) -> Consensus | None:
    """Merge answers of several people to one question; the order of the answers does not matter.

        rating, numeric    Huber's robust mean, at the nearest level or step; share: answers within the tolerance
        spans, boxes       marks that half of the people drew, at the median of each coordinate; share: mean support of these marks
        multi-label        classes that more than half of the people chose; share: mean agreement on each class that anybody chose
        text correction    the text nearest to all others; share: texts within a relative edit distance of 0.2 of it
        preference         where A and B lead with equally many: a tie, which each of them half says

    Settled is what has a share above a half (a tie of preferences always), somebody who supports it, and the schema's consent.

    Parameters
    ----------
    answers
        n >= 1, of the schema.

    Returns
    -------
    None where votes decide: if all answers are equal, for single choice, for any other preference, and for more than 1,000 marks in an answer.

    >>> from labeling.schema import parse_definition
    >>> rating = parse_definition({"kind": "rating"})
    >>> found = merge_answers(rating, [rating.parse_answer({"rating": level}) for level in (4, 3, 5)])
    >>> found.stored, found.share, sorted(found.supporting)
    ({'rating': 4}, 1.0, [0, 1, 2])
    """
    if not answers:
        raise ValueError("no answers, no consensus")
    if all(answer == answers[0] for answer in answers):
        return None
    # Sums of floats and the first of equals would depend on who answered first.
    order = sorted(range(len(answers)), key=lambda place: msgspec.json.encode(answers[place]))
    found = _found(schema, [answers[place] for place in order])
    if found is None:
        return None
    try:
        answer = schema.parse_answer(found.value)
        is_settled = found.is_settled and bool(found.supporting)
    except SchemaError:
        answer, is_settled = answers[order[0]], False
    supporting = frozenset(order[place] for place in found.supporting)
    # Through JSON, because that is what a stored answer is compared with: lists, not tuples.
    stored: JSONValue = msgspec.json.decode(msgspec.json.encode(answer))
    return Consensus(answer, stored, found.share, supporting, is_settled)


def _found(schema: AnySchema, answers: Sequence[Answer]) -> _Found | None:
    match schema:
        case Rating() | Numeric():
            number = one_number.middle(schema, answers)
            value: JSONValue = {"rating": int(number)} if isinstance(schema, Rating) else {"number": number}
            return _supported(value, one_number.near(schema, answers, number), len(answers))
        case Spans() | Boxes():
            marks = several_marks.merged(schema, answers)
            if marks is None:
                return None
            return _Found(marks.value, marks.share, marks.supporting, marks.share > LEAST_SHARE)
        case MultiLabel():
            return _choices(schema, [own(answer, Choices).choices for answer in answers])
        case TextCorrection():
            return _text([own(answer, CorrectedText).text for answer in answers])
        case Preference():
            return _preference(schema, [own(answer, PreferenceAnswer).preference for answer in answers])
        case _:
            return None


def _supported(value: JSONValue, supporting: frozenset[int], count: int) -> _Found:
    share = len(supporting) / count
    return _Found(value, share, supporting, share > LEAST_SHARE)


def _choices(schema: MultiLabel, said: Sequence[tuple[str, ...]]) -> _Found:
    votes = Counter(key for choices in said for key in choices)
    chosen = {key for key, count in votes.items() if count > len(said) * LEAST_SHARE}
    most = len(schema.classes) if schema.max_choices is None else schema.max_choices
    wanted = min(max(len(chosen), schema.min_choices), most)
    is_clear = True
    if wanted != len(chosen):
        ranked = sorted(votes, key=lambda key: (-votes[key], key))
        chosen = set(ranked[:wanted])
        # Of classes that were chosen equally often, none is the one to leave out.
        is_clear = wanted >= len(ranked) or votes[ranked[wanted - 1]] > votes[ranked[wanted]]
    agreeing = [votes[key] if key in chosen else len(said) - votes[key] for key in votes]
    share = sum(agreeing) / (len(agreeing) * len(said))
    supporting = frozenset(
        place for place, choices in enumerate(said) if (chosen & set(choices) if chosen else not choices)
    )
    keys: list[JSONValue] = [*sorted(chosen)]
    return _Found({"choices": keys}, share, supporting, is_clear and share > LEAST_SHARE)


def _text(texts: Sequence[str]) -> _Found:
    chosen = texts[choose(texts).chosen]
    near = (relative_distance(chosen.strip(), text.strip()) <= LARGEST_DISTANCE for text in texts)
    return _supported({"text": chosen}, frozenset(place for place, is_near in enumerate(near) if is_near), len(texts))


def _preference(schema: Preference, said: Sequence[str]) -> _Found | None:
    """As Bradley and Terry's model with ties counts them: a tie is half a win for either."""
    votes = Counter(said)
    is_draw = votes["a"] == votes["b"] >= max(votes["tie"], 1) and votes["b"] > votes["both_bad"]
    if not (schema.allows_tie and is_draw):
        return None
    share = (votes["tie"] + (votes["a"] + votes["b"]) / 2.0) / len(said)
    supporting = frozenset(place for place, each in enumerate(said) if each != "both_bad")
    return _Found({"preference": "tie"}, share, supporting, is_settled=True)
