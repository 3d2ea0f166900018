"""`make bench-labels DATA=directory ARGS="..."`: learning curves of our selection and of peers', in one harness.

Every *.csv.gz with the columns text,label is a data set (a_train and a_test are one), beside two that come with
scikit-learn. One that cannot be read, or an arm that breaks, is reported, and the rest goes on. Curves are kept in
var/bench_labels/ by data, arm, seed and code, so an interrupted run goes on where it stopped.
"""

import argparse
import itertools
import os
import sys
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

from tests.bench.label_curves.runs import ROOT, About, Case, Failure, Result, follow_all, look_at, prepare
from tests.bench.machine import facts

MANY_CLASSES: Final = 20
_LOOP: Final = "measurements/simulated_loop.md"
_FURTHER: Final = f"Through the whole product, audit labels and promotion gate included: [the simulated loop]({_LOOP})."


def main() -> None:
    options = _parser().parse_args()
    prepare()
    from tests.bench.label_curves import arms, data  # noqa: PLC0415 - models need Django

    try:
        few = arms.expanded(options.arms or ["default"], options.hand_over)
        many = arms.expanded(options.arms_many_classes or options.arms or ["quick"], options.hand_over)
        wanted = options.sets or data.names(options.data)
    except (ValueError, data.DataError) as error:
        raise SystemExit(str(error)) from error
    cases = [Case(name, batch) for name in wanted for batch in options.batch_size or [None]]
    seeds = list(range(options.seeds))
    with ProcessPoolExecutor(options.processes, get_context("spawn"), initializer=prepare) as processes:
        looked = _done({case.title: processes.submit(look_at, case, options.data) for case in cases})
        about = sorted((each for each in looked if isinstance(each, About)), key=lambda each: cases.index(each.case))
        done = _done(
            {
                f"{arm} on {each.case.title}": processes.submit(follow_all, each.case, options.data, arm, seeds)
                for each in about
                for arm in (many if each.classes > MANY_CLASSES else few)
            }
        )
    order = [*few, *(arm for arm in many if arm not in few)]
    results = [each for each in done if isinstance(each, Result)]
    results.sort(key=lambda each: (cases.index(each.case), order.index(each.arm)))
    failures = [each for each in (*looked, *done) if isinstance(each, Failure)]
    for failure in failures:
        print(f"FAILED {failure.what}: {failure.why}", file=sys.stderr)
    if not results:
        raise SystemExit("nothing could be measured")
    _write(options.out, about, results, failures, options.seeds)


def _write(out: Path, about: list[About], results: list[Result], failures: list[Failure], seeds: int) -> None:
    from sampling.models import QueuePolicy  # noqa: PLC0415 - needs Django
    from tests.bench.label_curves import peers, plot, report  # noqa: PLC0415 - need Django

    drawings = out.with_suffix("")
    drawings.mkdir(parents=True, exist_ok=True)
    for each in about:
        if any(result.case == each.case for result in results):
            (drawings / report.drawing(each.case)).write_text(plot.draw(results, each))
    machine = facts()
    run = report.Run(
        command=_command(),
        seeds=seeds,
        day=str(machine["measured_at"]).partition("T")[0],
        machine=f"{machine['cpu']}, {machine['cores']} cores",
        folder=drawings.name,
        peers=tuple(peers.PEERS),
        hand_over=QueuePolicy().hand_over_labels_per_class,
        decision=os.path.relpath(ROOT / "docs" / "adr" / "0004-stochastic-margin-default.md", out.parent),
        further=_FURTHER if (out.parent / _LOOP).exists() else "",
    )
    out.write_text(report.page(run, about, results, failures))
    print(out.read_text())


def _done(jobs: dict[str, "Future[Any]"]) -> list[Any]:
    """The results as they come; a process that was killed is a failure of what it had at work."""
    what = {future: title for title, future in jobs.items()}
    found: list[Any] = []
    for number, future in enumerate(as_completed(what), start=1):
        try:
            found.append(future.result())
        except BrokenProcessPool as error:
            found.append(Failure(what[future], f"its process was killed, mostly for want of memory ({error})"))
        print(f"{number}/{len(what)} {what[future]}", file=sys.stderr, flush=True)
    return found


def _command() -> str:
    """As it was typed, but for paths of this machine."""
    given: list[str] = []
    for before, word in itertools.pairwise(["", *sys.argv[1:]]):
        if before == "--data":
            given.append("DIRECTORY")
        elif before == "--out":
            path = Path(word).resolve()
            given.append(str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name)
        else:
            given.append(f'"{word}"' if " " in word else word)
    return " ".join(["python -m tests.bench.label_curves", *given])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.label_curves", description=__doc__)
    parser.add_argument("--data", type=Path, help="directory of *.csv.gz files with text,label")
    parser.add_argument("--sets", nargs="+", help="only these data sets")
    parser.add_argument(
        "--arms", nargs="+", metavar="ARM", help="groups (quick, default, all) or names of arms; default: default"
    )
    parser.add_argument(
        "--arms-many-classes", nargs="+", metavar="ARM",
        help=f"the same for sets of more than {MANY_CLASSES} classes, where training is slow; default: --arms, else quick",
    )  # fmt: skip
    parser.add_argument("--seeds", type=_positive, default=5, help="runs of each arm, from different first labels")
    parser.add_argument(
        "--batch-size", type=_positive, nargs="+", metavar="LABELS",
        help="labels per batch; several: each set is run with each (default: by size and classes of the set)",
    )  # fmt: skip
    parser.add_argument(
        "--hand-over", type=_natural, nargs="+", default=[], metavar="LABELS",
        help="also follow the default policy with cold start until so many labels a class",
    )  # fmt: skip
    parser.add_argument("--processes", type=_positive, default=2)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "label_efficiency.md")
    return parser


def _natural(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least 0")
    return int(text)


def _positive(text: str) -> int:
    if not (number := _natural(text)):
        raise argparse.ArgumentTypeError("at least 1 is needed")
    return number


if __name__ == "__main__":
    main()
