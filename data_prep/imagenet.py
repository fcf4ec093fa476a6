"""ILSVRC2012 from its three archives: `top1 prep imagenet --train TAR --val TAR --devkit TAR --out DIR`.

Each archive is read once, from its beginning to its end, and hashed on the way, while processes take out
what has been read (it is still in memory then). The manifest comes last, and only when every class has the
number of images the devkit gives.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from data_prep.asked import finished
from data_prep.collect import Collected, collect, missing_images, some
from data_prep.devkit import Devkit, read_devkit
from data_prep.extract import ClassTar, Extraction, Images, move_into_place, origin_of, refuse_foreign
from data_prep.progress import Quiet
from data_prep.published import CLASS_TAR, ILSVRC2012, Published
from data_prep.tars import Digest, walk
from data_prep.work import STATE, TOGETHER, check_room, forget, only_one, run
from pipeline.data.header import Header
from pipeline.data.manifest import write_manifest, write_whole
from pipeline.errors import Top1Error


@dataclass(frozen=True)
class Archives:
    """The downloads. official: whether each must have its published md5."""

    train: Path
    val: Path
    devkit: Path
    official: bool = True


def prepare_imagenet(
    out: str | Path,
    archives: Archives,
    *,
    published: Published = ILSVRC2012,
    mend: bool = True,
    command: str | None = None,
    processes: int | None = None,
    progress: Quiet | None = None,
) -> Header:
    """Write train/<wnid>/*, val/<wnid>/* and the manifest; a finished set is left alone.

    mend: odd training images (a PNG named .JPEG, CMYK, EXIF that asks for turning) are written as plain
    JPEGs and listed in the header; validation images are never touched. May be killed at any moment and
    started again. Raises Top1Error for an archive that is not the published one, is damaged or holds what
    it should not, where images are missing, where `out` holds another set, and where the disk is full.
    """
    out, progress = Path(out).resolve(), progress or Quiet()
    asked = {f"--{holds}": str(getattr(archives, holds).resolve()) for holds in ("train", "val", "devkit")}
    asked |= {"--unofficial": not archives.official or None, "--as-published": not mend or None}
    with only_one(out) as state:
        if made := finished(out, state, published.name, asked):
            return made
        refuse_foreign(out, ("train", "val"))
        devkit = read_devkit(archives.devkit)
        if archives.official:
            published.check_sum("devkit", archives.devkit, devkit.md5)
        _check_sizes(out, archives)
        job = _Job(out, state, archives, published, devkit, mend)
        md5 = {"devkit": devkit.md5}
        keys: list[str] = []
        for split in ("val", "train"):  # the small one first: a wrong one is told sooner
            parts = job.parts(split)
            with progress.stage(split, job.size(split)) as stage:
                run(parts, state / "records", stage, processes)
            md5[split] = parts.md5
            keys += parts.keys
        collected = collect(state / "records", keys, devkit.wnids)
        check_complete(collected, devkit, published if archives.official else None)
        move_into_place(out, ("train", "val"))
        header = write_manifest(
            out,
            collected.table,
            name=published.name,
            classes=collected.classes,
            command=command or f"top1 prep imagenet --out {out}",
            official=proof(md5, published),
            repairs=collected.repairs,
            archives=md5,
        )
        forget(state)
    return header


def proof(md5: Mapping[str, str], published: Published) -> str | None:
    """Return how a set is known to be the official one: its validation archive and what labelled it."""
    if any(md5.get(holds) != published.md5[holds] for holds in ("val", "devkit")):
        return None
    return f"val archive md5 {md5['val']}, labels of the devkit md5 {md5['devkit']}"


def check_complete(collected: Collected, devkit: Devkit, published: Published | None) -> None:
    """Raise Top1Error unless every class has the images the devkit gives, and the set those published."""
    if collected.bad:
        told = some([f"{path} ({why})" for path, why in sorted(collected.bad)])
        raise Top1Error(f"{len(collected.bad)} files cannot be read as images: {told}; download them again")
    expected = {"train": devkit.train_images, "val": devkit.val_images}
    for split, counts in expected.items():
        problem = missing_images(collected.counts(split), counts, split)
        if problem:
            raise Top1Error(f"{problem}. Give the whole archives; what is there already is kept.")
        if published and sum(counts.values()) != published.images[split]:
            raise Top1Error(
                f"the devkit counts {sum(counts.values()):,} images in {split} where "
                f"{published.images[split]:,} were published; give the devkit of ILSVRC2012"
            )
    if published and len(devkit.wnids) != published.classes:
        raise Top1Error(
            f"the devkit has {len(devkit.wnids):,} classes where {published.classes:,} were published"
        )


@dataclass(frozen=True)
class _Job:
    """What the parts of a preparation have in common."""

    out: Path
    state: Path
    archives: Archives
    published: Published
    devkit: Devkit
    mend: bool

    def archive(self, split: str) -> Path:
        return self.archives.train if split == "train" else self.archives.val

    def size(self, split: str) -> int:
        return self.archive(split).stat().st_size

    def parts(self, split: str) -> _Parts:
        return _Parts(self, split)


class _Parts:
    """The parts of one archive, made as it is read. keys: of those made so far. md5: once all are."""

    def __init__(self, job: _Job, split: str) -> None:
        self.keys: list[str] = []
        self.md5 = ""
        self._job = job
        self._split = split
        self._archive = job.archive(split)
        # A validation image's class is the devkit's to say.
        self._origin = f"{origin_of(self._archive)} {job.devkit.md5}"

    def __iter__(self) -> Iterator[Extraction]:
        known = _KnownSum(self._job.state / f"{self._split}.md5.json", self._archive)
        digest = None if known.md5 else Digest()
        make = self._class_tars if self._split == "train" else self._val_images
        for part in make(digest):
            self.keys.append(part.key)
            yield part
        self.md5 = known.md5 or known.write(digest)
        if self._job.archives.official:
            self._job.published.check_sum(self._split, self._archive, self.md5)

    def _class_tars(self, digest: Digest | None) -> Iterator[Extraction]:
        for name, place in walk(self._archive, digest):
            wnid = CLASS_TAR.fullmatch(name.name)
            if wnid is None or wnid[1] not in self._job.devkit.train_images:
                raise Top1Error(
                    f"{self._archive} holds {name}, which is no tar of a class of the devkit; give "
                    "ILSVRC2012_img_train.tar and the devkit that belongs to it"
                )
            mend = ("train",) if self._job.mend else ()
            source = ClassTar(place, wnid[1])
            yield Extraction(f"train-{wnid[1]}", place.bytes, source, self._job.out, self._origin, mend)

    def _val_images(self, digest: Digest | None) -> Iterator[Extraction]:
        images = (
            ("val", f"val/{(wnid := self._job.devkit.wnid_of(name.name))}/{name.name}", wnid, place)
            for name, place in walk(self._archive, digest)
        )
        number = 0
        while together := list(islice(images, TOGETHER)):
            size = sum(place.bytes for *_, place in together)
            yield Extraction(f"val-{number:06d}", size, Images(together), self._job.out, self._origin)
            number += 1


class _KnownSum:
    """The md5 of an archive that was read before, unless the archive has changed since."""

    def __init__(self, record: Path, archive: Path) -> None:
        state = archive.stat()
        self._facts = {"path": str(archive), "bytes": state.st_size, "mtime_ns": state.st_mtime_ns}
        self._record = record
        self.md5 = ""
        with suppress(FileNotFoundError):
            known = json.loads(record.read_bytes())
            if {key: known[key] for key in self._facts} == self._facts:
                self.md5 = known["md5"]

    def write(self, digest: Digest | None) -> str:
        assert digest is not None
        text = json.dumps({**self._facts, "md5": digest.text}).encode()
        write_whole(self._record, lambda file: file.write(text))
        return digest.text


def _check_sizes(out: Path, archives: Archives) -> None:
    needed = 0
    for archive in (archives.train, archives.val):
        if not archive.is_file():
            raise Top1Error(f"{archive} is no file; give the archive as it was downloaded")
        needed += archive.stat().st_size
    begun = (out / STATE / "records").exists()
    there = sum(file.stat().st_size for file in out.rglob("*.JPEG")) if begun else 0
    check_room(out, needed - there, "the set")
