"""What is done to the pixels of an image, written as numbers: a program of a few steps, one row each.

Every augmentation of pixels is a program; it is drawn in numpy (`augment`) and run by `augment_cpu` or
`augment_torch`, which know nothing of policies. Nothing here knows recipes, draws or DALI.

PIL means Pillow, TF means TensorFlow and its Addons as google/automl:efficientnetv2/autoaugment.py uses them.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

Program = NDArray[np.float64]  # (..., steps, WIDTH): code, then its parameters, then zeros

WIDTH = 10


class Code(IntEnum):
    """The kinds of steps; after each its parameters. x is a pixel's value in one channel, 0..255.

    Up to CONTRAST all are tables: the new value depends on the old value and the channel alone.
    """

    KEEP = 0  # nothing is changed
    AUTOCONTRAST = 1  # single: 1 computes in single precision (TF), 0 in double (PIL)
    EQUALIZE = 2
    POSTERIZE = 3  # bits kept, 0..8
    SOLARIZE = 4  # threshold: x below it stays, else 255 - x; 0 inverts
    SOLARIZE_ADD = 5  # addition to x below 128
    BLEND = 6  # factor, level: level + factor * (x - level)
    CONTRAST = 7  # factor: BLEND with the mean of the grey image (PIL)
    SATURATION = 8  # factor, tf: blend with the grey image, grey as TF computes it or as PIL
    SHARPNESS = 9  # factor, tf: blend with the smoothed image, rounded down (TF) or to nearest (PIL)
    HUE = 10  # shift of PIL's 8-bit hue, 0..255
    TF_NEAREST = 11  # a b c d e f, red green blue: output (x, y) is the pixel nearest (ax+by+c, dx+ey+f)
    NEAREST = 12  # the same nine, as PIL: (x, y) are pixel centers, at halves
    BILINEAR = 13
    BICUBIC = 14
    FILL = 15  # top, left, bottom, right, red, green, blue: a box of one color


def step(code: Code, *parameters: ArrayLike) -> Program:
    """Return one step, (WIDTH,), or (N, WIDTH) where a parameter is (N,)."""
    shape = np.broadcast_shapes(*(np.shape(parameter) for parameter in parameters))
    row = np.zeros((*shape, WIDTH))
    row[..., 0] = code
    for column, parameter in enumerate(parameters, start=1):
        row[..., column] = parameter
    return row


def pil_rotation(degrees: ArrayLike, size: int) -> list[NDArray[np.float64]]:
    """Return a b c d e f of PIL's `Image.rotate`, counter-clockwise, for an image of size x size."""
    radians = -np.radians(degrees)
    cos, sin = _to_15_digits(np.cos(radians)), _to_15_digits(np.sin(radians))  # PIL does; 90 degrees is exact
    half = size / 2
    return [cos, sin, (-half * cos - half * sin) + half, -sin, cos, (half * sin - half * cos) + half]


def tf_rotation(degrees: float, size: int) -> list[np.float32]:
    """Return a b c d e f of TensorFlow Addons' `rotate`, in its precision and order of operations."""
    radians, last = np.float32(degrees) * np.float32(np.pi / 180), np.float32(size - 1)
    cos, sin = np.cos(radians), np.sin(radians)
    two = np.float32(2)
    x_offset = (last - (cos * last - sin * last)) / two
    y_offset = (last - (sin * last + cos * last)) / two
    return [cos, -sin, x_offset, sin, cos, y_offset]


# Python's round, as PIL: numpy's is off in the last bit.
_to_15_digits = np.vectorize(lambda value: round(float(value), 15), otypes=[np.float64])
