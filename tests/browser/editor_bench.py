"""A page with one answer editor on it, in a real browser, without the page around it."""

import base64
import re
import struct
import zlib
from typing import Any

from playwright.sync_api import Page, expect

from labeling.schema import parse_definition
from labeling.schema.base import JSONValue

STATIC = "/static/feedbackproject/"
STYLES = ("annotate", "payload", "editors")
SCRIPTS = (
    *("dom", "payload/chat", "payload/image", "payload/table", "payload/pixels", "payload"),
    *("editors/editor", "editors/class_picker", "editors/text_offsets", "editors/word_diff"),
    *("editors/mark_editor", "editors/levels", "editors/single_choice", "editors/multi_label", "editors/rating"),
    *("editors/text_correction", "editors/preference", "editors/spans", "editors/numeric", "editors/boxes"),
)
PAGE = """() => {
    document.querySelector("main .frame").innerHTML =
        '<div class="annotate"><div class="annotate-work"><section class="card"><div class="payload" id="payload"></div></section>'
        + '<section class="card"><div id="editor"></div><input id="comment" aria-label="Comment"></section></div></div>';
    const by = (id) => document.getElementById(id);
    window.openEditor = (schema) => {
        window.submitted = [];
        window.editor = new window.feedback.editors[schema.kind]({
            root: by("editor"), schema, config: { payload: by("payload") }, announce: window.feedback.announce,
            onChange: () => {}, onSubmit: () => window.submitted.push(window.editor.value),
        });
    };
    window.showItem = (payload, rendered, suggestion, answer) => {
        const item = { key: "item", payload, rendered, segments: {} };
        window.feedback.payload.show(by("payload"), item, window.editor.schema);
        window.editor.show({ id: 1, item, suggestion: suggestion && { answer: suggestion, confidence: 0.8 } }, { answer });
        window.editor.focus();
    };
    document.addEventListener("keydown", (event) => { if (window.editor.handleKey(event)) event.preventDefault(); });
}"""


class Bench:
    """A page with one editor on it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.schema: dict[str, Any] = {}
        self.payload: object = None
        page.goto("/login/")
        for name in STYLES:
            page.add_style_tag(url=f"{STATIC}css/{name}.css")
        for name in SCRIPTS:
            page.add_script_tag(url=f"{STATIC}js/{name}.js")
        page.evaluate(PAGE)

    def open(
        self,
        schema: dict[str, Any],
        payload: object,
        *,
        suggestion: object = None,
        answer: object = None,
        rendered: object = None,
    ) -> "Bench":
        self.schema = schema
        self.page.evaluate("(schema) => window.openEditor(schema)", schema)
        self.show(payload, suggestion=suggestion, answer=answer, rendered=rendered)
        return self

    def show(
        self, payload: object, *, suggestion: object = None, answer: object = None, rendered: object = None
    ) -> None:
        self.payload = payload
        self.page.evaluate("(given) => window.showItem(...given)", [payload, rendered or {}, suggestion, answer])

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def value(self) -> Any:
        """The answer; whatever the editor offers, the service must take it."""
        value: JSONValue = self.page.evaluate("window.editor.value")
        if value is not None:
            definition = dict(self.schema)
            schema = parse_definition(definition)
            schema.check_against(schema.parse_answer(value), self.payload)  # type: ignore[arg-type]
        return value

    def is_touched(self) -> bool:
        return bool(self.page.evaluate("window.editor.isTouched"))

    def label(self) -> str:
        return str(self.page.evaluate("window.editor.confirmLabel"))

    def submitted(self) -> list[Any]:
        return list(self.page.evaluate("window.submitted"))

    def said(self, text: str | re.Pattern[str]) -> None:
        expect(self.page.locator("#announcer")).to_have_text(text)


def classes(*keys: str) -> list[dict[str, str]]:
    return [{"key": key} for key in keys]


def png(width: int, height: int) -> str:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = (b"\0" + b"\x40\x80\xc0" * width) * height
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    image = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(image).decode()
