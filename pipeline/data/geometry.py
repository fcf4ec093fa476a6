"""From drawn numbers to integer windows: what is cut out of an image, to what it is resized, what is kept.

Whole numbers, worked out here and not by the decoder, so that they equal the implementations the papers used
(torchvision's long side is cut down to an integer, its crop start rounds half to even). numpy, no DALI.
Sizes and positions are (height, width) and (y, x) in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.data.operation import Draw
from pipeline.data.sampling import Stream
from recipes.schema import CenterCrop, Evaluation, Geometry, RandomCrop, RandomResizedCrop

Pixels = NDArray[np.int32]  # (N, 2)
Floats = NDArray[np.floating[Any]]

# tf.image.sample_distorted_bounding_box as google/automl:efficientnetv2/preprocess_legacy.py calls it: the
# window holds at least a tenth of the image; the central square leaves a margin of 32 pixels.
_MIN_COVERED = np.float32(0.1)
_CROP_PADDING = 32


@dataclass(frozen=True)
class Windows:
    """One geometry per image, each field (N, 2) int32, applied in this order.

    start, shape: the window of the source image. resize: the size that window is given.
    crop_start, crop_shape: what is kept of the resized window; outside of it the crop is black.
    """

    start: Pixels
    shape: Pixels
    resize: Pixels
    crop_start: Pixels
    crop_shape: Pixels


def needs_crop(geometry: Geometry | Evaluation) -> bool:
    """Whether a crop follows the resize; elsewhere the resized window is the result."""
    return not isinstance(geometry, RandomResizedCrop)


def train_windows(geometry: Geometry, sizes: Pixels, draw: Draw) -> Windows:
    """Return the windows of the images of `draw`, whose sizes are (N, 2); the result is image_size square.

    Where a recipe's resize belongs to its crop size (RandomCrop, CenterCrop), a stage of another image size
    has its resize in the same proportion.
    """
    match geometry:
        case RandomResizedCrop():
            start, shape = _random_windows(geometry, sizes, draw)
            square = np.full_like(sizes, draw.image_size)
            return Windows(start, shape, square, np.zeros_like(sizes), square)
        case RandomCrop():
            return _random_crop(geometry, sizes, draw)
        case CenterCrop():
            resize = _in_proportion(geometry.resize, draw.image_size, geometry.size)
            resized = _squashed(sizes, resize) if geometry.squash else short_side_to(sizes, resize)
            return _cropped(sizes, resized, center(resized, draw.image_size), draw.image_size)


def evaluation_windows(evaluation: Evaluation, sizes: Pixels) -> Windows:
    """Return the windows of a protocol with one resize.

    A single crop is crop x crop. For ten crops it is the area they are cut from: the whole resized image,
    or with `central_square` its central resize x resize.
    """
    (resize,) = evaluation.resize
    resized = _squashed(sizes, resize) if evaluation.squash else short_side_to(sizes, resize)
    if evaluation.views == "single_crop":
        return _cropped(sizes, resized, center(resized, evaluation.crop), evaluation.crop)
    if evaluation.central_square:
        return _cropped(sizes, resized, center(resized, resize), resize)
    return Windows(np.zeros_like(sizes), sizes, resized, np.zeros_like(sizes), resized)


def short_side_to(sizes: Pixels, short: int | NDArray[np.integer[Any]]) -> Pixels:
    """Return sizes with the short side `short` (a number or (N,)) and the long side in proportion, cut down.

    As torchvision's Resize: int(short * long / short side), never rounded up.
    """
    sides = sizes.astype(np.int64)
    resized = np.broadcast_to(short, len(sides))[:, None] * sides // sides.min(1, keepdims=True)
    return resized.astype(np.int32)


def center(sizes: Pixels, crop: int) -> Pixels:
    """Return the (y, x) of the central crop x crop, half to even; negative where the image is smaller.

    As torchvision's CenterCrop, which pads (crop - side) // 2 before an image that is too small.
    """
    inside = np.rint((sizes - crop) / 2).astype(np.int32)
    return np.where(sizes < crop, -((crop - sizes) // 2), inside).astype(np.int32)


def _random_crop(geometry: RandomCrop, sizes: Pixels, draw: Draw) -> Windows:
    least, most = (_in_proportion(side, draw.image_size, geometry.size) for side in geometry.resize)
    u = draw.uniforms(Stream.CROP, 3)
    short = least + np.floor(u[:, 0] * (most - least + 1)).astype(np.int32)
    resized = short_side_to(sizes, short)
    area = np.stack([short, short], 1) if geometry.central_square else resized
    room = area - draw.image_size
    inside = np.rint((resized - area) / 2) + np.floor(u[:, 1:] * (room + 1))
    start = np.where(room < 0, center(resized, draw.image_size), inside).astype(np.int32)
    return _cropped(sizes, resized, start, draw.image_size)


def _cropped(sizes: Pixels, resized: Pixels, start: Pixels, crop: int) -> Windows:
    return Windows(np.zeros_like(sizes), sizes, resized, start, np.full_like(sizes, crop))


def _squashed(sizes: Pixels, side: int) -> Pixels:
    return np.full_like(sizes, side)


def _in_proportion(resize: int, image_size: int, recipe_size: int) -> int:
    """Return resize * image_size / recipe_size, half up, in whole numbers."""
    return (2 * resize * image_size + recipe_size) // (2 * recipe_size)


# ---------------------------------------------------------------- windows of random area and aspect


def _random_windows(geometry: RandomResizedCrop, sizes: Pixels, draw: Draw) -> tuple[Pixels, Pixels]:
    """Return the (start, shape) of one random window per image: the first of `attempts` that fits.

    Every attempt has its own columns of one stream, the last two are the position.
    """
    tries = geometry.attempts
    u = draw.uniforms(Stream.CROP, 3 * tries + 2)
    first, second, third = u[:, :tries], u[:, tries : 2 * tries], u[:, 2 * tries : 3 * tries]
    image = sizes.astype(np.float64)
    match geometry.rule:
        case "torchvision":
            low, high = np.log(geometry.ratio)
            h, w = _area_and_ratio(geometry, image, first, np.exp(low + (high - low) * second))
            fallback = _widest_within(geometry.ratio, image)
        case "linear":
            low, high = geometry.ratio
            h, w = _area_and_ratio(geometry, image, first, low + (high - low) * second)
            swap = third < 0.5  # ucbdrive/dla:data_transforms.py
            h, w = np.where(swap, w, h), np.where(swap, h, w)
            fallback = np.repeat(image.min(1, keepdims=True), 2, axis=1)
        case "tensorflow":
            h, w = _distorted_boxes(geometry, sizes, first, second)
            fallback = _padded_center(image, draw.image_size)
    shape, found = _first_that_fits(h, w, image)
    if geometry.rule == "tensorflow":  # preprocess_legacy.py takes the whole image for a failure
        found &= (shape != image).any(1)
    shape = np.where(found[:, None], shape, fallback)
    room = image - shape
    # tf's Uniform(n) is never n, so its window does not touch the far edge; elsewhere it may.
    places = room if geometry.rule == "tensorflow" else room + 1
    middle = (room + 1) // 2 if geometry.rule == "tensorflow" else room // 2
    start = np.where(found[:, None], np.floor(u[:, -2:] * places), middle)
    return start.astype(np.int32), shape.astype(np.int32)


def _area_and_ratio(
    geometry: RandomResizedCrop, image: Floats, u: Floats, ratio: Floats
) -> tuple[Floats, Floats]:
    """Return the height and width, (N, attempts), of windows of a uniform share of the area."""
    least, most = geometry.area
    area = image.prod(1, keepdims=True) * (least + (most - least) * u)
    return np.rint(np.sqrt(area / ratio)), np.rint(np.sqrt(area * ratio))


def _first_that_fits(h: Floats, w: Floats, image: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the first column's window (N, 2) that lies within the image, and whether there is one."""
    fits = (h > 0) & (w > 0) & (h <= image[:, :1]) & (w <= image[:, 1:])
    column = fits.argmax(1)[:, None]
    return np.concatenate([np.take_along_axis(side, column, 1) for side in (h, w)], axis=1), fits.any(1)


def _widest_within(ratio: tuple[float, float], image: Floats) -> Floats:
    """Return the largest central window within the ratios (torchvision's fallback)."""
    height, width = image[:, 0], image[:, 1]
    least, most = ratio
    h = np.where(width / height < least, np.rint(width / least), height)
    w = np.where(width / height > most, np.rint(height * most), width)
    return np.stack([h, w], 1)


def _distorted_boxes(
    geometry: RandomResizedCrop, sizes: Pixels, u_ratio: Floats, u_height: Floats
) -> tuple[Floats, Floats]:
    """Return TensorFlow's height and width, (N, attempts); zero where an attempt fails.

    tensorflow/core/kernels/image/sample_distorted_bounding_box_op.cc, in its single precision: the ratio and
    then the height are uniform, so large areas are rarer than in torchvision's rule. A window that is the
    whole image counts as failed, as in preprocess_legacy.py, which then takes the central square.
    """
    image = sizes.astype(np.float32)
    height, width = image[:, :1], image[:, 1:]
    low, high = np.float32(geometry.ratio[0]), np.float32(geometry.ratio[1])
    ratio = u_ratio.astype(np.float32) * (high - low) + low
    least, most = (np.float32(share) * width * height for share in geometry.area)
    h_least, h_most = np.rint(np.sqrt(least / ratio)), np.rint(np.sqrt(most / ratio))
    widest = np.floor((width + np.float32(0.5)) / ratio)
    widest -= np.rint(widest * ratio) > width
    h_most = np.minimum(np.where(np.rint(h_most * ratio) > width, widest, h_most), height)
    h_least = np.minimum(h_least, h_most)
    h = h_least + np.floor(u_height * (h_most - h_least + 1)).astype(np.float32)
    h += np.rint(h * ratio) * h < least  # rounding put the area outside: one row more, or one less
    h -= np.rint(h * ratio) * h > most
    w = np.rint(h * ratio)
    area = w * h
    good = (area >= least) & (area <= most) & (area >= _MIN_COVERED * width * height)
    return np.where(good, h, 0), np.where(good, w, 0)


def _padded_center(image: Floats, image_size: int) -> Floats:
    """Return the central square's side twice: image_size / (image_size + 32) of the short side, cut down."""
    share = np.float32(image_size / (image_size + _CROP_PADDING))
    side = np.maximum(1, np.floor(share * image.min(1, keepdims=True).astype(np.float32)))
    return np.repeat(side, 2, axis=1)
