"""The embedded engines: found, started, stopped, and back after every kind of crash."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
import redis

from feedbackproject import embedded, engine_account
from feedbackproject.engine_account import EngineError
from feedbackproject.engine_servers import has_shared_memory, is_alive, wait_until

REPOSITORY = Path(embedded.__file__).parent.parent
as_root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the engines under another account")


def _run_dir(var_dir: Path) -> Path:
    return Path(embedded.urls(var_dir).redis_url.removeprefix("unix://")).parent


@contextlib.contextmanager
def _place() -> Iterator[Path]:
    """A directory that every account can enter, unlike pytest's own; what is started below it is stopped."""
    # In memory where there is room: deleting a thousand small files takes seconds on some disks.
    directory = Path(tempfile.mkdtemp(prefix="feedback-test-", dir="/dev/shm" if has_shared_memory() else None))
    directory.chmod(0o755)
    yield directory
    for var_dir in sorted({lock.parent for lock in directory.rglob("engines.lock")}):
        embedded.remove(var_dir)
    shutil.rmtree(directory)


@pytest.fixture
def place() -> Iterator[Path]:
    with _place() as directory:
        yield directory


@pytest.fixture
def var_dir(place: Path) -> Path:
    return place / "var"


@pytest.fixture(scope="module")
def common_var_dir() -> Iterator[Path]:
    """One for the tests that leave it whole: making a database takes longer than what they look at."""
    with _place() as directory:
        yield directory / "var"


@pytest.fixture
def running(common_var_dir: Path) -> Path:
    """A var directory with both engines running and an empty table of notes."""
    with psycopg.connect(embedded.ensure_running(common_var_dir).database_url) as connection:
        connection.execute("DROP TABLE IF EXISTS note")
    return common_var_dir


def _write(var_dir: Path, text: str) -> None:
    with psycopg.connect(embedded.urls(var_dir).database_url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS note (text text)")
        connection.execute("INSERT INTO note VALUES (%s)", [text])


def _read(var_dir: Path) -> list[str]:
    with psycopg.connect(embedded.urls(var_dir).database_url) as connection:
        return [row[0] for row in connection.execute("SELECT text FROM note")]


def _ping(var_dir: Path) -> bool:
    with redis.from_url(embedded.urls(var_dir).redis_url) as client:
        return bool(client.ping())


def _pids(var_dir: Path) -> list[int]:
    return [status.pid for status in embedded.status(var_dir) if status.pid is not None]


def _kill(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):  # it ended with its killed parent
            os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: not any(is_alive(pid) for pid in pids), 10)


def _make_old(var_dir: Path) -> None:
    """As if the engines ran for an hour: one that has just begun is given time to listen."""
    for server in embedded._servers(var_dir, embedded.ENGINE_NAMES):
        if server.pid_file.exists():
            begin = server.pid_file.stat().st_mtime - 3600
            os.utime(server.pid_file, (begin, begin))


def test_addresses_are_known_without_starting_anything(var_dir: Path, place: Path) -> None:
    assert embedded.urls(var_dir) == embedded.urls(var_dir)
    assert embedded.urls(var_dir) != embedded.urls(place / "other")
    assert not var_dir.exists()


def test_engines_answer_as_postgresql_and_redis(running: Path) -> None:
    engines = embedded.ensure_running(running)
    assert engines.started == ()
    with psycopg.connect(engines.database_url) as connection:
        row = connection.execute("SELECT current_database(), current_setting('server_encoding'), upper('ä')").fetchone()
        assert row == ("feedback", "UTF8", "Ä")
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
        assert connection.execute("SHOW synchronous_commit").fetchone() == ("on",)
    assert _ping(running)


def test_the_sockets_are_closed_to_other_users(running: Path) -> None:
    embedded.ensure_running(running)
    assert _run_dir(running).stat().st_mode & 0o777 == 0o700


def test_stop_ends_both_and_keeps_what_they_hold(running: Path) -> None:
    engines = embedded.ensure_running(running)
    _write(running, "kept")
    with redis.from_url(engines.redis_url) as client:
        client.set("kept", "yes")
    pids = _pids(running)

    assert embedded.stop(running) == ("postgres", "redis")
    assert embedded.stop(running) == ()

    assert not any(is_alive(pid) for pid in pids)
    embedded.ensure_running(running)
    assert _read(running) == ["kept"]
    with redis.from_url(engines.redis_url) as client:
        assert client.get("kept") == b"yes"


def test_committed_rows_survive_the_kill_of_every_process(running: Path) -> None:
    embedded.ensure_running(running)
    _write(running, "committed")
    servers = embedded._servers(running, embedded.ENGINE_NAMES)
    _kill([pid for server in servers for pid in server._processes()])

    assert embedded.ensure_running(running).started == ("postgres", "redis")
    assert _read(running) == ["committed"]
    assert _ping(running)


def test_children_of_a_killed_postmaster_do_not_block_the_next_start(running: Path) -> None:
    engines = embedded.ensure_running(running, ["postgres"])
    _write(running, "before")
    with psycopg.connect(engines.database_url, autocommit=True) as busy:
        busy.execute("SELECT 1")
        _kill(_pids(running))
        assert embedded.ensure_running(running, ["postgres"]).started == ("postgres",)
    assert _read(running) == ["before"]


def test_a_number_given_to_another_process_is_not_taken_for_the_server(running: Path) -> None:
    embedded.ensure_running(running)
    _write(running, "before")
    postgres, redis_server = embedded._servers(running, embedded.ENGINE_NAMES)
    stale = postgres.pid_file.read_text()
    _kill(_pids(running))
    # A bystander of the same account as the servers, which PostgreSQL itself would take for the old postmaster.
    bystander = subprocess.Popen(["sleep", "600"], user=postgres.home.stat().st_uid)
    try:
        postgres.pid_file.write_text("\n".join([str(bystander.pid), *stale.splitlines()[1:], ""]))
        redis_server.pid_file.write_text(f"{bystander.pid}\n")

        assert embedded.stop(running) == ()
        assert embedded.ensure_running(running).started == ("postgres", "redis")
        assert _read(running) == ["before"]
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_deleted_socket_directory_is_made_again(running: Path) -> None:
    embedded.ensure_running(running)
    _write(running, "before")
    shutil.rmtree(_run_dir(running))
    _make_old(running)

    assert embedded.ensure_running(running).started == ("postgres", "redis")
    assert _read(running) == ["before"]
    assert _ping(running)


def test_a_deleted_var_directory_begins_anew(var_dir: Path) -> None:
    embedded.ensure_running(var_dir)
    _write(var_dir, "gone")
    old = _pids(var_dir)
    shutil.rmtree(var_dir)

    assert embedded.ensure_running(var_dir).started == ("postgres", "redis")
    with pytest.raises(psycopg.errors.UndefinedTable):
        _read(var_dir)
    assert not any(is_alive(pid) for pid in old)


def test_an_interrupted_first_start_is_repeated(var_dir: Path) -> None:
    unfinished = var_dir / "postgres" / "new"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")

    assert "postgres" in embedded.ensure_running(var_dir).started
    _write(var_dir, "works")
    assert _read(var_dir) == ["works"]


def test_a_copy_of_a_running_checkout_leaves_the_original_alone(var_dir: Path, place: Path) -> None:
    embedded.ensure_running(var_dir)
    _write(var_dir, "both")
    pids = _pids(var_dir)
    copy = place / "copy" / "var"
    shutil.copytree(var_dir, copy)

    assert embedded.stop(copy) == ()
    assert embedded.ensure_running(copy).started == ("postgres", "redis")
    _write(copy, "copy alone")

    assert _pids(var_dir) == pids
    assert _read(var_dir) == ["both"]
    assert _read(copy) == ["both", "copy alone"]


def test_a_checkout_moved_while_it_runs_keeps_its_data(var_dir: Path, place: Path) -> None:
    embedded.ensure_running(var_dir, ["postgres"])
    _write(var_dir, "moved along")
    old = _pids(var_dir)
    old_run_dir = _run_dir(var_dir)
    moved = place / "moved"
    _make_old(var_dir)
    var_dir.rename(moved)

    assert embedded.ensure_running(moved, ["postgres"]).started == ("postgres",)
    assert _read(moved) == ["moved along"]
    assert not any(is_alive(pid) for pid in old)
    shutil.rmtree(old_run_dir)


def test_paths_longer_than_a_socket_name_and_with_blanks_work(place: Path) -> None:
    var_dir = place / "a path with blanks" / ("long" * 40)
    embedded.ensure_running(var_dir)
    _write(var_dir, "fine")
    assert _read(var_dir) == ["fine"]
    assert _ping(var_dir)
    assert embedded.stop(var_dir) == ("postgres", "redis")


def test_processes_that_start_at_once_start_one_engine_each(var_dir: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from feedbackproject import embedded; "
        "print(*embedded.ensure_running(Path(sys.argv[1])).started)"
    )

    def start(_: int) -> list[str]:
        argv = [sys.executable, "-c", program, str(var_dir)]
        return subprocess.run(argv, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout.split()

    with ThreadPoolExecutor(4) as pool:
        started = [name for names in pool.map(start, range(4)) for name in names]
    assert sorted(started) == ["postgres", "redis"]
    assert len(_pids(var_dir)) == 2


def test_only_the_engine_without_an_address_is_started(var_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEEDBACK_VAR_DIR", str(var_dir))
    monkeypatch.setenv("DATABASE_URL", "postgresql://db.example/feedback")
    monkeypatch.delenv("REDIS_URL", raising=False)

    engines = embedded.ensure_from_environment()

    assert engines.database_url == "postgresql://db.example/feedback"
    assert engines.started == ("redis",)
    assert not (var_dir / "postgres").exists()


def test_nothing_is_started_when_both_addresses_are_set(var_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEEDBACK_VAR_DIR", str(var_dir))
    monkeypatch.setenv("DATABASE_URL", "postgresql://db.example/feedback")
    monkeypatch.setenv("REDIS_URL", "redis://redis.example/0")

    engines = embedded.ensure_from_environment()

    assert (engines.redis_url, engines.celery_broker_url) == ("redis://redis.example/0", "redis://redis.example/0")
    assert not var_dir.exists()


def test_an_engine_that_does_not_start_says_why(running: Path) -> None:
    embedded.stop(running)
    version = running / "postgres" / "18" / "PG_VERSION"
    version.write_text("9.6\n")

    with pytest.raises(EngineError, match=r"(?s)postgres does not start.*incompatible with server") as refused:
        embedded.ensure_running(running, ["postgres"])
    assert str(running / "log" / "postgres.log") in str(refused.value)
    assert _pids(running) == []
    version.write_text("18\n")


@as_root_only
def test_a_socket_directory_of_another_user_is_refused(var_dir: Path) -> None:
    squatted = _run_dir(var_dir)
    squatted.mkdir()
    os.chown(squatted, 54321, 54321)
    try:
        with pytest.raises(EngineError, match="belongs to another user"):
            embedded.ensure_running(var_dir, ["redis"])
        assert list(squatted.iterdir()) == []
    finally:
        squatted.rmdir()


@as_root_only
def test_below_a_private_home_the_data_is_linked_from_a_place_the_account_can_enter(place: Path) -> None:
    home = place / "home"
    home.mkdir(mode=0o700)
    var_dir = home / "checkout" / "var"

    embedded.ensure_running(var_dir)
    _write(var_dir, "private")

    assert home.stat().st_mode & 0o777 == 0o700
    assert all(status.data.is_relative_to(engine_account.SYSTEM_HOME) for status in embedded.status(var_dir))
    embedded.stop(var_dir)
    assert embedded.ensure_running(var_dir).started == ("postgres", "redis")
    assert _read(var_dir) == ["private"]

    outside = [status.data for status in embedded.status(var_dir)]
    embedded.remove(var_dir)
    assert not any(path.exists() for path in (*outside, var_dir, _run_dir(var_dir)))


@as_root_only
def test_programs_in_a_private_directory_are_copied_to_a_public_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Not in the memory of the other tests, where containers forbid to execute anything.
    place = Path(tempfile.mkdtemp(prefix="feedback-test-"))
    place.chmod(0o755)
    monkeypatch.setattr(engine_account, "SYSTEM_HOME", place / "system")
    packages = place / "packages"
    tree = packages / "wheel" / "bin"
    tree.mkdir(parents=True)
    shutil.copy("/bin/true", tree / "program")
    account = engine_account.choose(place / "nothing")

    used = engine_account.usable_program(account, tree / "program", copied=[tree], root=packages, label="one-1.0")
    assert used == tree / "program"

    packages.chmod(0o700)
    used = engine_account.usable_program(account, tree / "program", copied=[tree], root=packages, label="one-1.0")
    assert used == place / "system" / "programs" / "one-1.0" / "wheel" / "bin" / "program"
    assert engine_account.run(account, [used], errors=subprocess.DEVNULL).returncode == 0
    assert packages.stat().st_mode & 0o777 == 0o700
    shutil.rmtree(place)
