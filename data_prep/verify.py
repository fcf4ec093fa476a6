"""Decode every image of a set and compare it with its manifest: `top1 prep verify DIR`.

Also reads a tree that has no manifest yet. Each image is read once; what was looked at is recorded, so that
a verification that was ended goes on.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from data_prep.check import Expected, Kind, problem_of
from data_prep.collect import count_classes
from data_prep.files import folders_of, images_of
from data_prep.folder import SPLITS
from data_prep.progress import Quiet
from data_prep.published import Published
from data_prep.work import TOGETHER, Record, read_records, run
from pipeline.data.header import BODY_NAME, HEADER_NAME, Header
from pipeline.data.manifest import Manifest
from pipeline.errors import Top1Error


@dataclass(frozen=True)
class Problem:
    """What is wrong with a file or a class. kind: of `check.Kind`, or another word for what is no file."""

    path: str
    kind: str
    what: str


@dataclass(frozen=True)
class Seen:
    """A set that was looked at: its manifest, if it has one, how many images, and what is wrong."""

    manifest: Manifest | None
    images: int
    problems: list[Problem]


@dataclass(frozen=True)
class Look:
    """One image to be looked at. shard and offset: where it lies in a pack; else it is a file."""

    path: str
    bytes: int
    expected: Expected | None
    shard: str | None = None
    offset: int = 0


@dataclass(frozen=True)
class Looks:
    """A part of the work: some images to be decoded."""

    key: str
    folder: Path
    looks: Sequence[Look]

    @property
    def bytes(self) -> int:
        return sum(look.bytes for look in self.looks)

    def stands(self, record: Record) -> bool:
        """Whether the same files were found sound, and none was written to since."""
        return not record["problems"] and bool(record["state"] == self._state())

    def work(self) -> Record:
        problems = []
        for look in self.looks:
            found = self._problem(look)
            if found:
                problems.append([look.path, *found])
        return {"images": len(self.looks), "problems": problems, "state": self._state()}

    def _problem(self, look: Look) -> tuple[Kind, str] | None:
        try:
            content = _read(self.folder, look)
        except FileNotFoundError:
            return "missing", "is not there"
        except OSError as error:
            return "unreadable", f"cannot be read ({error.strerror})"
        return problem_of(content, look.expected)

    def _state(self) -> list[list[Any]]:
        states = {}
        for look in self.looks:
            name = look.shard or look.path
            try:
                found = os.stat(self.folder / name)
                states[name] = [name, found.st_size, found.st_mtime_ns]
            except OSError:
                states[name] = [name, 0, 0]
        return list(states.values())


def look_at_all(folder: Path, state: Path, processes: int | None, progress: Quiet) -> Seen:
    """Decode every image. Raises Top1Error where there is neither a manifest nor a tree."""
    manifest = Manifest.load(folder) if (folder / HEADER_NAME).exists() else None
    looks = _TreeLooks(folder) if manifest is None else _ManifestLooks(manifest)
    records = state / f"verify-{manifest.header.fingerprint[:16] if manifest else 'tree'}"
    keys = []

    def parts() -> Iterator[Looks]:
        for number, some in enumerate(looks.groups()):
            keys.append(f"{number:07d}")
            yield Looks(keys[-1], folder, some)

    with progress.stage("decoding", looks.bytes) as stage:
        run(parts(), records, stage, processes)
        images = stage.images
    problems = [Problem(*one) for record in read_records(records, keys) for one in record["problems"]]
    problems += looks.problems()
    shutil.rmtree(records)
    return Seen(manifest, images, problems)


def count_problems(header: Header, table: Any, published: Published) -> list[Problem]:
    """Return where a set that bears a published name has other numbers than were published."""
    kit_md5 = published.md5["devkit"]
    problems: list[Problem] = []
    if header.name != published.name or header.archives.get("devkit", kit_md5) != kit_md5:
        return problems  # another set, or one of archives that are not those published
    for split, images in published.images.items():
        counts = count_classes(table, header.classes, split)
        if (sum(counts.values()), len(counts)) != (images, published.classes):
            what = (
                f"has {sum(counts.values()):,} images of {len(counts):,} classes where {images:,} of "
                f"{published.classes:,} were published"
            )
            problems.append(Problem(split, "count", what))
    return problems


class _ManifestLooks:
    """The images of a manifest. A folder's class folders are compared with it as well."""

    def __init__(self, manifest: Manifest) -> None:
        self._folder = manifest.folder
        self._table = pq.read_table(manifest.folder / BODY_NAME)
        self.bytes = sum(self._table["bytes"].to_numpy().tolist())
        self._packed = self._table["shard"].null_count == 0

    def groups(self) -> Iterator[list[Look]]:
        for first in range(0, len(self._table), TOGETHER):
            rows = self._table.slice(first, TOGETHER).to_pylist()
            yield [
                Look(
                    row["path"],
                    row["bytes"],
                    Expected(row["sha256"].hex(), row["width"], row["height"]),
                    row["shard"],
                    row["offset"] or 0,
                )
                for row in rows
            ]

    def problems(self) -> list[Problem]:
        """Return the image files that lie beside those of the manifest."""
        if self._packed:
            return []
        known = set(self._table["path"].to_pylist())
        folders = sorted({path.rpartition("/")[0] for path in known})
        roots = {folder.rpartition("/")[0] for folder in folders} - {""}
        beside = {f"{root}/{name}" for root in roots for name in folders_of(self._folder / root)}
        found = []
        for folder in sorted({*folders, *beside}):
            if (self._folder / folder).is_dir():
                found += [f"{folder}/{name}" for name in images_of(self._folder / folder)]
        return [
            Problem(path, "extra", "is not in the manifest; training does not see it")
            for path in found
            if path not in known
        ]


class _TreeLooks:
    """The images of a tree without a manifest: train/<class>/*, val/<class>/*."""

    def __init__(self, folder: Path) -> None:
        self._classes = {
            split: list(folders_of(folder / split)) if (folder / split).is_dir() else [] for split in SPLITS
        }
        self._paths = [
            f"{split}/{name}/{file}"
            for split, names in self._classes.items()
            for name in names
            for file in images_of(folder / split / name)
        ]
        if not self._paths:
            raise Top1Error(
                f"{folder} has neither a {HEADER_NAME} nor images in train/<class>/ and val/<class>/; give "
                "the folder of a prepared set, or of such a tree"
            )
        self._sizes = [(folder / path).stat().st_size for path in self._paths]
        self.bytes = sum(self._sizes)

    def groups(self) -> Iterator[list[Look]]:
        for first in range(0, len(self._paths), TOGETHER):
            some = slice(first, first + TOGETHER)
            yield [
                Look(path, size, None)
                for path, size in zip(self._paths[some], self._sizes[some], strict=True)
            ]

    def problems(self) -> list[Problem]:
        """Return the classes that one split lacks, and those without an image."""
        train, val = (set(self._classes[split]) for split in SPLITS)
        problems = []
        for split, lacking in (("train", val - train), ("val", train - val)):
            problems += [Problem(f"{split}/{name}", "class", "is missing") for name in sorted(lacking)]
        full = {path.rpartition("/")[0] for path in self._paths}
        folders = [f"{split}/{name}" for split, names in self._classes.items() for name in names]
        return problems + [Problem(name, "class", "holds no image") for name in folders if name not in full]


def _read(folder: Path, look: Look) -> bytes:
    if look.shard is None:
        return (folder / look.path).read_bytes()
    with (folder / look.shard).open("rb") as file:
        return os.pread(file.fileno(), look.bytes, look.offset)
