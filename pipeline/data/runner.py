"""Running rows of inputs through a DALI graph. Knows pipelines and tensors; not where rows come from."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from nvidia.dali import fn, pipeline_def

from pipeline.data.graph import Device, Graph, Row
from pipeline.data.operation import DataNode

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

        They are DALI's own buffers, which its default, dynamic executor does not use again while a tensor
        holds them. Raises RuntimeError where DALI cannot make a row, after the rows before it.
        """
        fed, self._idle = self._idle or _Fed(self._graph, self._device, self._most_images), None
        fed.rows = iter(rows)
        try:
            for images in fed:
                yield _tensors(images, self._graph.stacks)
        finally:
            fed.finish()
        fed.pipeline.reset()
        self._idle = fed


class _Fed:
    """A pipeline with the rows it is fed from.

    On the CPU, DALI works on the arrays of a row themselves, which saves a copy of every file. On a GPU they
    are copied: it may still be reading them when the images come, which it makes in a stream's order.
    """

    def __init__(self, graph: Graph, device: Device, most_images: int) -> None:
        self.rows: Iterator[Row] = iter(())
        self._gpu = device.device_id
        self._in_work: deque[Row] = deque()
        self.pipeline = _build(graph, device, most_images, self._next_row)

    def __iter__(self) -> Iterator[Any]:
        """Yield the images of each row as DALI has them."""
        while True:
            stream = None if self._gpu is None else torch.cuda.current_stream(self._gpu)
            self.pipeline.schedule_run()
            try:
                (images,) = self.pipeline.outputs(stream)
            except StopIteration:
                return
            self._in_work.popleft()
            yield images

    def finish(self) -> None:
        """Wait for the rows in work, of which nobody will see the images, before their arrays may go."""
        while not self.pipeline.empty():
            with contextlib.suppress(RuntimeError):  # one that cannot be made is done with too
                self.pipeline.outputs()
        self._in_work.clear()

    def _next_row(self) -> Row:
        row = next(self.rows)
        self._in_work.append(row)
        return row


def _build(graph: Graph, device: Device, most_images: int, source: Callable[[], Row]) -> Any:
    @pipeline_def(
        batch_size=most_images,
        num_threads=device.threads,
        device_id=device.device_id,
        prefetch_queue_depth=device.prefetch,
    )
    def pipeline() -> DataNode:
        nodes = fn.external_source(
            source=source, num_outputs=graph.inputs, batch=True, no_copy=device.device_id is None
        )
        return graph.images(nodes, device)

    built = pipeline()
    built.build()
    return built


def _tensors(images: Any, stacked: bool) -> Images:
    if stacked:
        return torch.from_dlpack(images.as_tensor())
    return [torch.from_dlpack(images[i]) for i in range(len(images))]
