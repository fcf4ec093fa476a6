"""Random erasing: which box of an image goes, and noise for it on the device. From counters alone.

Zhong et al. 2020 as torchvision and timm have it; they agree but for the fill.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.data.operation import Draw
from pipeline.data.sampling import Stream
from recipes.schema import RandomErasing

_ATTEMPTS = 10  # torchvision RandomErasing.get_params, timm RandomErasing


def erasing_boxes(erasing: RandomErasing, draw: Draw) -> NDArray[np.int64]:
    """Return top, left, bottom, right of each image's box, (N, 4); all zeros where nothing is erased.

    A box is drawn at most ten times, until one is smaller than the image; none then is no erasing.
    """
    size = draw.image_size
    u = draw.uniforms(Stream.ERASING, 3 + 2 * _ATTEMPTS)
    least, most = erasing.area
    area = size * size * (least + (most - least) * u[:, 3 : 3 + _ATTEMPTS])
    narrow, wide = np.log(erasing.ratio)
    ratio = np.exp(narrow + (wide - narrow) * u[:, 3 + _ATTEMPTS :])
    height, width = np.rint(np.sqrt(area * ratio)), np.rint(np.sqrt(area / ratio))
    fits = (height < size) & (width < size)
    first = np.arange(len(u)), fits.argmax(axis=1)
    shape = np.stack([height[first], width[first]], axis=1)
    start = np.floor(u[:, 1:3] * (size - shape + 1))
    erased = (u[:, 0] < erasing.probability) & fits.any(axis=1)
    return np.where(erased[:, None], np.concatenate([start, start + shape], axis=1), 0).astype(np.int64)


def fill_with_noise(images: Tensor, erasing: RandomErasing, draw: Draw) -> Tensor:
    """Fill each image's erased box with standard normal noise, pixel by pixel; timm's mode "pixel".

    images: (N, C, H, W) on any device, normalized, changed in place. draw: that of these very images.
    The noise is a function of (seed, epoch, index, repeat, position): on one kind of device always the same.
    """
    boxes = erasing_boxes(erasing, draw)
    keys = (draw.uniforms(Stream.NOISE, 1)[:, 0] * 2.0**53).astype(np.int64)
    for number in np.flatnonzero(boxes[:, 2]):
        top, left, bottom, right = boxes[number]
        box = images[number, :, top:bottom, left:right]
        box.copy_(_normals(int(keys[number]), box.numel(), images.device).view(box.shape))
    return images


def _normals(key: int, count: int, device: torch.device) -> Tensor:
    """Return (count,) standard normals, float32, made on the device from a counter."""
    words = _mix(torch.arange(count, device=device) ^ key)
    radius = ((words >> 40) & 0xFFFFFF).float() * 2.0**-24  # 24 bits are all that single precision holds
    angle = ((words >> 16) & 0xFFFFFF).float() * 2.0**-24
    return torch.sqrt(-2 * torch.log(1 - radius)) * torch.cos(2 * torch.pi * angle)


def _mix(word: Tensor) -> Tensor:
    """SplitMix64's step as in `sampling`, in torch: int64 wraps around, and its shifts copy the sign."""
    word = word + _signed(0x9E3779B97F4A7C15)
    word = (word ^ ((word >> 30) & ((1 << 34) - 1))) * _signed(0xBF58476D1CE4E5B9)
    word = (word ^ ((word >> 27) & ((1 << 37) - 1))) * _signed(0x94D049BB133111EB)
    return word ^ ((word >> 31) & ((1 << 33) - 1))


def _signed(word: int) -> int:
    return word - (1 << 64)
