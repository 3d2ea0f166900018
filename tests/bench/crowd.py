"""Many annotators over HTTP from one thread, at next to no cost: they share two cores with what they measure.

What a person does is a generator that yields requests and is sent the replies; the crowd plays all of them at once, each
on a connection of its own that stays open. No HTTP client of the standard library: they take longer than the service.
"""

import selectors
import socket
import time
import urllib.parse
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Final, TypeAlias

import msgspec
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User

from labeling.models import Membership, Project

CSRF: Final = "b" * 32
_RECEIVED_AT_ONCE: Final = 256 * 1024


@dataclass(frozen=True)
class Request:
    """POST of `body` to `path`, below the address of the project's tasks. `kind` names the stopwatch."""

    path: str
    body: bytes
    kind: str


@dataclass(frozen=True)
class Reply:
    status: int
    """0 when the connection broke before the answer was complete."""
    body: bytes
    ms: float


class _Id(msgspec.Struct):
    id: int


class _Served(msgspec.Struct):
    tasks: list[_Id]
    reason: str | None = None


class _Answered(msgspec.Struct):
    annotation_id: int
    next: _Served | None = None


Script: TypeAlias = Generator[Request, Reply, None]
_served = msgspec.json.Decoder(_Served)
_answered = msgspec.json.Decoder(_Answered)


def served(reply: Reply) -> list[int]:
    """The tasks in an answer of tasks/next."""
    return [task.id for task in _served.decode(reply.body).tasks]


def answered(reply: Reply) -> tuple[int, list[int]]:
    """The id of the annotation, and the tasks served with it."""
    found = _answered.decode(reply.body)
    return found.annotation_id, [task.id for task in found.next.tasks] if found.next else []


@dataclass
class Person:
    """Somebody with a browser: a session, an open connection, a stopwatch."""

    user: User
    cookie: str
    milliseconds: dict[str, list[float]] = field(default_factory=dict)
    answered: list[int] = field(default_factory=list)

    def forget(self) -> None:
        self.milliseconds.clear()
        self.answered.clear()


def log_in(user: User) -> str:
    """A session for the user; returns the Cookie header."""
    store = import_module(settings.SESSION_ENGINE).SessionStore()
    store[SESSION_KEY] = str(user.pk)
    store[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    store[HASH_SESSION_KEY] = user.get_session_auth_hash()
    store.create()
    return f"{settings.SESSION_COOKIE_NAME}={store.session_key}; {settings.CSRF_COOKIE_NAME}={CSRF}"


def people(project: Project, count: int) -> list[Person]:
    """So many new annotators of the project, logged in."""
    found = []
    for number in range(count):
        user = User.objects.create_user(f"{project.slug}-annotator-{number}")
        Membership.objects.create(project=project, user=user, role=Membership.Role.ANNOTATOR)
        found.append(Person(user, log_in(user)))
    return found


class _Line:
    """One person's connection and the request that is under way on it."""

    def __init__(self, address: tuple[str, int], slug: str, person: Person, script: Script) -> None:
        self.address, self.person, self.script = address, person, script
        self.path = f"POST /api/v1/projects/{slug}/tasks/".encode()
        self.headers = (
            f" HTTP/1.1\r\nHost: {address[0]}:{address[1]}\r\nCookie: {person.cookie}\r\nX-CSRFToken: {CSRF}\r\n"
            "Content-Type: application/json\r\nContent-Length: "
        ).encode()
        self.request = next(script)
        self.received = b""
        self.complete_at = -1
        self.body_at = 0
        self.began = 0.0
        self.socket = self._connect()

    def _connect(self) -> socket.socket:
        opened = socket.create_connection(self.address, timeout=60)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return opened

    def reconnect(self) -> None:
        self.socket.close()
        self.socket = self._connect()

    def send(self) -> None:
        body = self.request.body
        self.received, self.complete_at = b"", -1
        self.began = time.perf_counter()
        self.socket.sendall(
            b"".join((self.path, self.request.path.encode(), self.headers, str(len(body)).encode(), b"\r\n\r\n", body))
        )

    def receive(self) -> Reply | None:
        """The reply, when all of it is there."""
        try:
            piece = self.socket.recv(_RECEIVED_AT_ONCE)
        except OSError:
            piece = b""
        if not piece:
            return self._reply(0, b"")
        self.received += piece
        if self.complete_at < 0:
            end = self.received.find(b"\r\n\r\n")
            if end < 0:
                return None
            self.body_at = end + 4
            head = self.received[:end].lower()
            _, _, after = head.partition(b"content-length: ")
            self.complete_at = self.body_at + int(after.partition(b"\r")[0] or 0)
        if len(self.received) < self.complete_at:
            return None
        return self._reply(int(self.received[9:12]), self.received[self.body_at : self.complete_at])

    def _reply(self, status: int, body: bytes) -> Reply:
        ms = (time.perf_counter() - self.began) * 1000
        self.person.milliseconds.setdefault(self.request.kind, []).append(ms)
        return Reply(status, body, ms)


def play(url: str, slug: str, cast: Sequence[Person], script: Callable[[Person], Script]) -> float:
    """Let all play their script at once until each has ended; returns the seconds it took."""
    parts = urllib.parse.urlsplit(url)
    address = (parts.hostname or "", parts.port or 80)
    lines = [_Line(address, slug, person, script(person)) for person in cast]
    begin = time.perf_counter()
    with selectors.DefaultSelector() as selector:
        for line in lines:
            selector.register(line.socket, selectors.EVENT_READ, line)
            line.send()
        left = len(lines)
        while left:
            for key, _ in selector.select(60):
                line = key.data
                reply = line.receive()
                if reply is None:
                    continue
                try:
                    line.request = line.script.send(reply)
                except StopIteration:
                    selector.unregister(line.socket)
                    line.socket.close()
                    left -= 1
                    continue
                if reply.status == 0:
                    selector.unregister(line.socket)
                    line.reconnect()
                    selector.register(line.socket, selectors.EVENT_READ, line)
                line.send()
    return time.perf_counter() - begin
