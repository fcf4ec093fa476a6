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
from pipeline.data.random_windows import Pixels, padded_center, random_windows
from pipeline.data.sampling import Stream
from recipes.schema import CenterCrop, Evaluation, Geometry, RandomCrop, RandomResizedCrop

_CENTRAL_FRACTION = 0.875  # tensorflow/models:research/slim/preprocessing/inception_preprocessing.py


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
            start, shape = random_windows(geometry, sizes, draw)
            square = np.full_like(sizes, draw.image_size)
            return Windows(start, shape, square, np.zeros_like(sizes), square)
        case RandomCrop():
            return _random_crop(geometry, sizes, draw)
        case CenterCrop():
            resize = _in_proportion(geometry.resize, draw.image_size, geometry.size)
            resized = _squashed(sizes, resize) if geometry.squash else short_side_to(sizes, resize)
            return _cropped(sizes, resized, center(resized, draw.image_size), draw.image_size)


def evaluation_windows(evaluation: Evaluation, sizes: Pixels, scale: int | None = None) -> Windows:
    """Return the windows of a protocol at one of its scales; the only one where it has one.

    A single crop is crop x crop. For other views it is the area they are taken from: the whole resized image,
    or with `central_square` its central resize x resize.
    """
    (resize,) = evaluation.resize if scale is None else (scale,)
    start, window = _evaluation_window(evaluation, sizes)
    squash = evaluation.squash or evaluation.window is not None
    resized = _squashed(sizes, resize) if squash else short_side_to(window, resize)
    crop_start, crop_shape = np.zeros_like(sizes), resized
    if evaluation.views == "single_crop" or evaluation.central_square:
        side = evaluation.crop if evaluation.views == "single_crop" else resize
        crop_start, crop_shape = center(resized, side), np.full_like(sizes, side)
    return Windows(start, window, resized, crop_start, crop_shape)


def _evaluation_window(evaluation: Evaluation, sizes: Pixels) -> tuple[Pixels, Pixels]:
    """Return the (start, shape) of the source that is resized."""
    match evaluation.window:
        case None:
            return np.zeros_like(sizes), sizes
        case "inception":  # tf.image.central_crop
            start = ((sizes - sizes * _CENTRAL_FRACTION) / 2).astype(np.int32)
            return start, sizes - 2 * start
        case "efficientnet" | "efficientnet_v2" as code:
            shape = padded_center(sizes.astype(np.float64), evaluation.crop, evaluation.margin)
            room = sizes - shape.astype(np.int32)
            return (room + (code == "efficientnet")) // 2, shape.astype(np.int32)


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
