"""Who runs the embedded engines, and where their files live.

PostgreSQL refuses to run as root. A root user (a container, a fresh server) therefore runs both engines
under an unprivileged account, which may be unable to reach a checkout below a private home directory;
data and programs are then placed under ``/var/lib/feedbackproject`` and linked from the var directory.
An ordinary user runs the engines as themselves, from where they are.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

SYSTEM_HOME = Path("/var/lib/feedbackproject")
DEDICATED_ACCOUNT = "feedback-engines"


class EngineError(RuntimeError):
    """The embedded engines cannot run; the message says why and, once there is a log, ends with its tail."""


@dataclass(frozen=True)
class Account:
    name: str
    uid: int
    gid: int

    @property
    def is_someone_else(self) -> bool:
        return self.uid != os.geteuid()


def choose(data: Path) -> Account:
    """The account the engines run under: the caller, or for root the first unprivileged one that fits."""
    if os.geteuid() != 0:
        return Account(str(os.geteuid()), os.geteuid(), os.getegid())
    # Data that an ordinary user created stays theirs when root looks after it once.
    if data.exists() and data.stat().st_uid != 0 and _entry(uid=data.stat().st_uid) is not None:
        entry = _entry(uid=data.stat().st_uid)
    else:
        entry = _entry(name="postgres") or _entry(name=DEDICATED_ACCOUNT) or _created() or _entry(name="nobody")
    if entry is None:
        raise EngineError(
            "PostgreSQL does not run as root, and there is no unprivileged account to run it under: "
            f"create one (useradd --system {DEDICATED_ACCOUNT}) or set DATABASE_URL and REDIS_URL."
        )
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def run(
    account: Account, argv: Sequence[str | Path], *, errors: IO[bytes] | int, text_in: str = ""
) -> subprocess.CompletedProcess[bytes]:
    """Run a short command as ``account``, away from any directory it may not enter; captures its output."""
    other = account.is_someone_else
    try:
        return subprocess.run(  # noqa: S603 - called with our own programs only
            [str(word) for word in argv],
            input=text_in.encode(),
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd="/",
            # A session of its own, so that Ctrl-C in the calling terminal does not reach the engines.
            start_new_session=True,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "HOME": "/"},
            user=account.uid if other else None,
            group=account.gid if other else None,
            extra_groups=[] if other else None,
            check=False,
        )
    except PermissionError as error:
        raise EngineError(f"Cannot run {argv[0]} as {account.name}: {error}.") from error


def can_use(account: Account, path: Path) -> bool:
    """Whether ``account`` can enter this directory or execute this file, asked of the system itself."""
    if not account.is_someone_else:
        return os.access(path, os.X_OK)
    return run(account, ["test", "-x", path], errors=subprocess.DEVNULL).returncode == 0


def data_directory(account: Account, var_dir: Path, name: str) -> Path:
    """The private data directory ``name``, made if needed: in the var directory, or linked from it."""
    wanted = var_dir / name
    if not wanted.exists() and not wanted.is_symlink() and not can_use(account, var_dir):
        # A new directory each time: whoever deleted their var directory does not meet its old data again.
        wanted.symlink_to(tempfile.mkdtemp(prefix=f"{name}-", dir=_system_directory("data")))
    directory = wanted.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    own(account, directory)
    if not can_use(account, directory):
        raise EngineError(
            f"{directory} cannot be entered by the account {account.name}, which runs the embedded engines: "
            "move the var directory (FEEDBACK_VAR_DIR) or allow it to pass through the parent directories."
        )
    return directory


def own(account: Account, directory: Path) -> None:
    """Make a directory private to ``account``, with everything in it when it was someone else's."""
    if account.is_someone_else and directory.stat().st_uid != account.uid:
        for folder, _, files in os.walk(directory):
            for path in (folder, *(os.path.join(folder, name) for name in files)):
                os.chown(path, account.uid, account.gid, follow_symlinks=False)
    directory.chmod(0o700)


def usable_program(account: Account, program: Path, *, copied: Sequence[Path], root: Path, label: str) -> Path:
    """``program`` itself, or when ``account`` cannot execute it, the same one inside a readable copy.

    ``copied`` are the trees below ``root`` that the program needs (it finds its libraries by relative paths);
    ``label`` names the copy and changes with the version.
    """
    if can_use(account, program):
        return program
    target = _system_directory("programs") / label
    if not target.exists():
        partial = target.with_name(f"{label}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        for tree in copied:
            shutil.copytree(tree, partial / tree.relative_to(root), symlinks=True)
        _readable_by_all(partial)
        partial.rename(target)
    return target / program.relative_to(root)


def _system_directory(name: str) -> Path:
    directory = SYSTEM_HOME / name
    directory.mkdir(parents=True, exist_ok=True)
    for folder in (SYSTEM_HOME, directory):
        folder.chmod(0o755)  # whatever the umask: the account must pass through
    return directory


def _readable_by_all(top: Path) -> None:
    for folder, _, files in os.walk(top):
        os.chmod(folder, 0o755)  # noqa: S103 - programs, no data: public like /usr/bin
        for path in (Path(folder, name) for name in files):
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)


def _entry(*, name: str = "", uid: int = -1) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name) if name else pwd.getpwuid(uid)
    except KeyError:
        return None


def _created() -> pwd.struct_passwd | None:
    useradd = shutil.which("useradd", path=os.environ.get("PATH", os.defpath) + ":/usr/sbin")
    if useradd is None:
        return None
    subprocess.run(  # noqa: S603 - fixed arguments
        [useradd, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", DEDICATED_ACCOUNT],
        capture_output=True,
        check=False,
    )
    return _entry(name=DEDICATED_ACCOUNT)
