"""How long a loop waits for what it goes through. Light."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")


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
