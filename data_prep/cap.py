"""Smaller images for faster reading: the short side capped, everything else of the picture kept."""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image

from pipeline.data.pillow import open_image

_SUBSAMPLING = "4:2:0"  # as most of ImageNet has it


@dataclass(frozen=True)
class Cap:
    """The most pixels of a short side, and the JPEG quality with which larger images are written anew."""

    short_side: int
    quality: int = 95

    def applies(self, width: int, height: int) -> bool:
        return min(width, height) > self.short_side

    def share(self, width: int, height: int) -> float:
        """Return about what part of its bytes an image keeps."""
        return min(1.0, (self.short_side / min(width, height)) ** 2)

    def capped(self, content: bytes) -> bytes:
        """Return a larger image anew, its short side capped. EXIF is left out, for it may ask for turning."""
        with open_image(content) as image:
            pixels = image if image.mode == "L" else image.convert("RGB")
            scale = self.short_side / min(image.size)
            size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
            encoded = io.BytesIO()
            smaller = pixels.resize(size, Image.Resampling.BICUBIC)
            smaller.save(encoded, "JPEG", quality=self.quality, subsampling=_SUBSAMPLING)
        return encoded.getvalue()

    def told(self, changed: int, images: int) -> str:
        """Return the sentence that goes into the manifest."""
        return (
            f"short sides capped at {self.short_side} pixels (Pillow, bicubic; JPEG quality {self.quality}, "
            f"{_SUBSAMPLING}): {changed:,} of {images:,} images"
        )
