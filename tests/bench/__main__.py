"""`python -m tests.bench [name ...]`: run the benchmarks, print one table, write var/bench.json.

Every benchmark is a module of this package with `run() -> list[Result]`. They start what they measure (engines
under a directory of their own, web server, workers) and leave nothing running.
"""

import argparse
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from tests.bench.machine import facts
from tests.bench.page import page
from tests.bench.result import Result

MODULES = (
    "scores",
    "batches",
    "consensus",
    "beliefs",
    "import_rate",
    "refill",
    "queue_cycles",
    "second_opinions",
    "export_rate",
    "feedback_rate",
    "asks",
    "client",
    "widget_size",
)
ROOT = Path(__file__).resolve().parent.parent.parent


def _run(name: str) -> list[Result]:
    """Run one benchmark in a process of its own, so that memory figures and imports do not mix."""
    code = (
        "import json, sys; from dataclasses import asdict; from tests.bench import server; server.prepare(); "
        f"from tests.bench.{name} import run; "
        "results = [asdict(r) for r in run()]; print(); print('RESULTS ' + json.dumps(results))"
    )
    path = os.pathsep.join(filter(None, (str(ROOT / "client" / "src"), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    marked = [line for line in done.stdout.splitlines() if line.startswith("RESULTS ")]
    if done.returncode != 0 or not marked:
        sys.stderr.write(done.stdout)
        raise SystemExit(f"benchmark {name} failed with exit code {done.returncode}")
    return [Result(**row) for row in json.loads(marked[-1].removeprefix("RESULTS "))]


def _table(machine: dict[str, str | int | float], results: list[Result]) -> str:
    lines = [", ".join(f"{key} {value}" for key, value in machine.items()), ""]
    width = max(len(result.name) for result in results)
    for result in results:
        relation = ">=" if result.direction == "at_least" else "<="
        bar = "" if result.bar is None else f"{relation} {result.bar:,.6g}"
        verdict = "" if result.bar is None else ("reached" if result.is_reached else "MISSED")
        lines.append(f"{result.name:<{width}}  {result.value:>14,.4g} {result.unit:<10} {bar:>14}  {verdict}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="which benchmarks (default: all)")
    parser.add_argument("--out", type=Path, help="also write a page, e.g. docs/measurements/bench.md")
    options = parser.parse_args()
    names = options.names or MODULES
    machine = facts()
    command = " ".join(["python -m tests.bench", *options.names])
    results = [result for name in names for result in _run(name)]
    target = ROOT / "var" / "bench.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(
        json.dumps({"machine": machine, "results": [asdict(result) for result in results]}, indent=2) + "\n"
    )
    if options.out:
        options.out.write_text(page(machine, results, command))
    print(_table(machine, results))


if __name__ == "__main__":
    main()
