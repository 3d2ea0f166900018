"""50,000 opportunities over five simulated days with bursts, decided by four processes; Redis is emptied on the way.

`python -m tests.bench.ask_budget [report]` runs it and writes docs/measurements/ask_budget.md. What came of it is read
from PostgreSQL alone.
"""

import argparse
import json
import platform
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Final

from tests.bench import server

ROOT: Final = Path(__file__).resolve().parents[2]
REPORT: Final = ROOT / "docs" / "measurements" / "ask_budget.md"
COUNT, DAYS, RESPONDENTS, SEED = 50_000, 5, 12_000, 7
BUDGET: Final = 5_000
PROCESSES: Final = 4
FLUSHED_HOURS: Final = (37, 60, 61, 84)
"""In the middle of these hours Redis is emptied."""


def work(project_id: int, place: int) -> None:
    """A web process: decides every fourth opportunity, an hour of simulated time whenever it is told to."""
    from labeling.models import Project  # noqa: PLC0415 - models need Django, which the caller has set up
    from tests import ask_checks  # noqa: PLC0415

    project = Project.objects.get(pk=project_id)
    mine = ask_checks.traffic(COUNT, days=DAYS, respondents=RESPONDENTS, seed=SEED)[place::PROCESSES]
    print("ready", flush=True)
    for line in sys.stdin:
        hour = int(line)
        said = ask_checks.play(project, [each for each in mine if int(each.second // 3600) == hour])
        print(json.dumps(said), flush=True)


def _worker(project_id: int, place: int) -> "subprocess.Popen[str]":
    code = (
        "import sys, django; django.setup(); from tests.bench.ask_budget import work; "
        "work(int(sys.argv[1]), int(sys.argv[2]))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, str(project_id), str(place)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _said(worker: "subprocess.Popen[str]") -> str:
    line = worker.stdout.readline() if worker.stdout else ""
    if not line:
        raise RuntimeError("a process ended early")
    return line


def _play(project_id: int) -> tuple[Counter[str], int]:
    """Let the processes go through the days hour by hour; returns the reasons, and how often Redis was emptied."""
    from labeling.redis_client import redis_client  # noqa: PLC0415 - needs settings

    workers = [_worker(project_id, place) for place in range(PROCESSES)]
    reasons: Counter[str] = Counter()
    flushes = 0
    try:
        for worker in workers:
            _said(worker)
        for hour in range(DAYS * 24):
            for worker in workers:
                if worker.stdin is not None:
                    worker.stdin.write(f"{hour}\n")
                    worker.stdin.flush()
            if hour in FLUSHED_HOURS:
                for _ in range(3):
                    time.sleep(0.3)
                    redis_client().flushall()
                    flushes += 1
            for worker in workers:
                reasons.update(json.loads(_said(worker)))
    finally:
        for worker in workers:
            worker.terminate()
            worker.wait()
    return reasons, flushes


def run(report: Path) -> bool:
    from labeling.models import Ask, Project, Question, QuestionVersion  # noqa: PLC0415 - after Django is set up
    from labeling.services import intake, projects  # noqa: PLC0415
    from sampling.models import AskDecision, AskPolicy  # noqa: PLC0415
    from sampling.services import ask_policies  # noqa: PLC0415
    from tests import ask_checks  # noqa: PLC0415

    with server.engines():
        definition = {"kind": "single_choice", "classes": [{"key": key} for key in ("cat", "dog", "bird")]}
        project: Project = projects.create(slug="budget", name="Budget", definition=definition, by=None)
        intake.register_model_version(project, name="m1", classes=("cat", "dog", "bird"))
        question = Question.objects.create(project=project, key="is_right")
        wording = {"text": {"en": "Is this right?"}}
        QuestionVersion.objects.create(question=question, version=1, kind="correction", definition=wording)
        ask_policies.new_version(project, by=None, budget_asks=BUDGET, budget_period_seconds=DAYS * 86_400)
        AskPolicy.objects.update(created_at=ask_checks.START)
        begin = time.perf_counter()
        reasons, flushes = _play(project.pk)
        seconds = time.perf_counter() - begin
        asked = Ask.objects.count()
        figures = {
            "opportunities": COUNT,
            "decisions in the log": AskDecision.objects.count(),
            "budget": BUDGET,
            "asks in PostgreSQL": asked,
            "asks that callers were told of": reasons["selected"] + reasons["audit"],
            "spent, share of the paced target at the end": round(asked / BUDGET, 4),
            "most asks above what the pace allowed at any time (0 or less: never)": ask_checks.most_ahead_of_pace(
                project
            ),
            "clocks and caps violated": len(ask_checks.clock_violations(project)),
            "times Redis was emptied": flushes,
        }
    is_good = (
        figures["asks in PostgreSQL"] == figures["asks that callers were told of"] <= BUDGET
        and asked >= 0.97 * BUDGET
        and figures["decisions in the log"] == COUNT
        and not figures["clocks and caps violated"]
        and int(figures["most asks above what the pace allowed at any time (0 or less: never)"]) <= 0
    )
    report.write_text(_report(figures, reasons, seconds))
    print(report.read_text())
    return is_good


def _report(figures: dict[str, float], reasons: Counter[str], seconds: float) -> str:
    lines = [
        "# A budget of asks under load",
        "",
        f"{COUNT:,} opportunities of {RESPONDENTS:,} respondents over {DAYS} simulated days with quiet nights, a rush at noon and",
        f"ten bursts of five minutes, decided by {PROCESSES} processes on real engines; the default policy with a budget of {BUDGET:,} asks",
        f"in {DAYS} days. In the hours {', '.join(map(str, FLUSHED_HOURS))} Redis was emptied three times each, while all were at work. A third of the asks were",
        "answered, a third dismissed. Everything below is counted in PostgreSQL. `python -m tests.bench.ask_budget` writes this page.",
        "",
        "| | |",
        "|---|---:|",
        *(f"| {name} | {value:,} |" for name, value in figures.items()),
        "",
        "| reason | decisions |",
        "|---|---:|",
        *(f"| {reason} | {count:,} |" for reason, count in reasons.most_common()),
        "",
        f"{COUNT / seconds:,.0f} decisions a second; Python {platform.python_version()}, {platform.system()}, seed {SEED}.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("report", nargs="?", type=Path, default=REPORT)
    server.prepare()
    sys.exit(0 if run(parser.parse_args().report) else "the budget or a clock did not hold")
