"""Images from archives to files: each read once, checked, described, mended where it is odd, written.

Files are written below the state folder, whose splits move to their places when all are there: a split that
has its place is whole.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from data_prep.mend import mend_oddity
from data_prep.tars import Place, members
from data_prep.work import STATE, Record
from pipeline.data.manifest import Entry, describe
from pipeline.data.pillow import DAMAGE
from pipeline.data.split import Flag
from pipeline.errors import Top1Error

_UNPACKING = "unpacking"


@dataclass(frozen=True)
class Found:
    """An image on its way: where it shall lie, of which class it is, its bytes."""

    split: str
    path: str  # relative to the data folder
    class_name: str
    content: bytes


class Source(Protocol):
    """Where images come from. It is sent to another process, with `held` bytes of them."""

    @property
    def held(self) -> int: ...

    def images(self) -> Iterator[Found]: ...


@dataclass(frozen=True)
class ClassTar:
    """A tar of the training images of one class; the class gives the folder."""

    place: Place
    class_name: str

    @property
    def held(self) -> int:
        return self.place.held

    def images(self) -> Iterator[Found]:
        for name, content in members(self.place):
            yield Found("train", f"train/{self.class_name}/{name.name}", self.class_name, content)


@dataclass(frozen=True)
class Images:
    """Images that lie one by one. wanted: (split, path, class, place) each."""

    wanted: Sequence[tuple[str, str, str, Place]]

    @property
    def held(self) -> int:
        return sum(place.held for *_, place in self.wanted)

    def images(self) -> Iterator[Found]:
        for split, path, class_name, place in self.wanted:
            yield Found(split, path, class_name, place.read())


@dataclass(frozen=True)
class Extraction:
    """A part of the work: images from a source into a folder.

    origin: what tells the source from another of the same names, so that nothing an earlier run took from
    another is kept. mend: splits whose odd files are mended.
    """

    key: str
    bytes: int
    source: Source
    out: Path
    origin: str
    mend: tuple[str, ...] = ()

    @property
    def held(self) -> int:
        """Bytes of images that are sent along, since they were taken out of a compressed archive."""
        return self.source.held

    def stands(self, record: Record) -> bool:
        """Whether every file came from the same source and is there with its size."""
        if record["origin"] != self._origin:
            return False
        try:
            return all(
                os.stat(_root(self.out, split) / path).st_size == size
                for split, path, _, size, *_ in record["rows"]
            )
        except OSError:
            return False

    def work(self) -> Record:
        record: Record = {"rows": [], "mended": [], "bad": [], "origin": self._origin}
        folders: set[str] = set()
        paths: set[str] = set()
        for found in self.source.images():
            if found.path in paths:
                raise Top1Error(f"{found.path} is in its archive twice; download the archive again")
            paths.add(found.path)
            self._take(found, record, folders)
        return record

    @property
    def _origin(self) -> str:
        return f"{self.origin} {','.join(self.mend)}"

    def _take(self, found: Found, record: Record, folders: set[str]) -> None:
        content = found.content
        try:
            entry = describe(content, found.split, found.path, 0)
            mended = mend_oddity(content, entry) if found.split in self.mend else None
            if mended:
                content = mended.content
                entry = describe(content, found.split, found.path, 0)
                entry = replace(entry, flags=entry.flags | Flag.REPAIRED)
                record["mended"].append([found.path, mended.what])
        except DAMAGE as error:
            record["bad"].append([found.path, str(error) or type(error).__name__])
            return
        path = _root(self.out, found.split) / found.path
        folder = os.path.dirname(path)
        if folder not in folders:
            os.makedirs(folder, exist_ok=True)
            folders.add(folder)
        with open(path, "wb", buffering=0) as file:
            written = 0
            while written < len(content):
                written += file.write(content[written:])
        record["rows"].append(row_of(entry, found.class_name))


def origin_of(archive: Path) -> str:
    """Return what tells a version of a file from another: its size and when it was written."""
    found = archive.stat()
    return f"{found.st_size} {found.st_mtime_ns}"


def row_of(entry: Entry, class_name: str) -> list[object]:
    """Return an image as a row of a record: split, path, class, bytes, sha256, width, height, flags."""
    return [
        entry.split,
        entry.path,
        class_name,
        entry.bytes,
        entry.sha256,
        entry.width,
        entry.height,
        int(entry.flags),
    ]


def refuse_foreign(out: Path, splits: Sequence[str]) -> None:
    """Raise Top1Error where a folder has files of its own in the places of the splits."""
    if (out / STATE / "records").is_dir():
        return  # ours, from a run that was ended
    for split in splits:
        if (out / split).exists():
            raise Top1Error(
                f"{out / split} is there already and was not made by this command; give another --out, or "
                f"index what is there with `top1 prep folder {out}`"
            )


def move_into_place(out: Path, splits: Sequence[str]) -> None:
    """Give whole splits their places."""
    for split in splits:
        if not (out / split).exists():
            (out / STATE / _UNPACKING / split).replace(out / split)


def _root(out: Path, split: str) -> Path:
    """Return the folder below which a split lies now."""
    return out if (out / split).exists() else out / STATE / _UNPACKING
