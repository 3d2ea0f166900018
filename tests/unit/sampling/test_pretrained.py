"""Vectors of a pretrained package; run where the extra `embeddings` is installed."""

import numpy as np
import pytest

from sampling import pretrained

needs_extra = pytest.mark.skipif(not pretrained.is_installed(), reason="the extra “embeddings” is not installed")


@needs_extra
def test_texts_of_one_meaning_are_nearer_than_others() -> None:
    payloads = [{"text": "my card was stolen"}, {"text": "somebody took my credit card"}, {"text": "good morning"}]
    vectors, is_readable = pretrained.transform([*payloads, {"image": "x"}, {"text": ""}])
    assert vectors.shape == (5, pretrained.WIDTH)
    assert vectors.dtype == np.float16
    assert is_readable.tolist() == [True, True, True, False, True]
    np.testing.assert_allclose(np.linalg.norm(vectors[:3].astype(np.float32), axis=1), 1.0, atol=1e-2)
    assert not vectors[3:].any()
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.1


def test_payloads_without_text_need_no_package() -> None:
    vectors, is_readable = pretrained.transform([{"image": "x"}])
    assert (vectors.shape, is_readable.tolist()) == ((1, pretrained.WIDTH), [False])
