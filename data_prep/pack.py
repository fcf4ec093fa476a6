"""Pack a prepared folder into uncompressed WebDataset tars, for file systems that hate small files.

Where every byte will be is known before the first is written: a member is a header block, the content, and
zeros to the next 512. So shards are written side by side, an interrupted packing goes on where it stopped,
and the manifest tells the loader where to read; the tars' own order means nothing to it. Beside each image
lies its label as text (`.cls`), for other WebDataset readers.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from pipeline.data.header import HEADER_NAME, Header, read_header
from pipeline.data.manifest import Entry, Manifest, write_manifest, write_whole
from pipeline.data.storage import Storage
from pipeline.errors import Top1Error

SHARD_BYTES = 1e9
_BLOCK = 512  # of a tar
_END = bytes(2 * _BLOCK)


@dataclass(frozen=True)
class _Shard:
    """One tar: its images by their number in the split, and where each begins."""

    name: str
    split: str
    members: Sequence[tuple[int, Entry]]
    bytes: int


def pack_folder(
    source: str | Path,
    out: str | Path,
    *,
    shard_bytes: float = SHARD_BYTES,
    command: str | None = None,
    threads: int | None = None,
) -> Header:
    """Write the images of a prepared folder as shards and a manifest; the fingerprint stays the same.

    shard_bytes: a shard is closed with the image that reaches it. threads: shards written at a time. A shard
    that is there already is checked and kept. Raises Top1Error where an image is not what the manifest of
    `source` says, where `out` holds other data, and where the disk is too small.
    """
    source, out = Path(source).resolve(), Path(out).resolve()
    manifest = Manifest.load(source)
    if (out / HEADER_NAME).exists():
        return _same_data(manifest.header, out)
    shards = [shard for split in manifest.header.splits for shard in _shards(manifest, split, shard_bytes)]
    out.mkdir(parents=True, exist_ok=True)
    for unfinished in out.glob(".*.tar.*.tmp"):  # of a packing that was killed
        unfinished.unlink()
    missing = [shard for shard in shards if not _is_there(out / shard.name, shard)]
    _check_room(out, sum(shard.bytes for shard in missing))
    storages = {split: Storage(manifest.split(split)) for split in manifest.header.splits}
    with ThreadPoolExecutor(threads or len(os.sched_getaffinity(0))) as pool:
        for _ in pool.map(lambda shard: _write(out / shard.name, shard, storages[shard.split]), missing):
            pass
    return write_manifest(
        out,
        [entry for shard in shards for _, entry in shard.members],
        name=manifest.header.name,
        classes=manifest.header.classes,
        command=command or f"top1 prep pack {source} {out}",
        official=manifest.header.official,
        changes=manifest.header.changes,
    )


def _same_data(header: Header, out: Path) -> Header:
    """Return the header of a finished pack, if it is of the same images."""
    found = read_header(out)
    if found.fingerprint != header.fingerprint:
        raise Top1Error(
            f"{out} holds other data, {found.name!r}, than {header.name!r}; give another folder for the pack"
        )
    return found


def _shards(manifest: Manifest, split: str, shard_bytes: float) -> Iterator[_Shard]:
    """Yield the shards of a split, in the manifest's order, with the place of every image."""
    members: list[tuple[int, Entry]] = []
    number = end = 0
    for index, entry in enumerate(manifest.entries_of(split)):
        name = f"{split}-{number:06d}.tar"
        before, after = _around(entry)
        begin = end + len(before)
        members.append((index, replace(entry, shard=name, offset=begin)))
        end = begin + entry.bytes + len(after)
        if end >= shard_bytes:
            yield _Shard(name, split, members, end + len(_END))
            members, number, end = [], number + 1, 0
    if members:
        yield _Shard(f"{split}-{number:06d}.tar", split, members, end + len(_END))


def _write(path: Path, shard: _Shard, storage: Storage) -> None:
    def write(file: BinaryIO) -> None:
        for index, entry in shard.members:
            before, after = _around(entry)
            file.write(before + _content(storage, index, entry) + after)
        file.write(_END)

    write_whole(path, write)


def _content(storage: Storage, index: int, entry: Entry) -> bytes:
    """Return the bytes of an image, if they are those that were indexed."""
    try:
        content = storage.stored(index).tobytes()
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


def _is_there(path: Path, shard: _Shard) -> bool:
    """Whether a shard lies there whole, from a packing that was interrupted."""
    if not path.exists() or path.stat().st_size != shard.bytes:
        return False
    with path.open("rb") as file:
        for _, entry in shard.members:
            before, after = _around(entry)
            if file.read(len(before)) != before:
                return False
            if hashlib.sha256(file.read(entry.bytes)).hexdigest() != entry.sha256:
                return False
            if file.read(len(after)) != after:
                return False
    return True


def _check_room(out: Path, needed: int) -> None:
    free = shutil.disk_usage(out).free
    if needed > free:
        raise Top1Error(
            f"the pack needs {needed / 1e9:.1f} GB and {out} has {free / 1e9:.1f} GB free; "
            "free some, or give a folder on another disk"
        )


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
