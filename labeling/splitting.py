"""The permanent split of a project's items, decided by a hash of the item's key and nothing else.

An item keeps its bucket for ever: it does not depend on when the item arrived, on its payload, on the seed of any run
or on any other item. So a row of the test split is never trained on by any model version, and the audit reserve (the
test split) is a simple random sample of whatever the client sends. See docs/algorithms/audit_reserve.md.
"""

from hashlib import blake2b
from typing import Final, Literal

Split = Literal["train", "validation", "test"]

BUCKETS: Final = 10_000
# Buckets [0, 1000) are the audit reserve = the test split, [1000, 2000) validation, the rest train.
AUDIT_RESERVE_END: Final = 1_000
VALIDATION_END: Final = 2_000


def bucket_of(project_id: int, key: str) -> int:
    """Return the item's bucket, an integer in [0, 10000), uniform over keys.

    bucket = int(BLAKE2b-64("<project id>:<key in UTF-8>"), big-endian) mod 10000. The modulo favours no bucket by more
    than 10000 / 2**64. This definition is part of the stored data: changing it would move test rows into training.

    A key with a lone surrogate cannot be encoded and raises `UnicodeEncodeError`, a ValueError.

    >>> bucket_of(1, "invoice-17")
    9970
    """
    digest = blake2b(f"{project_id}:{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % BUCKETS


def split_of(bucket: int) -> Split:
    """Return the split of a bucket; ValueError outside [0, 10000)."""
    if not 0 <= bucket < BUCKETS:
        raise ValueError(f"a bucket lies in [0, {BUCKETS}), not at {bucket}")
    if bucket < AUDIT_RESERVE_END:
        return "test"
    return "validation" if bucket < VALIDATION_END else "train"


def is_in_audit_reserve(bucket: int) -> bool:
    """Whether items of this bucket are only ever drawn uniformly at random, and never trained on."""
    return split_of(bucket) == "test"
