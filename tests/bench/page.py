"""The benchmarks as a page: one table, and what its numbers mean where a bar is missed."""

from collections.abc import Mapping, Sequence

from tests.bench.result import Result

BUSY = "cores that one worker and PostgreSQL keep busy"
SHARED = "two workers against one"


def page(machine: Mapping[str, str | int | float], results: Sequence[Result], command: str) -> str:
    """Markdown."""
    lines = [
        "# Speed", "",
        f"    {command}", "",
        f"{', '.join(f'{key} {value}' for key, value in machine.items())}. Medians of several runs in one process each; peers in the same run.", "",
        "| measured | value | bar | |", "|---|---:|---:|---|",
    ]  # fmt: skip
    for result in results:
        bar = "" if result.bar is None else f"{'≥' if result.direction == 'at_least' else '≤'} {result.bar:,.4g}"
        verdict = "" if result.bar is None else "reached" if result.is_reached else "**missed**"
        lines.append(f"| {result.name} | {f'{result.value:,.4g} {result.unit}'.rstrip()} | {bar} | {verdict} |")
    values = {result.name: result.value for result in results}
    if BUSY in values and SHARED in values:
        lines += ["", *_on_two_workers(values[BUSY], values[SHARED], int(machine["cores"]))]
    return "\n".join(lines) + "\n"


def _on_two_workers(busy: float, reached: float, cores: int) -> list[str]:
    return [
        f"**Two workers.** While one worker scores its shards it and PostgreSQL, which sends it the rows, keep {busy:.2f} cores busy. On {cores} cores there is",
        f"room for {cores / busy:.2f} times the work at most, whatever a second worker does; {reached:.2f} was measured. More is to be had only where PostgreSQL",
        "and the workers have cores of their own.",
    ]  # fmt: skip
