"""Running rows of inputs through a DALI graph. Knows pipelines and tensors; not where rows come from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch
from nvidia.dali import fn, pipeline_def
from nvidia.dali.plugin.pytorch import feed_ndarray

from pipeline.data.graph import DataNode, Device, Graph, Row

Images = torch.Tensor | list[torch.Tensor]


class Runner:
    """Runs rows through a graph. A pipeline serves again only after a run to its end:

    DALI's `reset` after an abandoned run yields stale batches (2.4), so any other end gets a fresh one.
    """

    def __init__(self, graph: Graph, device: Device, most_images: int) -> None:
        self._graph = graph
        self._device = device
        self._most_images = most_images
        self._idle: _Fed | None = None

    def run(self, rows: Iterable[Row]) -> Iterator[Images]:
        """Yield the images of each row: one tensor (N, ...) where the graph stacks, else one an image.

        A stacked tensor stays the consumer's; the others hold until the next is asked for. Raises
        RuntimeError where DALI cannot make a row, after the rows before it.
        """
        fed, self._idle = self._idle or _Fed(self._graph, self._device, self._most_images), None
        fed.rows = iter(rows)
        while True:
            try:
                (images,) = fed.pipeline.run()
            except StopIteration:
                break
            yield _stacked(images, self._device) if self._graph.stacks else _each(images, self._device)
        fed.pipeline.reset()
        self._idle = fed


class _Fed:
    """A pipeline with the rows it is fed from."""

    def __init__(self, graph: Graph, device: Device, most_images: int) -> None:
        self.rows: Iterator[Row] = iter(())
        self.pipeline = _build(graph, device, most_images, lambda: next(self.rows))


def _build(graph: Graph, device: Device, most_images: int, source: Callable[[], Row]) -> Any:
    @pipeline_def(
        batch_size=most_images,
        num_threads=device.threads,
        device_id=device.device_id,
        prefetch_queue_depth=device.prefetch,
        enable_conditionals=graph.needs_conditionals,
    )
    def pipeline() -> DataNode:
        nodes = fn.external_source(source=source, num_outputs=graph.inputs, batch=True)
        return graph.images(nodes, device)

    built = pipeline()
    built.build()
    return built


def _stacked(images: Any, device: Device) -> torch.Tensor:
    """Return a copy that later batches do not overwrite."""
    whole = images.as_tensor()
    if device.device_id is None:
        return torch.from_numpy(np.array(whole))
    return _on_gpu(whole, torch.float32, device.device_id)


def _each(images: Any, device: Device) -> list[torch.Tensor]:
    if device.device_id is None:
        return [torch.from_numpy(np.asarray(images.at(i))) for i in range(len(images))]
    return [_on_gpu(images[i], torch.uint8, device.device_id) for i in range(len(images))]


def _on_gpu(images: Any, dtype: torch.dtype, device_id: int) -> torch.Tensor:
    """Return a copy, made on torch's current stream."""
    copy = torch.empty(images.shape(), dtype=dtype, device=torch.device("cuda", device_id))
    feed_ndarray(images, copy, cuda_stream=torch.cuda.current_stream(device_id))
    return copy
