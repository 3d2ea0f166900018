import numpy as np
import pytest
from scipy.stats import chisquare

from labeling.splitting import BUCKETS, bucket_of, is_in_audit_reserve, split_of


# Computed with coreutils and perl, not with this code:
#   printf '%s' '1:invoice-17' | b2sum -l 64      and the hexadecimal number modulo 10000
@pytest.mark.parametrize(
    ("project_id", "key", "bucket"),
    [
        (1, "invoice-17", 9970),
        (1, "a", 6979),
        (2, "a", 1452),
        (7, "ключ-שלום-🙂", 6800),
        (1, "", 9813),
    ],
)
def test_buckets_are_the_same_for_ever(project_id: int, key: str, bucket: int) -> None:
    assert bucket_of(project_id, key) == bucket


def test_buckets_are_uniform_over_ordinary_keys() -> None:
    buckets = np.array([bucket_of(3, f"item-{number}") for number in range(100_000)])
    assert buckets.min() >= 0
    assert buckets.max() < BUCKETS
    # 100 cells of 1,000 expected; the keys are fixed, so this passes or fails for ever.
    assert chisquare(np.bincount(buckets // 100, minlength=100)).pvalue > 0.001
    assert chisquare(np.bincount(buckets % 100, minlength=100)).pvalue > 0.001


def test_splits_of_two_projects_with_the_same_keys_are_independent() -> None:
    reserve = np.array(
        [[is_in_audit_reserve(bucket_of(project, str(number))) for number in range(50_000)] for project in (1, 2)]
    )
    both = np.count_nonzero(reserve.all(axis=0))
    # Expected 50,000 * 0.1 * 0.1 = 500, standard error sqrt(500 * 0.99) = 22.
    assert abs(both - 500) < 4 * 22.3


@pytest.mark.parametrize(
    ("bucket", "split"),
    [(0, "test"), (999, "test"), (1000, "validation"), (1999, "validation"), (2000, "train"), (9999, "train")],
)
def test_the_split_changes_at_the_documented_buckets(bucket: int, split: str) -> None:
    assert split_of(bucket) == split
    assert is_in_audit_reserve(bucket) == (split == "test")


@pytest.mark.parametrize("bucket", [-1, 10_000])
def test_a_bucket_out_of_range_is_refused(bucket: int) -> None:
    with pytest.raises(ValueError, match="bucket"):
        split_of(bucket)


def test_half_a_surrogate_pair_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        bucket_of(1, "\ud800")
