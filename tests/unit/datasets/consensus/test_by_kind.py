"""Several answers to one question, merged by kind: worked cases, and what holds of all kinds."""

import itertools
from typing import Any

import pytest

from datasets.consensus.by_kind import Consensus, merge_answers
from labeling.schema import parse_definition

CLASSES: list[Any] = [{"key": key} for key in "pqrs"]
Case = tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any], float, set[int]]


def merged(definition: dict[str, Any], said: list[dict[str, Any]]) -> Consensus | None:
    schema = parse_definition(definition)
    return merge_answers(schema, [schema.parse_answer(each) for each in said])


def spans(*drawn: tuple[int, int, str]) -> dict[str, Any]:
    return {"spans": [{"start": start, "end": end, "class": named} for start, end, named in drawn]}


def boxes(*drawn: tuple[float, float, float, float, str]) -> dict[str, Any]:
    return {"boxes": [{"x": x, "y": y, "width": w, "height": h, "class": named} for x, y, w, h, named in drawn]}


def choices(*keys: str) -> dict[str, Any]:
    return {"choices": [key for several in keys for key in several]}


def ratings(*levels: int) -> list[dict[str, Any]]:
    return [{"rating": level} for level in levels]


def numbers(*each: float) -> list[dict[str, Any]]:
    return [{"number": number} for number in each]


def texts(*each: str) -> list[dict[str, Any]]:
    return [{"text": text} for text in each]


def preferences(*each: str) -> list[dict[str, Any]]:
    return [{"preference": said} for said in each]


RATING: dict[str, Any] = {"kind": "rating"}
THREE_LEVELS: dict[str, Any] = {"kind": "rating", "minimum": 1, "maximum": 3}
AGE: dict[str, Any] = {"kind": "numeric", "minimum": 0, "maximum": 100}
STEPS: dict[str, Any] = {"kind": "numeric", "minimum": 0, "maximum": 1, "step": 0.1}
SPANS: dict[str, Any] = {"kind": "spans", "classes": CLASSES}
NESTED: dict[str, Any] = {**SPANS, "allows_overlap": True}
BOXES: dict[str, Any] = {"kind": "boxes", "classes": CLASSES}
MANY: dict[str, Any] = {"kind": "multi_label", "classes": CLASSES}
TEXT: dict[str, Any] = {"kind": "text_correction"}
PAIR: dict[str, Any] = {"kind": "preference"}

SETTLED: dict[str, Case] = {
    # The median absolute deviation is 1, so nothing is far off: the mean.
    "ratings next to each other": (RATING, ratings(3, 4, 5), {"rating": 4}, 1.0, {0, 1, 2}),
    "a rating far off": (RATING, ratings(4, 1, 4), {"rating": 4}, 2 / 3, {0, 2}),
    "halfway between levels": (RATING, ratings(4, 3), {"rating": 3}, 1.0, {0, 1}),
    "few levels have no neighbours": (THREE_LEVELS, ratings(2, 2, 1), {"rating": 2}, 2 / 3, {0, 1}),
    # Median absolute deviation 1: 90 pulls by 1.345 * 1.4826 = 1.9941, so 4 x = 31 + 32 + 32 + 33 + 1.9941.
    "a number far off": (AGE, numbers(31, 33, 32, 32, 90), {"number": 32.498524}, 4 / 5, {0, 1, 2, 3}),
    "numbers at steps": (STEPS, numbers(0.1, 0.2, 0.3, 0.3), {"number": 0.2}, 1.0, {0, 1, 2, 3}),
    "spans at the median": (
        SPANS,
        [spans((0, 10, "p"), (20, 25, "q")), spans((0, 12, "p")), spans((1, 10, "p"))],
        spans((0, 10, "p")),
        1.0,
        {0, 1, 2},
    ),
    "a span of two of three, of the class of most": (
        SPANS,
        [spans((0, 9, "p")), spans((0, 9, "q")), spans((0, 9, "q"))],
        spans((0, 9, "q")),
        2 / 3,
        {1, 2},
    ),
    "spans end where somebody ended one": (
        SPANS,
        [spans((0, 14, "p")), spans((6, 14, "p"))],
        spans((0, 14, "p")),
        1.0,
        {0, 1},
    ),
    "most drew nothing": (SPANS, [spans(), spans((0, 4, "p")), spans()], spans(), 2 / 3, {0, 2}),
    "one passage of two classes": (
        NESTED,
        [spans((0, 4, "p"), (0, 4, "q")), spans((0, 4, "q")), spans((0, 4, "q"), (0, 4, "r"))],
        spans((0, 4, "q")),
        1.0,
        {0, 1, 2},
    ),
    # Each pair overlaps by more than a half; medians: left .1, top .1, right .5, bottom .6.
    "boxes at the median": (
        BOXES,
        [boxes((0.1, 0.1, 0.4, 0.5, "p")), boxes((0.1, 0.15, 0.4, 0.45, "p")), boxes((0.05, 0.1, 0.5, 0.4, "p"))],
        boxes((0.1, 0.1, 0.4, 0.5, "p")),
        1.0,
        {0, 1, 2},
    ),
    # p: 2 of 3, q: 2 of 3, r: not 2 of 3.
    "classes of most": (MANY, [choices("pq"), choices("p"), choices("qr")], choices("pq"), 2 / 3, {0, 1, 2}),
    "a class that one chose": (MANY, [choices("p"), choices("pq"), choices("p")], choices("p"), 5 / 6, {0, 1, 2}),
    "no class": (MANY, [choices(), choices("p"), choices()], choices(), 2 / 3, {0, 2}),
    # q, r and s are rejected by three of four, and p, chosen by half, is needed.
    "fewer classes than must be": (
        {**MANY, "min_choices": 1},
        [choices("p"), choices("p"), choices("q"), choices("r")],
        choices("p"),
        (2 + 3 + 3) / 12,
        {0, 1},
    ),
    "the text in the middle": (
        TEXT,
        texts("The cats sits.", "The cat sits", "The cat sits."),
        {"text": "The cat sits."},
        1.0,
        {0, 1, 2},
    ),
    "a text far off": (
        TEXT,
        texts("The cat sits.", "asdf", "The cat sits"),
        {"text": "The cat sits"},
        2 / 3,
        {0, 2},
    ),
    "a draw of preferences": (PAIR, preferences("a", "b"), {"preference": "tie"}, 1 / 2, {0, 1}),
    "a draw with a tie": (PAIR, preferences("a", "b", "tie"), {"preference": "tie"}, 2 / 3, {0, 1, 2}),
}  # fmt: skip

UNSETTLED: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "ratings at both ends": (RATING, ratings(1, 5)),
    "ratings all over the scale": (RATING, ratings(1, 3, 5)),
    "numbers far apart": (AGE, numbers(10, 50, 90)),
    "disjoint spans": (SPANS, [spans((0, 4, "p")), spans((6, 9, "p"))]),
    "three disjoint spans leave none": (SPANS, [spans((0, 4, "p")), spans((6, 9, "p")), spans((11, 12, "p"))]),
    "a box or none": (BOXES, [boxes((0, 0, 0.5, 0.5, "p")), boxes()]),
    "classes apart": (MANY, [choices("p"), choices("q")]),
    "three classes leave none": (MANY, [choices("p"), choices("q"), choices("r")]),
    "too many classes": ({**MANY, "max_choices": 2}, [choices("pq"), choices("qr"), choices("pr")]),
    "texts apart": (TEXT, texts("The cat sits.", "A dog", "xyz")),
}


@pytest.mark.parametrize("case", SETTLED.values(), ids=SETTLED)
def test_what_several_answers_amount_to(case: Case) -> None:
    definition, said, stored, share, supporting = case
    found = merged(definition, said)
    assert found is not None
    assert found.is_settled
    assert found.stored == pytest.approx(stored) if "number" in stored else found.stored == stored
    assert found.share == pytest.approx(share)
    assert found.supporting == supporting


@pytest.mark.parametrize(("definition", "said"), UNSETTLED.values(), ids=UNSETTLED)
def test_answers_too_far_apart_are_settled_by_nobody(definition: dict[str, Any], said: list[dict[str, Any]]) -> None:
    found = merged(definition, said)
    assert found is not None
    assert not found.is_settled


EVERY = [(case[0], case[1]) for case in SETTLED.values()] + list(UNSETTLED.values())


@pytest.mark.parametrize(("definition", "said"), EVERY, ids=[*SETTLED, *UNSETTLED])
def test_the_order_of_the_answers_does_not_matter(definition: dict[str, Any], said: list[dict[str, Any]]) -> None:
    first = merged(definition, said)
    assert first is not None
    for order in itertools.islice(itertools.permutations(range(len(said))), 24):
        again = merged(definition, [said[place] for place in order])
        assert again is not None
        assert (again.stored, again.share, again.is_settled) == (first.stored, first.share, first.is_settled)
        # Equal answers stand for each other.
        supporting = [said[order[place]] for place in again.supporting]
        assert sorted(map(str, supporting)) == sorted(str(said[place]) for place in first.supporting)


@pytest.mark.parametrize(("definition", "said"), EVERY, ids=[*SETTLED, *UNSETTLED])
def test_a_merged_answer_is_one_of_the_schema_and_comes_back_as_stored(
    definition: dict[str, Any], said: list[dict[str, Any]]
) -> None:
    found = merged(definition, said)
    assert found is not None
    assert parse_definition(definition).parse_answer(found.stored) == found.answer


@pytest.mark.parametrize(
    ("definition", "said"),
    [
        (RATING, ratings(4, 4, 4)),
        (SPANS, [spans((0, 4, "p"))] * 2),
        ({"kind": "single_choice", "classes": CLASSES}, [{"choice": "p"}, {"choice": "q"}]),
        (PAIR, preferences("a", "a", "b")),
        (PAIR, preferences("a", "both_bad")),
        (PAIR, preferences("a", "b", "both_bad")),
        ({**PAIR, "allows_tie": False}, preferences("a", "b")),
        (SPANS, [spans(*((n, n + 1, "p") for n in range(1_001))), spans()]),
    ],
)
def test_votes_decide_where_there_is_nothing_to_merge(definition: dict[str, Any], said: list[dict[str, Any]]) -> None:
    assert merged(definition, said) is None


def test_spans_that_may_not_overlap_do_not_after_merging() -> None:
    # The spans of p are equal, hence tighter than those of q, which would begin at 8.
    said = [spans((0, 10, "p"), (10, 20, "q")), spans((0, 10, "p")), spans((8, 20, "q"))]
    found, nested = merged(SPANS, said), merged(NESTED, said)
    assert found is not None
    assert nested is not None
    assert found.stored == spans((0, 10, "p"))
    assert found.share == pytest.approx(2 / 3)
    assert found.supporting == {0, 1}
    assert nested.stored == spans((0, 10, "p"), (8, 20, "q"))
    assert nested.supporting == {0, 1, 2}


def test_a_box_too_thin_for_floats_is_passed_over() -> None:
    thin = boxes((0.5, 0.5, 1e-20, 0.1, "p"))
    found = merged(BOXES, [thin, boxes(), thin])
    assert found is not None
    assert (found.stored, found.share) == ({"boxes": []}, 1.0)


def test_no_answers_are_refused() -> None:
    with pytest.raises(ValueError, match="no answers"):
        merge_answers(parse_definition(RATING), [])
