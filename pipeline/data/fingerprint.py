"""The fingerprint of a data set: what it holds, wherever and however it lies. For millions of rows."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_DIGITS = np.frombuffer(b"0123456789abcdef", np.uint8)
_DIGEST = 32  # bytes of a sha256
_TAB = pa.scalar(b"\t", pa.large_binary())


def fingerprint_of(table: pa.Table, classes: Sequence[str]) -> str:
    """Return the sha256 over the sorted lines `basename sha256 wnid`, tabs between: any layout's alike.

    table: with the columns path, sha256 (32 bytes) and label of a manifest. Text is UTF-8, order that of
    its bytes; offsets have 64 bits, since 21 million lines are 2 GiB.
    """
    if not len(table):
        return hashlib.sha256().hexdigest()
    names = pa.array(classes, pa.large_binary()).take(table["label"].combine_chunks())
    basenames = pc.replace_substring_regex(table["path"], r"^.*/", "").cast(pa.large_binary())
    lines = pc.binary_join_element_wise(basenames, _hexadecimal(table["sha256"]), names, _TAB)
    digest = hashlib.sha256()
    for batch in pa.table({"line": lines}).sort_by("line").to_batches(1 << 16):
        digest.update(b"".join(line + b"\n" for line in batch["line"].to_pylist()))
    return digest.hexdigest()


def _hexadecimal(column: pa.ChunkedArray) -> pa.Array:
    digests = column.combine_chunks()
    raw = np.frombuffer(digests.buffers()[1], np.uint8)
    raw = raw[digests.offset * _DIGEST : (digests.offset + len(digests)) * _DIGEST]
    text = _DIGITS[np.stack([raw >> 4, raw & 15], axis=-1)]
    buffer = pa.py_buffer(text.tobytes())
    return pa.Array.from_buffers(pa.binary(2 * _DIGEST), len(digests), [None, buffer]).cast(pa.large_binary())
