"""Making batches in a thread of its own while a GPU's training loop launches kernels. Knows no images."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TypeVar

import torch

T = TypeVar("T")

_AHEAD = 2  # made while the consumer works; DALI's own prefetching comes before that


def made_ahead(
    items: Generator[tuple[T, torch.Tensor], None, None], device_id: int | None
) -> Generator[tuple[T, torch.Tensor], None, None]:
    """Yield the items of a generator that runs in a thread and on a CUDA stream of its own.

    items: their tensors must be torch's own memory. What the generator raises is raised here, in its turn;
    leaving early closes it. device_id: None without a GPU.
    """
    stream = None if device_id is None else torch.cuda.Stream(device_id)

    def make() -> tuple[T, torch.Tensor, torch.cuda.Event | None] | None:
        with torch.cuda.stream(stream):
            item = next(items, None)
            return None if item is None else (*item, stream and stream.record_event())

    def begin() -> None:
        # A thread begins on GPU 0, and putting its stream back there takes half a GiB of it (CUDA 12).
        if device_id is not None:
            torch.cuda.set_device(device_id)

    # The pool is left first and waits for its thread: a generator cannot be closed while it runs.
    with closing(items), ThreadPoolExecutor(1, "make-batches", initializer=begin) as pool:
        coming = deque(pool.submit(make) for _ in range(_AHEAD))
        try:
            while made := coming.popleft().result():
                coming.append(pool.submit(make))
                what, images, ready = made
                if ready is not None:
                    current = torch.cuda.current_stream(device_id)
                    current.wait_event(ready)
                    images.record_stream(
                        current
                    )  # or its memory serves again before `current` is done with it
                yield what, images
                del made, images
        finally:
            for future in coming:
                future.cancel()
