"""`python -m tests.bench.label_curves --data DIRECTORY`: learning curves of our rules and of peers, in one harness.

Every *.csv.gz with the columns text,label is a data set, beside two that come with scikit-learn. Runs are kept in
var/bench_labels/ by data, arm, seed and code, so an interrupted run goes on where it stopped.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from tests.bench.label_curves.runs import ROOT, follow_all, prepare


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.label_curves", description=__doc__)
    parser.add_argument("--data", type=Path, help="directory of *.csv.gz files with text,label")
    parser.add_argument("--sets", nargs="*", help="only these data sets")
    parser.add_argument("--arms", nargs="*", help="only these arms")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "measurements" / "label_curves.md")
    options = parser.parse_args()
    prepare()
    from tests.bench.label_curves import arms, data, plot, report  # noqa: PLC0415 - models need Django

    wanted = options.sets or data.names(options.data)
    every = options.arms or [*arms.ARMS, *arms.PEERS]
    seeds = list(range(options.seeds))
    results = []
    with ProcessPoolExecutor(options.processes, get_context("spawn"), initializer=prepare) as processes:
        jobs = [processes.submit(follow_all, name, options.data, arm, seeds) for name in wanted for arm in every]
        for job in as_completed(jobs):
            results.append(job.result())
            print(f"{results[-1]['name']}: {results[-1]['arm']}", flush=True)
    drawings = options.out.with_suffix("")
    options.out.write_text(report.page(results, wanted, every, options.seeds, folder=drawings.name))
    drawings.mkdir(exist_ok=True)
    for name in wanted:
        (drawings / f"{name}.svg").write_text(plot.draw(results, name))
    print(options.out.read_text())


if __name__ == "__main__":
    main()
