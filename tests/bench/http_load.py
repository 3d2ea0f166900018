"""Requests at a server from one process at next to no cost, so that two shared cores go to what is measured.

Run as `python -m tests.bench.http_load`, it reads a plan from standard input, plays it, and writes what it measured to
standard output. Every connection stays open. In a closed loop each sends its next request when the reply is there; in an
open loop requests are due at fixed times whatever the replies do, and wait for a free connection on their own clock, so
that a server that stalls is charged for all who waited.
"""

import collections
import heapq
import json
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Plan:
    """`rate` requests a second in an open loop; 0: a closed loop. The bodies are sent in turn, and then anew."""

    host: str
    port: int
    path: str
    headers: dict[str, str]
    bodies: list[str]
    connections: int
    seconds: float
    rate: float = 0.0


@dataclass
class Measured:
    """`statuses` counts replies by status; `milliseconds` are of those with 200 alone."""

    seconds: float
    milliseconds: list[float] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)
    last: str = ""

    @property
    def per_second(self) -> float:
        return len(self.milliseconds) / self.seconds


def play(plan: Plan) -> Measured:
    """Play the plan in a process of its own. Raises RuntimeError if anything but 200 came back."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.http_load"],
        input=json.dumps(asdict(plan)),
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        check=True,
    )
    measured = Measured(**json.loads(done.stdout))
    if set(measured.statuses) - {"200"}:
        raise RuntimeError(f"{measured.statuses}: {measured.last}")
    return measured


class _Line:
    def __init__(self, plan: Plan) -> None:
        self.socket = socket.create_connection((plan.host, plan.port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""
        self.due = 0.0

    def reply(self) -> tuple[int, bytes] | None:
        piece = self.socket.recv(256 * 1024)
        if not piece:
            raise ConnectionError("the server hung up")
        self.received += piece
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            return None
        _, _, after = self.received[:end].lower().partition(b"content-length: ")
        complete = end + 4 + int(after.partition(b"\r")[0] or 0)
        if len(self.received) < complete:
            return None
        reply = int(self.received[9:12]), self.received[end + 4 : complete]
        self.received = b""
        return reply


class _Player:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        names = {"Host": f"{plan.host}:{plan.port}", "Content-Type": "application/json", **plan.headers}
        head = f"POST {plan.path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in names.items())
        bodies = [body.encode() for body in plan.bodies]
        self.messages = [f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body for body in bodies]
        self.sent = 0
        self.measured = Measured(0.0)
        self.statuses: collections.Counter[str] = collections.Counter()
        self.busy = 0

    def send(self, line: _Line, due: float) -> None:
        line.due = due
        line.socket.sendall(self.messages[self.sent % len(self.messages)])
        self.sent += 1
        self.busy += 1

    def finish(self, line: _Line, reply: tuple[int, bytes]) -> None:
        self.busy -= 1
        self.statuses[str(reply[0])] += 1
        if reply[0] == 200:
            self.measured.milliseconds.append((time.perf_counter() - line.due) * 1000)
        self.measured.last = reply[1][:500].decode(errors="replace")

    def run(self) -> Measured:
        plan = self.plan
        lines = [_Line(plan) for _ in range(plan.connections)]
        # epoll wakes up to a millisecond late, which would be charged to the server.
        with selectors.SelectSelector() as selector:
            for line in lines:
                selector.register(line.socket, selectors.EVENT_READ, line)
            begin = time.perf_counter()
            end = begin + plan.seconds
            due = [begin + place / plan.rate for place in range(int(plan.rate * plan.seconds))] if plan.rate else []
            heapq.heapify(due)
            free = collections.deque(lines)
            while True:
                now = time.perf_counter()
                if plan.rate:
                    while free and due and due[0] <= now:
                        self.send(free.popleft(), heapq.heappop(due))
                else:
                    while free and now < end:
                        self.send(free.popleft(), time.perf_counter())
                if not self.busy and (not due if plan.rate else now >= end):
                    break
                wait = max(0.0, due[0] - now) if due and free else 60.0
                for key, _ in selector.select(wait):
                    line = key.data
                    if (reply := line.reply()) is not None:
                        self.finish(line, reply)
                        free.append(line)
            self.measured.seconds = time.perf_counter() - begin
        self.measured.statuses = dict(self.statuses)
        return self.measured


def percentile(values: Sequence[float], share: float) -> float:
    """The value that so large a share of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


if __name__ == "__main__":
    json.dump(asdict(_Player(Plan(**json.load(sys.stdin))).run()), sys.stdout)
