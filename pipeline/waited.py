"""How long a loop waits for what it goes through. Light."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

UNKNOWN = -1.0  # utilization of what is no GPU, or does not tell
BUSY = 90.0  # percent; the host may wait while the GPU works off what is queued, and then nothing starves


@dataclass(frozen=True)
class Waiting:
    """How long one process waited for batches, in seconds, and how busy its GPU was, in percent."""

    seconds: float
    gpu_percent: float = UNKNOWN

    @property
    def is_idle(self) -> bool:
        return self.gpu_percent < BUSY


def longest(everyones: Sequence[Waiting]) -> int:
    """Return the process that waits most, among those whose GPU is idle meanwhile if there are such.

    It is waited for by the others, whose GPUs spin in a collective, which counts as work.
    """
    return max(range(len(everyones)), key=lambda rank: (everyones[rank].is_idle, everyones[rank].seconds))


class Waited(Iterator[T]):
    """Passes batches on and counts the seconds that the caller waited for them, on the host's clock.

    around: entered while it waits.
    """

    def __init__(
        self,
        batches: Iterator[T],
        around: Callable[[], contextlib.AbstractContextManager[object]] = contextlib.nullcontext,
    ) -> None:
        self._batches, self._around, self._seconds = batches, around, 0.0

    def __next__(self) -> T:
        start = time.perf_counter()
        try:
            with self._around():
                return next(self._batches)
        finally:
            self._seconds += time.perf_counter() - start

    def take_seconds(self) -> float:
        """Return the seconds that no call has returned yet."""
        seconds, self._seconds = self._seconds, 0.0
        return seconds
