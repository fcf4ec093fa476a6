"""Measuring networks under a protocol: every image once, written down image by image, summed over ranks.

Knows networks as functions, and the loader; not recipes' training, run folders or verdicts.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.data.loader import Areas, EvalLoader
from pipeline.errors import Top1Error
from pipeline.protocols import count_views
from pipeline.views import passes
from recipes.schema import Evaluation, Normalize

Forward = Callable[[Tensor], Tensor]
Reduce = Callable[[Tensor], Tensor]
Watch = Callable[[Iterable[Areas]], Iterable[Areas]]


@dataclass(frozen=True)
class Member:
    """One of the networks that are averaged, or the only one.

    forward: (N, C, H, W) float32, normalized as `normalize` says, -> scores (N, K), in evaluation mode.
    """

    forward: Forward
    normalize: Normalize


@dataclass(frozen=True)
class Outcomes:
    """What was said of each image of a split, in its order, on the CPU; each field (N,).

    labels, predicted: int64. confidence: of the predicted class, 0..1. in_top5: bool, whether the label is
    among the five most probable classes. loss: the label's negative log probability.
    """

    labels: Tensor
    predicted: Tensor
    confidence: Tensor
    in_top5: Tensor
    loss: Tensor

    @property
    def correct(self) -> Tensor:
        return self.predicted == self.labels


@dataclass(frozen=True)
class Score:
    """What an evaluation counted. top1, top5 and stderr (of top-1, binomial) are percent."""

    correct1: int
    correct5: int
    images: int
    loss: float
    seconds: float
    outcomes: Outcomes

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
    members: Sequence[Member],
    loader: EvalLoader,
    *,
    images: int,
    device: torch.device,
    most_images: int,
    reduce: Reduce = lambda total: total,
    watch: Watch = lambda batches: batches,
) -> Score:
    """Measure the networks' mean over this rank's part of a split, and the whole split with `reduce`.

    images: how many the whole set holds. most_images: crops in one pass. reduce: the sum over ranks.
    watch: passes this rank's batches on, and may raise between two of them.
    Raises Top1Error unless each of so many images was seen exactly once, and where scores are not finite: a
    number over other images is not printed.
    """
    start, split = time.monotonic(), loader.split
    # What each image got: times seen, predicted class, confidence, in the first five, loss. On exactly one
    # rank each, so that the sum over ranks is the whole table.
    table = torch.zeros(5, len(split), dtype=torch.float64, device=device)
    found = predictions(members, loader, device=device, most_images=most_images, watch=watch)
    # Nothing here waits for a GPU: while it sees one batch, the next is made.
    for indices, probabilities in found:
        labels = torch.from_numpy(split.labels[indices.numpy()]).to(device, non_blocking=True)
        table[:, indices.to(device, non_blocking=True)] += _rows(probabilities, labels)
    table = reduce(table).cpu()
    _check_counts(table, images)
    outcomes = Outcomes(
        torch.from_numpy(split.labels), table[1].long(), table[2].float(), table[3].bool(), table[4]
    )
    correct1, correct5 = int(outcomes.correct.sum()), int(outcomes.in_top5.sum())
    seconds = time.monotonic() - start
    return Score(correct1, correct5, len(split), table[4].mean().item(), seconds, outcomes)


def predictions(
    members: Sequence[Member],
    loader: EvalLoader,
    *,
    device: torch.device,
    most_images: int,
    watch: Watch = lambda batches: batches,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield of each batch the numbers of its images, (N,) on the CPU, and their class probabilities, (N, K)
    float64, the mean over members. Not always in the split's order.
    """
    most_pixels = most_images * loader.evaluation.crop**2
    scales = [pixel_scale(member.normalize, device) for member in members]
    with _no_benchmark_of_changing_shapes(loader.evaluation):
        for areas in watch(loader):
            found = [
                view_probabilities(member.forward, areas, loader.evaluation, scale, most_pixels)
                for member, scale in zip(members, scales, strict=True)
            ]
            yield areas.indices, torch.stack(found).mean(0)


def view_probabilities(
    forward: Forward,
    areas: Areas,
    evaluation: Evaluation,
    scale: tuple[Tensor, Tensor],
    most_pixels: int,
) -> Tensor:
    """Return class probabilities (N, K) in float64: a protocol's mean over the views of each image.

    scale: mean and deviation of pixels, (C, 1, 1) each, on the device.
    """
    total = torch.zeros(0)
    mean, std = scale
    for views, owners in passes(evaluation, areas.scales, most_pixels):
        scores = forward(views.to(mean.device, torch.float32).sub_(mean).div_(std)).double()
        values = scores.softmax(1) if evaluation.average == "probabilities" else scores
        if not len(total):
            total = values.new_zeros(len(areas.indices), values.shape[1])
        total.index_add_(0, torch.tensor(owners).to(values.device, non_blocking=True), values)
    means = total / count_views(evaluation)
    return means if evaluation.average == "probabilities" else means.softmax(1)


def pixel_scale(normalize: Normalize, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return mean and deviation as `view_probabilities` takes them."""
    mean, std = (torch.tensor(v, device=device)[:, None, None] for v in (normalize.mean, normalize.std))
    return mean, std


def _rows(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Return the rows of the table of some images, (5, N)."""
    confidence, ranked = probabilities.topk(min(5, probabilities.shape[1]), dim=1)
    hits = (ranked == labels[:, None]).any(1)
    picked = probabilities.gather(1, labels[:, None])[:, 0]
    loss = -picked.clamp_min(torch.finfo(torch.float32).tiny).log()
    return torch.stack(
        [torch.ones_like(picked), ranked[:, 0].double(), confidence[:, 0], hits.double(), loss]
    )


def _check_counts(table: Tensor, images: int) -> None:
    """Raise Top1Error unless every image was seen once and got finite scores."""
    seen = table[0]
    if len(seen) != images or not bool((seen == 1).all()):
        raise Top1Error(
            f"the evaluation saw {int(seen.sum())} images where the set has {images}, and "
            f"{int((seen != 1).sum())} of the split's not exactly once; no accuracy is reported. "
            "Run `top1 prep verify` on the data."
        )
    wrong = ~table.isfinite().all(0)
    if bool(wrong.any()):
        raise Top1Error(
            f"the network's scores of {int(wrong.sum())} of {images} images are not finite; no accuracy is "
            "reported. The weights have diverged, or the wrong normalization was given."
        )


@contextmanager
def _no_benchmark_of_changing_shapes(evaluation: Evaluation) -> Iterator[None]:
    """Keep cuDNN from timing its algorithms anew for each image shape of a dense protocol."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = before and evaluation.views != "dense"
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before
