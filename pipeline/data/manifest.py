"""What is in a prepared data set, image by image: written once, so that training walks no folder tree.

The body is one Parquet file. Its columns: split, path (relative to the folder, `/` between parts), label,
bytes, sha256, width, height, flags, and for a pack shard and offset. Heavy: numpy and pyarrow; the header
alone is `header.py`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.data.copies import copies_folder
from pipeline.data.fingerprint import fingerprint_of
from pipeline.data.header import BODY_NAME, HEADER_NAME, VERSION, Header, SplitCount, read_header
from pipeline.data.pillow import decodes_alike, has_odd_exif, open_image
from pipeline.data.split import Flag, Pack, Paths, Split
from pipeline.errors import Top1Error

_FINGERPRINT_KEY = b"top1.fingerprint"
SCHEMA = pa.schema(
    [
        ("split", pa.dictionary(pa.int8(), pa.string())),
        ("path", pa.string()),
        ("label", pa.int32()),
        ("bytes", pa.int64()),
        ("sha256", pa.binary(32)),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("flags", pa.int32()),
        ("shard", pa.dictionary(pa.int32(), pa.string())),
        ("offset", pa.int64()),
    ]
)


@dataclass(frozen=True)
class Entry:
    """One image. path: relative to the data folder, in a pack the member's name. sha256: of its content.

    shard: the tar that holds it, relative to the data folder, and offset: where in it its content begins.
    """

    split: str
    path: str
    label: int
    bytes: int
    sha256: str  # hexadecimal
    width: int
    height: int
    flags: int = 0  # of Flag
    shard: str | None = None
    offset: int = 0


class Manifest:
    """An opened manifest: its header, and the images of each split.

    copy_to: a folder on a disk of this node where copies of a pack's shards are to be made, and read.
    """

    def __init__(self, folder: Path, header: Header, table: pa.Table) -> None:
        self.folder = folder
        self.copy_to: Path | None = None
        self.header = header
        self._table = table

    @classmethod
    def load(cls, folder: str | Path) -> Manifest:
        """Open a prepared folder. Raises Top1Error where a part is missing, damaged or not the other's."""
        folder = Path(folder).resolve()
        header = read_header(folder)
        columns = [name for name in SCHEMA.names if name != "sha256"]
        path = folder / BODY_NAME
        try:
            fingerprint = (pq.read_schema(path).metadata or {}).get(_FINGERPRINT_KEY, b"").decode()
            table = pq.read_table(path, columns=columns, memory_map=True)
        except FileNotFoundError:
            raise Top1Error(_body_problem(folder, "is missing")) from None
        except pa.ArrowException as error:
            raise Top1Error(_body_problem(folder, f"is damaged ({error})")) from error
        if fingerprint != header.fingerprint:
            raise Top1Error(_body_problem(folder, f"belongs to another {HEADER_NAME}"))
        return cls(folder, header, table)

    def split(self, name: str) -> Split:
        if name not in self.header.splits:
            raise Top1Error(f"{self.folder} has no split {name!r}; it has {', '.join(self.header.splits)}")
        rows = self._rows(name)
        pack = _pack(rows)
        sizes = np.stack([_numpy(rows["height"]), _numpy(rows["width"])], axis=1).astype(np.int32)
        return Split(
            folder=self.folder,
            name=name,
            paths=Paths.of(rows["path"]),
            labels=_numpy(rows["label"]).astype(np.int64),
            sizes=sizes,
            flags=_numpy(rows["flags"]).astype(np.int32),
            classes=self.header.classes,
            pack=pack,
            copies=copies_folder(self.copy_to, self._layout()) if self.copy_to and pack else None,
        )

    def _layout(self) -> str:
        """Return the sha256 of what is where: of the same images in other shards it is another one."""
        shard = self._table["shard"].combine_chunks()
        digest = hashlib.sha256("\n".join([self.header.fingerprint, *shard.dictionary.to_pylist()]).encode())
        for column in (shard.indices, self._table["offset"], self._table["bytes"]):
            digest.update(column.to_numpy(zero_copy_only=False).tobytes())
        return digest.hexdigest()

    def _rows(self, split: str) -> pa.Table:
        """Return the rows of a split; they lie together, so that nothing is copied."""
        column = self._table["split"].combine_chunks()
        numbers = np.flatnonzero(column.indices.to_numpy() == column.dictionary.index(split).as_py())
        first, count = int(numbers[0]), len(numbers)
        if numbers[-1] - first + 1 == count:
            return self._table.slice(first, count)
        return self._table.take(pa.array(numbers))

    def entries(self) -> Iterable[Mapping[str, Any]]:
        """Return every row with its sha256, as dictionaries; for `prep`, not for training."""
        rows: list[Mapping[str, Any]] = pq.read_table(self.folder / BODY_NAME).to_pylist()
        return rows


def write_manifest(
    folder: str | Path,
    entries: Sequence[Entry] | pa.Table,
    *,
    name: str,
    classes: Sequence[str],
    command: str,
    official: str | None = None,
    changes: Sequence[str] = (),
    repairs: Sequence[str] = (),
    archives: Mapping[str, str] | None = None,
) -> Header:
    """Write body and header, each in one piece, the header last: a folder with a header is complete.

    entries: of millions better the table that `table_of` makes of parts of them.
    """
    folder = Path(folder)
    table = entries if isinstance(entries, pa.Table) else table_of(entries)
    fingerprint = fingerprint_of(table, classes)
    header = Header(
        version=VERSION,
        name=name,
        classes=tuple(classes),
        splits=_count(table),
        fingerprint=fingerprint,
        official=official,
        command=command,
        changes=tuple(changes),
        repairs=tuple(repairs),
        archives=dict(archives or {}),
    )
    table = table.replace_schema_metadata({_FINGERPRINT_KEY: fingerprint})
    write_whole(folder / BODY_NAME, lambda file: pq.write_table(table, file, compression="zstd"))
    write_whole(folder / HEADER_NAME, lambda file: file.write(header.to_json().encode()))
    return header


def table_of(entries: Sequence[Entry]) -> pa.Table:
    """Return entries as the columns of a manifest."""
    columns = {field: [getattr(entry, field) for entry in entries] for field in SCHEMA.names}
    columns["sha256"] = [bytes.fromhex(digest) for digest in columns["sha256"]]
    return pa.table(columns, schema=SCHEMA)


def read_entry(folder: Path, split: str, path: str, label: int) -> Entry:
    """Describe one image file. Raises one of `pillow.DAMAGE` where it cannot be read as an image."""
    return describe((folder / path).read_bytes(), split, path, label)


def describe(content: bytes, split: str, path: str, label: int) -> Entry:
    """Describe one image; its size comes from the image header, EXIF orientation ignored.

    Raises one of `pillow.DAMAGE` where the content cannot be read as an image.
    """
    with open_image(content) as image:
        flags = Flag.NOT_JPEG * (image.format not in ("JPEG", "MPO"))  # MPO: several JPEGs, the first counts
        flags |= Flag.CMYK * (image.mode == "CMYK")
        flags |= Flag.BY_PILLOW * (not decodes_alike(image, content))
        flags |= Flag.EXIF * has_odd_exif(image)
        width, height = image.size
    digest = hashlib.sha256(content).hexdigest()
    return Entry(split, path, label, len(content), digest, width, height, flags)


def mean_bytes(folder: Path) -> float:
    """Return what an image of a prepared set weighs, in the mean."""
    return float(pc.mean(pq.read_table(folder / BODY_NAME, columns=["bytes"])["bytes"]).as_py())


def write_whole(path: Path, write: Callable[[Any], object]) -> None:
    """Write a file that is there whole or not at all: temporary file, fsync, rename."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _count(table: pa.Table) -> dict[str, SplitCount]:
    counts = {}
    for split in pc.unique(table["split"].cast(pa.string())).to_pylist():
        labels = table["label"].filter(pc.equal(table["split"].cast(pa.string()), split))
        counts[split] = SplitCount(len(labels), len(pc.unique(labels)))
    return counts


def _pack(rows: pa.Table) -> Pack | None:
    """Return where the rows of a pack lie, None for a folder of files."""
    shard = rows["shard"].combine_chunks()
    if shard.null_count:
        return None
    return Pack(
        shards=tuple(shard.dictionary.to_pylist()),
        shard=shard.indices.to_numpy().astype(np.int32),
        offset=_numpy(rows["offset"]).astype(np.int64),
        bytes=_numpy(rows["bytes"]).astype(np.int64),
    )


def _numpy(column: pa.ChunkedArray) -> NDArray[Any]:
    array: NDArray[Any] = column.to_numpy()
    return array


def _body_problem(folder: Path, what: str) -> str:
    return f"{folder / BODY_NAME} {what}; write both parts again with `top1 prep folder {folder}`"
