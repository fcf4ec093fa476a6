"""Index any tree of train/<class>/* and val/<class>/* image files, in place: `top1 prep folder DIR`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pipeline.data.header import Header
from pipeline.data.manifest import Entry, read_entry, write_manifest
from pipeline.data.pillow import DAMAGE
from pipeline.errors import Top1Error

SPLITS = ("train", "val")
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
_SHOWN = 5  # problems named in an error before "and N more"


def prepare_folder(
    folder: str | Path,
    *,
    name: str | None = None,
    command: str | None = None,
    official: str | None = None,
    threads: int | None = None,
) -> Header:
    """Write the manifest of a tree. Raises Top1Error where it is not one, or where a file is no image.

    Every file is read once, for its checksum and its size. threads: files read at a time; by default four
    per CPU, for reading waits more than it works.
    """
    folder = Path(folder).resolve()
    classes = _same_classes(folder, {split: _class_names(folder, split) for split in SPLITS})
    files = list(_files(folder, classes))
    _check_counts(folder, classes, files)
    entries = _describe(folder, files, threads or 4 * len(os.sched_getaffinity(0)))
    return write_manifest(
        folder,
        entries,
        name=name or folder.name,
        classes=classes,
        command=command or f"top1 prep folder {folder}",
        official=official,
    )


def _class_names(folder: Path, split: str) -> list[str]:
    if not folder.is_dir():
        raise Top1Error(
            f"data folder {folder} does not exist; give a folder that holds train/<class>/ and val/<class>/"
        )
    root = folder / split
    names = sorted(entry.name for entry in os.scandir(root) if _is_class(entry)) if root.is_dir() else []
    if not names:
        state = "is empty" if root.is_dir() else "is missing"
        raise Top1Error(
            f"{root} {state}; expected one folder per class in train and in val, e.g. {root}/n01440764/. "
            "Put the images there, or give another folder."
        )
    return names


def _is_class(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir() and not entry.name.startswith(".")


def _same_classes(folder: Path, names: dict[str, list[str]]) -> list[str]:
    """Return the classes; the label of an image is its class's place in the sorted list."""
    train, val = set(names["train"]), set(names["val"])
    if train != val:
        only = [
            f"{len(a - b)} only in {where} ({_some(sorted(a - b))})"
            for a, b, where in ((train, val, "train"), (val, train, "val"))
            if a - b
        ]
        raise Top1Error(
            f"train and val of {folder} have different classes: {'; '.join(only)}. Labels are places in the "
            "common list, so both need the same folders; move or remove the others."
        )
    return names["train"]


def _files(folder: Path, classes: Sequence[str]) -> Iterator[tuple[str, str, int]]:
    """Yield (split, relative path, label) of every image file, sorted."""
    for split in SPLITS:
        for label, name in enumerate(classes):
            found = sorted(entry.name for entry in os.scandir(folder / split / name) if _is_image(entry))
            yield from ((split, f"{split}/{name}/{file}", label) for file in found)


def _is_image(entry: os.DirEntry[str]) -> bool:
    return not entry.name.startswith(".") and os.path.splitext(entry.name)[1].lower() in SUFFIXES


def _check_counts(folder: Path, classes: Sequence[str], files: Sequence[tuple[str, str, int]]) -> None:
    for split in SPLITS:
        present = {label for where, _, label in files if where == split}
        missing = [name for label, name in enumerate(classes) if label not in present]
        if missing:
            raise Top1Error(
                f"{len(missing)} of {len(classes)} class folders of {folder / split} hold no image: "
                f"{_some(missing)}; expected files ending in {', '.join(sorted(SUFFIXES))}. "
                "Add images or remove the folders."
            )


def _describe(folder: Path, files: Sequence[tuple[str, str, int]], threads: int) -> list[Entry]:
    problems: list[str] = []

    def describe(file: tuple[str, str, int]) -> Entry | None:
        split, path, label = file
        try:
            return read_entry(folder, split, path, label)
        except DAMAGE as error:
            problems.append(f"{path} ({getattr(error, 'strerror', None) or 'not an image'})")
            return None

    with ThreadPoolExecutor(threads) as pool:
        entries = [entry for entry in pool.map(describe, files) if entry is not None]
    if problems:
        raise Top1Error(
            f"{len(problems)} of {len(files)} files in {folder} cannot be read as images: "
            f"{_some(sorted(problems))}. Remove or replace them."
        )
    return entries


def _some(names: Sequence[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
