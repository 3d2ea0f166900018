"""A proxy on loopback that passes requests on, except where a test scripts a fault; it keeps what it saw."""

import http.client
import socket
import threading
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

Fault = Literal["cut_before", "cut_after", "hang"]
"""The connection ends before the service sees the request, or after it answered; or nothing comes until `release`."""


@dataclass(frozen=True)
class Answer:
    """Said in place of the service."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"{}"


@dataclass(frozen=True)
class Seen:
    path: str
    headers: dict[str, str]
    body: bytes


class FlakyProxy:
    def __init__(self, target: str) -> None:
        self.target = urlsplit(target)
        self.seen: list[Seen] = []
        self.faults: deque[Fault | Answer] = deque()
        """For the next requests, one each; after them all is well."""
        self.released = threading.Event()
        self._arrived = threading.Condition()
        self._server = _Server(("127.0.0.1", 0), self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def note(self, seen: Seen) -> Fault | Answer | None:
        with self._arrived:
            self.seen.append(seen)
            self._arrived.notify_all()
            return self.faults.popleft() if self.faults else None

    def wait_for_requests(self, count: int) -> None:
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.seen) >= count, timeout=30)

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # closing waits for requests under way
    block_on_close = True

    def __init__(self, address: tuple[str, int], proxy: FlakyProxy) -> None:
        self.proxy = proxy
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"  # connections are kept
    timeout = 10

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        proxy = self.server.proxy
        match proxy.note(Seen(self.path, dict(self.headers), body)):
            case Answer() as answer:
                self._answer(answer.status, answer.headers, answer.body)
            case "cut_before":
                self._cut()
            case "hang":
                proxy.released.wait()
                self._cut()
            case "cut_after":
                self._forwarded(body)
                self._cut()
            case None:
                status, headers, answered = self._forwarded(body)
                self._answer(status, headers, answered)

    def _forwarded(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        target = self.server.proxy.target
        connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=30)
        try:
            connection.request("POST", self.path, body, dict(self.headers))
            response = connection.getresponse()
            return response.status, {"Content-Type": response.headers["Content-Type"]}, response.read()
        finally:
            connection.close()

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _cut(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on stderr."""
