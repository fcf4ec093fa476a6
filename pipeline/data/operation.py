"""What the loader asks of an augmentation beyond geometry, flip and normalization.

An operation draws its numbers in numpy (`draw`), from counters alone, and turns them into pixels inside the
DALI graph (`graph`). The loader knows nothing else about it; `pipeline.data.augment` has the operations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.data.sampling import uniforms

DataNode = Any  # nvidia.dali.data_node.DataNode; named here so that drawing needs no DALI


@dataclass(frozen=True)
class Draw:
    """What the draws of some images are keyed by: all of one epoch and one stage.

    indices, repeats: (N,) int64. image_size: pixels, after the geometry.
    magnitude: the stage's RandAugment magnitude, None where the recipe's own holds.
    """

    seed: int
    epoch: int
    indices: NDArray[np.int64]
    repeats: NDArray[np.int64]
    image_size: int
    magnitude: float | None = None

    def uniforms(self, stream: int, count: int) -> NDArray[np.float64]:
        """Return (N, count) uniforms in [0, 1) for one `sampling.Stream`."""
        return uniforms(self.seed, self.epoch, self.indices, stream, count, self.repeats)


class Operation(Protocol):
    """One augmentation.

    where: "pixels" works on uint8 images (H, W, C) after resize and crop, in the recipe's order;
    "normalized" on float images (C, H, W) after normalization; "mean" has no graph: `draw` returns one
    float32 (N, C) array that is added to the mean which normalization subtracts (a colour brightened by d
    is an offset of -d).
    """

    @property
    def where(self) -> Literal["pixels", "mean", "normalized"]: ...

    def draw(self, draw: Draw) -> list[NDArray[Any]]:
        """Return arrays (N, ...); their number, dtypes and trailing shapes never change."""
        ...

    def graph(self, images: DataNode, inputs: list[DataNode]) -> DataNode:
        """Return the images changed; `inputs` are the arrays of `draw`, one node each, on the CPU."""
        ...
