"""What sampling learned, on disk: files named by the hash of what is in them."""

import hashlib
import os
import tempfile
from pathlib import Path

from django.conf import settings


def store(content: bytes, folder: str) -> str:
    """Write an artifact, complete or not at all; return its path below the artifact directory."""
    relative = Path(folder) / f"{hashlib.sha256(content).hexdigest()}.skops"
    target = Path(settings.ARTIFACT_DIR) / relative
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=target.parent, suffix=".part")
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    Path(temporary).replace(target)
    return str(relative)


def read(relative: str) -> bytes:
    """The content of an artifact; ValueError if it is gone or damaged."""
    path = Path(settings.ARTIFACT_DIR) / relative
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"the artifact {relative} cannot be read: {error.strerror}") from error
    if hashlib.sha256(content).hexdigest() != path.stem:
        raise ValueError(f"the artifact {relative} is damaged: its content does not match its name")
    return content


def is_intact(relative: str) -> bool:
    """Whether `read` would give the content."""
    try:
        read(relative)
    except ValueError:
        return False
    return True
