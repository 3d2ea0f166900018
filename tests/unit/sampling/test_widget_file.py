"""The widget is small, asks for nothing from elsewhere, and is described as it is."""

import base64
import gzip
import hashlib
import re
from pathlib import Path

from sampling import widget_file

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "widget.md"
MOST_BYTES = 10_000


def test_the_widget_with_all_kinds_of_questions_is_at_most_10_kb() -> None:
    content = widget_file.PATH.read_bytes()
    assert len(gzip.compress(content, 9)) <= MOST_BYTES
    served = widget_file.current()
    assert gzip.decompress(served.gzipped) == served.content == content
    assert len(served.gzipped) <= MOST_BYTES


def test_the_hash_is_that_of_the_file() -> None:
    served = widget_file.current()
    digest = base64.b64decode(served.integrity.removeprefix("sha384-"))
    assert digest == hashlib.sha384(served.content).digest()


def test_the_manual_shows_the_hash_of_this_version() -> None:
    assert re.findall(r"sha384-[A-Za-z0-9+/=]+", DOCUMENT.read_text()) == [widget_file.current().integrity]


def test_the_widget_evaluates_nothing_and_writes_no_markup() -> None:
    text = widget_file.current().content.decode()
    for sink in ("eval(", "new Function", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", ".cssText"):
        assert sink not in text, sink
    assert re.findall(r"https?://[^\s\"'`]+", text) == ["http://www.w3.org/2000/svg"], "it would ask a third party"


def test_the_manual_names_every_variable_of_the_theme() -> None:
    used = set(re.findall(r"var\((--feedback-[a-z-]+)", widget_file.current().content.decode()))
    assert used
    assert set(re.findall(r"`(--feedback-[a-z-]+)`", DOCUMENT.read_text())) == used


def test_the_manual_names_every_text_that_can_be_replaced() -> None:
    english = re.search(r"\n  en: \{(.*?)\n  \},", widget_file.current().content.decode(), re.DOTALL)
    assert english is not None
    names = set(re.findall(r"\b([a-z]+): \"", english[1]))
    listed = re.search(r"<!-- texts -->(.*?)<!-- /texts -->", DOCUMENT.read_text(), re.DOTALL)
    assert listed is not None
    assert set(re.findall(r"`([a-z]+)`", listed[1])) == names
