"""Evaluation's resize and crop, in torch: Pillow's arithmetic, borders included. Knows tensors and windows.

torch's antialiased resize of bytes weighs as Pillow does, also where the filter reaches beyond the border.
On photographs all but 2 pixels in 10,000 are within 1 grey level of Pillow's (bilinear) or 5 (bicubic); in
the mean it is 0.002 off, or 0.1 where Pillow 13 resizes columns before rows. DALI's is 0.17 off, by 13 levels
at borders (`graph.Training`), and no faster.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from pipeline.data.geometry import Windows
from recipes.schema import Interpolation

_TOGETHER = 32  # images at most, on a GPU: 72 MB of 500 x 375 pixels in single precision


def resized_crops(
    images: list[Tensor], windows: Windows, interpolation: Interpolation, antialias: bool
) -> list[Tensor]:
    """Return images (C, h, w): the window of each, resized, then cropped; black where there is none.

    images: uint8 (H, W, C). antialias: with it the result is whole grey levels, as Pillow's; without it
    float32 and not rounded, as TensorFlow's: half-pixel centres, bicubic with a = -0.75 (Pillow: -0.5).
    """
    fields = (windows.start, windows.shape, windows.resize, windows.crop_start, windows.crop_shape)
    rows = np.stack(fields, 1).tolist()
    crops: dict[int, Tensor] = {}
    for numbers in _groups(images, rows):
        start, shape, size, crop_start, crop_shape = rows[numbers[0]]
        inside = slice(start[0], start[0] + shape[0]), slice(start[1], start[1] + shape[1])
        cut = [images[number][inside].permute(2, 0, 1) for number in numbers]
        window = torch.stack(cut) if len(cut) > 1 else cut[0][None]
        made = _crop(resized(window, size, interpolation, antialias), crop_start, crop_shape)
        crops.update(zip(numbers, made, strict=True))
    return [crops[number] for number in range(len(images))]


def _groups(images: list[Tensor], rows: list[list[list[int]]]) -> Iterable[list[int]]:
    """Return the numbers of images that are resized together: on a GPU those of the same windows.

    There it takes longer to begin with one than to do it; ImageNet's are of few sizes, most of them. Each
    pixel is worked out alike.
    """
    if not images[0].is_cuda:
        return [[number] for number in range(len(images))]
    alike: dict[str, list[int]] = {}
    for number, row in enumerate(rows):
        alike.setdefault(str(row), []).append(number)
    return [
        numbers[first : first + _TOGETHER]
        for numbers in alike.values()
        for first in range(0, len(numbers), _TOGETHER)
    ]


def resized(images: Tensor, size: list[int], interpolation: Interpolation, antialias: bool) -> Tensor:
    """Return an image (C, h, w), or several (N, C, h, w), uint8 or float32, at a size (height, width), as
    `resized_crops` has it.
    """
    if list(images.shape[-2:]) == size:
        return images if antialias else images.float()
    if interpolation == "nearest":
        rows, columns = (_nearest(n, m) for n, m in zip(images.shape[-2:], size, strict=True))
        return images[..., rows, :][..., columns]
    options: dict[str, Any] = {"size": size, "mode": interpolation, "antialias": antialias}
    # Bytes are resized as bytes, but not on a GPU, which has no such kernel, nor without antialias.
    as_bytes = antialias and not images.is_cuda
    several = images if images.dim() == 4 else images[None]
    made = functional.interpolate(several if as_bytes else several.float(), **options)
    made = made if as_bytes or not antialias else made.round_().clamp_(0, 255)
    return made if images.dim() == 4 else made[0]


def _nearest(length: int, size: int) -> NDArray[np.int64]:
    """Return which of `length` pixels Pillow takes for each of `size`: it adds steps up, in doubles."""
    steps = np.full(size, length / size)
    steps[0] /= 2
    return np.minimum(np.cumsum(steps).astype(np.int64), length - 1)


def _crop(image: Tensor, start: list[int], shape: list[int]) -> Tensor:
    top, left = start
    bottom, right = top + shape[0], left + shape[1]
    height, width = image.shape[-2:]
    inside = image[..., max(top, 0) : min(bottom, height), max(left, 0) : min(right, width)]
    beyond = (max(-left, 0), max(right - width, 0), max(-top, 0), max(bottom - height, 0))
    return functional.pad(inside, beyond) if any(beyond) else inside
