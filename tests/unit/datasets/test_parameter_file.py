"""Parameters survive being stored, and find their annotators again in another read of the evidence."""

import io

import numpy as np
import pytest

from datasets import parameter_file
from datasets.consensus.evidence import Evidence, Kind, evidence
from datasets.consensus.label_model import Settings, fit, posterior_of
from datasets.consensus.layout import Channel
from datasets.consensus.parameters import Parameters

IDS = np.array([70, -1, 12, 33])


def _fitted() -> tuple[Evidence, Parameters]:
    rng = np.random.default_rng(3)
    item, source = np.repeat(np.arange(50), 4), np.tile(np.arange(4), 50)
    truth = rng.integers(0, 3, 50)
    answer = np.where(rng.random(200) < 0.8, truth[item], rng.integers(0, 3, 200))
    kind = np.where(source == 1, Kind.CORRECTION, Kind.ANNOTATION).astype(np.int64)
    epsilon = np.where((source == 1) & (item % 2 == 0), 1.25, np.nan)
    said = evidence(item, source, answer, kind=kind, epsilon=epsilon, n_items=50, n_sources=4, n_classes=3)
    return said, fit(said, settings=Settings(review_accuracy=0.97)).parameters


def test_a_round_trip_keeps_everything_to_float32() -> None:
    _, parameters = _fitted()
    typical = np.eye(3) * 0.7 + 0.1
    learned = parameter_file.loads(parameter_file.dumps(parameters, IDS, typical))
    assert learned.annotator_ids.tolist() == [12, 33, 70]
    assert learned.parameters.review_accuracy == 0.97
    assert learned.parameters.class_prior == pytest.approx(parameters.class_prior, rel=1e-6)
    assert learned.typical_confusion == pytest.approx(typical, rel=1e-6)
    assert learned.parameters.confusion == pytest.approx(parameters.confusion[[1, 2, 0, 3]], rel=1e-6)
    assert set(learned.parameters.channels) == {Channel(Kind.CORRECTION, 0), Channel(Kind.CORRECTION, 0, 1.25)}
    for channel, counts in parameters.channels.items():
        assert learned.parameters.channels[channel] == pytest.approx(counts, rel=1e-6)


def test_matrices_judged_by_others_keep_their_annotators_and_are_the_fitted_ones_where_there_are_none() -> None:
    _, parameters = _fitted()
    judged = parameters.confusion + np.arange(4.0)[:, None, None]
    learned = parameter_file.loads(parameter_file.dumps(parameters, IDS, np.eye(3), judged))
    assert learned.judged == pytest.approx(judged[[1, 2, 0, 3]], rel=1e-6)
    without = parameter_file.loads(parameter_file.dumps(parameters, IDS, np.eye(3)))
    assert without.judged == pytest.approx(without.parameters.confusion)


def test_posteriors_are_the_same_from_evidence_that_was_read_in_another_order() -> None:
    said, parameters = _fitted()
    learned = parameter_file.loads(parameter_file.dumps(parameters, IDS, np.eye(3)))
    # Of items 7 and 9 only, the sources now being: somebody new, 33, nobody, 70 (the one with id 12 left).
    chosen = np.flatnonzero(np.isin(said.item, [7, 9]) & (said.source != 2))
    position = np.array([3, 2, -1, 1])
    part = evidence(
        (said.item[chosen] == 9).astype(np.int64), position[said.source[chosen]], said.answer[chosen],
        kind=said.kind[chosen].astype(np.int64), epsilon=said.epsilon[chosen], n_items=2, n_sources=4, n_classes=3,
    )  # fmt: skip
    ids = np.array([500, 33, -1, 70])
    expected = posterior_of(said.rows(chosen), parameters)[[7, 9]]
    assert posterior_of(part, learned.for_sources(ids)) == pytest.approx(expected, abs=1e-6)


def test_who_is_not_known_counts_as_a_newcomer() -> None:
    _, parameters = _fitted()
    learned = parameter_file.loads(parameter_file.dumps(parameters, IDS, np.eye(3)))
    found = learned.for_sources(np.array([999, -1]))
    assert found.annotators.tolist() == []
    assert found.confusion == pytest.approx(parameters.confusion[-1:], rel=1e-6)


def test_an_annotator_without_an_id_is_refused() -> None:
    _, parameters = _fitted()
    with pytest.raises(ValueError, match="an id of their own"):
        parameter_file.dumps(parameters, np.array([70, -1, 70, 33]), np.eye(3))


def test_pickles_are_not_read() -> None:
    file = io.BytesIO()
    np.savez(file, class_prior=np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises((ValueError, KeyError)):
        parameter_file.loads(file.getvalue())
