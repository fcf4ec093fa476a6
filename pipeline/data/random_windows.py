"""Random windows of random area and aspect ratio, by the rules of torchvision, TensorFlow and DLA. numpy.

Sizes and positions are (height, width) and (y, x) in pixels.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.data.operation import Draw
from pipeline.data.sampling import Stream
from recipes.schema import RandomResizedCrop

Pixels = NDArray[np.int32]  # (N, 2)
Floats = NDArray[np.floating[Any]]

_CROP_PADDING = 32  # google/automl:efficientnetv2/preprocess_legacy.py, of the central square in training
_FEW_ATTEMPTS = 10  # drawn for every image; more only where none of them fits


def random_windows(geometry: RandomResizedCrop, sizes: Pixels, draw: Draw) -> tuple[Pixels, Pixels]:
    """Return the (start, shape) of one random window per image: the first of `attempts` that fits."""
    few = min(geometry.attempts, _FEW_ATTEMPTS)
    start, shape, found = _attempted(geometry, sizes, draw, few)
    if few < geometry.attempts and not found.all():
        rest = ~found
        others = replace(draw, indices=draw.indices[rest], repeats=draw.repeats[rest])
        start[rest], shape[rest], _ = _attempted(geometry, sizes[rest], others, geometry.attempts)
    return start, shape


def _attempted(
    geometry: RandomResizedCrop, sizes: Pixels, draw: Draw, attempts: int
) -> tuple[Pixels, Pixels, NDArray[np.bool_]]:
    """Return the (start, shape) of the first of `attempts` windows that fits, and whether one did.

    Two columns of one stream are the position, then every attempt has three of its own, so that a window
    does not depend on how many more attempts there might be.
    """
    u = draw.uniforms(Stream.CROP, 2 + 3 * attempts)
    first, second, third = (u[:, 2 + number :: 3] for number in range(3))
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
            whole = geometry.fallback == "whole"
            fallback = image if whole else padded_center(image, draw.image_size, _CROP_PADDING)
    shape, fits = _first_that_fits(h, w, image)
    found = fits
    if geometry.rule == "tensorflow":  # preprocess_legacy.py takes the whole image for a failure
        found = fits & (shape != image).any(1)
    shape = np.where(found[:, None], shape, fallback)
    room = image - shape
    # tf's Uniform(n) is never n, so its window does not touch the far edge; elsewhere it may.
    places = room if geometry.rule == "tensorflow" else room + 1
    middle = (room + 1) // 2 if geometry.rule == "tensorflow" else room // 2
    start = np.where(found[:, None], np.floor(u[:, :2] * places), middle)
    return start.astype(np.int32), shape.astype(np.int32), fits


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
    then the height are uniform, so large areas are rarer than in torchvision's rule.
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
    good = (area >= least) & (area <= most) & (area >= np.float32(geometry.covered) * width * height)
    return np.where(good, h, 0), np.where(good, w, 0)


def padded_center(image: Floats, image_size: int, margin: int) -> Floats:
    """Return the central square's side twice: image_size / (image_size + margin) of the short side, cut down.

    In single precision, as TensorFlow works it out.
    """
    share = np.float32(image_size / (image_size + margin))
    side = np.maximum(1, np.floor(share * image.min(1, keepdims=True).astype(np.float32)))
    return np.repeat(side, 2, axis=1)
