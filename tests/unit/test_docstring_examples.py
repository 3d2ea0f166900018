"""The examples in docstrings are executed, wherever they are."""

import doctest
from importlib import import_module
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGES: Final = ("feedbackproject", "labeling", "sampling", "training", "datasets", "tests/bench", "scripts")
CLIENT: Final = ROOT / "client" / "src"


def modules_with_examples() -> list[str]:
    """Every module of ours whose source has a prompt in it."""
    homes = [*((ROOT, package) for package in PACKAGES), (CLIENT, "feedback_client")]
    found = [(home, path) for home, package in homes for path in sorted((home / package).rglob("*.py"))]
    names = [
        ".".join(path.relative_to(home).with_suffix("").parts) for home, path in found if ">>> " in path.read_text()
    ]
    return [name.removesuffix(".__init__") for name in names]


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_give_what_they_show(name: str) -> None:
    results = doctest.testmod(import_module(name))
    assert results.attempted > 0
    assert results.failed == 0


def test_examples_are_looked_for_everywhere() -> None:
    found = modules_with_examples()
    assert {
        "sampling.selection",
        "datasets.estimation.aipw",
        "feedback_client.retries",
        "labeling.schema",
        "tests.bench.label_curves.curve",
    } <= set(found)
