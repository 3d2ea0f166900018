"""The widget as it is served: its text, packed, with the hash by which a page can pin it."""

import base64
import gzip
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

PATH: Final = Path(__file__).parent / "static" / "sampling" / "widget.js"


@dataclass(frozen=True)
class WidgetFile:
    content: bytes
    gzipped: bytes
    integrity: str
    """For the attribute of that name: "sha384-" and the base64 of the content's hash."""

    @property
    def etag(self) -> str:
        return f'"{self.integrity[7:39]}"'


def current() -> WidgetFile:
    """The file as it is on disk now; it is packed again only after it has changed."""
    return _packed(PATH.stat().st_mtime_ns)


@lru_cache(maxsize=1)
def _packed(changed_at_ns: int) -> WidgetFile:
    content = PATH.read_bytes()
    digest = base64.b64encode(hashlib.sha384(content).digest()).decode()
    return WidgetFile(content, gzip.compress(content, 9, mtime=0), f"sha384-{digest}")
