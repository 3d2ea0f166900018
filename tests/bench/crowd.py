"""Many annotators over HTTP from one thread, at next to no cost: they share two cores with what they measure.

What a person does is a generator that yields requests and is sent the replies; the crowd plays all of them at once, each
on a connection of its own that stays open. No HTTP client of the standard library: they take longer than the service.
"""

import heapq
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
_REFUSED_SECONDS: Final = 0.3
"""Until somebody whose connection was refused is told so."""


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


@dataclass(frozen=True)
class Pause:
    """Do nothing for so long; the reply to it says nothing."""

    seconds: float


Script: TypeAlias = Generator[Request | Pause, Reply, None]
_WAITED: Final = Reply(0, b"", 0.0)
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
    slug: str
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
    first = Membership.objects.filter(project=project).count()
    for number in range(first, first + count):
        user = User.objects.create_user(f"{project.slug}-annotator-{number}")
        Membership.objects.create(project=project, user=user, role=Membership.Role.ANNOTATOR)
        found.append(Person(user, project.slug, log_in(user)))
    return found


class _Line:
    """One person's connection and the request that is under way on it."""

    def __init__(self, address: tuple[str, int], person: Person, script: Script) -> None:
        self.address, self.person, self.script = address, person, script
        self.path = f"POST /api/v1/projects/{person.slug}/tasks/".encode()
        self.headers = (
            f" HTTP/1.1\r\nHost: {address[0]}:{address[1]}\r\nCookie: {person.cookie}\r\nX-CSRFToken: {CSRF}\r\n"
            "Content-Type: application/json\r\nContent-Length: "
        ).encode()
        self.request = Request("", b"", "")
        self.is_asking = False
        self.received = b""
        self.complete_at = -1
        self.body_at = 0
        self.began = 0.0
        self.socket: socket.socket | None = None

    def close(self) -> None:
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    def send(self, request: Request) -> socket.socket | None:
        """Send it; None if nobody listens."""
        self.request = request
        self.received, self.complete_at = b"", -1
        self.began = time.perf_counter()
        length = str(len(request.body)).encode()
        message = b"".join((self.path, request.path.encode(), self.headers, length, b"\r\n\r\n", request.body))
        try:
            if self.socket is None:
                self.socket = socket.create_connection(self.address, timeout=60)
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.socket.sendall(message)
            self.is_asking = True
        except OSError:
            self.close()
        return self.socket

    def receive(self) -> Reply | None:
        """The reply, when all of it is there."""
        try:
            piece = self.socket.recv(_RECEIVED_AT_ONCE) if self.socket else b""
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
            _, _, after = self.received[:end].lower().partition(b"content-length: ")
            self.complete_at = self.body_at + int(after.partition(b"\r")[0] or 0)
        if len(self.received) < self.complete_at:
            return None
        return self._reply(int(self.received[9:12]), self.received[self.body_at : self.complete_at])

    def _reply(self, status: int, body: bytes) -> Reply:
        ms = (time.perf_counter() - self.began) * 1000
        self.person.milliseconds.setdefault(self.request.kind, []).append(ms)
        return Reply(status, body, ms)


def play(url: str, cast: Sequence[Person], script: Callable[[Person], Script]) -> float:
    """Let all play their script at once until each has ended; returns the seconds it took."""
    parts = urllib.parse.urlsplit(url)
    begin = time.perf_counter()
    with selectors.DefaultSelector() as selector:
        stage = _Stage(selector)
        for person in cast:
            stage.enter(_Line((parts.hostname or "", parts.port or 80), person, script(person)))
        while stage.left:
            stage.turn()
    return time.perf_counter() - begin


class _Stage:
    """Who is on, who waits for a reply, who rests until when."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self.selector = selector
        self.left = 0
        self.resting: list[tuple[float, int, _Line, Reply]] = []
        self.count = 0

    def enter(self, line: _Line) -> None:
        self.left += 1
        self._go_on(line, None)

    def turn(self) -> None:
        now = time.perf_counter()
        while self.resting and self.resting[0][0] <= now:
            _, _, line, reply = heapq.heappop(self.resting)
            self._go_on(line, reply)
        until = self.resting[0][0] - time.perf_counter() if self.resting else 60.0
        for key, _ in self.selector.select(max(0.0, until)):
            answering: _Line = key.data
            if (received := answering.receive()) is not None:
                if not answering.is_asking:  # the server ended a connection that was idle
                    self._hang_up(answering)
                    continue
                answering.is_asking = False
                if received.status == 0:
                    self._hang_up(answering)
                self._go_on(answering, received)

    def _go_on(self, line: _Line, reply: Reply | None) -> None:
        try:
            wanted = next(line.script) if reply is None else line.script.send(reply)
        except StopIteration:
            self._hang_up(line)
            self.left -= 1
            return
        if isinstance(wanted, Pause):
            self._rest(line, wanted.seconds, _WAITED)
            return
        had = line.socket
        opened = line.send(wanted)
        if had is not None and opened is not had:
            self.selector.unregister(had)
        if opened is None:
            self._rest(line, _REFUSED_SECONDS, _WAITED)
        elif opened is not had:
            self.selector.register(opened, selectors.EVENT_READ, line)

    def _rest(self, line: _Line, seconds: float, reply: Reply) -> None:
        self.count += 1
        heapq.heappush(self.resting, (time.perf_counter() + seconds, self.count, line, reply))

    def _hang_up(self, line: _Line) -> None:
        if line.socket is not None:
            self.selector.unregister(line.socket)
            line.close()
