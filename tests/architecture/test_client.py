"""The Python client is a distribution of its own: it takes nothing from the service, and nothing but httpx from others."""

import ast
import sys
from pathlib import Path

import feedback_client
import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCES = sorted((ROOT / "client" / "src" / "feedback_client").glob("*.py"))
TYPES_ONLY = {"_typeshed"}
"""Stubs of the standard library, which exist for type checkers alone."""


def _imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports by a relative name"
            names.add(str(node.module).partition(".")[0])
    return names


def test_there_are_sources_and_they_are_the_ones_the_tests_run() -> None:
    assert len(SOURCES) > 10
    assert Path(str(feedback_client.__file__)) in SOURCES


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_it_imports_the_standard_library_and_httpx_alone(path: Path) -> None:
    assert _imported(path) - sys.stdlib_module_names <= {"feedback_client", "httpx"} | TYPES_ONLY


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_no_module_is_named_like_one_of_the_standard_library(path: Path) -> None:
    assert path.stem not in sys.stdlib_module_names


def test_the_service_does_not_import_the_client() -> None:
    for app in ("feedbackproject", "labeling", "datasets", "sampling", "training"):
        for path in (ROOT / app).rglob("*.py"):
            assert "feedback_client" not in _imported_anyhow(path), path


def _imported_anyhow(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    modules = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    modules += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    return {module.partition(".")[0] for module in modules}
