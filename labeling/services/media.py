"""Uploaded images: checked, kept once by their content, read back in pieces."""

import datetime as dt
import hashlib
import warnings
from typing import IO, Final

from django.conf import settings
from django.contrib.auth.models import User
from django.core.files.base import File
from django.core.files.storage import default_storage
from PIL import Image

from labeling.errors import InvalidInput, NotFound, TooLarge
from labeling.models import MediaFile, Project

_PIECE: Final = 256 * 1024
_LONGEST_NAME: Final = 255
# No SVG: it is a document that may carry scripts. By Pillow's name of the format, with the type a browser is told.
_TYPES: Final = {
    "JPEG": ("image/jpeg", "jpg"),
    "PNG": ("image/png", "png"),
    "GIF": ("image/gif", "gif"),
    "WEBP": ("image/webp", "webp"),
}


def store(project: Project, *, name: str, content: IO[bytes], by: User | None, now: dt.datetime) -> MediaFile:
    """Keep an image; the one that is there already if the project has the same bytes.

    The file is in the storage before its row is, so a row never names a file that is missing; a file without a row, left
    by a crash between the two, is found by the next upload of the same bytes. Raises TooLarge `media_too_large`,
    InvalidInput `not_an_image`.
    """
    sha256, size = _measured(content)
    existing = MediaFile.objects.filter(project=project, sha256=sha256).first()
    if existing is not None:
        return existing
    image_format, width, height = _image(content)
    content_type, extension = _TYPES[image_format]
    path = f"media/{project.pk}/{sha256[:2]}/{sha256}.{extension}"
    content.seek(0)
    # The name is the content's: what stands under it is the same, unless a crash cut it short.
    if not default_storage.exists(path) or default_storage.size(path) != size:
        default_storage.delete(path)
        path = default_storage.save(path, File(content))
    media, _ = MediaFile.objects.get_or_create(
        project=project,
        sha256=sha256,
        defaults={
            "file_name": name[-_LONGEST_NAME:],
            "stored_as": path,
            "content_type": content_type,
            "size": size,
            "width": width,
            "height": height,
            "created_at": now,
            "created_by": by,
        },
    )
    return media


def find(project: Project, sha256: str) -> MediaFile:
    """Raises NotFound `media_not_found`."""
    media = MediaFile.objects.filter(project=project, sha256=sha256).first()
    if media is None:
        raise NotFound("There is no such image in this project.", code="media_not_found")
    return media


def opened(media: MediaFile) -> IO[bytes]:
    """The bytes, to be read and closed by the caller. Raises NotFound `media_not_found` if the storage lost them."""
    try:
        file: IO[bytes] = default_storage.open(media.stored_as, "rb")
    except FileNotFoundError:
        raise NotFound("The image is not in the storage any more.", code="media_not_found") from None
    return file


def _measured(content: IO[bytes]) -> tuple[str, int]:
    digest, size, largest = hashlib.sha256(), 0, int(settings.MEDIA_MAX_BYTES)
    content.seek(0)
    while piece := content.read(_PIECE):
        size += len(piece)
        if size > largest:
            raise TooLarge(f"An image may have at most {largest} bytes.", code="media_too_large")
        digest.update(piece)
    return digest.hexdigest(), size


def _image(content: IO[bytes]) -> tuple[str, int, int]:
    """Format, width and height as the file itself says, whatever its name; the pixels are decoded to be sure of them."""
    content.seek(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a picture that is suspiciously large is refused, too
            with Image.open(content, formats=list(_TYPES)) as image:
                image_format, (width, height) = image.format or "", image.size
                if width * height > settings.MEDIA_MAX_PIXELS:
                    raise TooLarge(
                        f"An image may have at most {settings.MEDIA_MAX_PIXELS} pixels.", code="media_too_large"
                    )
                image.load()
    except TooLarge:
        raise
    # Decoders of third parties raise whatever they like about a broken file: OSError, SyntaxError, struct.error, ...
    except Exception as error:
        kinds = ", ".join(sorted(_TYPES))
        raise InvalidInput(
            f"This is no image ({kinds}) that can be read.", code="not_an_image", fields={"file": "not an image"}
        ) from error
    return image_format, width, height
