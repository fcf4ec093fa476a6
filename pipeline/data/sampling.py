"""Which images a step sees, and every number drawn for them. Pure functions of counters; numpy, no DALI.

Nothing here has a history: the order of an epoch is a function of (seed, epoch), a draw is a function of
(seed, epoch, image, repeat, stream). A run is resumed, or moved to other hardware, by naming the step.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.errors import Top1Error

Indices = NDArray[np.int64]

_MINIVAL_EPOCH = 2**64 - 1  # an epoch no run reaches, so that the split is no epoch's order


class Stream(IntEnum):
    """What a draw is for. A new use gets a new number; the numbers of the others never change."""

    CROP = 1
    FLIP = 2
    RANDAUGMENT = 3
    ERASING = 4
    COLOR = 5
    LIGHTING = 6
    AUTOAUGMENT = 7
    TRIVIALAUGMENT = 8
    ROTATION = 9
    NOISE = 10
    MIXING = 11
    JITTER = 12


@dataclass(frozen=True)
class Shard:
    """One process's part of every global batch: rank of world, images per pass, passes per step."""

    rank: int
    world: int
    micro_batch: int
    accumulation: int = 1

    @property
    def batch_size(self) -> int:
        """Images of one optimizer step over all ranks."""
        return self.micro_batch * self.world * self.accumulation

    def piece(self, micro_step: int) -> slice:
        """The slots of the global batch that this rank sees in pass `micro_step` of a step.

        The batch is cut into accumulation x world contiguous pieces of micro_batch; pass a of rank r is
        piece a * world + r. At a fixed micro_batch the pieces are therefore the same at any world size.
        """
        first = (micro_step * self.world + self.rank) * self.micro_batch
        return slice(first, first + self.micro_batch)


def epoch_order(seed: int, epoch: int, images: int, repeats: int = 1) -> Indices:
    """Return the order of an epoch: (images,) indices.

    The stable argsort of raw Philox words: raw words are the same in every numpy version, while
    `Generator.permutation` may change.

    repeats: repeated augmentation (Berman et al. 2019): each image comes `repeats` times in a row, with
    its own draws (`repeat_numbers`). An epoch still shows `images` images, hence images / repeats
    different ones.
    """
    words = np.random.Philox(key=np.array([seed, epoch], np.uint64)).random_raw(images)
    order = np.argsort(words, kind="stable").astype(np.int64, copy=False)
    return order if repeats == 1 else np.repeat(order[: -(-images // repeats)], repeats)[:images]


def repeat_numbers(images: int, repeats: int) -> Indices:
    """Return which repeat each position of `epoch_order` is: 0 .. repeats - 1, over and over."""
    return np.arange(images, dtype=np.int64) % repeats


def steps_per_epoch(images: int, batch_size: int) -> int:
    """Return the steps of an epoch; the incomplete last global batch is dropped.

    Every epoch has another order, so the images dropped in one epoch have their turn in others.
    """
    if images < batch_size:
        raise Top1Error(
            f"the global batch of {batch_size} is more than the {images} training images there are: an epoch "
            "would have no step. Use a larger data set, or a recipe with a smaller batch (--tiny makes one)."
        )
    return images // batch_size


def step_images(order: Indices, step_in_epoch: int, batch_size: int) -> Indices:
    """Return the global batch of a step: (batch_size,) indices, a slice of the epoch's order."""
    return order[step_in_epoch * batch_size : (step_in_epoch + 1) * batch_size]


def minival_split(images: int, held_out: int, seed: int = 0) -> tuple[Indices, Indices]:
    """Split a training set into (train, minival) indices, both ascending; the same at every call.

    held_out: images of the minival set, e.g. 10,000 (EfficientNetV2, section 4.1: 10k of the training set).
    """
    order = epoch_order(seed, _MINIVAL_EPOCH, images)
    return np.sort(order[held_out:]), np.sort(order[:held_out])


def uniforms(
    seed: int, epoch: int, indices: ArrayLike, stream: int, count: int, repeat: ArrayLike = 0
) -> NDArray[np.float64]:
    """Return (N, count) uniforms in [0, 1), row i a function of (seed, epoch, indices[i], repeat, stream).

    indices: (N,) image numbers. repeat: a number or (N,) numbers. More columns never change the first ones.
    """
    key = _mix(_mix(_mix(_word(seed)) ^ _word(epoch)) ^ _word(stream))
    key = _mix(_mix(key ^ _word(indices)) ^ _word(repeat))  # (N,)
    columns = _mix(np.arange(count, dtype=np.uint64))
    words = _mix(np.atleast_1d(key)[:, None] ^ columns[None, :])
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53  # the upper 53 bits, all a double holds


def _word(value: ArrayLike) -> NDArray[np.uint64]:
    return np.asarray(value).astype(np.uint64)


def _mix(word: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's step (Steele, Lea and Flood 2014): a bijection of words that scatters any change."""
    with np.errstate(over="ignore"):
        word = word + np.uint64(0x9E3779B97F4A7C15)
        word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return word ^ (word >> np.uint64(31))
