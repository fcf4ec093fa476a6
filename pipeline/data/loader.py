"""Batches of a run: which images (sampling), which windows (geometry), which pixels (graph), joined here.

A loader has no state that a checkpoint would need: `batches(first_step, end_step)` is the same whatever came
before, at any world size, thread count and prefetch depth.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Literal

import numpy as np
import torch

from pipeline.data.ahead import made_ahead
from pipeline.data.augment_erasing import fill_with_noise
from pipeline.data.bad_files import UNREADABLE, BadFile, most_bad_files, too_many
from pipeline.data.feed import Chunk, Feed
from pipeline.data.geometry import Windows, evaluation_windows, train_windows
from pipeline.data.graph import Decoding, Device, training_graph
from pipeline.data.operation import Draw
from pipeline.data.resize import resized_crops
from pipeline.data.sampling import Indices, Shard, epoch_order, repeat_numbers, steps_per_epoch
from pipeline.data.split import Split
from pipeline.data.tail import cut
from pipeline.errors import Top1Error
from pipeline.progressive import Stage
from recipes.schema import (
    Data,
    Evaluation,
    RandomErasing,
)

__all__ = ["Areas", "Batch", "EvalLoader", "Shard", "TrainLoader"]

# Small micro-batches are made together: a DALI batch costs about a millisecond however small it is.
_IMAGES_TOGETHER = 64


@dataclass
class Batch:
    """Images of one forward pass.

    images: (N, C, H, W) float32. labels: (N,) int64, on the images' device. indices: (N,) int64, the
    numbers in the split of the images seen, a bad file's being that of its substitute. step: the optimizer
    step.
    """

    images: torch.Tensor
    labels: torch.Tensor
    indices: torch.Tensor
    step: int


@dataclass
class Areas:
    """Images to be measured, each decoded once and at every scale of the protocol, not yet normalized.

    scales: for each scale the images, (C, h, w) of whole grey levels, uint8 or float32, each of its own size
    where views are taken from whole images. indices: (N,) int64, their numbers in the split.
    """

    scales: list[list[torch.Tensor]]
    indices: torch.Tensor


class TrainLoader:
    """This rank's part of every global batch of a run.

    stages: cover every step that will be asked for; they give the image size and the RandAugment magnitude.
    repeats: times each image comes in a row (repeated augmentation).
    max_bad_share: the share of the split's images (one at least) that may fail to decode; one more raises
    Top1Error. on_bad_file: is told of each that this rank meets once, in the thread that makes batches, and
    returns how many all ranks have met.
    """

    def __init__(
        self,
        split: Split,
        data: Data,
        stages: Sequence[Stage],
        *,
        seed: int,
        batch_size: int,
        shard: Shard,
        device_id: int | None = None,
        threads: int = 1,
        prefetch: int = 2,
        repeats: int = 1,
        max_bad_share: float = 0.001,
        on_bad_file: Callable[[BadFile], int] | None = None,
    ) -> None:
        if shard.batch_size != batch_size:
            raise ValueError(f"{shard} makes batches of {shard.batch_size}, not {batch_size}")
        self.steps_per_epoch = steps_per_epoch(len(split), batch_size)
        self.bad_files: dict[int, BadFile] = {}  # by index, as met
        self._split = split
        self._data = data
        self._stages = tuple(stages)
        self._first_steps = [stage.first_step for stage in stages]
        self._seed = seed
        self._shard = shard
        self._repeats = repeats
        self._max_bad_share = max_bad_share
        self._on_bad_file = on_bad_file
        # The graph erases with zeros; noise is made where the images are.
        self._noisy = [a for a in data.augment if isinstance(a, RandomErasing) and a.fill == "noise"]
        self._passes_together = max(1, _IMAGES_TOGETHER // shard.micro_batch)
        graph, self._tail = training_graph(data), None
        if device_id is not None:
            graph, self._tail = cut(graph)
        self._device_id = device_id
        self._feed = Feed(
            split,
            graph,
            self._windows,
            self._note_bad_file,
            Device(device_id, threads, prefetch),
            most_images=self._passes_together * shard.micro_batch,
        )

    def batches(self, first_step: int, end_step: int) -> Generator[Batch, None, None]:
        """Yield the micro-batches of steps first_step <= step < end_step, `accumulation` of them a step.

        Epochs follow each other without a pause. The iterator may be left at any point.
        """
        made = self._made(first_step, end_step)
        with closing(made if self._device_id is None else made_ahead(made, self._device_id)) as finished:
            for chunk, images in finished:
                labels, indices = _labels(self._split, chunk, images), torch.from_numpy(chunk.draw.indices)
                for number, step in enumerate(chunk.steps):
                    part = slice(number * self._shard.micro_batch, (number + 1) * self._shard.micro_batch)
                    yield Batch(images[part], labels[part], indices[part], step)

    def _made(self, first_step: int, end_step: int) -> Generator[tuple[Chunk, torch.Tensor], None, None]:
        """Yield chunks and their finished images (N, C, H, W)."""
        with closing(self._feed.run(self._chunks(first_step, end_step))) as fed:
            for chunk, images in fed:
                if images.is_cuda:  # they leave this thread, and DALI's buffers must not
                    images = self._tail.images(images, chunk.draw) if self._tail else images.clone()
                    images = images.permute(0, 3, 1, 2)  # from (N, H, W, C); as a view they are channels_last
                for erasing in self._noisy:
                    fill_with_noise(images, erasing, chunk.draw)
                yield chunk, images

    def _chunks(self, first_step: int, end_step: int) -> Iterator[Chunk]:
        """Cut the passes of some steps into chunks; none reaches across an epoch or a stage."""
        passes = (
            (step, micro_step)
            for step in range(first_step, end_step)
            for micro_step in range(self._shard.accumulation)
        )
        for (epoch, stage), those in groupby(passes, lambda one: self._epoch_and_stage(one[0])):
            order = epoch_order(self._seed, epoch, len(self._split), self._repeats)
            repeats = repeat_numbers(len(order), self._repeats)
            while together := list(islice(those, self._passes_together)):
                slots = np.concatenate([self._slots(*one) for one in together])
                draw = Draw(
                    self._seed, epoch, order[slots], repeats[slots], stage.image_size, stage.randaugment
                )
                yield Chunk([step for step, _ in together], draw)

    def _epoch_and_stage(self, step: int) -> tuple[int, Stage]:
        stage = self._stages[bisect_right(self._first_steps, step) - 1]
        if not stage.first_step <= step < stage.end_step:
            raise ValueError(f"step {step} is in no stage; the stages end at {self._stages[-1].end_step}")
        return step // self.steps_per_epoch, stage

    def _slots(self, step: int, micro_step: int) -> Indices:
        """Return where in the epoch's order the images of one pass stand."""
        piece = self._shard.piece(micro_step)
        first = step % self.steps_per_epoch * self._shard.batch_size
        return np.arange(first + piece.start, first + piece.stop)

    def _windows(self, draw: Draw) -> Windows:
        return train_windows(self._data.geometry, self._split.sizes[draw.indices], draw)

    def _note_bad_file(self, bad: BadFile) -> None:
        if bad.index in self.bad_files:
            return
        self.bad_files[bad.index] = bad
        found, images = len(self.bad_files), len(self._split)
        if self._on_bad_file:
            found = self._on_bad_file(bad)
        if found > most_bad_files(images, self._max_bad_share):
            raise too_many(found, images, self._max_bad_share, bad)


class EvalLoader:
    """This rank's part of a split: over the ranks every image exactly once, the last batch short.

    evaluation: decides scales and areas; `pipeline.views` makes of an area what the network sees. Where whole
    images are seen, images of one size come together, so that few passes hold many.
    With more ranks than images some ranks yield nothing. An image that does not decode raises Top1Error: a
    number over the others would not be the set's.
    """

    def __init__(
        self,
        split: Split,
        color: Literal["rgb", "gray"],
        evaluation: Evaluation,
        *,
        batch: int,
        rank: int = 0,
        world: int = 1,
        device_id: int | None = None,
        threads: int = 1,
    ) -> None:
        self.split = split
        self.evaluation = evaluation
        self._batch = batch
        self._part = np.arange(rank * len(split) // world, (rank + 1) * len(split) // world)
        if evaluation.views == "dense":
            height, width = split.sizes[self._part].T
            self._part = self._part[np.lexsort((width, height))]
        self._feed = Feed(
            split,
            Decoding("image", color),
            # Not through self: in a cycle nothing of this, threads and open shards included, would be freed.
            lambda draw: evaluation_windows(evaluation, split.sizes[draw.indices], evaluation.resize[0]),
            _refuse_bad_file,
            Device(device_id, threads),
            most_images=batch,
        )

    def __len__(self) -> int:
        """Batches of this rank."""
        return -(-len(self._part) // self._batch)

    def __iter__(self) -> Iterator[Areas]:
        how = (self.evaluation.interpolation, self.evaluation.antialias)
        for chunk, images in self._feed.run(self._chunks()):
            sizes = self.split.sizes[chunk.draw.indices]
            scales = [
                resized_crops(images, evaluation_windows(self.evaluation, sizes, scale), *how)
                for scale in self.evaluation.resize
            ]
            yield Areas(scales, torch.from_numpy(chunk.draw.indices))

    def _chunks(self) -> Iterator[Chunk]:
        for first in range(0, len(self._part), self._batch):
            indices = self._part[first : first + self._batch]
            yield Chunk([first], Draw(0, 0, indices, np.zeros_like(indices), self.evaluation.crop))


def _refuse_bad_file(bad: BadFile) -> None:
    raise Top1Error(
        f"{bad.path} {UNREADABLE} ({bad.reason}); no accuracy is measured over the other images. Restore "
        "the file, or run `top1 prep verify` on the data to find all such files."
    )


def _labels(split: Split, chunk: Chunk, images: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(split.labels[chunk.draw.indices]).to(images.device, non_blocking=True)
