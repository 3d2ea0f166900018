"""Detectors of careless and hostile sources: reference values, exact laws, simulations."""

import itertools

import numpy as np
import pytest

from datasets.consensus.evidence import Evidence, Kind, evidence
from datasets.consensus.label_model import fit
from datasets.consensus.source_quality.agreement_test import agreement_test
from datasets.consensus.source_quality.copying import copying
from datasets.consensus.source_quality.examination import Timing, examine, set_aside
from datasets.consensus.source_quality.gold_rate import GoldTest, gold_rate
from datasets.consensus.source_quality.invariability import (
    answer_entropy,
    expected_answers,
    invariability,
    longest_run,
    run_p_value,
)
from datasets.consensus.source_quality.near_duplicates import groups, signature, similarity
from datasets.consensus.source_quality.pace import pace, too_fast_below
from datasets.consensus.source_quality.reliability import Reliability, gold_record, peer_record
from datasets.consensus.source_quality.repeats import repeats
from datasets.consensus.source_quality.suggestion import Findings, Step, bar_nats, nats_of, suggest
from datasets.consensus.source_quality.targeting import jensen_shannon, newest_accounts, shift_p_value
from datasets.consensus.source_quality.velocity import burst_p_value, bursts, busiest_window


def honest_crowd(
    rng: np.random.Generator, items: int = 200, sources: int = 20, per_item: int = 8
) -> tuple[Evidence, np.ndarray]:
    truth = rng.integers(0, 3, items)
    source = np.argsort(rng.random((items, sources)), axis=1)[:, :per_item].ravel()
    item = np.repeat(np.arange(items), per_item)
    skill = rng.uniform(0.7, 0.95, sources)
    wrong = (truth[item] + rng.integers(1, 3, len(item))) % 3
    answer = np.where(rng.random(len(item)) < skill[source], truth[item], wrong)
    return evidence(item, source, answer, n_items=items, n_sources=sources, n_classes=3), truth


def joined(said: Evidence, item: np.ndarray, source: np.ndarray, answer: np.ndarray) -> Evidence:
    return evidence(
        np.concatenate([said.item, item]), np.concatenate([said.source, source]), np.concatenate([said.answer, answer]),
        n_items=said.n_items, n_sources=int(source.max()) + 1, n_classes=said.n_classes,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("alpha", "beta", "mean", "low"), [(10, 2, 0.8333, 0.6356), (4, 4, 0.5, 0.2253), (2, 5, 0.2857, 0.0628)]
)
def test_reliability_reference_values(alpha: int, beta: int, mean: float, low: float) -> None:
    found = Reliability(alpha - 1, beta - 1)
    assert (found.mean, found.lower) == pytest.approx((mean, low), abs=5e-5)


def test_gold_reference_values_and_verdicts() -> None:
    assert GoldTest(other=0.5).expected_golds() == pytest.approx(8.7, abs=0.05)
    assert GoldTest(other=0.15).expected_golds() == pytest.approx(2.4, abs=0.05)
    rng = np.random.default_rng(1)
    wrong = 0
    for _ in range(2_000):
        test, hits, misses = GoldTest(other=0.5), 0, 0
        while (verdict := test.verdict(hits, misses)) == "undecided":
            is_hit = rng.random() < 0.85
            hits, misses = hits + is_hit, misses + (not is_hit)
        wrong += verdict == "not_honest"
    assert wrong / 2_000 <= 0.05 + 3 * (0.05 * 0.95 / 2_000) ** 0.5


def test_gold_rate_falls_with_a_good_record_and_not_with_a_bad_one() -> None:
    rates = [gold_rate(hits, 0) for hits in range(0, 60, 5)]
    assert rates == sorted(rates, reverse=True)
    assert (rates[0], gold_rate(10, 10)) == (0.25, 0.25)
    assert rates[-1] < 0.05


def test_records_by_gold_and_by_peers() -> None:
    said = evidence(
        [0, 0, 0, 0, 1, 1], [0, 1, 2, 3, 0, 1], [1, 1, 0, 1, 0, 0], n_items=2, n_sources=4, n_classes=2,
        kind=[Kind.GOLD, Kind.ANNOTATION, Kind.ANNOTATION, Kind.THUMB, Kind.ANNOTATION, Kind.ANNOTATION],
        predicted=[-1, -1, -1, 0, -1, -1],
    )  # fmt: skip
    hits, misses = gold_record(said)
    assert (hits.tolist(), misses.tolist()) == ([0, 1, 0, 0], [0, 0, 1, 1])
    crowd, _ = honest_crowd(np.random.default_rng(2))
    spoiled = joined(crowd, np.arange(200), np.full(200, 20), np.random.default_rng(3).integers(0, 3, 200))
    hits, misses = peer_record(spoiled, fit(spoiled).parameters)
    shares = hits / (hits + misses)
    assert shares[:20].min() > 0.6
    assert shares[20] == pytest.approx(1 / 3, abs=0.12)


def test_peers_who_do_not_count_judge_nobody() -> None:
    said = evidence([0, 0, 1, 1], [0, 1, 0, 2], [0, 0, 1, 2], n_items=2, n_sources=3, n_classes=3)
    parameters = fit(said).parameters
    hits, misses = peer_record(said.reweighted(np.array([1.0, 1.0, 1.0, 0.0])), parameters)
    # Item 1 judges source 2, who does not count, by source 0, who does; and not the other way round.
    assert (hits + misses).tolist() == pytest.approx([1.0, 1.0, 1.0])


def test_runs_by_enumeration() -> None:
    assert run_p_value(20, 20, 0.6) == pytest.approx(3.656e-5, rel=1e-3)
    for n, run, rate in ((6, 3, 0.4), (7, 2, 0.7)):
        chance = sum(
            rate ** sum(row) * (1 - rate) ** (n - sum(row))
            for row in itertools.product((0, 1), repeat=n)
            if "1" * run in "".join(map(str, row))
        )
        assert run_p_value(run, n, rate) == pytest.approx(chance)
    assert longest_run(np.array([2, 2, 1])) == (2, 2)
    assert longest_run(np.array([], dtype=np.int64)) == (0, -1)


def test_always_the_same_is_seen_unless_the_items_are_all_the_same() -> None:
    assert answer_entropy(np.array([[5.0, 5.0], [0.0, 0.0]])).tolist()[0] == 1.0
    rng = np.random.default_rng(4)
    crowd, truth = honest_crowd(rng)
    lazy = joined(crowd, np.arange(40), np.full(40, 20), np.zeros(40, dtype=np.int64))
    alike = np.flatnonzero(truth == 0)[:40]
    honest = joined(crowd, alike, np.full(len(alike), 20), np.zeros(len(alike), dtype=np.int64))
    for said, is_fraud in ((lazy, True), (honest, False)):
        counts = np.zeros((21, 3))
        np.add.at(counts, (said.source, said.answer), 1.0)
        found = invariability(counts, expected_answers(said)).p_value
        assert (found[20] < 1e-4) == is_fraud
        assert found[:20].min() > 1e-3


def test_velocity_reference_values_and_windows() -> None:
    assert burst_p_value(10, 2.0) == pytest.approx(4.6e-5, rel=0.02)
    assert burst_p_value(12, 2.0) == pytest.approx(1.4e-6, rel=0.05)
    assert busiest_window(np.array([]), 5.0) == 0
    rng = np.random.default_rng(5)
    source, seconds = np.repeat(np.arange(30), 40), np.cumsum(rng.exponential(30.0, (30, 40)), axis=1)
    seconds[29] = np.arange(40) * 0.5
    seconds = np.where(np.arange(30)[:, None] == 29, seconds, seconds * rng.lognormal(0, 0.3, (30, 1)))
    found = bursts(source, seconds.ravel(), n_sources=31)
    assert found.p_value[29] == found.p_value[:30].min()
    assert found.p_value[30] == 1.0


def test_too_fast_answers() -> None:
    usual = np.random.default_rng(6).lognormal(np.log(10), 0.5, 500)
    least = too_fast_below(usual)
    assert least == pytest.approx(np.quantile(usual, 0.05) / 2)
    source = np.append(np.arange(500) % 10, np.full(20, 10))
    found = pace(source, np.append(usual, np.full(20, 0.5)), n_sources=11, least_seconds=least)
    assert found.share_too_fast[10] == 1.0
    assert found.p_value[10] < 1e-20
    assert found.p_value[:10].min() > 0.01
    with pytest.raises(ValueError, match="finite"):
        too_fast_below(np.array([-1.0]))


def test_contradictions() -> None:
    said = evidence(
        np.tile(np.arange(10), 4),
        np.repeat([0, 1], 20),
        np.concatenate([np.zeros(30), np.ones(10)]).astype(int),
        n_items=10,
        n_sources=2,
        n_classes=2,
    )
    found = repeats(said)
    assert (found.repeated.tolist(), found.contradicted.tolist()) == ([10, 10], [0, 10])
    assert found.p_value[1] < 1e-5 < found.p_value[0]


def large_ring(rng: np.random.Generator, *, right: float = 0.0) -> Evidence:
    """Thirty of fifty sources who say the same of the same items, right by the given chance beyond a guess."""
    crowd, truth = honest_crowd(rng, items=300, sources=20, per_item=6)
    attacked = rng.permutation(300)[:40]
    copied = np.where(rng.random(40) < right, truth[attacked], rng.integers(0, 3, 40))
    return joined(crowd, np.tile(attacked, 30), np.repeat(np.arange(20, 50), 40), np.tile(copied, 30))


def test_copies_are_found_though_they_outnumber_everybody_else() -> None:
    said = large_ring(np.random.default_rng(31))
    nats = copying(said).nats
    assert nats[20:].min() > bar_nats(50, 6)
    assert nats[:20].max() < 3.0
    found = examine(said)
    assert set_aside(found.suggestions).tolist() == [False] * 20 + [True] * 30
    assert found.suspicion[20:].min() > found.suspicion[:20].max()
    alone, _ = honest_crowd(np.random.default_rng(31), items=300, sources=20, per_item=6)
    assert (found.beliefs.posterior.argmax(axis=1) == fit(alone).posterior.argmax(axis=1)).mean() > 0.98


def test_people_who_agree_because_they_are_right_are_no_copies() -> None:
    assert copying(large_ring(np.random.default_rng(32), right=1.0)).nats.max() < 3.0


def test_two_experts_among_guessers_are_no_copies() -> None:
    rng = np.random.default_rng(35)
    truth = rng.integers(0, 10, 40)
    expert = np.where(rng.random((2, 40)) < 0.97, truth, rng.integers(0, 10, (2, 40)))
    answers = np.concatenate([expert.ravel(), rng.integers(0, 10, 4 * 40)])
    said = evidence(
        np.tile(np.arange(40), 6), np.repeat(np.arange(6), 40), answers, n_items=40, n_sources=6, n_classes=10
    )
    found = copying(said)
    assert found.twins[0].closest == 1
    assert found.nats[:2].max() < 3.0


def test_the_closest_twin_is_told_with_what_both_said() -> None:
    found = copying(large_ring(np.random.default_rng(36)))
    assert set(found.twins) >= set(range(20, 50))
    twins = found.twins[20]
    assert (twins.closest, twins.shared, twins.same, twins.count) == (21, 40, 40, 29)
    assert 1 / 3 <= twins.at_most < 0.6


def test_copies_whom_nobody_else_met_cannot_be_judged() -> None:
    items = np.tile(np.arange(30), 5)
    said = evidence(items, np.repeat(np.arange(5), 30), items % 3, n_items=30, n_sources=5, n_classes=3)
    assert copying(said).nats.tolist() == [0.0] * 5


def test_copying_is_equivariant_and_leaves_its_argument() -> None:
    said = large_ring(np.random.default_rng(33))
    order = np.random.default_rng(34).permutation(len(said))
    before = said.answer.copy()
    assert copying(said.rows(order)).nats == pytest.approx(copying(said).nats)
    assert (said.answer == before).all()


def test_agreement_tells_guessing_and_opposing_from_honest_work() -> None:
    rng = np.random.default_rng(8)
    crowd, truth = honest_crowd(rng)
    items = np.tile(np.arange(100), 2)
    answers = np.concatenate([rng.integers(0, 3, 100), (truth[:100] + 1) % 3])
    said = joined(crowd, items, np.repeat([20, 21], 100), answers)
    found = agreement_test(said, fit(said).parameters)
    assert found.guessing[20] > 9
    assert found.opposing[21] > 10
    assert found.dishonesty[:20].max() == 0.0
    assert found.kappa[20] == pytest.approx(0.0, abs=0.2)
    assert found.kappa[21] < 0 < 0.4 < found.kappa[:20].min()


def test_shift_reference_values_and_calibration() -> None:
    assert jensen_shannon([0.5, 0.3, 0.2], [0.4, 0.35, 0.25]) == pytest.approx(0.005138, abs=1e-6)
    rng = np.random.default_rng(9)
    alarms = np.mean(
        [
            shift_p_value(rng.multinomial(500, [0.6, 0.3, 0.1]), rng.multinomial(200, [0.6, 0.3, 0.1])) < 0.05
            for _ in range(1_000)
        ]
    )
    assert alarms == pytest.approx(0.05, abs=3 * (0.05 * 0.95 / 1_000) ** 0.5)


def test_attacks_by_new_accounts() -> None:
    rank = np.concatenate([np.zeros(15), np.linspace(0.1, 0.9, 100)])
    attacked = newest_accounts(rank, np.arange(115) < 25)
    assert (attacked.from_newest, attacked.negative) == (15, 25)
    assert attacked.p_value < 1e-10
    assert newest_accounts(rank, np.zeros(115, dtype=bool)).p_value == 1.0


def test_signatures_estimate_the_jaccard_similarity() -> None:
    first, second = (
        "the quick brown fox jumps over the lazy dog again",
        "the quick brown fox jumps over the lazy cat again",
    )
    shingled = [{text[i : i + 5] for i in range(len(text) - 4)} for text in (first, second)]
    jaccard = len(shingled[0] & shingled[1]) / len(shingled[0] | shingled[1])
    assert similarity(signature(first), signature(second)) == pytest.approx(
        jaccard, abs=3 * (jaccard * (1 - jaccard) / 128) ** 0.5
    )
    assert groups(["", "", "hello world, this is one", "Hello  world, this is one"]) == [(2, 3)]


def test_steps_need_gold_or_proof_to_block() -> None:
    bar = bar_nats(4, 3)
    strong, weak = bar + 1, 0.75 * bar
    findings = Findings(
        4,
        {
            "agreement": np.array([0.0, weak, strong, strong]),
            "speed": np.array([0.0, 0.0, 0.0, strong]),
            "gold": np.array([0.0, 0.0, 0.0, 0.0]),
        },
    )
    found = suggest(findings)
    assert [each.step for each in found] == [Step.NONE, Step.WEIGHT, Step.QUARANTINE, Step.SHADOW_IGNORE]
    assert [each.weight for each in found] == pytest.approx([1.0, 0.625, 0.0, 0.0])
    assert [reason.family for reason in found[3].reasons] == ["agreement", "speed"]
    golden = Findings(1, {"agreement": np.array([20.0]), "gold": np.array([20.0])})
    assert suggest(golden)[0].step == Step.BLOCK
    assert suggest(Findings(1, {}, is_forged=np.array([True])))[0].step == Step.BLOCK
    assert nats_of(np.array([0.0]))[0] == 50.0


def test_an_examination_sets_spammers_aside_and_spares_the_honest() -> None:
    rng = np.random.default_rng(10)
    crowd, truth = honest_crowd(rng, items=300, sources=30, per_item=8)
    spam = [np.full(80, 0), rng.integers(0, 3, 80), (truth[100:180] + 1) % 3]
    items = np.concatenate([np.arange(80), np.arange(60, 140), np.arange(100, 180)])
    said = joined(crowd, items, np.repeat([30, 31, 32], 80), np.concatenate(spam))
    found = examine(said)
    assert set_aside(found.suggestions).tolist() == [False] * 30 + [True] * 3
    assert (found.weights[said.source >= 30] == 0).all()
    assert found.beliefs.posterior == pytest.approx(fit(crowd).posterior, abs=0.02)


def test_spam_does_not_make_the_answers_of_honest_people_look_unusual() -> None:
    """Four honest people, of whom one got more items of one class, and two who click through as many answers."""
    rng = np.random.default_rng(0)
    truth = np.tile(np.arange(10), 120)
    often, others = np.flatnonzero(truth == 9)[:32], np.flatnonzero(truth != 9)
    own = [np.concatenate([often, rng.choice(others, 198, replace=False)])]
    own += [rng.choice(1200, 230, replace=False) for _ in range(3)]
    item = np.concatenate(own)
    right = np.where(rng.random(len(item)) < 0.93, truth[item], rng.integers(0, 10, len(item)))
    clicked = np.concatenate([rng.choice(1200, 340, replace=False) for _ in range(2)])
    said = evidence(
        np.concatenate([item, clicked]),
        np.repeat(np.arange(6), [230] * 4 + [340] * 2),
        np.concatenate([right, rng.integers(0, 10, 340), np.full(340, 3)]),
        n_items=1200, n_sources=6, n_classes=10,
    )  # fmt: skip
    taken = np.where(said.source >= 4, 0.4, rng.lognormal(np.log(4), 0.4, len(said)))
    found = examine(said, timing=Timing(np.full(len(said), np.nan), taken))
    assert [each.step for each in found.suggestions[:4]] == [Step.NONE] * 4
    assert set_aside(found.suggestions[4:]).all()


def test_a_bot_is_seen_by_its_pace_though_its_answers_are_good() -> None:
    rng = np.random.default_rng(11)
    crowd, truth = honest_crowd(rng)
    said = joined(crowd, np.arange(60), np.full(60, 20), truth[:60])
    is_bot = said.source == 20
    taken = np.where(is_bot, 0.3, rng.lognormal(np.log(12), 0.5, len(said)))
    found = examine(said, timing=Timing(np.full(len(said), np.nan), taken))
    assert set_aside(found.suggestions).tolist() == [False] * 20 + [True]
    assert found.suggestions[20].reasons[0].family == "speed"
