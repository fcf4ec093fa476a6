"""One part of a data set as training sees it: numbers of images to paths, labels, sizes and places.

Knows arrays and paths; not how they are written down (`manifest.py`) or read (`storage.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntFlag
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


class Flag(IntFlag):
    """Oddities that are worth counting; every one of them decodes."""

    NOT_JPEG = 1
    CMYK = 2
    BY_PILLOW = 4  # DALI does not decode it, or to other pixels: GIF, 16 bits a sample
    EXIF = 8  # says that it should be turned, or has an EXIF part that does not parse; both are ignored
    REPAIRED = 16  # was odd or broken and was written anew; the manifest's header says how


class Paths:
    """Relative paths as one buffer of UTF-8 text and N + 1 offsets into it: 1.3 million take about 60 MB."""

    def __init__(self, text: NDArray[np.uint8], offsets: NDArray[np.int64]) -> None:
        self.text = text
        self.offsets = offsets

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> str:
        return self.encoded(index).tobytes().decode()

    def encoded(self, index: int) -> NDArray[np.uint8]:
        """Return one path as its UTF-8 bytes, a view."""
        return self.text[self.offsets[index] : self.offsets[index + 1]]

    @classmethod
    def of(cls, column: pa.ChunkedArray | pa.Array) -> Paths:
        array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        array = array.cast(pa.large_string())
        if len(array) == 0:
            return cls(np.zeros(0, np.uint8), np.zeros(1, np.int64))
        _, offsets, text = array.buffers()
        first = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
        return cls(np.frombuffer(text, np.uint8), first)


@dataclass(frozen=True)
class Pack:
    """Where packed images are: in which shard (N,), from which offset of it (N,), how many bytes (N,)."""

    shards: tuple[str, ...]
    shard: NDArray[np.int32]
    offset: NDArray[np.int64]
    bytes: NDArray[np.int64]

    def take(self, indices: NDArray[np.integer[Any]]) -> Pack:
        return Pack(self.shards, self.shard[indices], self.offset[indices], self.bytes[indices])


@dataclass(frozen=True)
class Split:
    """The images of one part of a data set, in the manifest's order.

    labels: (N,) int64. sizes: (N, 2) int32, height and width. flags: (N,) int32. classes: folder name of
    each label. pack: None where every image is a file. copies: the folder of this node in which copies of its
    shards are made and read, if any.
    """

    folder: Path
    name: str
    paths: Paths
    labels: NDArray[np.int64]
    sizes: NDArray[np.int32]
    flags: NDArray[np.int32]
    classes: tuple[str, ...]
    pack: Pack | None = None
    copies: Path | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def path(self, index: int) -> Path:
        """Return where an image is; in a pack its shard, then the member's name."""
        shard = "" if self.pack is None else self.pack.shards[self.pack.shard[index]]
        return self.folder / shard / self.paths[index]

    def take(self, indices: NDArray[np.integer[Any]]) -> Split:
        """Return a split of these images only (train without minival, a subset)."""
        paths = Paths.of(pa.array([self.paths[int(index)] for index in indices], pa.large_string()))
        return replace(
            self,
            paths=paths,
            labels=self.labels[indices],
            sizes=self.sizes[indices],
            flags=self.flags[indices],
            pack=self.pack and self.pack.take(indices),
        )
