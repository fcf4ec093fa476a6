"""Measuring a network under a protocol: every image once, counted in integers, summed over ranks.

Knows networks and loaders; not recipes' training, run folders or verdicts.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.data.loader import Batch
from pipeline.errors import Top1Error
from recipes.schema import Evaluation

Forward = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Score:
    """What an evaluation counted. top1, top5 and stderr (of top-1, binomial) are percent."""

    correct1: int
    correct5: int
    images: int
    loss: float
    seconds: float

    @property
    def top1(self) -> float:
        return 100 * self.correct1 / self.images

    @property
    def top5(self) -> float:
        return 100 * self.correct5 / self.images

    @property
    def stderr(self) -> float:
        share = self.correct1 / self.images
        return 100 * math.sqrt(share * (1 - share) / self.images)


@torch.inference_mode()
def evaluate(
    forward: Forward,
    batches: Iterable[Batch],
    evaluation: Evaluation,
    *,
    images: int,
    device: torch.device,
    reduce: Callable[[Tensor], Tensor] = lambda total: total,
) -> Score:
    """Count correct predictions over this rank's batches and sum the counts over ranks with `reduce`.

    forward: (N, C, H, W) -> logits (N, K), in evaluation mode.
    images: how many the whole set holds. Raises Top1Error unless exactly so many were seen: a number
    over other images is not printed.
    """
    start = time.monotonic()
    total = torch.zeros(3, dtype=torch.int64, device=device)
    loss = torch.zeros(1, dtype=torch.float64, device=device)
    for batch in batches:
        labels = batch.labels.to(device)
        probabilities = view_probabilities(forward, batch.images.to(device), evaluation)
        total += _counts(probabilities, labels)
        picked = probabilities.gather(1, labels[:, None]).clamp_min(torch.finfo(torch.float32).tiny)
        loss -= picked.double().log().sum()
    total, loss = reduce(total), reduce(loss)
    correct1, correct5, seen = total.tolist()
    if seen != images:
        raise Top1Error(
            f"the evaluation saw {seen} images where the set has {images}; no accuracy is reported. "
            "Run `top1 prep verify` on the data."
        )
    return Score(correct1, correct5, seen, loss.item() / seen, time.monotonic() - start)


def view_probabilities(forward: Forward, images: Tensor, evaluation: Evaluation) -> Tensor:
    """Return class probabilities (N, K) in float32: the mean of the softmax over the protocol's views."""
    views = ten_crops(images, evaluation.crop) if evaluation.views == "ten_crop" else [images]
    return torch.stack([forward(view).float().softmax(1) for view in views]).mean(0)


def ten_crops(images: Tensor, size: int) -> list[Tensor]:
    """Return four corners and the centre and their mirrors (Krizhevsky et al. 2012 §4.1).

    images: (N, C, H, W) with H and W at least `size`; ten tensors (N, C, size, size).
    The centre rounds half to even, like torchvision's CenterCrop.
    """
    bottom, right = images.shape[2] - size, images.shape[3] - size
    starts = [(0, 0), (0, right), (bottom, 0), (bottom, right), (round(bottom / 2), round(right / 2))]
    crops = [images[:, :, y : y + size, x : x + size] for y, x in starts]
    return [view for crop in crops for view in (crop, crop.flip(3))]


def _counts(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Return (correct among the first, among the first five, images) as integers."""
    ranked = probabilities.topk(min(5, probabilities.shape[1]), dim=1).indices
    hits = ranked == labels[:, None]
    return torch.stack([hits[:, 0].sum(), hits.sum(), torch.tensor(len(labels), device=hits.device)])
