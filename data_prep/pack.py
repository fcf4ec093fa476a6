"""Pack a prepared folder into uncompressed WebDataset tars, for file systems that hate small files.

A member is a header block, the content, and zeros to the next 512; the manifest says where each content
begins, so the tars' own order means nothing to the loader. Beside each image lies its label as text
(`.cls`), for other WebDataset readers. Shards are written side by side, each in one piece.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from data_prep.asked import finished, source_of
from data_prep.cap import Cap
from data_prep.progress import Quiet
from data_prep.work import Record, check_room, forget, only_one, read_records, run
from pipeline.data.header import BODY_NAME, Header, read_header
from pipeline.data.manifest import Entry, describe, table_of, write_manifest, write_whole
from pipeline.data.split import Flag
from pipeline.errors import Top1Error

SHARD_BYTES = 1e9
_BLOCK = 512  # of a tar
_END = bytes(2 * _BLOCK)
_ROWS = 1 << 16  # of the manifest, taken at a time


@dataclass(frozen=True)
class _Shard:
    """A part of the work: one tar and its images. bytes: about its size."""

    name: str
    bytes: int
    source: Path
    out: Path
    entries: Sequence[Entry]
    cap: Cap | None

    @property
    def key(self) -> str:
        return self.name

    def stands(self, record: Record) -> bool:
        path = self.out / self.name
        return path.exists() and path.stat().st_size == record["size"]

    def work(self) -> Record:
        path = self.out / self.name
        if self.cap is None and (placed := _is_there(path, self.name, self.entries)):
            return self._record(placed, path)
        placed = []

        def write(file: BinaryIO) -> None:
            for entry in self.entries:
                content = _content(self.source, entry)
                new = replace(entry, shard=None, offset=0)
                if self.cap and self.cap.applies(entry.width, entry.height):
                    content = self.cap.capped(content)
                    made = describe(content, entry.split, entry.path, entry.label)
                    new = replace(made, flags=made.flags | entry.flags & Flag.REPAIRED)
                before, after = _around(new)
                placed.append(replace(new, shard=self.name, offset=file.tell() + len(before)))
                file.write(before + content + after)
            file.write(_END)

        write_whole(path, write)
        return self._record(placed, path)

    def _record(self, placed: Sequence[Entry], path: Path) -> Record:
        entries = [[*vars(entry).values()] for entry in placed]
        return {"images": len(entries), "entries": entries, "size": path.stat().st_size}


def pack_folder(
    source: str | Path,
    out: str | Path,
    *,
    cap: Cap | None = None,
    shard_bytes: float = SHARD_BYTES,
    command: str | None = None,
    processes: int | None = None,
    progress: Quiet | None = None,
) -> Header:
    """Write the images of a prepared folder as shards and a manifest; the fingerprint stays the same.

    cap: larger images are written anew; that is another data set, and its manifest says so.
    shard_bytes: a shard is closed with the image that reaches it (with a cap, about). A shard that is there
    already is checked and kept. Raises Top1Error where an image is not what the manifest of `source` says,
    where `out` holds other data or, finished or not, a pack that was asked for otherwise, and where the disk
    is too small.
    """
    source, out = Path(source).resolve(), Path(out).resolve()
    header = read_header(source)
    if out == source:
        raise Top1Error(f"{out} is what is to be packed; give another folder for the pack.")
    asked = {
        "source": source_of(source, header),
        "--short-side": cap.short_side if cap else None,
        "--quality": cap.quality if cap else None,
        "--shard-mb": f"{shard_bytes / 1e6:.12g}",
    }
    with only_one(out) as state:
        if made := finished(out, state, header.name, asked):
            return made
        for unfinished in out.glob(".*.tar.*.tmp"):  # of a packing that was killed
            unfinished.unlink()
        shards = list(_shards(source, out, header, cap, shard_bytes))
        check_room(out, sum(one.bytes for one in shards if not (out / one.name).exists()), "the pack")
        records = state / "records"
        with (progress or Quiet()).stage("packing", sum(shard.bytes for shard in shards)) as stage:
            run(shards, records, stage, processes)
        table, changed = _packed(shards, records)
        told = [cap.told(changed, len(table))] if cap and changed else []
        packed = write_manifest(
            out,
            table,
            name=header.name,
            classes=header.classes,
            command=command or f"top1 prep pack {source} {out}",
            official=None if told else header.official,
            changes=[*header.changes, *told],
            repairs=header.repairs,
            archives=header.archives,
        )
        forget(state)
    return packed


def _shards(source: Path, out: Path, header: Header, cap: Cap | None, shard_bytes: float) -> Iterator[_Shard]:
    """Yield the shards of every split, in the manifest's order."""
    for split in header.splits:
        entries: list[Entry] = []
        number = size = 0
        for entry in _entries(source, split):
            before, after = _around(entry)
            kept = cap.share(entry.width, entry.height) if cap else 1.0
            entries.append(entry)
            size += len(before) + int(entry.bytes * kept) + len(after)
            if size >= shard_bytes:
                yield _Shard(f"{split}-{number:06d}.tar", size + len(_END), source, out, entries, cap)
                entries, number, size = [], number + 1, 0
        if entries:
            yield _Shard(f"{split}-{number:06d}.tar", size + len(_END), source, out, entries, cap)


def _packed(shards: Sequence[_Shard], records: Path) -> tuple[pa.Table, int]:
    """Return the manifest of all that was packed, and how many images were written anew."""
    tables, changed = [], 0
    for shard, record in zip(shards, read_records(records, [one.key for one in shards]), strict=True):
        entries = [Entry(*fields) for fields in record["entries"]]
        changed += sum(old.sha256 != new.sha256 for old, new in zip(shard.entries, entries, strict=True))
        tables.append(table_of(entries))
    return pa.concat_tables(tables, promote_options="default").unify_dictionaries(), changed


def _entries(source: Path, split: str) -> Iterator[Entry]:
    for batch in pq.ParquetFile(source / BODY_NAME).iter_batches(_ROWS):
        for row in batch.to_pylist():
            if row["split"] == split:
                yield Entry(**{**row, "sha256": row["sha256"].hex(), "offset": row["offset"] or 0})


def _content(source: Path, entry: Entry) -> bytes:
    """Return the bytes of an image, if they are those that were indexed."""
    try:
        with (source / (entry.shard or entry.path)).open("rb") as file:
            content = os.pread(file.fileno(), entry.bytes, entry.offset)
    except OSError as error:
        raise Top1Error(
            f"{entry.path} cannot be read ({error.strerror}); restore it, or index the folder again with "
            "`top1 prep folder`"
        ) from error
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        raise Top1Error(
            f"{entry.path} is not what the manifest says: it was changed after it was indexed. Restore it, "
            "or index the folder again with `top1 prep folder`."
        )
    return content


def _is_there(path: Path, name: str, entries: Sequence[Entry]) -> list[Entry]:
    """Return where the images lie if the shard is there whole, from a packing that was ended, or nothing."""
    placed: list[Entry] = []
    if not path.exists():
        return placed
    with path.open("rb") as file:
        for entry in entries:
            before, after = _around(entry)
            if file.read(len(before)) != before:
                return []
            placed.append(replace(entry, shard=name, offset=file.tell()))
            if hashlib.sha256(file.read(entry.bytes)).hexdigest() != entry.sha256:
                return []
            if file.read(len(after)) != after:
                return []
        return placed if file.read() == _END else []


def _around(entry: Entry) -> tuple[bytes, bytes]:
    """Return what stands before and after the content of an image: its header; padding and its label."""
    label = str(entry.label).encode()
    path = PurePosixPath(entry.path)
    key = path.name.partition(".")[0]  # what WebDataset takes for the name of a sample
    after = bytes(-entry.bytes % _BLOCK) + _header(str(path.with_name(f"{key}.cls")), len(label))
    return _header(entry.path, entry.bytes), after + label.ljust(_BLOCK, b"\0")


def _header(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)  # its time and owner are zero: the same images make the same tar
    member.size = size
    return member.tobuf(tarfile.GNU_FORMAT, "utf-8")  # DALI 2.4 does not read the long names of PAX
