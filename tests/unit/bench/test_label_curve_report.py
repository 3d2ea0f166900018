"""The page of the label-efficiency comparison: its figures, and the sentences that are made of them."""

from collections.abc import Mapping

import pytest

from tests.bench.label_curves import report, summary
from tests.bench.label_curves.names import DEFAULT, RANDOM, hand_over_arm
from tests.bench.label_curves.report import Run
from tests.bench.label_curves.runs import About, Case, Failure, Result

RUN = Run("make it", 2, "2026-01-01", "a machine", "page", peers=("peer A", "peer B"), hand_over=5)
EASY, RARE = Case("easy"), Case("rare", 50)


def _about(case: Case, **changes: object) -> About:
    facts = {"pool": 1_000, "classes": 3, "macro_f1": False, "skipped": 0, "start": 20, "batch": 40, "budget": 100}
    return About(case, **(facts | {"full": 1.0} | changes))  # type: ignore[arg-type]


def _results(case: Case, ends: Mapping[str, tuple[float, float]]) -> list[Result]:
    """Straight curves from 0.5 at 20 labels, one for each of two seeds, followed to 220 labels where they would be 1."""
    return [
        Result(case, arm, [[(20, 0.5), (60, (0.5 + end) / 2), (100, end), (220, 1.0)] for end in both])
        for arm, both in ends.items()
    ]


ABOUT = [_about(EASY), _about(RARE, macro_f1=True, skipped=7, start=30)]
RESULTS = [
    *_results(
        EASY, {RANDOM: (0.6, 0.7), DEFAULT: (0.8, 0.9), "peer A": (0.7, 0.7), "peer B": (0.6, 0.5), "ours": (0.8, 0.9)}
    ),
    *_results(RARE, {RANDOM: (0.8, 0.7), DEFAULT: (0.7, 0.8), "peer A": (0.9, 0.9), "peer B": (0.6, 0.6)}),
]


def test_areas_ranks_and_labels_are_read_off_the_curves() -> None:
    curves = summary.collect(ABOUT, RESULTS)
    # A straight line from 0.5 to the end: its mean is in the middle.
    assert curves.areas(ABOUT[0], DEFAULT) == pytest.approx([0.65, 0.7])
    # 0.95 lies between 0.85 at 100 labels and 1.0 at 220.
    assert curves.labels(ABOUT[0], DEFAULT, 0.95) == pytest.approx(180)
    assert curves.ranks(ABOUT[0], curves.arms(EASY)) == {
        DEFAULT: 1.5, "ours": 1.5, "peer A": 3, RANDOM: 4, "peer B": 5
    }  # fmt: skip
    assert curves.common == [RANDOM, DEFAULT, "peer A", "peer B"]
    assert curves.mean_ranks(curves.common) == {
        DEFAULT: (1.75, 2.5), "peer A": (1.5, 2), RANDOM: (2.75, 3), "peer B": (4, 4)
    }  # fmt: skip
    assert list(curves.mean_ranks(curves.common)) == ["peer A", DEFAULT, RANDOM, "peer B"]


def test_the_sentences_say_what_the_figures_say() -> None:
    said = summary.statements(summary.collect(ABOUT, RESULTS), RUN.peers)
    assert said[0] == (
        "Area under the curve: above random on 2 of 2 data sets. "
        "The 95% interval of the difference includes 0 on rare, batches of 50."
    )
    assert said[1] == (
        "Labels to 95% of the full score: at most 65% of random's on 0 of 2 data sets; with one class in more than four "
        "of five items: rare, batches of 50 100%."
    )
    assert said[2] == (
        "Mean rank by area over 2 data sets and the 4 arms that ran on all of them: 1.75; the best peer, peer A, 1.50."
    )
    assert said[-1].startswith("On rare, batches of 50 peer A is ahead by 7.50 points of area (")
    assert said[-1].endswith("; labels to 95%: 160 against 196.")
    assert len(said) == 5


def test_where_the_default_is_below_random_the_page_says_so() -> None:
    results = _results(EASY, {RANDOM: (0.9, 0.8), DEFAULT: (0.7, 0.6), "peer A": (0.5, 0.5)})
    said = summary.statements(summary.collect(ABOUT, results), RUN.peers)
    assert said[0].startswith("Area under the curve: above random on 0 of 1 data sets, below on easy.")


def test_the_page_has_every_arm_of_every_case_and_what_failed() -> None:
    failures = [Failure("odd", "odd.csv.gz: the text\nis not UTF-8")]
    page = report.page(RUN, ABOUT, RESULTS, failures)
    assert "    make it\n" in page
    assert "| easy | +10.00 (+10.00 to +10.00) | 1.5 of 5 |" in page
    assert "![Learning curves on rare, batches of 50](page/rare_batches_of_50.svg)" in page
    assert "7 rows without text or label were left out." in page
    assert "begin from 20 to 30 random labels" in page
    assert "| *peer A* | 1.50 | 2 |" in page
    assert "- odd: odd.csv.gz: the text is not UTF-8" in page
    section = page.partition("## easy")[2].partition("## ")[0]
    assert all(f"| {arm} |" in section for arm in (RANDOM, DEFAULT, "peer A", "peer B", "ours"))
    assert "nan" not in page
    assert "inf" not in page


def test_a_page_of_a_single_arm_and_seed_has_no_comparison() -> None:
    results = [Result(EASY, "peer A", [[(20, 0.5), (100, 0.7)]])]
    page = report.page(RUN, ABOUT, results, [])
    assert "against random |" in page
    assert "## What this shows" not in page
    assert "## rare" not in page
    assert "| peer A | 0.6000 | - | 0.7000 | - | - | - | 1 |" in page


def test_one_seed_has_no_interval() -> None:
    results = [Result(EASY, arm, [[(20, 0.5), (100, end)]]) for arm, end in ((RANDOM, 0.6), (DEFAULT, 0.8))]
    page = report.page(RUN, ABOUT, results, [])
    assert "| easy | +10.00 | 1 of 2 |" in page
    assert "inf" not in page


def test_other_ends_of_cold_start_have_a_table_and_no_rank() -> None:
    results = [
        *RESULTS,
        *_results(EASY, {hand_over_arm(15): (0.9, 0.9)}),
        *_results(RARE, {hand_over_arm(15): (0.8, 0.8)}),
    ]
    curves = summary.collect(ABOUT, results)
    assert hand_over_arm(15) not in curves.arms(EASY)
    table = summary.hand_overs(curves, 5)
    assert table[0] == "| data set | 5 (default) | 15 |"
    assert "| easy | 0.6750 | 0.7000 |" in table
    assert "| **mean** | 0.6500 | 0.6750 |" in table
    assert table[-1].startswith("- 15 against 5: +2.50 points (")
    assert summary.hand_overs(summary.collect(ABOUT, RESULTS), 5) == []
