"""Runs an arm in a process of its own, and keeps what it found."""

import ast
import hashlib
import json
import os
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import django

ROOT: Final = Path(__file__).resolve().parents[3]
CACHE: Final = ROOT / "var" / "bench_labels"
# What decides a curve beside the data: a change of it makes what is kept useless.
_CODE: Final = (
    *("sampling/strategies/*.py", "sampling/batch_rules/*.py", "sampling/hand_over.py", "sampling/surrogate.py"),
    *("sampling/item_random.py", "sampling/models/policy.py"),
    *(f"tests/bench/label_curves/{name}.py" for name in ("ours", "peers", "state", "curve", "data")),
)
# The data set at work in this process: to read one takes seconds.
_READ: dict[tuple[str, Path | None], Any] = {}


@dataclass(frozen=True)
class Case:
    """A data set, and the labels per batch where they are not the plan's own."""

    name: str
    batch: int | None = None

    @property
    def title(self) -> str:
        return self.name if self.batch is None else f"{self.name}, batches of {self.batch}"


@dataclass(frozen=True)
class About:
    """What there is to know of a case before any arm runs."""

    case: Case
    pool: int
    classes: int
    macro_f1: bool
    skipped: int
    start: int
    batch: int
    budget: int
    full: float


@dataclass(frozen=True)
class Result:
    """The curves of one arm on one case, one for each seed: (labels, score) after every training."""

    case: Case
    arm: str
    curves: list[list[tuple[int, float]]]


@dataclass(frozen=True)
class Failure:
    """What could not be run, and why, in a sentence."""

    what: str
    why: str


def look_at(case: Case, directory: Path | None) -> About | Failure:
    """Read a data set and train on all of it; in a process of its own."""
    from tests.bench.label_curves import curve, data  # noqa: PLC0415 - models need Django

    try:
        found = _read(case.name, directory)
        plan = curve.plan_for(len(found.y), found.classes, case.batch)
        full = _kept(_key(case, "full", 0, found.digest), lambda: curve.full_score(found))
    except data.DataError as error:
        return Failure(case.title, str(error))
    except Exception as error:
        return _failed(case.title, error)
    return About(
        *(case, len(found.y), found.classes, found.uses_macro_f1, found.skipped),
        *(plan.start, plan.batch, plan.budget, full),
    )


def follow_all(case: Case, directory: Path | None, arm: str, seeds: list[int]) -> Result | Failure:
    """Follow one arm on one data set, all seeds; in a process of its own."""
    from tests.bench.label_curves import arms, curve  # noqa: PLC0415 - models need Django

    def curve_of(seed: int) -> list[tuple[int, float]]:
        to_the_end = arm in arms.FOLLOWED_TO_THE_END
        key = _key(case, arm, seed, found.digest)
        points = _kept(key, lambda: curve.follow(found, arms.find(arm), plan, seed, to_the_end=to_the_end))
        return [(int(labels), float(score)) for labels, score in points]

    try:
        found = _read(case.name, directory)
        plan = curve.plan_for(len(found.y), found.classes, case.batch)
        return Result(case, arm, [curve_of(seed) for seed in seeds])
    except Exception as error:
        return _failed(f"{arm} on {case.title}", error)


def _read(name: str, directory: Path | None) -> Any:
    from tests.bench.label_curves import data  # noqa: PLC0415 - models need Django

    if (name, directory) not in _READ:
        _READ.clear()
        _READ[name, directory] = data.read(name, directory)
    return _READ[name, directory]


def _failed(what: str, error: Exception) -> Failure:
    """The edge: one arm or set that breaks must not end the run. The traceback goes to the terminal."""
    traceback.print_exception(error)
    return Failure(what, f"{type(error).__name__}: {error}")


def _key(case: Case, arm: str, seed: int, digest: str) -> Path:
    """Where a curve is kept: by all that it depends on."""
    stamp = hashlib.sha256(f"{digest} {case.batch} {arm} {seed} {_code_digest()}".encode()).hexdigest()[:32]
    return CACHE / f"{stamp}.json"


@cache
def _code_digest() -> str:
    """Of the code that decides a curve, docstrings, comments and layout left out."""
    code = hashlib.sha256()
    for path in sorted(path for pattern in _CODE for path in ROOT.glob(pattern)):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            body = getattr(node, "body", None)
            if isinstance(body, list) and isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
                # A string that stands alone is a docstring, of a function or of what stands above it.
                node.body = [each for each in body if not _is_string(each)]
        code.update(ast.dump(tree).encode())
    return code.hexdigest()


def _is_string(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _kept(path: Path, make: Callable[[], Any]) -> Any:
    """What was found before, or now."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        found = json.dumps(make())
        # Renamed when complete: a run that is killed leaves no half of a file.
        with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".part", delete=False) as file:
            file.write(found)
        os.replace(file.name, path)
    return json.loads(path.read_text())


def prepare() -> None:
    """Set up Django, of which the arms need the defaults of a policy; one core for each process."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "feedbackproject.settings.base")
    django.setup()
