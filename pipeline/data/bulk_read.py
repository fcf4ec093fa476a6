"""Reading many files in one call without the interpreter lock, and the plain JPEG header; compiled by numba.

A loader that reads thousands of images a second one call at a time has its threads wait for each other's lock
more than for storage, and the training loop waits with them. Knows files and bytes, no data set.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Numbers = NDArray[np.int64]

NO_FILE = -1

_jit = njit(cache=True, nogil=True)

# Of the C library, which every process has loaded. An address is passed as the number it is.
_open: Any = types.ExternalFunction("open", types.int32(types.uintp, types.int32))
_lseek: Any = types.ExternalFunction("lseek", types.int64(types.int32, types.int64, types.int32))
_pread: Any = types.ExternalFunction(
    "pread", types.int64(types.int32, types.uintp, types.uint64, types.int64)
)
_close: Any = types.ExternalFunction("close", types.int32(types.int32))

_READ_ONLY = 0o2000000  # O_RDONLY | O_CLOEXEC on Linux
_TO_THE_END = 2  # SEEK_END
_LARGEST = 2**30  # bytes; some file systems give a folder a size of 2**63

# Segments that may come before the pixels: tables, comments, and applications' own but Exif (E1), whose
# contents parsers read.
_PASSED_OVER = (0xC4, 0xDB, 0xDD, 0xE0, 0xE2, 0xEC, 0xED, 0xEE, 0xFE)
_FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive; all Huffman
_SCAN = 0xDA


@_jit
def open_files(root: Bytes, text: Bytes, offsets: Numbers, indices: Numbers) -> tuple[Numbers, Numbers]:
    """Open the files root + text[offsets[i] : offsets[i + 1]] of the numbers i in `indices`.

    Returns their descriptors, NO_FILE where there is none to be read, and their sizes in bytes.
    """
    files = np.full(len(indices), NO_FILE, np.int64)
    counts = np.zeros(len(indices), np.int64)
    longest = 0
    for index in indices:
        longest = max(longest, offsets[index + 1] - offsets[index])
    # Of all paths in turn: numba frees an array after its last use, and to use its address is no use of it.
    path = np.empty(len(root) + longest + 1, np.uint8)
    path[: len(root)] = root
    for number in range(len(indices)):
        first, last = offsets[indices[number]], offsets[indices[number] + 1]
        end = len(root) + last - first
        path[len(root) : end] = text[first:last]
        path[end] = 0
        file = _open(path.ctypes.data, _READ_ONLY)
        if file < 0:
            continue
        count = _lseek(file, 0, _TO_THE_END)
        if 0 < count < _LARGEST:
            files[number], counts[number] = file, count
        else:
            _close(file)
    return files, counts


@_jit
def read_pieces(
    files: Numbers, offsets: Numbers, counts: Numbers, sizes: NDArray[np.int32], close: bool, into: Bytes
) -> NDArray[np.bool_]:
    """Read `counts` bytes from `offsets` of each file into `into`, one piece after the other.

    Returns which could be read in full and are plain JPEGs (`is_plain_jpeg`) of `sizes`, (N, 2), height and
    width. close: the files, too.
    """
    plain = np.zeros(len(files), np.bool_)
    first = 0
    for number in range(len(files)):
        file, filled = files[number], 0
        while file != NO_FILE and filled < counts[number]:
            got = _pread(
                file,
                into.ctypes.data + first + filled,
                counts[number] - filled,
                offsets[number] + filled,
            )
            if got <= 0:
                break
            filled += got
        if file != NO_FILE and close:
            _close(file)
        if file != NO_FILE and filled == counts[number]:
            piece = into[first : first + counts[number]]
            plain[number] = is_plain_jpeg(piece, sizes[number, 0], sizes[number, 1])
        first += counts[number]
    return plain


@_jit
def is_plain_jpeg(content: Bytes, height: int, width: int) -> bool:
    """Whether this is a JPEG of that size, of one or three channels of 8 bits, with a header like most.

    Of such a file every parser says the same; of others this says nothing, they may be images too.
    """
    count = len(content)
    if count < 4 or content[0] != 0xFF or content[1] != 0xD8:
        return False
    framed = False
    position = 2
    while position + 10 <= count:  # no segment before the frame's end is shorter
        marker, length = content[position + 1], 256 * content[position + 2] + content[position + 3]
        end = position + 2 + length
        if content[position] != 0xFF or length < 2 or end > count:
            return False
        if marker == _SCAN:
            return framed
        if marker in _FRAMES:
            channels = content[position + 9]
            if (
                framed
                or content[position + 4] != 8
                or 256 * content[position + 5] + content[position + 6] != height
                or 256 * content[position + 7] + content[position + 8] != width
                or (channels != 1 and channels != 3)
                or length != 8 + 3 * channels
            ):
                return False
            framed = True
        elif marker not in _PASSED_OVER:
            return False
        position = end
    return False
