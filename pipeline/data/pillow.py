"""What Pillow makes of an encoded image: the reference whose pixels every other decoder has to give.

Knows nothing of data sets, DALI or torch.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

Content = NDArray[np.uint8]  # (bytes,), a file as it lies in storage

# What Pillow 13's parsers raise on damaged files: 40,000 mutated ones of seven formats met the first four,
# its own `Image.open` expects the others too.
DAMAGE = (
    OSError,  # UnidentifiedImageError is one
    SyntaxError,
    ValueError,
    Image.DecompressionBombError,
    EOFError,
    LookupError,
    struct.error,
    zlib.error,
)

_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")  # others may start programs (EPS) or are no photos
_DALI_FORMATS = frozenset({"JPEG", "MPO", "PNG", "WEBP", "BMP"})
_ORIENTATION = 0x0112  # the EXIF tag
_PNG_DEPTH = 24  # where a PNG says how many bits a sample has


def open_image(content: bytes | Content) -> Image.Image:
    """Open an image without decoding it. Raises one of DAMAGE where it is none."""
    try:
        return Image.open(io.BytesIO(content), formats=_FORMATS)
    except UnidentifiedImageError:  # its own message is an address in memory
        raise UnidentifiedImageError(f"it is none of {', '.join(_FORMATS)}") from None


def decodes_alike(image: Image.Image, content: bytes) -> bool:
    """Whether DALI 2.4 decodes such a file as Pillow does.

    It reads no GIF, and scales 16 bits a sample to 8 differently. What it decodes of the other formats
    equals Pillow's RGB in every pixel.
    """
    deep = image.format == "PNG" and content[_PNG_DEPTH] == 16
    return image.format in _DALI_FORMATS and not deep


def has_odd_exif(image: Image.Image) -> bool:
    """Whether a file asks to be turned, or has an EXIF part that cannot be read.

    Nothing here turns images, as torchvision and TensorFlow do not; a viewer would, or would complain.
    """
    if "exif" not in image.info and "xmp" not in image.info:
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Pillow warns of EXIF that is cut short
        try:
            return image.getexif().get(_ORIENTATION, 1) != 1
        except (*DAMAGE, Warning):
            return True


def as_bitmap(content: Content, size: tuple[int, int]) -> Content:
    """Return Pillow's RGB pixels as the content of a BMP file, which every decoder reads alike.

    size: the (height, width) the image must have. Raises one of DAMAGE where Pillow does not decode it.
    """
    with open_image(content) as image:
        found = (image.height, image.width)
        if found != size:
            raise ValueError(f"it is {found[1]} x {found[0]} pixels where {size[1]} x {size[0]} were indexed")
        bitmap = io.BytesIO()
        image.convert("RGB").save(bitmap, "BMP")
    return np.frombuffer(bitmap.getvalue(), np.uint8)
