import hashlib
from collections import OrderedDict
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from skops import io as skops_io

from training.trainers import artifacts
from training.trainers.artifacts import ArtifactError
from training.trainers.numeric import NumericTrainer
from training.trainers.pipeline import FittedModel
from training.trainers.port import Payload
from training.trainers.text import TextTrainer

TEXTS: list[Payload] = [{"text": "good film"}, {"text": "bad film"}, {"text": "good"}, {"text": "bad"}]
VECTORS: list[Payload] = [{"features": [0, 1]}, {"features": [1, 0]}, {"features": [0, 2]}, {"features": [2, 0]}]
LABELS = ["yes", "no", "yes", "no"]


def _place(root: Path, content: bytes) -> str:
    name = f"{hashlib.sha256(content).hexdigest()}.skops"
    (root / name).write_bytes(content)
    return name


@pytest.mark.parametrize(
    ("model", "rows"),
    [
        (TextTrainer().fit(TEXTS, LABELS, seed=0, classes=("no", "maybe", "yes")), TEXTS),
        (NumericTrainer().fit(VECTORS, LABELS, seed=0), VECTORS),
        (TextTrainer().fit(TEXTS, ["yes"] * 4, seed=0, classes=("no", "yes")), TEXTS),
    ],
    ids=["text", "numeric", "one class"],
)
def test_a_loaded_model_predicts_what_the_saved_one_did(
    tmp_path: Path, model: FittedModel, rows: list[Payload]
) -> None:
    relative = artifacts.save(model, tmp_path, "12/text-0001")
    loaded = artifacts.load(tmp_path, relative)
    assert np.array_equal(loaded.predict_proba(rows), model.predict_proba(rows))
    assert (loaded.classes, loaded.temperature) == (model.classes, model.temperature)


def test_a_saved_model_is_one_file_named_by_its_hash(tmp_path: Path) -> None:
    relative = artifacts.save(NumericTrainer().fit(VECTORS, LABELS, seed=0), tmp_path, "12/numeric-0001")
    [file] = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert file == tmp_path / relative
    assert file.stem == hashlib.sha256(file.read_bytes()).hexdigest()


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    relative = artifacts.save(NumericTrainer().fit(VECTORS, LABELS, seed=0), tmp_path, "m")
    content = (tmp_path / relative).read_bytes()
    (tmp_path / relative).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ArtifactError, match="damaged"):
        artifacts.load(tmp_path, relative)


def test_a_type_that_is_not_trusted_is_refused(tmp_path: Path) -> None:
    name = _place(tmp_path, skops_io.dumps({"format": 1, "pipeline": Fraction(1, 2)}))
    with pytest.raises(ArtifactError, match=r"not trusted: .*Fraction"):
        artifacts.load(tmp_path, name)


@pytest.mark.parametrize(
    "content",
    [b"", b"no zip file", skops_io.dumps([1, 2]), skops_io.dumps(OrderedDict(format=1, trainer="forest"))],
    ids=["empty", "garbage", "another shape", "another trainer"],
)
def test_what_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ArtifactError):
        artifacts.load(tmp_path, _place(tmp_path, content))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="cannot be read"):
        artifacts.load(tmp_path, "m/nothing.skops")


@pytest.mark.parametrize("relative", ["../other.skops", "/etc/passwd"])
def test_a_path_out_of_the_directory_is_refused(tmp_path: Path, relative: str) -> None:
    with pytest.raises(ArtifactError, match="outside"):
        artifacts.load(tmp_path / "artifacts", relative)
    with pytest.raises(ArtifactError, match="outside"):
        artifacts.save(NumericTrainer().fit(VECTORS, LABELS, seed=0), tmp_path / "artifacts", "../elsewhere")
