from pathlib import Path

import pytest
from pytest_django import Settings


@pytest.fixture(autouse=True)
def artifact_dir(settings: Settings, tmp_path: Path) -> Path:
    """Models of a test are saved where it ends with the test."""
    settings.ARTIFACT_DIR = tmp_path / "artifacts"
    return tmp_path / "artifacts"
