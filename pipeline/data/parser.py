"""The header of an encoded image as DALI's own parser reads it, before DALI does.

An image that this parser refuses, of more than 8 bits a sample by its word, or of another size than its
window was drawn for must not reach a DALI batch: of more than 4 x (threads + 1) images, `decoders.image*`
(seen in 2.4, and in its sources of the time) leaves the function whose variables its other threads are still
using, and the process dies of a segmentation fault. Remove this once DALI waits for its threads there
(imgcodec/image_decoder.h: the work between RunAll and WaitForWork).
"""

from __future__ import annotations

from nvidia import nvimgcodec

from pipeline.data.pillow import Content

_MOST_BITS = 8  # of a sample; DALI decodes deeper ones to other pixels than Pillow


def parsed_size(content: Content) -> tuple[int, int] | None:
    """Return (height, width), EXIF orientation ignored; None for what DALI must not be given.

    Takes 5 microseconds.
    """
    try:
        stream = nvimgcodec.CodeStream(content)
        size = stream.height, stream.width
        return size if 0 < stream.precision <= _MOST_BITS else None
    except RuntimeError:
        return None
