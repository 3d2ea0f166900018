"""The label model: published estimates, an independent EM, exact posteriors, recovery in simulation, what cannot be known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from datasets.consensus import label_model
from datasets.consensus.confusion import ConfusionPrior, posterior_counts
from datasets.consensus.evidence import Evidence, Kind, evidence
from datasets.consensus.label_model import Settings, fit, posterior_of
from datasets.consensus.model_prior import ModelPrior
from datasets.consensus.randomised_response import channel_matrix, estimated_shares, standard_deviation
from datasets.consensus.reliability_curve import reliability_curve
from datasets.consensus.votes import majority, weighted_majority

# Dawid and Skene 1979, table 1: 45 patients, what five anaesthetists said of their fitness (the first three times), 1 to 4.
ANAESTHESIA = [
    "1111111",
    "3334334",
    "1122122",
    "2223121",
    "2223222",
    "2223322",
    "1222111",
    "3333433",
    "2222223",
    "2322223",
    "4444444",
    "2223343",
    "1111111",
    "2223212",
    "1211111",
    "1112111",
    "1111111",
    "1111111",
    "2222221",
    "2221322",
    "2222222",
    "2222221",
    "2223222",
    "2212222",
    "1111111",
    "1111111",
    "2322222",
    "1111111",
    "1111111",
    "1121121",
    "1111111",
    "3333233",
    "1111111",
    "2222222",
    "2223232",
    "4334343",
    "2212232",
    "2323233",
    "3333432",
    "1111111",
    "1111111",
    "1212111",
    "2322222",
    "1211111",
    "2222222",
]


def crowd(
    rng: np.random.Generator,
    matrices: NDArray[np.float64],
    items: int,
    per_item: int,
    shares: NDArray[np.float64] | None = None,
) -> tuple[Evidence, NDArray[np.int64]]:
    """Answers by annotators with these confusion matrices, each item answered by `per_item` different ones."""
    annotators, classes = matrices.shape[:2]
    truth = rng.choice(classes, items, p=shares)
    source = np.argsort(rng.random((items, annotators)), axis=1)[:, :per_item].ravel()
    item = np.repeat(np.arange(items), per_item)
    chances = matrices[source, truth[item]].cumsum(axis=1)
    answer = (chances < rng.random((len(item), 1))).sum(axis=1).clip(0, classes - 1)
    return evidence(item, source, answer, n_items=items, n_sources=annotators, n_classes=classes), truth


def one_coin(accuracy: float, classes: int) -> NDArray[np.float64]:
    matrix = np.full((classes, classes), (1 - accuracy) / (classes - 1))
    np.fill_diagonal(matrix, accuracy)
    return matrix


def plain_em(said: Evidence, rounds: int, prior: ConfusionPrior) -> NDArray[np.float64]:
    """Dawid-Skene written down a second time, one answer after the other, without any sparse algebra."""
    q = np.zeros((said.n_items, said.n_classes))
    for item, answer in zip(said.item, said.answer, strict=True):
        q[item, answer] += 1
    q /= q.sum(axis=1, keepdims=True)
    for _ in range(rounds):
        counts = np.zeros((said.n_sources, said.n_classes, said.n_classes))
        for item, source, answer in zip(said.item, said.source, said.answer, strict=True):
            counts[source, :, answer] += q[item]
        parameters = posterior_counts(counts, prior)[:-1]
        chances = parameters / parameters.sum(axis=2, keepdims=True)
        seen = q.sum(axis=0)
        shares = seen + (0.25 * len(q) + 1.0) / said.n_classes
        log = np.tile(np.log(shares / shares.sum()), (said.n_items, 1))
        for item, source, answer in zip(said.item, said.source, said.answer, strict=True):
            log[item] += np.log(chances[source, :, answer])
        q = np.exp(log - log.max(axis=1, keepdims=True))
        q /= q.sum(axis=1, keepdims=True)
    return q


def test_equals_an_em_that_was_written_without_sparse_algebra() -> None:
    said, _ = crowd(np.random.default_rng(1), np.stack([one_coin(a, 3) for a in (0.9, 0.6, 0.5, 0.8)]), 40, 3)
    ours = fit(said, settings=Settings(tolerance=0.0, most_rounds=7))
    assert ours.posterior == pytest.approx(plain_em(said, 7, ConfusionPrior()), abs=1e-6)


def test_finds_the_anaesthetists_classes_of_the_paper() -> None:
    answers = np.array([[int(said) - 1 for said in patient] for patient in ANAESTHESIA])
    item, source = np.repeat(np.arange(45), 7), np.tile([0, 0, 0, 1, 2, 3, 4], 45)
    said = evidence(item, source, answers.ravel(), n_items=45, n_sources=5, n_classes=4)
    beliefs = fit(said, settings=Settings(prior=ConfusionPrior(flat=1e-3, shrinkage=0.0), tolerance=1e-6))
    # The paper's estimates of the shares are 0.40, 0.42, 0.11 and 0.07: 18, 19, 5 and 3 patients.
    assert np.bincount(beliefs.posterior.argmax(axis=1)).tolist() == [18, 19, 5, 3]
    assert beliefs.posterior.mean(axis=0) == pytest.approx([0.40, 0.42, 0.11, 0.07], abs=0.01)
    # The default prior, which five sources of whom one answers thrice hardly need, may see contested patients otherwise, and only those.
    differs = fit(said).posterior.argmax(axis=1) != beliefs.posterior.argmax(axis=1)
    assert differs.sum() <= 3
    assert (majority(said)[differs].max(axis=1) < 0.75).all()


def test_finds_who_is_good_who_guesses_and_who_says_the_opposite() -> None:
    skills = np.array([0.95, 0.9, 0.85, 0.8, 0.75, 0.5, 0.1])
    matrices = np.stack([one_coin(skill, 2) for skill in skills])
    said, truth = crowd(np.random.default_rng(2), matrices, 2_000, 7)
    beliefs = fit(said)
    accuracy = np.einsum("wkk->wk", beliefs.confusion).mean(axis=1)
    assert accuracy == pytest.approx(skills, abs=0.04)  # about three standard errors of a share of 1,000
    by_votes = float((majority(said).argmax(axis=1) == truth).mean())
    assert float((beliefs.posterior.argmax(axis=1) == truth).mean()) > by_votes + 0.03


def test_posteriors_are_calibrated_where_the_model_is_right() -> None:
    rng = np.random.default_rng(3)
    matrices = np.stack([rng.dirichlet(8 * row) for _ in range(60) for row in one_coin(0.7, 4)]).reshape(60, 4, 4)
    said, truth = crowd(rng, matrices, 6_000, 4)
    beliefs = fit(said)
    curve = reliability_curve(beliefs.posterior.max(axis=1), beliefs.posterior.argmax(axis=1) == truth)
    assert curve.expected_error <= 0.03


def test_few_answers_draw_a_matrix_towards_the_annotators_own_accuracy() -> None:
    counts = np.zeros((2, 3, 3))
    counts[0] = 300 * one_coin(0.9, 3)
    counts[1, 0, 0] = 6.0  # right six times about the first class, and silent about the others
    parameters = posterior_counts(counts, ConfusionPrior())
    chances = parameters / parameters.sum(axis=2, keepdims=True)
    assert chances[1, 2, 2] > 0.7  # nothing was seen of it but the company and the own record
    assert chances[0, 2, 2] == pytest.approx(0.9, abs=0.01)
    assert (chances > 0).all()


def test_gold_is_the_truth_and_teaches_who_is_right() -> None:
    item, source = np.repeat(np.arange(40), 2), np.tile([0, 1], 40)
    truth = np.arange(40) % 2
    answer = np.where(source == 0, truth[item], 1 - truth[item])
    said = evidence(
        np.concatenate([item, np.arange(10)]), np.concatenate([source, np.full(10, 2)]),
        np.concatenate([answer, truth[:10]]), n_items=40, n_sources=3, n_classes=2,
        kind=np.repeat([Kind.ANNOTATION, Kind.GOLD], [80, 10]),
    )  # fmt: skip
    beliefs = fit(said)
    assert beliefs.posterior[np.arange(10), truth[:10]] == pytest.approx(1.0)
    assert (beliefs.posterior.argmax(axis=1) == truth).all()
    assert "two_sources" not in {warning.code for warning in beliefs.warnings}


def test_contradictory_gold_shares_and_says_so() -> None:
    said = evidence([0, 0], [0, 1], [0, 1], n_items=1, n_sources=2, n_classes=2, kind=Kind.GOLD)
    beliefs = fit(said)
    assert beliefs.posterior.tolist() == [[0.5, 0.5]]
    assert ("gold_conflict", (0,)) in {(warning.code, warning.about) for warning in beliefs.warnings}


def test_thumbs_are_worth_what_they_prove_to_be_worth() -> None:
    rng = np.random.default_rng(4)
    annotations, truth = crowd(rng, np.stack([one_coin(0.9, 3)] * 5), 3_000, 3)
    predicted = np.where(rng.random(3_000) < 0.7, truth, (truth + 1) % 3)
    praise_if_right, praise_if_wrong = np.array([0.9, 0.8, 0.9]), np.array([0.1, 0.4, 0.2])
    praise = rng.random(3_000) < np.where(predicted == truth, praise_if_right[predicted], praise_if_wrong[predicted])
    items = np.arange(3_000)
    said = evidence(
        np.concatenate([annotations.item, items]), np.concatenate([annotations.source, np.full(3_000, 5)]),
        np.concatenate([annotations.answer, praise.astype(np.int64)]), n_items=3_000, n_sources=6, n_classes=3,
        kind=np.repeat([Kind.ANNOTATION, Kind.THUMB], [9_000, 3_000]),
        predicted=np.concatenate([np.full(9_000, -1), predicted]),
    )  # fmt: skip
    beliefs = fit(said)
    (parameters,) = beliefs.parameters.channels.values()
    rates = parameters[:, :, 1] / parameters.sum(axis=2)
    assert rates[:, 1] == pytest.approx(praise_if_right, abs=0.05)
    assert rates[:, 0] == pytest.approx(praise_if_wrong, abs=0.07)
    together = float((beliefs.posterior.argmax(axis=1) == truth).mean())
    assert together > float((fit(annotations).posterior.argmax(axis=1) == truth).mean())


def test_randomised_answers_are_read_through_their_channel() -> None:
    rng = np.random.default_rng(6)
    items, truth = np.arange(4_000), rng.integers(0, 2, 4_000)
    annotations, _ = crowd(rng, np.stack([one_coin(0.9, 2)] * 3), 4_000, 3)
    answers = np.where(rng.random(4_000) < 0.9, truth, 1 - truth)
    reports = np.where(rng.random(4_000) < channel_matrix(2, 1.0)[0, 0], answers, 1 - answers)
    stated = np.where(rng.random((4_000, 3)) < 0.9, truth[:, None], 1 - truth[:, None]).ravel()
    said = evidence(
        np.concatenate([annotations.item, items]), np.concatenate([annotations.source, np.full(4_000, 3)]),
        np.concatenate([stated, reports]), n_items=4_000, n_sources=4, n_classes=2,
        kind=np.repeat([Kind.ANNOTATION, Kind.CORRECTION], [12_000, 4_000]),
        epsilon=np.concatenate([np.full(12_000, np.nan), np.full(4_000, 1.0)]),
    )  # fmt: skip
    (parameters,) = fit(said, settings=Settings(tolerance=1e-6)).parameters.channels.values()
    honest = np.diag(parameters / parameters.sum(axis=1, keepdims=True))
    # What people answered (0.9), not what was reported (0.685).
    assert honest == pytest.approx([0.9, 0.9], abs=0.08)


def test_reference_values_of_randomised_response() -> None:
    for k, epsilon, truth, lie in (
        (2, 0.5, 0.622459, 0.377541),
        (5, 1.0, 0.404610, 0.148848),
        (10, 2.0, 0.450853, 0.061016),
    ):
        matrix = channel_matrix(k, epsilon)
        assert (matrix[0, 0], matrix[0, 1]) == pytest.approx((truth, lie), abs=1e-6)
        assert matrix.sum(axis=1) == pytest.approx(1.0)
    assert estimated_shares([500, 300, 200], 1.0) == pytest.approx([0.790988, 0.241802, -0.032791], abs=1e-6)
    for k, epsilon, deviation in ((2, 1.0, 0.01005), (3, 2.0, 0.00558), (10, 1.0, 0.02046)):
        assert standard_deviation(0.1, 10_000, k, epsilon) == pytest.approx(deviation, abs=1e-5)
    with pytest.raises(ValueError, match="epsilon must be above 0"):
        channel_matrix(2, 0.0)


def test_one_item_is_updated_as_a_whole_fit_would_have_said() -> None:
    said, _ = crowd(np.random.default_rng(7), np.stack([one_coin(a, 3) for a in (0.9, 0.6, 0.7, 0.8)]), 60, 3)
    beliefs = fit(said)
    for item in (0, 17, 59):
        rows = said.item == item
        alone = evidence(
            np.zeros(int(rows.sum()), dtype=np.int64),
            said.source[rows],
            said.answer[rows],
            n_items=1,
            n_sources=4,
            n_classes=3,
        )
        assert posterior_of(alone, beliefs.parameters)[0] == pytest.approx(beliefs.posterior[item], abs=1e-6)


def test_a_newcomer_counts_like_the_company_and_an_unheard_item_like_the_class_prior() -> None:
    said, _ = crowd(np.random.default_rng(8), np.stack([one_coin(0.9, 2)] * 4), 200, 3)
    parameters = fit(said).parameters
    asked = evidence([0], [99], [1], n_items=2, n_sources=100, n_classes=2)
    found = posterior_of(asked, parameters)
    assert 0.75 < found[0, 1] < 0.95
    assert found[1] == pytest.approx(parameters.class_prior)


def test_a_warm_start_needs_fewer_rounds_and_says_the_same() -> None:
    said, _ = crowd(np.random.default_rng(9), np.stack([one_coin(a, 3) for a in (0.9, 0.5, 0.6, 0.7, 0.4)]), 300, 3)
    cold = fit(said, settings=Settings(tolerance=1e-6))
    warm = fit(said, start=cold.parameters, settings=Settings(tolerance=1e-6))
    assert warm.rounds < cold.rounds
    assert warm.posterior == pytest.approx(cold.posterior, abs=1e-3)


def test_a_row_of_weight_zero_says_nothing() -> None:
    said, _ = crowd(np.random.default_rng(10), np.stack([one_coin(a, 2) for a in (0.9, 0.8, 0.7)]), 50, 3)
    without = fit(said.rows(said.source != 2)).posterior
    silenced = fit(said.reweighted((said.source != 2).astype(np.float64))).posterior
    assert silenced == pytest.approx(without, abs=1e-6)


def test_the_models_word_is_off_by_default_and_capped() -> None:
    said = evidence([0], [0], [0], n_items=2, n_sources=1, n_classes=2)
    sure = ModelPrior(np.array([[0.0, 1.0], [0.0, 1.0]]), weight=1.0, largest_odds=4.0)
    plain, leaning = fit(said), fit(said, model_prior=sure)
    assert plain.posterior[1] == pytest.approx(plain.parameters.class_prior, abs=1e-6)
    prior = leaning.parameters.class_prior
    odds = float(leaning.posterior[1, 1]) / float(leaning.posterior[1, 0])
    assert odds == pytest.approx(4.0 * prior[1] / prior[0], rel=1e-4)
    with pytest.raises(ValueError, match="row 1"):
        fit(said, model_prior=ModelPrior(np.array([[0.5, 0.5], [0.9, 0.9]])))


@pytest.mark.parametrize(
    ("items", "sources", "answers", "code"),
    [
        ([], [], [], "no_evidence"),
        (list(range(30)), [0, 1] * 15, [0, 1] * 15, "no_overlap"),
        ([0, 0, 1, 1], [0, 1, 0, 1], [0, 1, 1, 0], "two_sources"),
        ([0, 0, 0], [0, 1, 2], [0, 0, 0], "class_never_seen"),
        ([0, 0, 0, 1, 1, 1] * 1, [0, 1, 2, 3, 4, 5], [0, 0, 1, 1, 1, 0], "separate_groups"),
    ],
)
def test_says_where_the_truth_cannot_be_known(
    items: list[int], sources: list[int], answers: list[int], code: str
) -> None:
    said = evidence(
        np.array(items, dtype=np.int64),
        np.array(sources, dtype=np.int64),
        np.array(answers, dtype=np.int64),
        n_items=30,
        n_sources=6,
        n_classes=2,
    )
    assert code in {warning.code for warning in fit(said).warnings}


def test_warns_of_a_crowd_of_which_a_third_says_the_opposite() -> None:
    matrices = np.stack([one_coin(a, 2) for a in (0.9, 0.9, 0.9, 0.9, 0.1, 0.1, 0.1)])
    said, truth = crowd(np.random.default_rng(11), matrices, 500, 7)
    beliefs = fit(said)
    assert "sign_ambiguous" in {warning.code for warning in beliefs.warnings}
    assert float((beliefs.posterior.argmax(axis=1) == truth).mean()) > 0.99
    honest, _ = crowd(np.random.default_rng(12), np.stack([one_coin(0.8, 2)] * 7), 500, 7)
    assert fit(honest).warnings == ()


def test_only_thumbs_are_warned_of() -> None:
    said = evidence([0, 1], [0, 1], [1, 0], n_items=2, n_sources=2, n_classes=2, kind=Kind.THUMB, predicted=[0, 1])
    assert "verdicts_only" in {warning.code for warning in fit(said).warnings}


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_any_evidence_gives_distributions_and_order_does_not_matter(data: st.DataObject) -> None:
    n = data.draw(st.integers(0, 30))
    rng = np.random.default_rng(data.draw(st.integers(0, 10_000)))
    kind = rng.integers(0, 5, n)
    is_verdict = (kind == Kind.THUMB) | (kind == Kind.IMPLICIT)
    columns = {
        "answer": np.where(is_verdict, rng.integers(0, 2, n), rng.integers(0, 3, n)),
        "item": rng.integers(0, 6, n),
        "source": rng.integers(0, 4, n),
        "kind": kind,
        "predicted": rng.integers(0, 3, n),
        "epsilon": np.where((kind != Kind.GOLD) & (rng.random(n) < 0.3), 1.0, np.nan),
        "channel": rng.integers(0, 2, n),
        "weight": rng.random(n),
    }
    order = rng.permutation(n)
    said = evidence(**columns, n_items=6, n_sources=4, n_classes=3)
    turned = evidence(**{name: column[order] for name, column in columns.items()}, n_items=6, n_sources=4, n_classes=3)
    found = fit(said)
    assert found.posterior.dtype == np.float32
    assert found.posterior.sum(axis=1) == pytest.approx(np.ones(6), abs=1e-5)
    assert np.isfinite(found.log_likelihood).all()
    assert fit(turned).posterior == pytest.approx(found.posterior, abs=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"item": [0, 9]}, "row 1: item 9"),
        ({"answer": [0, 2]}, "row 1: answer 2"),
        ({"kind": Kind.THUMB}, "row 0: predicted -1"),
        ({"epsilon": [np.nan, -1.0]}, "row 1: epsilon"),
        ({"weight": [0.5, np.nan]}, "row 1: weight"),
        ({"answer": [0.0, 1.0]}, "whole numbers"),
        ({"source": [0]}, "shape"),
        ({"n_classes": 1}, "two classes"),
    ],
)
def test_bad_evidence_is_refused_by_its_row(change: dict[str, object], message: str) -> None:
    arguments = {"item": [0, 1], "source": [0, 1], "answer": [0, 1], "n_items": 2, "n_sources": 2, "n_classes": 2}
    with pytest.raises(ValueError, match=message):
        evidence(**(arguments | change))  # type: ignore[arg-type]


def test_majority_shares_ties_and_weighted_majority_follows_the_reliable() -> None:
    matrices = np.stack([one_coin(a, 3) for a in (0.95, 0.95, 0.4, 0.4, 0.4)])
    said, truth = crowd(np.random.default_rng(13), matrices, 1_000, 5)
    plain, weighted = majority(said), weighted_majority(said)
    assert plain.sum(axis=1) == pytest.approx(1.0)
    assert (weighted.argmax(axis=1) == truth).mean() > (plain.argmax(axis=1) == truth).mean() + 0.05
    assert weighted_majority(said, rounds=0) == pytest.approx(plain)
    assert label_model.fit(said).has_converged
