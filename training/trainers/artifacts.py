"""Trained models on disk: skops files, never pickles, named by the hash of what is in them."""

import hashlib
import os
import tempfile
import zipfile
from pathlib import Path
from typing import Final

import numpy as np
from sklearn.pipeline import Pipeline
from skops import io as skops_io

from labeling.calibration import Temperature
from training.trainers.pipeline import FittedModel
from training.trainers.registry import TRAINERS

_FORMAT: Final = 1

# Beyond what skops itself trusts (numpy, scipy and scikit-learn types), the built-in pipelines need no type at all.
TRUSTED_TYPES: Final[tuple[str, ...]] = ()


class ArtifactError(Exception):
    """The file is missing, damaged, or not one of ours; nothing in it was run."""


def save(model: FittedModel, root: Path, folder: str) -> str:
    """Write the model below `root`/`folder`; return the file's path relative to `root`.

    The name is the SHA-256 of the content. The file appears complete or not at all: it is written beside its place, synced
    and renamed, so a process killed in between leaves nothing that could be loaded.
    """
    content = skops_io.dumps(
        {
            "format": _FORMAT,
            "trainer": model.trainer.name,
            "classes": list(model.classes),
            "seen": model.seen,
            "pipeline": model.pipeline,
            "width": model.width,
            "temperature": [model.temperature.value, model.temperature.held_out, model.temperature.note],
        },
        compression=zipfile.ZIP_DEFLATED,
        compresslevel=1,
    )
    relative = Path(folder) / f"{hashlib.sha256(content).hexdigest()}.skops"
    target = _inside(root, str(relative))
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=target.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return str(relative)


def load(root: Path, relative: str) -> FittedModel:
    """Read a model that `save` wrote.

    Raises
    ------
    ArtifactError
        The path leaves `root`, there is no such file, its content does not match its name, it holds a type that is not
        trusted, or it is not a model of this format.
    """
    target = _inside(root, relative)
    try:
        content = target.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{relative} cannot be read: {error.strerror}") from error
    if hashlib.sha256(content).hexdigest() != target.stem:
        raise ArtifactError(f"{relative} is damaged: its content does not match its name")
    try:
        unknown = set(skops_io.get_untrusted_types(data=content)) - set(TRUSTED_TYPES)
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise ArtifactError(f"{relative} is not a model file") from error
    if unknown:
        raise ArtifactError(f"{relative} holds types that are not trusted: {', '.join(sorted(unknown))}")
    return _from_parts(skops_io.loads(content, trusted=list(TRUSTED_TYPES)), relative)


def _from_parts(parts: object, relative: str) -> FittedModel:
    if not isinstance(parts, dict) or parts.get("format") != _FORMAT or parts.get("trainer") not in TRAINERS:
        raise ArtifactError(f"{relative} is not a model of this version of the service")
    classes, seen, pipeline, width = parts["classes"], parts["seen"], parts["pipeline"], parts["width"]
    value, held_out, note = parts["temperature"]
    if not isinstance(seen, np.ndarray) or not isinstance(pipeline, Pipeline | None):
        raise ArtifactError(f"{relative} is not a model of this version of the service")
    return FittedModel(
        trainer=TRAINERS[parts["trainer"]],
        classes=tuple(str(name) for name in classes),
        seen=seen,
        pipeline=pipeline,
        temperature=Temperature(float(value), int(held_out), str(note)),
        width=None if width is None else int(width),
    )


def _inside(root: Path, relative: str) -> Path:
    target = (root / relative).resolve()
    if not target.is_relative_to(root.resolve()):
        raise ArtifactError(f"{relative} lies outside the artifact directory")
    return target
