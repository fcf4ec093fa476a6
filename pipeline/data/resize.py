"""Evaluation's resize and crop, in torch: Pillow's arithmetic, borders included. Knows tensors and windows.

torch's antialiased resize of bytes weighs as Pillow does: at most 1 grey level from it (bilinear) and 2
(bicubic), in one pixel of 500. DALI's is further off (`graph.Training`) and no faster.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.data.geometry import Windows
from recipes.schema import Interpolation

_MODES = {"bilinear": "bilinear", "bicubic": "bicubic", "nearest": "nearest-exact"}


def resized_crops(
    images: list[Tensor], windows: Windows, interpolation: Interpolation, antialias: bool
) -> list[Tensor]:
    """Return images (C, h, w): the window of each, resized, then cropped; black where there is none.

    images: uint8 (H, W, C). antialias: with it the result is whole grey levels, as Pillow's; without it
    float32 and not rounded, as TensorFlow's: half-pixel centres, bicubic with a = -0.75 (Pillow: -0.5).
    """
    rows = zip(
        windows.start.tolist(),
        windows.shape.tolist(),
        windows.resize.tolist(),
        windows.crop_start.tolist(),
        windows.crop_shape.tolist(),
        strict=True,
    )
    crops = []
    for image, (start, shape, size, crop_start, crop_shape) in zip(images, rows, strict=True):
        window = image[start[0] : start[0] + shape[0], start[1] : start[1] + shape[1]].permute(2, 0, 1)
        crops.append(_crop(_resize(window, size, interpolation, antialias), crop_start, crop_shape))
    return crops


def normalized(images: list[Tensor], mean: Tensor, std: Tensor) -> Tensor:
    """Stack images (C, h, w) to float32 (N, C, H, W), normalized; zeros right and below smaller ones.

    mean, std: (C, 1, 1), of pixels on 0..255.
    """
    sizes = [image.shape[1:] for image in images]
    height, width = (max(sides) for sides in zip(*sizes, strict=True))
    if all(size == (height, width) for size in sizes):
        return torch.stack(images).float().sub_(mean).div_(std)
    stacked = torch.zeros(len(images), len(mean), height, width, device=mean.device)
    for place, image, (h, w) in zip(stacked, images, sizes, strict=True):
        place[:, :h, :w] = (image - mean) / std
    return stacked


def _resize(window: Tensor, size: list[int], interpolation: Interpolation, antialias: bool) -> Tensor:
    if list(window.shape[1:]) == size:
        return window
    options: dict[str, Any] = {"size": size, "mode": _MODES[interpolation]}
    if interpolation == "nearest":
        return functional.interpolate(window[None], **options)[0]
    if not antialias:
        return functional.interpolate(window[None].float(), **options)[0]
    if window.is_cuda:  # no kernel for bytes there
        resized = functional.interpolate(window[None].float(), antialias=True, **options)[0]
        return resized.round_().clamp_(0, 255)
    return functional.interpolate(window[None], antialias=True, **options)[0]


def _crop(image: Tensor, start: list[int], shape: list[int]) -> Tensor:
    top, left = start
    bottom, right = top + shape[0], left + shape[1]
    height, width = image.shape[1:]
    inside = image[:, max(top, 0) : min(bottom, height), max(left, 0) : min(right, width)]
    beyond = (max(-left, 0), max(right - width, 0), max(-top, 0), max(bottom - height, 0))
    return functional.pad(inside, beyond) if any(beyond) else inside
