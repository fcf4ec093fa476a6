"""The bytes of images, by number: files of a folder, or members of packed tars. Read ahead by threads.

Both are random access, one positional read an image, so no order ever depends on storage. What comes out can
be given to DALI. Knows nothing of windows or of training.
"""

from __future__ import annotations

import errno
import os
import weakref
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from pipeline.data import bulk_read
from pipeline.data.buffers import Buffers
from pipeline.data.copies import Copies
from pipeline.data.parser import parsed_size
from pipeline.data.patience import Patience
from pipeline.data.pillow import DAMAGE, Content, as_bitmap
from pipeline.data.sampling import Indices
from pipeline.data.split import Flag, Pack, Split
from pipeline.errors import Top1Error

_THREADS = 16  # they wait for storage more than they work: at 10 ms a read, 1,600 images a second
# A task costs about as much as a read from the page cache, and the interpreter's lock goes around among all
# threads for each; but what is read ahead, two or three batches, is to keep all threads busy.
_TASKS_PER_BATCH = 8
_IMAGES_PER_TASK = 8, 32  # at least, at most

# CMYK too: that DALI turns it into RGB as Pillow does is only known of its CPU decoder (2.4).
_BY_PILLOW = Flag.BY_PILLOW | Flag.CMYK

NOTHING: Content = np.zeros(0, np.uint8)


@dataclass(frozen=True)
class Reading:
    """Contents on their way."""

    parts: Sequence[Future[list[Content]]]

    def contents(self) -> list[Content]:
        """Return the content of each image, in order; NOTHING where one could not be read."""
        return [content for part in self.parts for content in part.result()]


class Storage:
    """Reads the images of a split, wherever its manifest says they are."""

    def __init__(self, split: Split) -> None:
        self._split = split
        self._root = np.frombuffer(f"{split.folder}/".encode(), np.uint8)
        self._patience = Patience(split.folder)
        shards = _open_shards(split, self._patience)
        self._copies = _copies_of(split, shards)
        weakref.finalize(self, _close, shards, self._copies)
        self._shards = np.array(shards, np.int64)
        self._buffers = Buffers()
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="read-images")

    def read_ahead(self, indices: Indices) -> Reading:
        """Begin to read some images."""
        count = int(np.clip(len(indices) // _TASKS_PER_BATCH, *_IMAGES_PER_TASK))
        parts = (indices[first : first + count] for first in range(0, len(indices), count))
        return Reading([self._pool.submit(self._read_each, part) for part in parts])

    def read(self, index: int) -> Content:
        """Return one image such that DALI's parser finds the indexed size: as stored, or as a bitmap.

        Raises one of DAMAGE where Pillow does not decode it either, or to another size.
        """
        content = self.stored(index)
        if not len(content):
            raise ValueError("it is empty")
        size = tuple(self._split.sizes[index].tolist())
        if self._split.flags[index] & _BY_PILLOW or parsed_size(content) != size:
            return as_bitmap(content, size)
        return content

    def _read_each(self, indices: Indices) -> list[Content]:
        """Return the contents of some images: plain JPEGs all at once, what is not one on its own."""
        files, offsets, counts = self._opened(indices)
        pieces = self._buffers.take(int(counts.sum()))
        opened = self._split.pack is None
        plain = bulk_read.read_pieces(files, offsets, counts, self._split.sizes[indices], opened, pieces)
        plain &= self._split.flags[indices] & _BY_PILLOW == 0
        ends = np.cumsum(counts).tolist()
        return [
            pieces[end - count : end] if good else self._read_or_nothing(index)
            for index, count, end, good in zip(
                indices.tolist(), counts.tolist(), ends, plain.tolist(), strict=True
            )
        ]

    def _opened(self, indices: Indices) -> tuple[bulk_read.Numbers, bulk_read.Numbers, bulk_read.Numbers]:
        """Return the descriptor of each image's file, and from where in it how many bytes are the image."""
        pack = self._split.pack
        if pack is not None:
            return self._shards[pack.shard[indices]], pack.offset[indices], pack.bytes[indices]
        paths = self._split.paths
        files, counts = bulk_read.open_files(self._root, paths.text, paths.offsets, indices)
        return files, np.zeros_like(counts), counts

    def _read_or_nothing(self, index: int) -> Content:
        try:
            return self.read(index)
        except DAMAGE:
            return NOTHING

    def stored(self, index: int) -> Content:
        """Return one image as it is stored, whatever it is.

        Raises OSError where it is gone, PassingError where storage does not answer for a minute.
        """
        return self._patience.read(self._split.path(index), partial(self._stored, index))

    def _stored(self, index: int) -> Content:
        pack = self._split.pack
        if pack is not None:
            number = int(pack.shard[index])
            try:
                return _read(int(self._shards[number]), int(pack.offset[index]), int(pack.bytes[index]))
            except OSError:
                if self._copies:
                    self._copies.give_up(number)
                raise
        file = os.open(self._root.tobytes() + self._split.paths.encoded(index).tobytes(), os.O_RDONLY)
        try:
            return _read(file, 0, os.fstat(file).st_size)
        finally:
            os.close(file)


def _read(file: int, offset: int, count: int) -> Content:
    """Return `count` bytes from `offset`. Raises OSError where the file ends before."""
    content = np.empty(count, np.uint8)
    filled = 0
    while filled < count:
        got = os.preadv(file, [content[filled:]], offset + filled)
        if got == 0:
            raise OSError(errno.ENODATA, "it ends before the image does, and was longer when it was opened")
        filled += got
    return content


def _open_shards(split: Split, patience: Patience) -> list[int]:
    """Open the tars of a pack. Raises Top1Error for one that is missing or shorter than its index says."""
    files: list[int] = []
    if split.pack is None:
        return files
    try:
        for shard, end in zip(split.pack.shards, _ends(split.pack), strict=True):
            files.append(
                patience.read(split.folder / shard, partial(os.open, split.folder / shard, os.O_RDONLY))
            )
            size = os.fstat(files[-1]).st_size
            if size < end:
                raise Top1Error(
                    f"{split.folder / shard} has {size} bytes where its index needs {end}: it was cut short. "
                    "Copy it again, or pack the data again with `top1 prep pack`."
                )
    except OSError as error:
        _close(files)
        raise Top1Error(
            f"{error.filename} cannot be opened ({error.strerror}); the index of {split.folder} needs it. "
            "Copy it again, or pack the data again with `top1 prep pack`."
        ) from error
    except Top1Error:  # PassingError is one
        _close(files)
        raise
    return files


def _ends(pack: Pack) -> list[int]:
    """Return where the last member of each shard ends, 0 where the split has none in it."""
    last = np.zeros(len(pack.shards), np.int64)
    np.maximum.at(last, pack.shard, pack.offset + pack.bytes)
    ends: list[int] = last.tolist()
    return ends


def _copies_of(split: Split, shards: Sequence[int]) -> Copies | None:
    if split.pack is None or split.copies is None:
        return None
    return Copies(split.copies, [split.folder / shard for shard in split.pack.shards], shards)


def _close(files: Sequence[int], copies: Copies | None = None) -> None:
    if copies:
        copies.close()
    for file in files:
        os.close(file)
