"""Memory that is used again. Knows nothing of what is in it.

Fresh memory costs more than a copy from the page cache: the system hands it out page by page, zeroed.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

_LARGEST = 2**25  # bytes; a larger one goes back to the system


class Buffers:
    """Hands out arrays; the memory of one comes back when nothing refers to the array any more."""

    def __init__(self) -> None:
        self._free: deque[NDArray[np.uint8]] = deque()

    def take(self, count: int) -> NDArray[np.uint8]:
        """Return an array of `count` bytes, whatever they are. May be called by many threads."""
        try:
            memory = self._free.pop()  # the last one back, which may be in the CPU's cache yet
        except IndexError:
            memory = np.empty(0, np.uint8)
        if len(memory) < count:
            memory = np.empty(count + count // 4, np.uint8)  # the next may need a little more
        return np.asarray(_Lease(memory, self._free))[:count]


class _Lease:
    """The owner of a memory while it is handed out, as numpy sees it: what an array's `base` refers to."""

    def __init__(self, memory: NDArray[np.uint8], free: deque[NDArray[np.uint8]]) -> None:
        self.__array_interface__ = memory.__array_interface__
        self._memory = memory
        self._free = free

    def __del__(self) -> None:
        if len(self._memory) <= _LARGEST:
            self._free.append(self._memory)
