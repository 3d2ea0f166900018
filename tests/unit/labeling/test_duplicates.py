import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from labeling.duplicates import SeenHashes

chunks = st.lists(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 20), max_size=30), max_size=12)


@given(chunks)
def test_only_the_first_of_each_hash_is_admitted(chunks: list[list[int]]) -> None:
    seen, remembered = SeenHashes(), set[int]()
    for chunk in chunks:
        expected = []
        for value in chunk:
            expected.append(value not in remembered)
            remembered.add(value)
        assert seen.admit(np.array(chunk, dtype=np.int64)).tolist() == expected


def test_a_long_stream_is_kept_in_few_blocks_of_eight_bytes_a_hash() -> None:
    seen = SeenHashes()
    for start in range(0, 100_000, 1_000):
        assert seen.admit(np.arange(start, start + 1_000, dtype=np.int64)).all()
    assert len(seen._blocks) <= 8
    assert sum(block.nbytes for block in seen._blocks) == 800_000
    assert not seen.admit(np.arange(100_000, dtype=np.int64)).any()
