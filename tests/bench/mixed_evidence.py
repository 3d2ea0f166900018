"""`python -m tests.bench.mixed_evidence --out docs/measurements/mixed_evidence.md`: is one model of all sources better than each alone?

Simulated items; annotators with confusion matrices measured on a real crowd, corrections, thumbs and implicit events about a model's predictions,
randomised answers. All rates are in the code. Adversarial: that share of every kind of source says the opposite of what it would.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from datasets.consensus import label_model
from datasets.consensus.evidence import Evidence, Kind, evidence
from datasets.consensus.model_prior import ModelPrior
from datasets.consensus.parameters import is_statement
from datasets.consensus.randomised_response import channel_matrix
from datasets.consensus.reliability_curve import reliability_curve
from datasets.consensus.votes import majority
from tests.bench.crowd_data import DIRECTORY, Crowd, read_crowds
from tests.bench.result import Result

ITEMS: Final = 4_000
ANNOTATORS: Final = 60
RESPONDENTS: Final = 4_000
PER_ITEM: Final = {"annotations": 2.0, "corrections": 0.5, "thumbs": 1.5, "implicit": 3.0, "randomised": 1.0}
KIND: Final = {
    "annotations": Kind.ANNOTATION, "corrections": Kind.CORRECTION, "thumbs": Kind.THUMB, "implicit": Kind.IMPLICIT,
    "randomised": Kind.CORRECTION,
}  # fmt: skip
MODEL_ACCURACY, CORRECTION_ACCURACY, EPSILON = 0.75, 0.85, 2.0
PRAISE: Final = {"thumbs": (0.25, 0.85), "implicit": (0.4, 0.65)}
"""How often a wrong and a right prediction is praised."""
ADVERSARIAL: Final = (0.0, 0.1, 0.3, 0.5)
ALL, MAJORITY = "all together, label model", "all together, majority"
STATED: Final = "all statements, majority (no verdicts about the model's word)"
WITH_PRIOR, WITH_MODEL = f"{ALL}, the model's word as a weak prior", f"{ALL}, the model as one more source"


@dataclass(frozen=True, eq=False)
class World:
    said: Evidence
    part: NDArray[np.int64]
    """Position of the source kind of each row in PER_ITEM."""
    truth: NDArray[np.int64]
    predicted: NDArray[np.int64]


@dataclass(frozen=True)
class Row:
    adversarial: float
    method: str
    accuracy: float
    error: float
    ece: float


def matrices(crowd: Crowd, rng: np.random.Generator) -> NDArray[np.float64]:
    """Confusion matrices of real annotators who answered often, measured by the truth, drawn with replacement."""
    known = crowd.truth[crowd.item] >= 0
    counts = np.full((crowd.n_sources, crowd.n_classes, crowd.n_classes), 0.5 / crowd.n_classes) + 0.5 * np.eye(
        crowd.n_classes
    )
    np.add.at(counts, (crowd.source[known], crowd.truth[crowd.item[known]], crowd.answer[known]), 1.0)
    often = np.flatnonzero(np.bincount(crowd.source[known], minlength=crowd.n_sources) >= 30)
    drawn = counts[rng.choice(often, ANNOTATORS)]
    chances: NDArray[np.float64] = drawn / drawn.sum(axis=2, keepdims=True)
    return chances


def make_world(crowd: Crowd, adversarial: float, rng: np.random.Generator) -> World:
    classes = crowd.n_classes
    truth = rng.integers(0, classes, ITEMS)
    off = (truth + rng.integers(1, classes, ITEMS)) % classes
    predicted = np.where(rng.random(ITEMS) < MODEL_ACCURACY, truth, off)
    confusion = matrices(crowd, rng)
    is_hostile = rng.random(ANNOTATORS + RESPONDENTS) < adversarial
    columns: dict[str, list[NDArray[np.int64]]] = {
        name: [] for name in ("item", "source", "answer", "kind", "about", "part")
    }
    epsilons = []
    for part, (name, rate) in enumerate(PER_ITEM.items()):
        item = np.repeat(np.arange(ITEMS), rng.poisson(rate, ITEMS))
        source = ANNOTATORS + rng.integers(0, RESPONDENTS, len(item))
        if name == "annotations":
            source = rng.integers(0, ANNOTATORS, len(item))
        if name in PRAISE:
            wrong, right = PRAISE[name]
            answer = (rng.random(len(item)) < np.where(predicted[item] == truth[item], right, wrong)).astype(np.int64)
            answer = np.where(is_hostile[source], 1 - answer, answer)
        else:
            answer = _stated(name, truth[item], source, confusion, rng)
            answer = np.where(is_hostile[source], (answer + rng.integers(1, classes, len(item))) % classes, answer)
        if name == "randomised":
            chances = channel_matrix(classes, EPSILON)[answer].cumsum(axis=1)
            answer = (chances < rng.random((len(item), 1))).sum(axis=1).clip(0, classes - 1)
        about = predicted[item] if name in PRAISE else np.full(len(item), -1)
        for column, values in zip(
            columns,
            (item, source, answer, np.full(len(item), KIND[name]), about, np.full(len(item), part)),
            strict=True,
        ):
            columns[column].append(values)
        epsilons.append(np.full(len(item), EPSILON if name == "randomised" else np.nan))
    whole = {name: np.concatenate(values) for name, values in columns.items()}
    said = evidence(
        whole["item"], whole["source"], whole["answer"], kind=whole["kind"], predicted=whole["about"],
        epsilon=np.concatenate(epsilons), n_items=ITEMS, n_sources=ANNOTATORS + RESPONDENTS, n_classes=classes,
    )  # fmt: skip
    return World(said, whole["part"], truth, predicted)


def _stated(
    name: str,
    truth: NDArray[np.int64],
    source: NDArray[np.int64],
    confusion: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    classes = confusion.shape[1]
    if name != "annotations":
        wrong = (truth + rng.integers(1, classes, len(truth))) % classes
        return np.where(rng.random(len(truth)) < CORRECTION_ACCURACY, truth, wrong)
    chances = confusion[source, truth].cumsum(axis=1)
    answer: NDArray[np.int64] = (chances < rng.random((len(truth), 1))).sum(axis=1).clip(0, classes - 1)
    return answer


def beliefs_by_method(world: World) -> dict[str, NDArray[np.float32] | NDArray[np.float64]]:
    settings = label_model.Settings(tolerance=1e-4)
    found: dict[str, NDArray[np.float32] | NDArray[np.float64]] = {
        f"{name} alone": label_model.fit(world.said.rows(world.part == part), settings=settings).posterior
        for part, name in enumerate(PER_ITEM)
    }
    found[STATED] = majority(world.said.rows(is_statement(world.said.kind)))
    found[MAJORITY] = majority(world.said)
    found[ALL] = label_model.fit(world.said, settings=settings).posterior
    classes = world.said.n_classes
    chances = np.full((ITEMS, classes), (1.0 - MODEL_ACCURACY) / (classes - 1))
    chances[np.arange(ITEMS), world.predicted] = MODEL_ACCURACY
    found[WITH_PRIOR] = label_model.fit(world.said, model_prior=ModelPrior(chances), settings=settings).posterior
    found[WITH_MODEL] = label_model.fit(_with_model(world), settings=settings).posterior
    return found


def _with_model(world: World) -> Evidence:
    """The evidence, and what the model predicted as statements in a channel of their own, whose matrix is learned."""
    said = world.said
    return evidence(
        np.concatenate([said.item, np.arange(ITEMS)]), np.concatenate([said.source, np.full(ITEMS, said.n_sources)]),
        np.concatenate([said.answer, world.predicted]), kind=np.concatenate([said.kind, np.full(ITEMS, Kind.CORRECTION)]),
        channel=np.concatenate([said.channel, np.ones(ITEMS, dtype=np.int64)]),
        predicted=np.concatenate([said.predicted, np.full(ITEMS, -1)]),
        epsilon=np.concatenate([said.epsilon, np.full(ITEMS, np.nan)]),
        n_items=ITEMS, n_sources=said.n_sources + 1, n_classes=said.n_classes,
    )  # fmt: skip


def _accuracy(belief: NDArray[np.floating], truth: NDArray[np.int64]) -> float:
    first = belief >= belief.max(axis=1, keepdims=True) - 1e-9
    return float((first[np.arange(len(truth)), truth] / first.sum(axis=1)).mean())


def simulate(crowd: Crowd, seeds: int) -> tuple[list[Row], list[tuple[float, float, int]]]:
    """Rows by adversarial share and method; and the reliability curve of all together without adversaries."""
    rows, sure, right = [], [], []
    for adversarial in ADVERSARIAL:
        found: dict[str, list[tuple[float, float]]] = {}
        for seed in range(seeds):
            world = make_world(crowd, adversarial, np.random.default_rng([seed, round(100 * adversarial)]))
            for method, belief in beliefs_by_method(world).items():
                confidence, is_right = belief.max(axis=1), belief.argmax(axis=1) == world.truth
                error = reliability_curve(confidence, is_right).expected_error
                found.setdefault(method, []).append((_accuracy(belief, world.truth), error))
                if method == ALL and not adversarial:
                    sure.append(confidence)
                    right.append(is_right)
        for method, pairs in found.items():
            accuracy, ece = np.array(pairs).T
            error = float(accuracy.std(ddof=1) / seeds**0.5) if seeds > 1 else float("nan")
            rows.append(Row(adversarial, method, float(accuracy.mean()), error, float(ece.mean())))
    curve = reliability_curve(np.concatenate(sure), np.concatenate(right))
    return rows, list(zip(curve.confidence.tolist(), curve.accuracy.tolist(), curve.n.tolist(), strict=True))


def report(crowd: Crowd, rows: list[Row], curve: list[tuple[float, float, int]], seeds: int, command: str) -> str:
    rates = ", ".join(f"{rate:g} {name}" for name, rate in PER_ITEM.items())
    methods = list(dict.fromkeys(row.method for row in rows))
    lines = [
        "# Evidence of five kinds together", "", f"    {command}", "",
        f"{ITEMS} items, {crowd.n_classes} classes; per item on average {rates}. Annotators have matrices of annotators of the crowd *{crowd.name}*; the model is",
        f"right in {MODEL_ACCURACY:.0%}; a right prediction is praised by {PRAISE['thumbs'][1]:.0%} of the thumbs and {PRAISE['implicit'][1]:.0%} of the events, a wrong one by",
        f"{PRAISE['thumbs'][0]:.0%} and {PRAISE['implicit'][0]:.0%}; corrections are right in {CORRECTION_ACCURACY:.0%}; randomised by k-RR with epsilon {EPSILON:g}. {seeds} seeds.",
        "Accuracy in percent (± standard error), expected calibration error after the stroke. Adversarial sources say the opposite.", "",
        "| method | " + " | ".join(f"{share:.0%} adversarial" for share in ADVERSARIAL) + " |",
        "|---|" + "---:|" * len(ADVERSARIAL),
    ]  # fmt: skip
    for method in methods:
        cells = [row for row in rows if row.method == method]
        text = " | ".join(f"{100 * row.accuracy:.1f} ± {100 * row.error:.1f} / {row.ece:.3f}" for row in cells)
        lines.append(f"| {method} | {text} |")
    lines += [
        "", "A thumb alone cannot name another class than the predicted one, and nobody can know from thumbs how good the model is (the label model",
        "warns of it): the probabilities of such lone sources are not meant to be calibrated. The majority counts every thumb up as a vote for the predicted class, and so",
        "takes the model's word, which is right in three quarters. The label model takes only what people said, unless it is told to take the model's word as well: compare it",
        "with the majority of the statements, and with the model's word with the majority of all.", "",
        "## Reliability of all together, without adversaries", "", "| stated | right | items |", "|---:|---:|---:|",
    ]  # fmt: skip
    lines += [f"| {stated:.3f} | {right:.3f} | {n} |" for stated, right, n in curve]
    return "\n".join(lines) + "\n"


def _chosen(crowds: list[Crowd]) -> Crowd:
    """The crowd with the most classes: the hardest, and the one with the most to learn in a matrix."""
    return max(crowds, key=lambda crowd: crowd.n_classes)


def run() -> list[Result]:
    rows, _ = simulate(_chosen(read_crowds()), 1)
    clean = {row.method: row for row in rows if not row.adversarial}
    alone = max(row.accuracy for method, row in clean.items() if method.endswith("alone"))
    by_majority = 100 * clean[MAJORITY].accuracy
    return [
        Result(
            "mixed evidence: label model of all, against each alone", 100 * clean[ALL].accuracy, "percent", 100 * alone
        ),
        Result(
            "mixed evidence: label model of all, against majority", 100 * clean[ALL].accuracy, "percent", by_majority
        ),
        Result(
            "mixed evidence: the same with the model's weak word",
            100 * clean[WITH_PRIOR].accuracy,
            "percent",
            by_majority,
        ),
        Result("mixed evidence: calibration error", clean[ALL].ece, "", 0.03, "at_most"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DIRECTORY)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    crowd = _chosen(read_crowds(options.data))
    rows, curve = simulate(crowd, options.seeds)
    command = f"FEEDBACK_CROWD_DATA=DIRECTORY python -m tests.bench.mixed_evidence --seeds {options.seeds} --out {options.out}"
    options.out.write_text(report(crowd, rows, curve, options.seeds, command))
    print(options.out.read_text())


if __name__ == "__main__":
    main()
