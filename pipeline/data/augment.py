"""A recipe's augmentations as operations of the loader: numbers drawn from counters, pixels made in DALI.

Whatever changes pixels is drawn as a program (`augment_program`), a few steps an image, and all images run
through compiled code on the CPU, one node of the graph (`augment_cpu`), and through torch on a GPU, after the
graph (`augment_torch`, `tail`).
Nothing branches in DALI. Magnitudes are numbers inside the batch: a stage changes them, nothing is rebuilt.

Not here: flips and crops (the loader's), mixing of images (`pipeline.mixing`), noise in erased boxes
(`augment_erasing`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.data import augment_draw
from pipeline.data.augment_erasing import erasing_boxes
from pipeline.data.augment_program import Program
from pipeline.data.operation import DataNode, Draw, Operation
from pipeline.data.sampling import Stream
from recipes.schema import (
    Augment,
    AutoAugment,
    ColorJitter,
    Data,
    Lighting,
    PixelJitter,
    RandAugment,
    RandomErasing,
    Rotation,
    TrivialAugment,
)


def operation(augment: Augment, data: Data) -> Operation:
    """Return the operation of one augmentation; `data` is the recipe's, whose crop and mean some depend on.

    Raises TypeError for a geometry or a flip, which are not operations but the loader's own.
    """
    match augment:
        case Lighting():
            return LightingOperation(augment)
        case PixelJitter():
            return PixelJitterOperation(augment, channels=len(data.normalize.mean))
        case RandomErasing():
            return ErasingOperation(augment)
        case RandAugment():
            return ProgramOperation(partial(augment_draw.randaugment, augment, data))
        case AutoAugment():
            return ProgramOperation(partial(augment_draw.autoaugment, augment))
        case TrivialAugment():
            return ProgramOperation(partial(augment_draw.trivialaugment, data))
        case ColorJitter():
            return ProgramOperation(partial(augment_draw.color_jitter, augment))
        case Rotation():
            return ProgramOperation(partial(augment_draw.rotation, augment, data))
    raise TypeError(f"{augment} is not an operation: the loader itself crops and flips")


@dataclass(frozen=True)
class ProgramOperation:
    """Changes pixels as `program` says: a function from a draw to (N, steps, WIDTH)."""

    program: Callable[[Draw], Program]
    where: Literal["pixels"] = "pixels"

    def draw(self, draw: Draw) -> list[NDArray[Any]]:
        return [self.program(draw)]

    def graph(self, images: DataNode, inputs: list[DataNode]) -> DataNode:
        from nvidia.dali import fn

        return fn.reinterpret(_compiled_operator()(images, inputs[0]), layout="HWC")


@dataclass(frozen=True)
class LightingOperation:
    """AlexNet's colour shift, folded into the mean that normalization subtracts: no pass over the pixels."""

    lighting: Lighting
    where: Literal["mean"] = "mean"

    def draw(self, draw: Draw) -> list[NDArray[Any]]:
        # To add to the pixels is to subtract from the mean.
        return [-augment_draw.lighting_shift(self.lighting, draw).astype(np.float32)]

    def graph(self, images: DataNode, inputs: list[DataNode]) -> DataNode:
        raise NotImplementedError("lighting has no graph: it is part of the mean")


@dataclass(frozen=True)
class PixelJitterOperation:
    """A shift of all pixels by one number an image, folded into the mean that normalization subtracts."""

    jitter: PixelJitter
    channels: int
    where: Literal["mean"] = "mean"

    def draw(self, draw: Draw) -> list[NDArray[Any]]:
        shift = (2 * draw.uniforms(Stream.JITTER, 1) - 1) * self.jitter.shift
        return [np.repeat(-shift, self.channels, axis=1).astype(np.float32)]

    def graph(self, images: DataNode, inputs: list[DataNode]) -> DataNode:
        raise NotImplementedError("jitter has no graph: it is part of the mean")


@dataclass(frozen=True)
class ErasingOperation:
    """A box of zeros after normalization.

    For `fill="noise"` the loader then fills that box with `augment_erasing.fill_with_noise`.
    """

    erasing: RandomErasing
    where: Literal["normalized"] = "normalized"

    def draw(self, draw: Draw) -> list[NDArray[Any]]:
        boxes = erasing_boxes(self.erasing, draw)
        return [boxes[:, :2].astype(np.float32), (boxes[:, 2:] - boxes[:, :2]).astype(np.float32)]

    def graph(self, images: DataNode, inputs: list[DataNode]) -> DataNode:
        from nvidia.dali import fn

        anchor, shape = inputs
        return fn.erase(images, anchor=anchor, shape=shape, axis_names="HW", fill_value=0.0)


# ---------------------------------------------------------------- DALI


@cache
def _compiled_operator() -> Any:
    """Return the DALI operator that runs `augment_cpu.run`: in DALI's threads, one image each, no Python."""
    from nvidia.dali import types
    from nvidia.dali.plugin.numba import NumbaFunction

    from pipeline.data import augment_cpu

    class Compiled(NumbaFunction):  # type: ignore[misc]  # untyped
        """The plugin as it is, but for the wrappers that it would compile for seconds at each start."""

        def _get_run_fn_cpu(self, *_: Any) -> int:
            return int(augment_cpu.run_sample.address)

        def _get_setup_fn_cpu(self, _: Any) -> int:
            return int(augment_cpu.set_shapes.address)

    return Compiled(
        run_fn=augment_cpu.run_sample,
        setup_fn=augment_cpu.set_shapes,
        out_types=[types.DALIDataType.UINT8],
        in_types=[types.DALIDataType.UINT8, types.DALIDataType.FLOAT64],
        outs_ndim=[3],
        ins_ndim=[3, 2],
    )
