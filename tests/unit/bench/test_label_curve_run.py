"""The whole harness on small sets, peers included: needs the extra `bench`."""

import gzip
import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from sampling.batch_rules.registry import RULES
from sampling.strategies.registry import STRATEGIES, fitting
from tests.bench.label_curves import ours
from tests.bench.label_curves.runs import ROOT

needs_peers = pytest.mark.skipif(
    importlib.util.find_spec("skactiveml") is None or importlib.util.find_spec("small_text") is None,
    reason="the extra `bench` is not installed",
)
LEVELS_OR_SIDES: Final = {name for name, strategy in STRATEGIES.items() if strategy.kinds}


def test_every_rule_and_every_score_of_classes_has_an_arm() -> None:
    scores = set(fitting("single_choice", {"probabilities", "committee", "embeddings"})) - LEVELS_OR_SIDES
    assert {rule for rule, _ in ours.MADE_OF.values()} == set(RULES) - {"uniform"}
    assert {score for _, score in ours.MADE_OF.values()} == scores - {"uniform"}


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "ignore", "-m", "tests.bench.label_curves", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def _write(path: Path, rows: list[tuple[str, str]]) -> None:
    with gzip.open(path, "wt") as file:
        file.write("\n".join(["text,label", *(f"{text},{label}" for text, label in rows)]) + "\n")


@needs_peers
def test_bad_sets_are_reported_and_the_others_are_run_with_every_arm(tmp_path: Path) -> None:
    # One class has one example; texts repeat, so that some vectors are the same.
    rows = [(f"{'good' if n % 2 else 'bad'} film {'abc'[n % 3] * 3}", "yes" if n % 2 else "no") for n in range(47)]
    _write(tmp_path / "fine.csv.gz", [*rows, ("rare film", "once")])
    _write(tmp_path / "flat.csv.gz", [(text, "yes") for text, _ in rows])
    (tmp_path / "torn.csv.gz").write_bytes(b"no gzip")
    out = tmp_path / "page.md"
    done = _run(
        *("--data", str(tmp_path), "--sets", "fine", "flat", "torn", "--arms", "all", "--seeds", "1"),
        *("--hand-over", "0", "--batch-size", "2", "5", "--out", str(out)),
    )
    assert done.returncode == 0, done.stderr
    page = out.read_text()
    assert "FAILED flat, batches of 2: flat: at least two classes" in done.stderr
    assert "- torn, batches of 5: torn.csv.gz: Not a gzipped file" in page
    assert "--data DIRECTORY" in page
    assert str(tmp_path) not in page
    for title, file in (
        ("fine, batches of 2", "fine_batches_of_2.svg"),
        ("fine, batches of 5", "fine_batches_of_5.svg"),
    ):
        section = page.partition(f"## {title}\n")[2].partition("## ")[0]
        assert all(f"| {arm} |" in section for arm in ours.ARMS)
        assert "| small-text BreakingTies |" in section
        assert (tmp_path / "page" / file).read_text().startswith("<svg")
    assert "| data set | 0 | 5 (default) |" in page


@needs_peers
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--arms", "guessing"), "there is no arm 'guessing'; there are: quick"),
        (("--data", "/nowhere"), "/nowhere is no directory"),
        (("--sets", "nothing"), "FAILED nothing: there is no data set 'nothing'"),
        (("--seeds", "0"), "at least 1 is needed"),
        (("--hand-over", "-1"), "'-1' is no whole number"),
    ],
)
def test_what_cannot_be_run_is_said_and_no_page_is_written(
    tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    done = _run(*arguments, "--out", str(tmp_path / "page.md"))
    assert done.returncode != 0
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "page.md").exists()
