"""ImageNet-21K: the class tars of the fall 2011 and winter 2021 releases, and the processed (P) release.

The full releases are one tar of class tars (fall 2011: fall11_whole.tar; winter 2021: winter21_whole.tar.gz,
in a folder), or a folder of those. They have no validation part; as the processed release did, 50 images of
every class with more than 500 are held out. The processed release (imagenet21k_resized.tar.gz) has images in
imagenet21k_train/<wnid>/ and imagenet21k_val/<wnid>/. Labels are single: the hierarchy is left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_prep.asked import finished
from data_prep.collect import Collected, collect
from data_prep.extract import ClassTar, Extraction, Found, Images, move_into_place, origin_of, refuse_foreign
from data_prep.progress import Quiet
from data_prep.published import CLASS_TAR
from data_prep.tars import Place, is_compressed, members, names_of, walk
from data_prep.work import TOGETHER, check_room, forget, only_one, run
from pipeline.data.header import Header
from pipeline.data.manifest import write_manifest
from pipeline.errors import Top1Error

# Alibaba-MIIL/ImageNet21K dataset_preprocessing/processing_instructions.md: train, val, classes
PROCESSED = {
    "fall 2011": (11_797_632, 561_052, 11_221),
    "winter 2021": (11_060_223, 522_500, 10_450),
}
_HELD_OUT, _HELD_OUT_ABOVE = 50, 500  # processing_script.sh of the same repository
_SPLITS = {"imagenet21k_train": "train", "imagenet21k_val": "val"}


@dataclass(frozen=True)
class _SplitTar(ClassTar):
    """A tar of the images of one class, of which a large one gives some to val."""

    held_out: int
    held_out_above: int

    def images(self) -> Iterator[Found]:
        names = [name.name for name in names_of(self.place)]
        val = set(_first_by_hash(names, self.held_out)) if len(names) > self.held_out_above else set()
        for name, content in members(self.place):
            split = "val" if name.name in val else "train"
            yield Found(split, f"{split}/{self.class_name}/{name.name}", self.class_name, content)


def prepare_imagenet21k(
    source: str | Path,
    out: str | Path,
    *,
    held_out: int = _HELD_OUT,
    held_out_above: int = _HELD_OUT_ABOVE,
    command: str | None = None,
    processes: int | None = None,
    progress: Quiet | None = None,
) -> Header:
    """Write train/<wnid>/*, val/<wnid>/* and the manifest from a release, or a folder of its class tars.

    Files that are no images (the full releases have some) are left out and listed as repairs. Which images
    of a class are held out depends on their names alone. May be killed and started again; a compressed
    archive is then read again from its beginning. Raises Top1Error for another archive or a damaged one, and
    where `out` holds another set.
    """
    source, out = Path(source).resolve(), Path(out).resolve()
    progress = progress or Quiet()
    asked = {"source": str(source), "--val-images": held_out, "--val-above": held_out_above}
    with only_one(out) as state:
        if made := finished(out, state, "imagenet21k", asked):
            return made
        refuse_foreign(out, ("train", "val"))
        archives = _archives(source)
        size = sum(archive.stat().st_size for archive in archives)
        check_room(out, 0 if (state / "records").exists() else size, "the set")
        keys: list[str] = []
        with progress.stage("unpacking", size) as stage:
            for archive in archives:
                run(_parts(archive, out, keys, held_out, held_out_above), state / "records", stage, processes)
        found = collect(state / "records", keys)
        move_into_place(out, [split for split in ("train", "val") if found.counts(split)])
        progress.say(_release(found))
        header = write_manifest(
            out,
            found.table,
            name="imagenet21k",
            classes=found.classes,
            command=command or f"top1 prep imagenet21k {source} {out}",
            repairs=[f"{path}: no image ({why}), left out" for path, why in sorted(found.bad)],
        )
        forget(state)
    return header


def _archives(source: Path) -> Sequence[Path]:
    if source.is_file():
        return [source]
    found = sorted(path for path in source.glob("*.tar") if CLASS_TAR.fullmatch(path.name))
    if not found:
        raise Top1Error(
            f"{source} is neither an archive nor a folder of class tars (n01440764.tar, ...); give "
            "winter21_whole.tar.gz, fall11_whole.tar, imagenet21k_resized.tar.gz, or a folder of class tars"
        )
    return found


def _parts(
    archive: Path, out: Path, keys: list[str], held_out: int, held_out_above: int
) -> Iterator[Extraction]:
    """Yield the parts of a whole release, or of one class tar."""
    alone, origin = CLASS_TAR.fullmatch(archive.name), f"{origin_of(archive)} {held_out} {held_out_above}"
    if alone and not is_compressed(archive):
        keys.append(alone[1])
        source = _SplitTar(Place(archive, 0, archive.stat().st_size), alone[1], held_out, held_out_above)
        yield Extraction(alone[1], source.place.bytes, source, out, origin)
        return
    loose: list[tuple[str, str, str, Place]] = []
    for name, place in walk(archive):
        wnid = CLASS_TAR.fullmatch(name.name)
        if wnid:
            keys.append(wnid[1])
            source = _SplitTar(place, wnid[1], held_out, held_out_above)
            yield Extraction(wnid[1], place.bytes, source, out, origin)
        elif len(name.parts) >= 3 and (split := _SPLITS.get(name.parts[-3])):
            loose.append((split, f"{split}/{name.parts[-2]}/{name.name}", name.parts[-2], place))
        if len(loose) == TOGETHER:
            yield _together(loose, out, origin, keys)
            loose = []
    if loose:
        yield _together(loose, out, origin, keys)


def _together(
    loose: Sequence[tuple[str, str, str, Place]], out: Path, origin: str, keys: list[str]
) -> Extraction:
    """Return a part of some images of the processed release."""
    keys.append(f"images-{len(keys):06d}")
    return Extraction(keys[-1], sum(place.bytes for *_, place in loose), Images(loose), out, origin)


def _release(found: Collected) -> str:
    """Return which release the images are, by their numbers."""
    train, val = (found.counts(split) for split in ("train", "val"))
    numbers = (sum(train.values()), sum(val.values()), len(found.classes))
    told = f"{numbers[0]:,} training and {numbers[1]:,} validation images of {numbers[2]:,} classes"
    for release, published in PROCESSED.items():
        if numbers == published:
            return f"{told}: the processed {release} release, whole"
    return f"{told}; no processed release has these numbers, and the full ones are published without any"


def _first_by_hash(names: Sequence[str], count: int) -> list[str]:
    """Return some names, chosen by their sha256: as good as at random, and the same everywhere."""
    return sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())[:count]
