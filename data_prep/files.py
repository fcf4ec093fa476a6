"""Images that are files already: read once each, described, and left where they are."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from data_prep.extract import row_of
from data_prep.progress import Quiet
from data_prep.work import TOGETHER, Record, run
from pipeline.data.manifest import describe
from pipeline.data.pillow import DAMAGE
from pipeline.errors import Top1Error

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
_READ_AHEAD = 4  # threads that wait for storage while one works

Item = tuple[str, str, str]  # split, path relative to the folder, class


@dataclass(frozen=True)
class Files:
    """A part of the work: some files of a folder."""

    key: str
    bytes: int
    folder: Path
    items: Sequence[Item]

    def stands(self, record: Record) -> bool:
        """Whether the same files were read, and none was written to since."""
        if record["bad"] or [row[1] for row in record["rows"]] != [path for _, path, _ in self.items]:
            return False
        return bool(record["state"] == self._state())

    def work(self) -> Record:
        record: Record = {"rows": [], "mended": [], "bad": [], "state": self._state()}
        with ThreadPoolExecutor(_READ_AHEAD) as pool:
            contents = [pool.submit((self.folder / path).read_bytes) for _, path, _ in self.items]
            for (split, path, class_name), content in zip(self.items, contents, strict=True):
                try:
                    entry = describe(content.result(), split, path, 0)
                    record["rows"].append(row_of(entry, class_name))
                except DAMAGE as error:
                    record["bad"].append([path, getattr(error, "strerror", None) or "not an image"])
        return record

    def _state(self) -> list[list[int]]:
        """Return size and time of each file; nothing for one that is not there."""
        return [_size_and_time(self.folder / path) for _, path, _ in self.items]


def index_files(
    folder: Path, items: Sequence[Item], records: Path, progress: Quiet, processes: int | None
) -> list[str]:
    """Describe files of a folder; return the keys of the records."""
    sizes = [_size_and_time(folder / path)[0] for _, path, _ in items]
    parts = [
        Files(
            f"files-{first:09d}",
            sum(sizes[first : first + TOGETHER]),
            folder,
            items[first : first + TOGETHER],
        )
        for first in range(0, len(items), TOGETHER)
    ]
    with progress.stage("reading", sum(sizes)) as stage:
        run(parts, records, stage, processes)
    return [part.key for part in parts]


def images_of(folder: Path) -> list[str]:
    """Return the names of the image files of a folder, sorted; hidden ones are left out.

    Raises Top1Error for a name that a manifest cannot hold, as `folders_of` does.
    """
    return sorted(_name(entry) for entry in os.scandir(folder) if is_image(entry))


def is_image(entry: os.DirEntry[str]) -> bool:
    return not entry.name.startswith(".") and os.path.splitext(entry.name)[1].lower() in SUFFIXES


def folders_of(folder: Path) -> Iterator[str]:
    """Yield the names of the folders in a folder, sorted; hidden ones are left out."""
    return iter(sorted(_name(e) for e in os.scandir(folder) if e.is_dir() and not e.name.startswith(".")))


def _name(entry: os.DirEntry[str]) -> str:
    try:
        entry.name.encode()
    except UnicodeEncodeError:  # bytes that Python reads as half a surrogate pair each
        raise Top1Error(
            f"the name of {os.fsencode(entry.path)!r} is not UTF-8, as names in a manifest have to be. "
            "Rename it, or remove it."
        ) from None
    return entry.name


def _size_and_time(path: Path) -> list[int]:
    try:
        found = os.stat(path)
    except OSError:
        return [0, 0]
    return [found.st_size, found.st_mtime_ns]
