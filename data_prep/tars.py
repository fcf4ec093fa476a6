"""Reading tars that came from elsewhere: in one pass, hashed on the way, and nothing taken on trust.

A member that is a link or a device, or whose name leads out of the folder, is refused by its name; so is an
archive that ends too early. Knows nothing of data sets.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from pipeline.errors import Top1Error

_CHUNK = 1 << 20
_GZIP = b"\x1f\x8b"
_KINDS = {
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.LNKTYPE: "a hard link",
    tarfile.CHRTYPE: "a character device",
    tarfile.BLKTYPE: "a block device",
    tarfile.FIFOTYPE: "a named pipe",
}


@dataclass(frozen=True)
class Place:
    """Where bytes lie: in a file, or, where it is compressed, here."""

    archive: Path
    offset: int
    bytes: int
    content: bytes | None = None

    @property
    def held(self) -> int:
        return len(self.content or b"")

    def read(self) -> bytes:
        if self.content is not None:
            return self.content
        with self.archive.open("rb") as file:
            file.seek(self.offset)
            content = file.read(self.bytes)
        if len(content) < self.bytes:
            raise cut_short(self.archive)
        return content


class Digest:
    """The md5 of a file, known once it has been read to its end."""

    def __init__(self) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)

    def update(self, content: bytes) -> None:
        self._md5.update(content)

    @property
    def text(self) -> str:
        return self._md5.hexdigest()


class _Hashed(io.RawIOBase):
    """A file that is hashed as it is read."""

    def __init__(self, file: BinaryIO, digest: Digest) -> None:
        self._file = file
        self._digest = digest

    def readable(self) -> bool:
        return True

    def read(self, count: int = -1) -> bytes:
        content = self._file.read(count)
        self._digest.update(content)
        return content

    def readinto(self, buffer: Any) -> int:
        content = self.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)


def is_compressed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == _GZIP


def walk(path: Path, digest: Digest | None = None) -> Iterator[tuple[PurePosixPath, Place]]:
    """Yield the files of a tar in order, with their names and places.

    With `digest`, or compressed, the archive is read once from end to end; else only its headers are.
    Raises Top1Error for a member that must not be written, and where the archive is damaged or cut short.
    """
    compressed, size = is_compressed(path), path.stat().st_size
    with path.open("rb") as file, _damage_of(path):
        raw: Any = file if digest is None else _Hashed(file, digest)
        stream = gzip.GzipFile(fileobj=raw) if compressed else raw
        mode = "r:" if digest is None and not compressed else "r|"
        with tarfile.open(fileobj=stream, mode=mode, bufsize=_CHUNK) as tar:
            while (member := tar.next()) is not None:
                tar.members = []  # tarfile keeps every one: 14 million take gigabytes
                name = safe_name(member, path)
                if not compressed and member.offset_data + member.size > size:
                    raise cut_short(path)
                if name is not None:
                    yield name, _place(tar, member, path, compressed)
        while digest is not None and raw.read(_CHUNK):  # what follows the end mark is part of the md5
            pass


def names_of(place: Place) -> list[PurePosixPath]:
    """Return the names of the files of a tar that lies in another; only its headers are read."""
    return [name for name, _ in members(place, contents=False)]


def members(place: Place, contents: bool = True) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Yield the names and contents of the files of a tar that lies in another, uncompressed."""
    if not place.bytes:
        raise cut_short(place.archive)
    end = place.offset + place.bytes
    with _opened(place) as file, _damage_of(place.archive), tarfile.open(fileobj=file, mode="r:") as tar:
        while (member := tar.next()) is not None and member.offset < end:
            tar.members = []
            name = safe_name(member, place.archive)
            if member.offset_data + member.size > end:
                raise cut_short(place.archive)
            if name is not None:
                file.seek(member.offset_data)
                yield name, file.read(member.size) if contents else b""


def safe_name(member: tarfile.TarInfo, archive: Path) -> PurePosixPath | None:
    """Return the name of a file, None for a folder. Raises Top1Error for what must not be written."""
    name = PurePosixPath(member.name)
    if not (member.isreg() or member.isdir()):
        kind = _KINDS.get(member.type, f"of the unknown type {member.type!r}")
        raise _refused(archive, member.name, f"is {kind}")
    check_name(member.name, archive)
    return None if member.isdir() else PurePosixPath(*(part for part in name.parts if part != "."))


def check_name(name: str, archive: Path) -> None:
    """Raise Top1Error for a name that leads out of a folder, or that no file should have."""
    if name.startswith("/") or ".." in PurePosixPath(name).parts or "\\" in name:
        raise _refused(archive, name, "would be written outside of the output folder")
    if not name.isprintable():
        raise _refused(archive, name, "has control characters in its name")


def cut_short(archive: Path) -> Top1Error:
    return Top1Error(
        f"{archive} ends in the middle of a file: it was cut short, or its download is not finished. "
        "Download it again (most programs can continue)."
    )


def _place(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path, compressed: bool) -> Place:
    if not compressed:
        return Place(path, member.offset_data, member.size)
    file = tar.extractfile(member)
    assert file is not None
    content = file.read()
    if len(content) < member.size:
        raise cut_short(path)
    return Place(path, 0, len(content), content)


def _opened(place: Place) -> Any:
    if place.content is not None:
        return io.BytesIO(place.content)
    file = place.archive.open("rb", buffering=_CHUNK)
    file.seek(place.offset)
    return file


@contextmanager
def _damage_of(path: Path) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise Top1Error(
            f"{path} is no tar, or a damaged one ({error}); give the archive as it was downloaded, or "
            "download it again"
        ) from error


def _refused(archive: Path, name: str, why: str) -> Top1Error:
    return Top1Error(
        f"{archive} is refused: its member {name!r} {why}. No published archive has such a member; "
        "download it from its original place."
    )
