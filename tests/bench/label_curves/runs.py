"""Runs an arm in a process of its own, and keeps what it found."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import django

ROOT = Path(__file__).resolve().parents[3]
CACHE = ROOT / "var" / "bench_labels"
# The data set at work in this process: to read one takes seconds.
_READ: dict[tuple[str, Path | None], Any] = {}


def _key(name: str, arm: str, seed: int, digest: str) -> Path:
    code = hashlib.sha256()
    for path in sorted([*(ROOT / "sampling").glob("**/*.py"), *Path(__file__).parent.glob("*.py")]):
        is_relevant = {"strategies", "batch_rules"} & set(path.parts) or path.name in ("arms.py", "curve.py", "data.py")
        code.update(path.read_bytes() if is_relevant else b"")
    stamp = hashlib.sha256(f"{digest} {arm} {seed} {code.hexdigest()}".encode()).hexdigest()[:16]
    return CACHE / f"{name}-{stamp}.json"


def follow_all(name: str, directory: Path | None, arm: str, seeds: list[int]) -> dict[str, object]:
    """Follow one arm on one data set, all seeds; in a process of its own."""
    from tests.bench.label_curves import arms, curve, data  # noqa: PLC0415 - models need Django

    if (name, directory) not in _READ:
        _READ.clear()
        _READ[name, directory] = data.read(name, directory)
    found = _READ[name, directory]
    plan, every = curve.plan_for(found), {**arms.ARMS, **arms.PEERS}
    curves = []
    for seed in seeds:
        kept = _key(name, arm, seed, found.digest)
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(
                json.dumps(curve.follow(found, every[arm], plan, seed, to_the_end=arm in arms.FOLLOWED_TO_THE_END))
            )
        curves.append([tuple(point) for point in json.loads(kept.read_text())])
    full = _key(name, "full", 0, found.digest)
    if not full.exists():
        full.write_text(json.dumps(curve.full_score(found)))
    about = {
        "pool": len(found.y),
        "classes": found.classes,
        "macro_f1": found.uses_macro_f1,
        "batch": plan.batch,
        "budget": plan.budget,
    }
    return {"name": name, "arm": arm, "curves": curves, "full": json.loads(full.read_text()), **about}


def prepare() -> None:
    """Set up Django, of which the arms need the defaults of a policy; one core for each process."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "feedbackproject.settings.base")
    django.setup()
