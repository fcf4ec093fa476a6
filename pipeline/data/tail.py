"""What is done to images on a GPU after DALI, in torch, where programs of augmentations are among it.

The steps of programs differ from image to image. DALI would hand Python each image and take each back, which
costs more than the steps. On the CPU all of this is in the graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.data.graph import Flip, Training
from pipeline.data.operation import Draw, Operation
from recipes.schema import Normalize


def cut(graph: Training) -> tuple[Training, Tail | None]:
    """Return the part of a graph that DALI is to do on a GPU, and the rest; None where DALI does all.

    All operations go where the programs are: DALI's flip before a program is a kernel an image.
    """
    if all(operation.where != "pixels" or isinstance(operation, Flip) for operation in graph.operations):
        return graph, None
    assert graph.normalize is not None
    return replace(graph, operations=(), normalize=None), Tail(graph.operations, graph.normalize)


@dataclass(frozen=True)
class Tail:
    """Operations in the recipe's order, and the normalization, which comes after those of pixels."""

    operations: Sequence[Operation]
    normalize: Normalize

    def images(self, images: Tensor, draw: Draw) -> Tensor:
        """Return float32 images (N, H, W, C) of uint8 ones. draw: that of these very images."""
        from pipeline.data.augment_torch import run

        drawn = [(operation, operation.draw(draw)) for operation in self.operations]
        mean = np.asarray([self.normalize.mean], np.float32)
        for operation, arrays in drawn:
            if operation.where == "mean":
                mean = mean + arrays[0]
            elif isinstance(operation, Flip):
                flips = _on(images, arrays[0] != 0)[:, None, None, None]
                images = torch.where(flips, images.flip(2), images)
            elif operation.where == "pixels":
                images = run(images, arrays[0])
        scale = 1 / np.asarray(self.normalize.std, np.float32)
        normalized = (images - _on(images, mean)[:, None, None]) * _on(images, scale)
        for operation, arrays in drawn:
            if operation.where == "normalized":
                _erase(normalized, *arrays)
        return normalized


def _erase(images: Tensor, start: NDArray[Any], shape: NDArray[Any]) -> None:
    """Make a box of each image (N, H, W, C) zero. start, shape: (N, 2), y before x."""
    first, end = (_on(images, edge)[:, :, None, None].unbind(1) for edge in (start, start + shape))
    y = torch.arange(images.shape[1], device=images.device)[:, None]
    x = torch.arange(images.shape[2], device=images.device)
    inside = (y >= first[0]) & (y < end[0]) & (x >= first[1]) & (x < end[1])
    images.masked_fill_(inside[..., None], 0.0)


def _on(images: Tensor, array: NDArray[Any]) -> Tensor:
    """Return an array on the device of images, without waiting for what that does meanwhile."""
    return torch.from_numpy(array).to(images.device, non_blocking=True)
