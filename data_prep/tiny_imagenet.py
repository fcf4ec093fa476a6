"""Tiny ImageNet, 200 classes of 64 x 64 pixels, from its zip: `top1 prep tiny-imagenet ZIP OUT`.

The zip has train/<wnid>/images/*.JPEG, and val/images/*.JPEG with val/val_annotations.txt; its test images
have no labels and are left out.
"""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from data_prep.asked import finished
from data_prep.collect import collect, some
from data_prep.extract import Extraction, Found, move_into_place, origin_of, refuse_foreign
from data_prep.progress import Quiet
from data_prep.tars import check_name
from data_prep.work import check_room, forget, only_one, run
from pipeline.data.header import Header
from pipeline.data.manifest import write_manifest
from pipeline.errors import Top1Error

NAME = "tiny-imagenet"
_TOGETHER = 1000  # images a part
_ANNOTATIONS = "val/val_annotations.txt"

Wanted = tuple[str, str, str, str]  # split, path, class, the member's name


@dataclass(frozen=True)
class Members:
    """Some images of a zip."""

    archive: Path
    wanted: Sequence[Wanted]
    held: int = 0

    def images(self) -> Iterator[Found]:
        with zipfile.ZipFile(self.archive) as archive:
            for split, path, class_name, member in self.wanted:
                try:
                    content = archive.read(member)
                except (zipfile.BadZipFile, zlib.error, EOFError) as error:
                    raise Top1Error(
                        f"{self.archive} is damaged at {member} ({error}); download it again"
                    ) from error
                yield Found(split, path, class_name, content)


def prepare_tiny_imagenet(
    archive: str | Path,
    out: str | Path,
    *,
    command: str | None = None,
    processes: int | None = None,
    progress: Quiet | None = None,
) -> Header:
    """Write train/<wnid>/*.JPEG, val/<wnid>/*.JPEG and the manifest; a killed run goes on.

    Raises Top1Error for a zip that is another or damaged, and where an image is not labelled or not there.
    """
    archive, out = Path(archive).resolve(), Path(out).resolve()
    with only_one(out) as state:
        if made := finished(out, state, NAME, {"source": str(archive)}):
            return made
        refuse_foreign(out, ("train", "val"))
        wnids, wanted, sizes = _contents(archive)
        check_room(out, sum(sizes.values()), "the set")
        parts = [
            Extraction(
                f"images-{first:06d}",
                sum(sizes[one[3]] for one in wanted[first : first + _TOGETHER]),
                Members(archive, wanted[first : first + _TOGETHER]),
                out,
                origin_of(archive),
            )
            for first in range(0, len(wanted), _TOGETHER)
        ]
        with (progress or Quiet()).stage("unzipping", sum(part.bytes for part in parts)) as stage:
            run(parts, state / "records", stage, processes)
        found = collect(state / "records", [part.key for part in parts], wnids)
        if found.bad:
            raise Top1Error(
                f"{len(found.bad)} files of {archive} are no images: "
                f"{some([path for path, _ in found.bad])}; download it again"
            )
        move_into_place(out, ("train", "val"))
        header = write_manifest(
            out,
            found.table,
            name=NAME,
            classes=found.classes,
            command=command or f"top1 prep tiny-imagenet {archive} {out}",
        )
        forget(state)
    return header


def _contents(path: Path) -> tuple[list[str], list[Wanted], dict[str, int]]:
    """Return the classes, the labelled images, and the size of each member."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename: info for info in archive.infolist()}
            root = _root(members, path)
            wnids = archive.read(f"{root}wnids.txt").decode("ascii").split()
            lines = archive.read(root + _ANNOTATIONS).decode("ascii").splitlines()
    except FileNotFoundError:
        raise Top1Error(f"{path} does not exist; give tiny-imagenet-200.zip as it was downloaded") from None
    except (zipfile.BadZipFile, KeyError, UnicodeDecodeError) as error:
        raise Top1Error(
            f"{path} is not Tiny ImageNet's zip, or a damaged one ({error}); give tiny-imagenet-200.zip"
        ) from error
    for info in members.values():
        check_name(info.filename, path)
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise Top1Error(f"{path} is refused: its member {info.filename!r} is a link or a device")
    labels = dict(line.split("\t")[:2] for line in lines if line)
    wanted = [*_train(members, root, wnids), *_val(members, root, labels, path)]
    return sorted(wnids), wanted, {name: info.file_size for name, info in members.items()}


def _root(members: dict[str, zipfile.ZipInfo], path: Path) -> str:
    found = [name for name in members if PurePosixPath(name).name == "wnids.txt"]
    if len(found) != 1:
        raise Top1Error(f"{path} has no wnids.txt, so it is not Tiny ImageNet; give tiny-imagenet-200.zip")
    return found[0].removesuffix("wnids.txt")


def _train(members: dict[str, zipfile.ZipInfo], root: str, wnids: Sequence[str]) -> Iterator[Wanted]:
    known = set(wnids)
    for member in members:
        parts = PurePosixPath(member.removeprefix(root)).parts
        if len(parts) == 4 and parts[0] == "train" and parts[2] == "images" and parts[1] in known:
            yield "train", f"train/{parts[1]}/{parts[3]}", parts[1], member


def _val(
    members: dict[str, zipfile.ZipInfo], root: str, labels: dict[str, str], path: Path
) -> Iterator[Wanted]:
    images = [name for name in members if name.startswith(f"{root}val/images/") and not name.endswith("/")]
    named = {PurePosixPath(member).name: member for member in images}
    if named.keys() != labels.keys():
        differing = sorted(named.keys() ^ labels.keys())
        raise Top1Error(
            f"{len(differing)} validation images of {path} are only in the zip or only in {_ANNOTATIONS}: "
            f"{some(differing)}; download it again"
        )
    for name, wnid in labels.items():
        yield "val", f"val/{wnid}/{name}", wnid, named[name]
