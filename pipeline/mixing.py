"""Mixup and CutMix on the device: images and labels mixed within fixed blocks of the global batch.

A draw is a function of (seed, step, slot in the global batch), a partner stands in the same block of
consecutive slots: neither depends on ranks, micro-batches or accumulation, as long as no block straddles two
micro-batches. Knows no loader and no schedule.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import one_hot

from pipeline.data.sampling import Stream, uniforms
from recipes.schema import CutMix, Mixup, MixupCutMixHalves

Mixing = Mixup | CutMix | MixupCutMixHalves
Floats = NDArray[np.float64]


def mix(
    images: Tensor,
    labels: Tensor,
    mixing: Mixing,
    *,
    seed: int,
    step: int,
    first_slot: int,
    block: int,
    num_classes: int,
    label_smoothing: float = 0.0,
    mixup_alpha: float | None = None,
    cutmix_alpha: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Mix the images of one micro-batch in place and return (images, targets).

    images: (N, C, H, W), any float type. labels: (N,) integers, or (N, num_classes) whose rows sum to 1.
    first_slot: where the micro-batch begins in the global batch. block: slots that mix with each other; N and
    first_slot are multiples of it. mixup_alpha, cutmix_alpha: the stage's, instead of the recipe's; 0 is off.
    Targets are (N, num_classes) float32, smoothed, rows summing to 1.

    The partner is the block (of the halves: the half block) in reverse, as in
    google/automl:efficientnetv2/datasets.py, and every image has its own share, there as here. With both
    alphas above 0 (MixupCutMixHalves) the first half of a block is mixed up, the second cut.
    Raises ValueError where a block does not divide the micro-batch or has no two images to mix.
    """
    mixup_alpha, cutmix_alpha = _alphas(mixing, mixup_alpha, cutmix_alpha)
    targets = _targets(labels, num_classes, label_smoothing)
    if mixup_alpha == 0 and cutmix_alpha == 0:
        return images, targets
    kinds = int(mixup_alpha > 0) + int(cutmix_alpha > 0)
    if block < 2 * kinds or len(images) % block or first_slot % block:
        raise ValueError(
            f"{len(images)} images from slot {first_slot} on do not fall into blocks of {block}: both must "
            f"be multiples of the block, which must be at least {2 * kinds}"
        )
    slots = np.arange(first_slot, first_slot + len(images)).reshape(-1, block)
    cut = 0 if mixup_alpha == 0 else block // kinds  # where CutMix begins in each block
    parts = [tensor.unflatten(0, (-1, block)) for tensor in (images, targets)]  # views
    if mixup_alpha > 0:
        _mixup(*(part[:, :cut] for part in parts), _draws(seed, step, slots[:, :cut]), mixup_alpha)
    if cutmix_alpha > 0:
        _cutmix(*(part[:, cut:] for part in parts), _draws(seed, step, slots[:, cut:]), cutmix_alpha)
    return images, targets


def _alphas(mixing: Mixing, mixup: float | None, cutmix: float | None) -> tuple[float, float]:
    """Return the alphas of Mixup and CutMix; the stage's before the recipe's, 0 for what is not done."""
    match mixing:
        case Mixup():
            return mixing.alpha if mixup is None else mixup, 0.0
        case CutMix():
            return 0.0, mixing.alpha if cutmix is None else cutmix
    return (
        mixing.mixup_alpha if mixup is None else mixup,
        mixing.cutmix_alpha if cutmix is None else cutmix,
    )


def _targets(labels: Tensor, num_classes: int, smoothing: float) -> Tensor:
    """Return new (N, num_classes) float32: 1 - smoothing on the label, the rest spread over all classes."""
    exact = one_hot(labels, num_classes).float() if labels.ndim == 1 else labels.float()
    return exact * (1 - smoothing) + smoothing / num_classes


def _draws(seed: int, step: int, slots: NDArray[np.int64]) -> Floats:
    """Return four uniforms for each slot, (..., 4)."""
    return uniforms(seed, step, slots.reshape(-1), Stream.MIXING, 4).reshape(*slots.shape, 4)


def _mixup(images: Tensor, targets: Tensor, u: Floats, alpha: float) -> None:
    """Zhang et al. 2018, in place. images: (B, n, C, H, W), targets: (B, n, K), u: (B, n, 4)."""
    share = _symmetric_beta(u, alpha)
    share = np.maximum(share, 1 - share)  # automl datasets.py: the image's own share is the greater
    for tensor in (images, targets):
        _blend(tensor, tensor.flip(1), share)


def _cutmix(images: Tensor, targets: Tensor, u: Floats, alpha: float) -> None:
    """Yun et al. 2019, in place; labels by the area pasted, after the image's edge has cut the box."""
    height, width = images.shape[-2:]
    side = np.sqrt(1 - _symmetric_beta(u, alpha))
    top, bottom = _interval(u[..., 2], side, height)
    left, right = _interval(u[..., 3], side, width)
    inside_y, inside_x = _inside(top, bottom, height, images), _inside(left, right, width, images)
    box = inside_y[:, :, None, :, None] & inside_x[:, :, None, None, :]  # (B, n, 1, H, W)
    images.copy_(torch.where(box, images.flip(1), images))
    area = (bottom - top) * (right - left) / (height * width)
    _blend(targets, targets.flip(1), 1 - area)


def _interval(u: Floats, side: Floats, length: int) -> tuple[Floats, Floats]:
    """Return first and end of a side about a center drawn from all pixels (automl: cutmix_mask)."""
    center, half = np.floor(u * length), np.floor(side * length) // 2
    return np.clip(center - half, 0, length), np.clip(center + half, 0, length)


def _inside(first: Floats, end: Floats, length: int, like: Tensor) -> Tensor:
    """Return which of 0 .. length - 1 lie in first <= i < end, (B, n, length), on the device of `like`."""
    at = torch.arange(length, device=like.device)
    first, end = (_sent(bound, like.device)[..., None] for bound in (first, end))
    return (at >= first) & (at < end)


def _blend(own: Tensor, other: Tensor, share: Floats) -> None:
    """Set own to share * own + (1 - share) * other; share is (B, n), the leading axes of both."""
    shape = (*share.shape, *[1] * (own.ndim - 2))
    of_own, of_other = (_sent(part.astype(np.float32), own.device).view(shape) for part in (share, 1 - share))
    own.mul_(of_own).add_(other.mul_(of_other))


def _sent(values: Floats, device: torch.device) -> Tensor:
    """Return an array on a device, without waiting for what that does meanwhile."""
    return torch.from_numpy(values).to(device, non_blocking=True)


def _symmetric_beta(u: Floats, alpha: float) -> Floats:
    """Return draws from Beta(alpha, alpha) for any alpha > 0, from two uniforms each, (..., 2 or more).

    Exact and without rejection: t = sqrt(2 alpha (U^(-1/alpha) - 1)) cos(2 pi V) is Student's t with 2 alpha
    degrees of freedom (Bailey 1994), and (1 + t / sqrt(2 alpha + t^2)) / 2 is Beta(alpha, alpha).
    """
    cos = np.cos(2 * np.pi * u[..., 1])
    with np.errstate(over="ignore", divide="ignore"):
        ratio = (np.power(1 - u[..., 0], -1 / alpha) - 1) * cos**2  # t^2 / (2 alpha)
        return (1 + np.sign(cos) / np.sqrt(1 + 1 / ratio)) / 2
