"""The DALI graphs: encoded images and drawn numbers in, pixels out, on CPU or GPU alike.

No DALI random operator is in them: whatever is random arrives as an input, one row an image, so the pixels
of an image depend on nothing else. Sizes are inputs too; no graph is rebuilt for another image size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from nvidia.dali import fn, types

from pipeline.data.geometry import Windows, needs_crop
from pipeline.data.operation import DataNode, Draw, Operation
from pipeline.data.pillow import Content
from pipeline.data.sampling import Stream
from recipes.schema import Augment, Data, HorizontalFlip, Interpolation, Normalize, RandomResizedCrop

Row = list[Any]  # the inputs of one DALI batch: arrays whose first axis is the images, or lists of arrays

_INTERPOLATIONS = {
    "bilinear": types.DALIInterpType.INTERP_LINEAR,
    "bicubic": types.DALIInterpType.INTERP_CUBIC,
    "nearest": types.DALIInterpType.INTERP_NN,
}


@dataclass(frozen=True)
class Device:
    """Where a graph runs. device_id: the GPU, None for the CPU. threads: of the CPU part.

    prefetch: DALI batches made ahead of the consumer.
    """

    device_id: int | None = None
    threads: int = 1
    prefetch: int = 2


class Graph(Protocol):
    """What is done to every image of a loader.

    inputs: how many arrays a row has. stacks: whether the results of a batch are of one size.
    """

    @property
    def decoding(self) -> Decoding: ...

    @property
    def inputs(self) -> int: ...

    @property
    def stacks(self) -> bool: ...

    def row(self, contents: list[Content], windows: Windows, draw: Draw) -> Row:
        """Return the inputs of one batch, in the order in which `images` takes them."""
        ...

    def images(self, nodes: list[DataNode], device: Device) -> DataNode:
        """Return the images made from the inputs of `row`."""
        ...


@dataclass(frozen=True)
class Decoding:
    """Encoded images to pixels and no more: uint8 (H, W, C), each of its own size.

    part: "window" decodes the source window only, "image" all of it.
    """

    part: Literal["window", "image"]
    color: Literal["rgb", "gray"]
    stacks: bool = False

    @property
    def decoding(self) -> Decoding:
        return self

    @property
    def inputs(self) -> int:
        return 3 if self.part == "window" else 1

    def row(self, contents: list[Content], windows: Windows, draw: Draw | None = None) -> Row:
        return [contents, windows.start, windows.shape] if self.part == "window" else [contents]

    def images(self, nodes: list[DataNode], device: Device) -> DataNode:
        options: dict[str, Any] = {
            "device": "cpu" if device.device_id is None else "mixed",
            "output_type": types.DALIImageType.RGB if self.color == "rgb" else types.DALIImageType.GRAY,
            "adjust_orientation": False,  # as Pillow: an EXIF rotation is left as it is
            "jpeg_fancy_upsampling": True,  # as libjpeg, hence as the CPU decoder
        }
        if device.device_id is not None:
            # All to the JPEG engine where the GPU has one; DALI would give a third to CUDA, by 11 CPU cores.
            options["hw_decoder_load"] = 1.0
        if self.part == "image":
            return fn.decoders.image(nodes[0], **options)
        return _window(nodes, options, whole=device.device_id is not None)


def _window(nodes: list[DataNode], options: dict[str, Any], whole: bool) -> DataNode:
    """Decode a window of each image. whole: decode all of the image, then cut.

    nvJPEG before 13.2 does not upsample as libjpeg does in a window: DALI decodes it on the CPU then, at less
    than half of the engine's speed.
    """
    where = {"start": nodes[1], "shape": nodes[2], "axes": [0, 1]}
    if whole:
        return fn.slice(fn.decoders.image(nodes[0], **options), **where)
    return fn.decoders.image_slice(nodes[0], **where, **options)


@dataclass(frozen=True)
class Training:
    """The images of a training step: decoded, resized, cropped, augmented, normalized; float32 (C, H, W).

    A GPU makes them (H, W, C).

    crops: whether a crop follows the resize; elsewhere the resized window is the result.
    normalize: None leaves uint8 (H, W, C) to what comes after (`tail.py`).

    DALI resizes a window as if its outermost pixels went on beyond it, where Pillow leaves out what is
    beyond and weighs the rest more. Reducing, they therefore differ in the outermost row and column
    (bilinear; two of each for bicubic) by up to an eighth of the contrast there, on photographs 13 grey
    levels. Mending it costs 45 % of the throughput (zeros around the window, weights divided out), so
    training leaves it; evaluation resizes as Pillow does (`resize.py`).
    """

    decoding: Decoding
    crops: bool
    interpolation: Interpolation
    antialias: bool
    normalize: Normalize | None
    operations: tuple[Operation, ...] = ()
    stacks: bool = True

    @property
    def inputs(self) -> int:
        count = self.decoding.inputs + 1 + 2 * self.crops
        count += sum(_inputs_of(operation) for operation in self.operations if operation.where != "mean")
        return count + any(operation.where == "mean" for operation in self.operations)

    def row(self, contents: list[Content], windows: Windows, draw: Draw) -> Row:
        row = [*self.decoding.row(contents, windows), windows.resize.astype(np.float32)]
        row += [windows.crop_start, windows.crop_shape] if self.crops else []
        drawn = [(operation, operation.draw(draw)) for operation in self.operations]
        row += [array for operation, arrays in drawn if operation.where != "mean" for array in arrays]
        offsets = [arrays[0] for operation, arrays in drawn if operation.where == "mean"]
        mean = self.normalize.mean if self.normalize else ()
        return row + ([np.asarray(mean, np.float32) + sum(offsets)] if offsets else [])

    def images(self, nodes: list[DataNode], device: Device) -> DataNode:
        encoded, remaining = nodes[: self.decoding.inputs], iter(nodes[self.decoding.inputs :])
        images = self._resized(self.decoding.images(encoded, device), remaining)
        pixels, normalized = self._placed(remaining)
        mirror = 0
        if (
            self.normalize and pixels and isinstance(pixels[-1][0], Flip)
        ):  # the last of them costs nothing in the normalization
            mirror = pixels.pop()[1][0]
        for operation, inputs in pixels:
            images = operation.graph(images, inputs)
        if self.normalize is None:
            return images
        images = fn.crop_mirror_normalize(
            images,
            mirror=mirror,
            mean=next(remaining, list(self.normalize.mean)),
            std=list(self.normalize.std),
            dtype=types.DALIDataType.FLOAT,
            # As PyTorch's channels_last has it in memory: what convolutions on a GPU take.
            output_layout="CHW" if device.device_id is None else "HWC",
        )
        for operation, inputs in normalized:
            images = operation.graph(images, inputs)
        return images

    def _resized(self, images: DataNode, remaining: Iterator[DataNode]) -> DataNode:
        """Return uint8 images (H, W, C), resized and cropped."""
        kind = _INTERPOLATIONS[self.interpolation]
        images = fn.resize(images, size=next(remaining), interp_type=kind, antialias=self.antialias)
        if self.crops:
            start, shape = next(remaining), next(remaining)
            images = fn.slice(
                images, start=start, shape=shape, axes=[0, 1], out_of_bounds_policy="pad", fill_values=0
            )
        return images

    def _placed(self, remaining: Iterator[DataNode]) -> tuple[list[Any], list[Any]]:
        """Return the (operation, its inputs) before and after the normalization."""
        placed: dict[str, list[Any]] = {"pixels": [], "normalized": []}
        for operation in self.operations:
            if operation.where != "mean":
                inputs = [next(remaining) for _ in range(_inputs_of(operation))]
                placed[operation.where].append((operation, inputs))
        return placed["pixels"], placed["normalized"]


@dataclass(frozen=True)
class Flip:
    """Mirror left-right with this probability; an operation like those of `pipeline.data.augment`."""

    probability: float
    where: Literal["pixels"] = "pixels"

    def draw(self, draw: Draw) -> list[NDArray[Any]]:
        return [(draw.uniforms(Stream.FLIP, 1)[:, 0] < self.probability).astype(np.int32)]

    def graph(self, images: DataNode, inputs: list[DataNode]) -> DataNode:
        return fn.flip(images, horizontal=inputs[0], vertical=0)


def training_graph(data: Data) -> Training:
    """Return the graph of a recipe's geometry, augmentations and normalization."""
    geometry = data.geometry
    return Training(
        decoding=Decoding("window" if isinstance(geometry, RandomResizedCrop) else "image", data.color),
        crops=needs_crop(geometry),
        interpolation=geometry.interpolation,
        antialias=geometry.antialias,
        normalize=data.normalize,
        operations=tuple(_operation(augment, data) for augment in data.augment[1:]),
    )


def _operation(augment: Augment, data: Data) -> Operation:
    if isinstance(augment, HorizontalFlip):
        return Flip(augment.probability)
    from pipeline.data.augment import operation  # most recipes have no such augmentation

    made: Operation = operation(augment, data)
    return made


def _inputs_of(operation: Operation) -> int:
    """Return how many arrays an operation draws, by drawing for one image."""
    one = np.zeros(1, np.int64)
    return len(
        operation.draw(Draw(seed=0, epoch=0, indices=one, repeats=one, image_size=224, magnitude=None))
    )
