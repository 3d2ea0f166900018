"""`python -m tests.bench.crowd_accuracy --out docs/measurements/crowd_accuracy.md`: is the consensus right, on every crowd there is?

Any directory of NAME_labels.csv.gz and NAME_truth.csv.gz will do (FEEDBACK_CROWD_DATA or --data). crowd-kit's methods run where
crowd-kit is (see `crowdkit_peer`); MACE and GLAD take minutes on some sets, so `run()` leaves them out.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from datasets.consensus import label_model
from datasets.consensus.confusion import ConfusionPrior
from datasets.consensus.votes import majority, weighted_majority
from tests.bench import crowdkit_peer
from tests.bench.crowd_data import DIRECTORY, Crowd, read_crowds
from tests.bench.result import Result

QUICK: Final = ("MajorityVote", "DawidSkene", "OneCoinDawidSkene")
PRIORS: Final = (
    ConfusionPrior(),
    ConfusionPrior(flat=0.5),
    ConfusionPrior(flat=2.0),
    ConfusionPrior(shrinkage=0.0),
    ConfusionPrior(shrinkage=1.0),
    ConfusionPrior(shrinkage=8.0),
    ConfusionPrior(blend=0.0),
    ConfusionPrior(blend=1.0),
)


@dataclass(frozen=True)
class Row:
    """Accuracies on one set; `peers` by crowd-kit's name, without those that did not run."""

    crowd: Crowd
    majority: float
    weighted_majority: float
    ours: float
    rounds: int
    peers: dict[str, float]

    @property
    def best_peer(self) -> float:
        return max(self.peers.values(), default=self.majority)

    @property
    def items_behind(self) -> float:
        """How many items with known truth the best peer gets right beyond ours; negative if ours is better."""
        return (self.best_peer - self.ours) * int((self.crowd.truth >= 0).sum())


def measure(crowds: Sequence[Crowd], methods: Sequence[str]) -> list[Row]:
    rows = []
    for crowd in crowds:
        said = crowd.evidence()
        beliefs = label_model.fit(said)
        peers = {}
        for method in methods:
            outcome = crowdkit_peer.aggregate(method, crowd.item, crowd.source, crowd.answer, crowd.n_items)
            if outcome is not None:
                peers[method] = crowd.accuracy_of(outcome.labels)
        rows.append(
            Row(
                crowd, crowd.accuracy(majority(said)), crowd.accuracy(weighted_majority(said)),
                crowd.accuracy(beliefs.posterior), beliefs.rounds, peers,
            )
        )  # fmt: skip
    return rows


def sensitivity(crowds: Sequence[Crowd]) -> list[tuple[ConfusionPrior, float, list[float]]]:
    """Accuracies with other numbers in the prior and another tolerance, nothing else changed."""
    found = []
    for prior in PRIORS:
        for tolerance in (label_model.TOLERANCE, 0.0):
            settings = label_model.Settings(prior=prior, tolerance=tolerance)
            found.append(
                (
                    prior,
                    tolerance,
                    [
                        crowd.accuracy(label_model.fit(crowd.evidence(), settings=settings).posterior)
                        for crowd in crowds
                    ],
                )
            )
    return found


def report(rows: list[Row], methods: Sequence[str], command: str) -> str:
    heads = " | ".join(methods)
    lines = [
        "# Accuracy on real crowds", "", f"    {command}", "",
        "Percent of the items with known truth; ties share. The columns after *rounds* are crowd-kit 1.4.2, whose majority does not share ties.", "",
        f"| crowd | items | answers | annotators | classes | majority | weighted majority | label model | rounds | {heads} |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|" + "---:|" * len(methods),
    ]  # fmt: skip
    for row in rows:
        sizes = f"{row.crowd.n_items} | {len(row.crowd.item)} | {row.crowd.n_sources} | {row.crowd.n_classes}"
        ours = f"{100 * row.majority:.2f} | {100 * row.weighted_majority:.2f} | **{100 * row.ours:.2f}** | {row.rounds}"
        peers = " | ".join(f"{100 * row.peers[method]:.2f}" if method in row.peers else "-" for method in methods)
        lines.append(f"| {row.crowd.name} | {sizes} | {ours} | {peers} |")
    mean_ours, mean_best = (
        100 * float(np.mean([getattr(row, name) for row in rows])) for name in ("ours", "best_peer")
    )
    lines += ["", f"Mean: label model {mean_ours:.2f}, the best of crowd-kit's on each set {mean_best:.2f}."]
    for row in rows:
        lines.append(
            f"{row.crowd.name}: {row.items_behind:+.1f} items behind the best of crowd-kit's (negative: ahead)."
        )
    lines += [
        "", "## How much the numbers in the prior matter", "",
        "`flat` imagined answers a row, `shrinkage` like the others', of which the share `blend` is the own one-coin (docs/algorithms/label_model.md);",
        "until EM stands still within the tolerance, or all 50 rounds.", "",
        "| flat | shrinkage | blend | stops | " + " | ".join(row.crowd.name for row in rows) + " |",
        "|---:|---:|---:|---|" + "---:|" * len(rows),
    ]  # fmt: skip
    for prior, tolerance, accuracies in sensitivity([row.crowd for row in rows]):
        stop = f"{tolerance:g}" if tolerance else "50 rounds"
        cells = " | ".join(f"{100 * each:.2f}" for each in accuracies)
        lines.append(f"| {prior.flat:g} | {prior.shrinkage:g} | {prior.blend:g} | {stop} | {cells} |")
    return "\n".join(lines) + "\n"


def run() -> list[Result]:
    results = []
    for row in measure(read_crowds(), QUICK):
        peers = 100 * row.best_peer - 100 / max(1, int((row.crowd.truth >= 0).sum()))
        results += [
            Result(
                f"consensus, {row.crowd.name}: label model, against majority",
                100 * row.ours,
                "percent",
                100 * row.majority,
            ),
            Result(
                f"consensus, {row.crowd.name}: label model, against the best peer less one item",
                100 * row.ours,
                "percent",
                peers,
            ),
        ]
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DIRECTORY)
    parser.add_argument("--methods", nargs="*", default=list(crowdkit_peer.METHODS))
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    rows = measure(read_crowds(options.data), options.methods)
    command = f"FEEDBACK_CROWD_DATA=DIRECTORY python -m tests.bench.crowd_accuracy --out {options.out}"
    options.out.write_text(report(rows, options.methods, command))
    print(options.out.read_text())


if __name__ == "__main__":
    main()
