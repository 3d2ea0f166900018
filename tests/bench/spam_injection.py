"""`python -m tests.bench.spam_injection --out docs/measurements/spam_injection.md`: are dishonest sources found, and honest ones spared?

Spammers of five kinds are added to each real crowd, 10% and 30% of all sources. Each answers as many items as some honest source.
Times are simulated: sessions with log-normal times to answer; bots answer about once a second.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from datasets.agreement.cohen import cohen_kappa
from datasets.consensus import label_model
from datasets.consensus.evidence import Evidence, evidence
from datasets.consensus.source_quality.examination import Timing, examine, set_aside
from datasets.consensus.source_quality.suggestion import Family
from datasets.consensus.votes import majority
from tests.bench.crowd_data import DIRECTORY, Crowd, read_crowds
from tests.bench.result import Result

FAMILY: Final[dict[str, Family]] = {
    "random": "agreement",
    "always the same": "invariability",
    "inverted": "agreement",
    "colluding": "collusion",
    "bot burst": "speed",
}
"""The family of detectors that is made for each kind."""
KINDS: Final = ("random", "always the same", "inverted", "colluding", "bot burst")
SHARES: Final = (0.1, 0.3)
LEAST_ANSWERS: Final = 15
HONEST_KAPPA: Final = 0.2
SEEDS: Final = 5


@dataclass(frozen=True)
class Row:
    crowd: str
    kind: str
    share: float
    auc: float
    auc_family: float
    found: float
    false_flags: float
    majority: float
    undefended: float
    defended: float


def spoiled(crowd: Crowd, kind: str, share: float, rng: np.random.Generator) -> tuple[Evidence, Timing, int]:
    """The crowd with spammers as its last sources, and how many there are."""
    count = max(2, round(share / (1.0 - share) * crowd.n_sources))
    sizes = np.maximum(LEAST_ANSWERS, rng.choice(np.bincount(crowd.source), count))
    sizes = np.minimum(sizes, crowd.n_items)
    common_items = rng.permutation(crowd.n_items)
    common_answers = rng.integers(0, crowd.n_classes, crowd.n_items)
    truth = np.where(crowd.truth >= 0, crowd.truth, majority(crowd.evidence()).argmax(axis=1))
    items, sources, answers = [crowd.item], [crowd.source], [crowd.answer]
    for number, size in enumerate(sizes.tolist()):
        chosen = common_items[:size] if kind == "colluding" else rng.permutation(crowd.n_items)[:size]
        wrong = (truth[chosen] + rng.integers(1, crowd.n_classes, size)) % crowd.n_classes
        said = {
            "random": rng.integers(0, crowd.n_classes, size),
            "always the same": np.full(size, rng.integers(0, crowd.n_classes)),
            "inverted": np.where(rng.random(size) < 0.85, wrong, truth[chosen]),
            "colluding": common_answers[chosen],
            "bot burst": rng.integers(0, crowd.n_classes, size),
        }[kind]
        items.append(chosen)
        sources.append(np.full(size, crowd.n_sources + number))
        answers.append(said)
    whole = evidence(
        np.concatenate(items), np.concatenate(sources), np.concatenate(answers),
        n_items=crowd.n_items, n_sources=crowd.n_sources + count, n_classes=crowd.n_classes,
    )  # fmt: skip
    is_bot = (whole.source >= crowd.n_sources) & (kind == "bot burst")
    return whole, _times(whole, is_bot, rng), count


def _times(whole: Evidence, is_bot: NDArray[np.bool_], rng: np.random.Generator) -> Timing:
    pace = rng.lognormal(np.log(12.0), 0.4, whole.n_sources)
    taken = pace[whole.source] * rng.lognormal(0.0, 0.6, len(whole))
    taken[is_bot] = rng.uniform(0.3, 1.2, int(is_bot.sum()))
    order = np.argsort(whole.source, kind="stable")
    given_at = np.empty(len(whole))
    for place in np.split(order, np.flatnonzero(np.diff(whole.source[order])) + 1):
        # Work comes in sessions of about twenty answers, hours apart; a bot does not rest.
        pauses = np.where(is_bot[place], 0.0, (rng.random(len(place)) < 0.05) * rng.uniform(3_600, 86_400, len(place)))
        given_at[place] = rng.uniform(0, 86_400) + np.cumsum(taken[place] + pauses)
    return Timing(given_at, taken)


def is_known_honest(crowd: Crowd) -> NDArray[np.bool_]:
    """Real sources whose answers agree with the truth beyond chance (kappa >= 0.2): the real crowds hold junk of their own."""
    honest = np.zeros(crowd.n_sources, dtype=bool)
    known = crowd.truth[crowd.item] >= 0
    for source in range(crowd.n_sources):
        rows = known & (crowd.source == source)
        if rows.sum() < LEAST_ANSWERS:
            honest[source] = True
            continue
        table = np.zeros((crowd.n_classes, crowd.n_classes))
        np.add.at(table, (crowd.truth[crowd.item[rows]], crowd.answer[rows]), 1.0)
        honest[source] = cohen_kappa(table) >= HONEST_KAPPA
    return honest


def _auc(score: NDArray[np.float64], is_spam: NDArray[np.bool_]) -> float:
    ranks, spam = rankdata(score), int(is_spam.sum())
    honest = len(score) - spam
    return float((ranks[is_spam].sum() - spam * (spam + 1) / 2) / (spam * honest))


def measure(crowd: Crowd, kind: str, share: float, seed: int) -> Row:
    rng = np.random.default_rng([seed, KINDS.index(kind), round(100 * share)])
    whole, timing, count = spoiled(crowd, kind, share, rng)
    found = examine(whole, timing=timing)
    suspicion = found.suspicion
    honest = is_known_honest(crowd)
    flagged = set_aside(found.suggestions)
    judged = np.concatenate([honest, np.ones(count, dtype=bool)])
    is_spam = np.arange(whole.n_sources) >= crowd.n_sources
    return Row(
        crowd.name, kind, share,
        _auc(suspicion[judged], is_spam[judged]),
        _auc(found.findings.nats[FAMILY[kind]][judged], is_spam[judged]),
        float(flagged[is_spam].mean()),
        float(flagged[: crowd.n_sources][honest].mean()),
        crowd.accuracy(majority(whole)),
        crowd.accuracy(label_model.fit(whole).posterior),
        crowd.accuracy(found.beliefs.posterior),
    )  # fmt: skip


def simulate(crowds: list[Crowd], seeds: int = SEEDS) -> Iterator[Row]:
    """The mean over the seeds of each cell."""
    for crowd in crowds:
        for kind in KINDS:
            for share in SHARES:
                runs = [measure(crowd, kind, share, seed) for seed in range(seeds)]
                means = [
                    float(np.mean([getattr(run, name) for run in runs])) for name in list(Row.__dataclass_fields__)[3:]
                ]
                yield Row(crowd.name, kind, share, *means)


def untouched(crowd: Crowd) -> tuple[float, float, float, float]:
    """Of the crowd as it is: share of honest sources flagged, of the others flagged, accuracy without and with defence."""
    whole = crowd.evidence()
    found = examine(whole, timing=_times(whole, np.zeros(len(whole), dtype=bool), np.random.default_rng(0)))
    honest, flagged = is_known_honest(crowd), set_aside(found.suggestions)
    others = float(flagged[~honest].mean()) if (~honest).any() else float("nan")
    before = crowd.accuracy(label_model.fit(whole).posterior)
    return float(flagged[honest].mean()), others, before, crowd.accuracy(found.beliefs.posterior)


def report(crowds: list[Crowd], rows: list[Row], seeds: int, command: str) -> str:
    lines = [
        "# Dishonest sources in real crowds", "", f"    {command}", "",
        f"Mean of {seeds} seeds. AUC of the suspicion (strongest finding of all detectors), spammers against honest sources; own AUC: of the",
        "family of detectors made for the kind alone. Found: share of the spammers that were set aside.",
        "False flags: share of the honest that were. Honest: real sources whose kappa with the truth is 0.2 or more, or that",
        "gave fewer than 15 answers; the crowds hold junk of their own, which is judged in the second table. Accuracies in percent: majority, the",
        "label model without defence, and with the suspicious set aside.", "",
        "| crowd | kind | spammers | AUC | own AUC | found | false flags | majority | no defence | defended |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]  # fmt: skip
    for row in rows:
        cells = [row.found, row.false_flags, row.majority, row.undefended, row.defended]
        percent = " | ".join(f"{100 * value:.1f}" for value in cells)
        lines.append(
            f"| {row.crowd} | {row.kind} | {row.share:.0%} | {row.auc:.3f} | {row.auc_family:.3f} | {percent} |"
        )
    lines += [
        "",
        "## By kind",
        "",
        "| kind | spammers | AUC | own AUC | found | false flags | defended minus no defence, points |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for kind in KINDS:
        for share in SHARES:
            cell = [row for row in rows if (row.kind, row.share) == (kind, share)]
            auc, own, hit, false = (
                float(np.mean([getattr(row, name) for row in cell]))
                for name in ("auc", "auc_family", "found", "false_flags")
            )
            gain = 100 * float(np.mean([row.defended - row.undefended for row in cell]))
            lines.append(f"| {kind} | {share:.0%} | {auc:.3f} | {own:.3f} | {hit:.1%} | {false:.2%} | {gain:+.2f} |")
    lines += [
        "",
        "## The crowds as they are",
        "",
        "| crowd | honest flagged | others flagged | no defence | defended |",
        "|---|---:|---:|---:|---:|",
    ]
    for crowd in crowds:
        lines.append("| " + crowd.name + " | " + " | ".join(f"{100 * value:.1f}" for value in untouched(crowd)) + " |")
    return "\n".join(lines) + "\n"


def run() -> list[Result]:
    rows = list(simulate(read_crowds(), seeds=1))
    results = []
    for kind in KINDS:
        auc = float(np.mean([row.auc for row in rows if row.kind == kind]))
        results.append(Result(f"spam, {kind}: AUC", auc, "", None))
    false = 100 * float(np.mean([row.false_flags for row in rows]))
    gain = 100 * float(np.mean([row.defended - row.undefended for row in rows]))
    return [
        *results,
        Result("spam: honest sources flagged", false, "percent", 2.0, "at_most"),
        Result("spam: accuracy with defence minus without", gain, "points", 0.0),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DIRECTORY)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    crowds = read_crowds(options.data)
    command = f"FEEDBACK_CROWD_DATA=DIRECTORY python -m tests.bench.spam_injection --seeds {options.seeds} --out {options.out}"
    options.out.write_text(report(crowds, list(simulate(crowds, options.seeds)), options.seeds, command))
    print(options.out.read_text())


if __name__ == "__main__":
    main()
