"""Diverse batches: BADGE beside scikit-activeml's, and 100 items out of 1M x 384 float16 with everything read.

The peer needs the extra `bench` (requirements-bench.lock); without it our own time stands alone.
"""

import importlib.util
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from labeling.services import projects
from sampling.batch_rules.candidates import Candidates, Parameters
from sampling.batch_rules.registry import find
from tests.bench import server
from tests.bench.refill import ROOT
from tests.bench.result import Result

BADGE_POOL, BADGE_WIDTH, CLASSES, SIZE = 100_000, 64, 10, 100
POOL, WIDTH = 1_000_000, 384
ROUNDS = 5

_FILL = (
    "import sys, django; django.setup(); from labeling.models import Project; from tests.bench import bulk_pool; "
    "project = Project.objects.get(pk=int(sys.argv[1])); bulk_pool.fill(project, int(sys.argv[2])); "
    "bulk_pool.fill_vectors(project, int(sys.argv[3]))"
)
_DRAW = (
    "import json, sys, time, django; django.setup(); from labeling.models import Project; "
    "from sampling.services import policies, scoring; from tests.bench.refill import peak_mib; project = Project.objects.get(pk=int(sys.argv[1])); "
    "changes = json.loads(sys.argv[2]); policy = policies.draft(project, batch_size=100, low_watermark=1, **changes); "
    "begin = time.perf_counter(); drawn = scoring.score_and_draw(project, policy, size=100, seed=1); "
    "took = time.perf_counter() - begin; "
    "print(json.dumps([took, peak_mib(), len(drawn.batch.item_ids), drawn.plan.rule_name, drawn.remark]))"
)


def run() -> list[Result]:
    return [*_badge(), *_from_the_database()]


def _badge() -> list[Result]:
    rng = np.random.default_rng(1)
    embeddings = rng.standard_normal((BADGE_POOL, BADGE_WIDTH)).astype(np.float32)
    predictions = rng.dirichlet(np.ones(CLASSES), BADGE_POOL).astype(np.float32)
    candidates = Candidates(
        np.arange(BADGE_POOL, dtype=np.int64),
        informativeness=rng.random(BADGE_POOL, dtype=np.float32),
        embeddings=embeddings,
        predictions=predictions,
    )
    rule, everything = find("badge"), Parameters(shortlist_factor=0)
    ours = _median(lambda: rule.choose(candidates, size=SIZE, seed=1, parameters=everything))
    name = f"BADGE batch of {SIZE} from {BADGE_POOL // 1000}k x {BADGE_WIDTH}"
    results = [Result(f"{name}, ours", ours, "s", None, "at_most")]
    if importlib.util.find_spec("skactiveml") is None:
        print("scikit-activeml is not installed: `make bench-labels` installs it")
        return results
    peer = _time(lambda: _skactiveml_badge(embeddings, predictions))
    return [
        *results,
        Result(f"{name}, scikit-activeml", peer, "s", None, "at_most"),
        Result("BADGE, scikit-activeml / ours", peer / ours, "x", 100, "at_least"),
    ]


def _skactiveml_badge(embeddings: NDArray[np.float32], predictions: NDArray[np.float32]) -> None:
    from skactiveml.pool import Badge  # noqa: PLC0415 - an extra

    from tests.bench.label_curves.peers import stored_classifier  # noqa: PLC0415 - needs the extra

    rows = np.column_stack([embeddings.astype(np.float64), np.arange(len(embeddings))])
    labels = np.full(len(rows), np.nan)
    chosen = Badge(random_state=1).query(
        X=rows,
        y=labels,
        clf=stored_classifier(predictions.astype(np.float64)),
        fit_clf=False,
        batch_size=SIZE,
    )
    if len(chosen) != SIZE:
        raise RuntimeError(f"the peer chose {len(chosen)} items")


def _from_the_database() -> list[Result]:
    with server.engines():
        definition = {"classes": [{"key": f"class-{number}"} for number in range(CLASSES)]}
        project = projects.create(slug="diverse", name="Diverse", definition=definition, by=None)
        subprocess.run([sys.executable, "-c", _FILL, str(project.pk), str(POOL), str(WIDTH)], cwd=ROOT, check=True)
        results = []
        for rule, is_the_bar in (("cluster_quotas", False), ("badge", False), ("k_center", True)):
            drawn = [_draw(project.pk, {"batch_rule": rule, "hand_over_labels_per_class": 0}) for _ in range(3)]
            seconds, peak = (statistics.median(each[place] for each in drawn) for place in (0, 1))
            name = f"{rule}: {SIZE} of 1M x {WIDTH} float16, read from the database"
            results += [
                Result(name, seconds, "s", 10.0 if is_the_bar else None, "at_most"),
                Result(f"{rule}: peak memory", peak, "MiB", 1_500 if is_the_bar else None, "at_most"),
            ]
    return results


def _draw(project_id: int, changes: dict[str, object]) -> tuple[float, float]:
    done = subprocess.run(
        [sys.executable, "-c", _DRAW, str(project_id), json.dumps(changes)],
        cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    seconds, peak, count, rule, remark = json.loads(done.stdout.splitlines()[-1])
    if (count, rule, remark) != (SIZE, changes["batch_rule"], ""):
        raise RuntimeError(f"{count} items by {rule}: {remark}")
    return seconds, peak


def _median(function: Callable[[], object]) -> float:
    function()
    return statistics.median(_time(function) for _ in range(ROUNDS))


def _time(function: Callable[[], object]) -> float:
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin
