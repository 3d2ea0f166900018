import io

import pytest
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from labeling import request_body
from labeling.request_body import Body

lines = st.lists(st.binary(max_size=12).map(lambda line: line.replace(b"\n", b"")), min_size=1, max_size=12)


def body_of(raw: bytes) -> Body:
    request = RequestFactory().post("/", b"anything", content_type="application/x-ndjson")
    request.META |= {"wsgi.input": io.BytesIO(raw), "wsgi.input_terminated": True, "CONTENT_LENGTH": str(len(raw))}
    return Body(request)


@given(lines, st.integers(1, 20))
def test_lines_are_found_wherever_blocks_end(lines: list[bytes], block_bytes: int) -> None:
    raw = b"\n".join(lines).removeprefix(b"\xef\xbb\xbf")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(request_body, "_BLOCK_BYTES", block_bytes)
        found = list(body_of(raw).rows())
    expected = raw.split(b"\n")
    assert found == (expected if expected[-1] else expected[:-1])


@pytest.mark.parametrize("block_bytes", [3, 10, 1000])
def test_a_line_that_is_too_long_is_cut_and_the_next_one_found(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, block_bytes: int
) -> None:
    settings.INTAKE_MAX_ROW_BYTES = 10
    monkeypatch.setattr(request_body, "_BLOCK_BYTES", block_bytes)
    found = list(body_of(b"short\n" + b"x" * 500 + b"\nnext\n" + b"y" * 500).rows())
    assert [row if len(row) <= 10 else b"too long" for row in found] == [b"short", b"too long", b"next", b"too long"]


def test_the_digest_is_of_query_form_and_body(settings: Settings) -> None:
    def digest(raw: bytes, query: str = "", content_type: str = "application/json") -> str:
        made = Body(RequestFactory().post(f"/{query}", raw, content_type=content_type))
        made.read_to_end()
        return made.digest()

    assert digest(b"{}") == digest(b"{}")
    others = {digest(b"{}"), digest(b"{} "), digest(b"{}", "?a=b"), digest(b"{}", "", "application/x-ndjson")}
    assert len(others) == 4
