"""Somebody's app on another origin, under a strict content security policy, with the widget in it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

STUB = """
window.feedback = window.feedback || ((...call) => new Promise((done) => (feedback.q = feedback.q || []).push([call, done])));
window.heard = [];
// For tests to wait for: how often something was sent, the last error, and whether the widget is there.
const { dataset } = document.documentElement;
for (const name of ["decided", "shown", "started", "answered", "dismissed", "opted_out", "closed", "sent", "error"]) {
  feedback("on", name, (detail) => {
    heard.push([name, detail]);
    if (name === "sent") dataset[`sent_${detail.event}`] = Number(dataset[`sent_${detail.event}`] ?? 0) + 1;
    if (name === "error") dataset.error = detail.code;
  });
}
feedback("close").then(() => { dataset.widget = "ready"; });
window.shifts = 0;
new PerformanceObserver((list) => { for (const entry of list.getEntries()) shifts += entry.value; })
  .observe({ type: "layout-shift", buffered: true });
"""
STYLES = """
:root { color-scheme: light dark; }
body { font: 1rem/1.5 sans-serif; }
/* What pages do to elements of other people. */
div, p, button, input { margin: 3px; letter-spacing: 2px; background: orange; color: black; }
.card { width: 24rem; height: 9rem; }
"""
PAGE = """<!doctype html>
<html lang="{lang}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>An app</title>
<link rel="stylesheet" href="/styles.css"><script src="/app.js"></script>
<script async src="{service}/widget.js" crossorigin="anonymous"{more}></script></head>
<body><main><h1>An app</h1><p id="words">Some words of the app.</p>{content}<button id="last">The last button</button></main></body></html>"""


@dataclass
class Host:
    """Serves one page, its script and its styles; what they are may be changed between two visits."""

    url: str
    service: str
    init: dict[str, Any]
    """What the page's script hands to `init`."""
    content: str = ""
    lang: str = "en"
    script: str = ""
    """After the stub and `init`."""
    script_attributes: str = ""
    policy: list[str] = field(default_factory=list)
    """Directives beyond those that the widget's manual names."""

    def content_security_policy(self) -> str:
        directives = [
            "default-src 'none'", f"script-src 'self' {self.service}", f"connect-src {self.service}", "style-src 'self'",
            "require-trusted-types-for 'script'", "base-uri 'none'", *self.policy,
        ]  # fmt: skip
        return "; ".join(directives)

    def file(self, path: str) -> tuple[str, str] | None:
        page = PAGE.format(lang=self.lang, service=self.service, content=self.content, more=self.script_attributes)
        script = f"{STUB}\nfeedback('init', {json.dumps(self.init)});\n{self.script}"
        files = {
            "/": ("text/html", page),
            "/elsewhere": ("text/html", "<!doctype html><title>Elsewhere</title>"),
            "/app.js": ("text/javascript", script),
            "/styles.css": ("text/css", STYLES),
            "/favicon.ico": ("image/x-icon", ""),
        }
        return files.get(path)


@contextmanager
def serving(service: str) -> Iterator[Host]:
    host = Host(url="", service=service, init={})

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = host.file(self.path.partition("?")[0])
            body = found[1].encode() if found else b""
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", f"{found[0] if found else 'text/plain'}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Security-Policy", host.content_security_policy())
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    host.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield host
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
