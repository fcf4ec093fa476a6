"""Whether one image is sound: there, of the bytes that were indexed, and decodable to its last pixel."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from PIL import Image

from pipeline.data.pillow import DAMAGE, open_image

Kind = Literal["missing", "unreadable", "empty", "no image", "truncated", "changed", "size"]


@dataclass(frozen=True)
class Expected:
    """What the manifest says of an image. sha256: as hexadecimal digits."""

    sha256: str
    width: int
    height: int


def problem_of(content: bytes, expected: Expected | None) -> tuple[Kind, str] | None:
    """Return what is wrong with an image: its kind, and in words; None for nothing.

    A JPEG's entropy-coded data is decoded wholly, at an eighth of the size in each direction: that leaves
    out the inverse transform only, in which nothing can go wrong.
    """
    if not content:
        return "empty", "has no bytes"
    try:
        image = open_image(content)
    except DAMAGE:
        return "no image", f"is no image (begins with {content[:4].hex(' ')})"
    with image:
        size = image.size
        try:
            decode(image)
        except DAMAGE as error:
            return "truncated", f"does not decode to its end ({error or type(error).__name__})"
    if expected is None:
        return None
    if size != (expected.width, expected.height):
        return "size", (
            f"is {size[0]} x {size[1]} pixels where {expected.width} x {expected.height} were indexed"
        )
    if hashlib.sha256(content).hexdigest() != expected.sha256:
        return "changed", "is not what was indexed: its sha256 is another"
    return None


def decode(image: Image.Image) -> None:
    """Decode an opened image. Raises one of DAMAGE."""
    if image.format in ("JPEG", "MPO"):
        image.draft(image.mode, (max(1, image.width // 8), max(1, image.height // 8)))
    image.load()
