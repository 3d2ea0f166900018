import numpy as np
import pytest

from sampling import features

TEXTS = [
    *({"text": f"my card was lost in {place}"} for place in ("rome", "paris", "the street", "a shop")),
    *({"text": f"how do i exchange {coin} for dollars"} for coin in ("euros", "pounds", "yen", "pesos")),
]


def test_texts_about_the_same_are_nearer_than_others() -> None:
    extractor = features.fit(TEXTS, kind="text")
    vectors, is_readable = extractor.transform(TEXTS)
    assert is_readable.all()
    assert vectors.dtype == np.float16
    assert np.linalg.norm(vectors.astype(np.float64), axis=1) == pytest.approx(np.ones(8), abs=1e-2)
    similar = vectors.astype(np.float64) @ vectors.astype(np.float64).T
    assert similar[:4, :4].min() > similar[:4, 4:].max()


def test_the_same_payloads_and_seed_give_the_same_vectors_after_a_round_trip() -> None:
    extractor = features.fit(TEXTS, kind="text", seed=3)
    again = features.loads(features.fit(TEXTS, kind="text", seed=3).dumps())
    np.testing.assert_array_equal(extractor.transform(TEXTS)[0], again.transform(TEXTS)[0])


def test_numbers_are_standardised_and_reduced_beyond_64() -> None:
    rng = np.random.default_rng(0)
    narrow = [{"features": row} for row in (rng.normal(5, [1, 100], (50, 2))).tolist()]
    vectors, _ = features.fit(narrow, kind="numeric").transform(narrow)
    assert vectors.astype(np.float64).std(axis=0) == pytest.approx([1, 1], abs=0.01)
    wide = [{"features": row} for row in rng.normal(0, 1, (100, 80)).tolist()]
    assert features.fit(wide, kind="numeric").width == 64


def test_what_cannot_be_read_is_said_and_stays_zero() -> None:
    extractor = features.fit(TEXTS, kind="text")
    vectors, is_readable = extractor.transform([{"image": "x"}, TEXTS[0], {"text": 5}, {"text": ""}])
    assert is_readable.tolist() == [False, True, False, True]
    assert not vectors[[0, 2, 3]].any()
    numbers = features.fit([{"features": [1, 2]}, {"features": [3, 5]}], kind="numeric")
    odd: list[features.Payload] = [
        {"features": [1, 2, 3]},
        {"features": [1, 2]},
        {"features": [True, 2]},
        {"features": [float("nan"), 1]},
    ]
    assert numbers.transform(odd)[1].tolist() == [False, True, False, False]
    assert numbers.transform([])[0].shape == (0, 2)


def test_the_kind_is_what_most_payloads_have() -> None:
    assert features.kind_of([{"features": [1.0]}, {"features": [2.0]}, {"text": "a"}]) == "numeric"
    assert features.kind_of([]) is None


@pytest.mark.parametrize(
    ("payloads", "kind"),
    [
        ([], "text"),
        ([{"text": "same"}] * 5, "text"),
        ([{"text": "?"}, {"text": "!"}], "text"),
        ([{"features": [1]}], "numeric"),
    ],
)
def test_nothing_to_tell_apart_is_refused(payloads: list[dict[str, object]], kind: features.Kind) -> None:
    with pytest.raises(ValueError, match=r"at least two|do not differ"):
        features.fit(payloads, kind=kind)


def test_what_is_no_extractor_is_refused() -> None:
    with pytest.raises(ValueError, match="no extractor"):
        features.loads(b"not a file of ours")
