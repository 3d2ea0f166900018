"""`python -m tests.bench.consensus --out docs/measurements/consensus.md`: the label model on 1,000,000 synthetic annotations.

Beside crowd-kit's Dawid-Skene where there is one (`crowdkit_peer`).
200,000 items, 1,000 annotators, 4 classes, 10 rounds; both are timed on the same answers, in turns.
"""

import argparse
import resource
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datasets.consensus import label_model
from datasets.consensus.evidence import Evidence, evidence
from tests.bench import crowdkit_peer
from tests.bench.result import Result

ITEMS, ANSWERS, ANNOTATORS, CLASSES, ROUNDS = 200_000, 5, 1_000, 4, 10
REPEATS = 5
SINGLE = 200


def answers(rng: np.random.Generator) -> tuple[Evidence, NDArray[np.int64]]:
    truth = rng.integers(0, CLASSES, ITEMS)
    skill = rng.beta(8, 3, ANNOTATORS)
    item = np.repeat(np.arange(ITEMS), ANSWERS)
    source = rng.integers(0, ANNOTATORS, len(item))
    wrong = (truth[item] + rng.integers(1, CLASSES, len(item))) % CLASSES
    said = np.where(rng.random(len(item)) < skill[source], truth[item], wrong)
    return evidence(item, source, said, n_items=ITEMS, n_sources=ANNOTATORS, n_classes=CLASSES), truth


def run() -> list[Result]:
    whole, truth = answers(np.random.default_rng(1))
    settings = label_model.Settings(tolerance=0.0, most_rounds=ROUNDS)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    beliefs = label_model.fit(whole, settings=settings)
    extra = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    seconds, cpu_seconds, peers, peer_right = [], [], [], 0.0
    for repeat in range(REPEATS):
        begin, cpu = time.perf_counter(), time.process_time()
        label_model.fit(whole, settings=settings)
        seconds.append(time.perf_counter() - begin)
        cpu_seconds.append(time.process_time() - cpu)
        if repeat < 3:
            peer = crowdkit_peer.aggregate("DawidSkene", whole.item, whole.source, whole.answer, ITEMS, rounds=ROUNDS)
            if peer is not None:
                peers.append(peer)
                peer_right = float((peer.labels == truth).mean())
    # The quickest of each: whatever else runs on the machine only ever adds.
    ours, ours_cpu = min(seconds), min(cpu_seconds)
    right = float((beliefs.posterior.argmax(axis=1) == truth).mean())
    results = [
        Result("label model 1M annotations, 10 rounds", ours, "s", None, "at_most"),
        Result("label model 1M annotations, 10 rounds, CPU", ours_cpu, "s", None, "at_most"),
        Result("label model 1M annotations, 5 per item: memory beside the evidence", extra, "MiB", None, "at_most"),
        Result("label model 1M annotations: accuracy", 100 * right, "percent", 100 * peer_right if peers else None),
        Result("label model, one new answer at 1M annotations", _single_ms(whole, beliefs), "ms", 5.0, "at_most"),
        _warm(whole, beliefs),
    ]
    if not peers:
        return [*results, Result("crowd-kit: not installed", 0.0, "s", None)]
    theirs, theirs_cpu = min(peer.seconds for peer in peers), min(peer.cpu_seconds for peer in peers)
    return [
        *results,
        Result("crowd-kit Dawid-Skene 1M annotations, 10 rounds", theirs, "s", None, "at_most"),
        Result("label model: times faster than crowd-kit", theirs / ours, "x", 8.0),
        Result("label model: times less CPU than crowd-kit", theirs_cpu / ours_cpu, "x", 8.0),
    ]


def _single_ms(whole: Evidence, beliefs: label_model.Beliefs) -> float:
    """The median time from an item's evidence, with one more answer, to its new posterior."""
    milliseconds = []
    for item in range(SINGLE):
        # What a service reads by an index on the item; answers come in order of items here.
        rows = slice(item * ANSWERS, (item + 1) * ANSWERS)
        begin = time.perf_counter()
        said = evidence(
            np.zeros(ANSWERS + 1, dtype=np.int64),
            np.append(whole.source[rows], item % ANNOTATORS),
            np.append(whole.answer[rows], 0),
            n_items=1, n_sources=ANNOTATORS, n_classes=CLASSES,
        )  # fmt: skip
        label_model.posterior_of(said, beliefs.parameters)
        milliseconds.append(1000 * (time.perf_counter() - begin))
    return float(np.median(milliseconds))


def _warm(whole: Evidence, beliefs: label_model.Beliefs) -> Result:
    """A fit from the last one's parameters, as after a few new answers."""
    begin = time.perf_counter()
    warm = label_model.fit(whole, start=beliefs.parameters)
    seconds = time.perf_counter() - begin
    return Result(f"label model 1M annotations, warm start ({warm.rounds} rounds)", seconds, "s", None, "at_most")


def report(results: list[Result], command: str) -> str:
    lines = [
        "# The label model on a million annotations", "", f"    {command}", "",
        f"{ITEMS:,} items, {ANSWERS} answers each by {ANNOTATORS:,} annotators, {CLASSES} classes, {ROUNDS} rounds of EM in both. The quickest of {REPEATS} runs (crowd-kit:",
        "3), in turns on the same answers, on a machine of 2 cores that others used as well.", "",
        "| | | to reach |", "|---|---:|---:|",
    ]  # fmt: skip
    for result in results:
        sign = ">=" if result.direction == "at_least" else "<="
        bar = "" if result.bar is None else f"{sign} {result.bar:.4g}"
        lines.append(f"| {result.name} | {result.value:.4g} {result.unit} | {bar} |")
    lines += ["", "Through the database, with reading, storing and the labels that follow: [beliefs](beliefs.md)."]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.write_text(report(run(), f"python -m tests.bench.consensus --out {options.out}"))
    print(options.out.read_text())


if __name__ == "__main__":
    main()
