"""What can be mended of odd and broken images, one at a time: bytes in, bytes out, and what was done."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import PurePosixPath

from PIL import Image, ImageFile

from pipeline.data.manifest import Entry
from pipeline.data.pillow import DAMAGE, open_image
from pipeline.data.split import Flag

# As TensorFlow's preparation of ImageNet writes the same files (build_imagenet_data.py: quality 100).
_QUALITY = 100
_JPEG_SUFFIXES = frozenset({".jpg", ".jpeg"})
_APP1, _START_OF_SCAN = 0xE1, 0xDA


@dataclass(frozen=True)
class Mended:
    """An image that was mended. what: what was odd and what was done, in words."""

    content: bytes
    what: str


def oddity(entry: Entry) -> str | None:
    """Return what is odd about a sound image, None for nothing. Every such image decodes."""
    return oddity_of(entry.path, entry.flags)


def oddity_of(path: str, flags: int) -> str | None:
    named_jpeg = PurePosixPath(path).suffix.lower() in _JPEG_SUFFIXES
    if flags & Flag.NOT_JPEG and named_jpeg:
        return "no JPEG, though named so"
    if flags & Flag.CMYK:
        return "CMYK instead of RGB"
    if flags & Flag.EXIF:
        return "EXIF that asks for turning, or is damaged"
    return None


def mend_oddity(content: bytes, entry: Entry) -> Mended | None:
    """Return a plain RGB or grey JPEG of the same pixels, upright EXIF aside; None where nothing is odd.

    What is not RGB is encoded with quality 100 and no subsampling: pixels move by a level or two. EXIF is
    taken out without decoding.
    """
    what = oddity(entry)
    if what is None:
        return None
    if entry.flags & (Flag.NOT_JPEG | Flag.CMYK):
        with open_image(content) as image:
            return Mended(_encoded(image), f"{what}; written as RGB JPEG of quality {_QUALITY}")
    return Mended(_without_app1(content), f"{what}; taken out, the pixels are untouched")


def mend_damage(content: bytes) -> Mended | None:
    """Return what can be decoded of a broken image as a whole JPEG, None where nothing can.

    What lies below the damage is grey, as libjpeg leaves it.
    """
    before, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, True
    try:
        with open_image(content) as image:
            return Mended(_encoded(image), f"damaged; what decodes was written as JPEG of quality {_QUALITY}")
    except DAMAGE:
        return None
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before


def _encoded(image: Image.Image) -> bytes:
    encoded = io.BytesIO()
    pixels = image if image.mode == "L" else image.convert("RGB")
    pixels.save(encoded, "JPEG", quality=_QUALITY, subsampling="4:4:4", exif=b"", icc_profile=None)
    return encoded.getvalue()


def _without_app1(content: bytes) -> bytes:
    """Return a JPEG without its APP1 segments, where EXIF and XMP are."""
    kept, at = [content[:2]], 2
    while at + 4 <= len(content) and content[at] == 0xFF:
        marker, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4], "big")
        if marker == _START_OF_SCAN:
            break
        if marker == 0xFF:  # padding
            at += 1
            continue
        if marker != _APP1:
            kept.append(content[at : at + 2 + length])
        at += 2 + length
    return b"".join([*kept, content[at:]])
