"""Index any tree of train/<class>/* and val/<class>/* image files, in place: `top1 prep folder DIR`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from data_prep.collect import collect, some
from data_prep.files import SUFFIXES, Item, folders_of, images_of, index_files
from data_prep.progress import Quiet
from data_prep.work import ASKED, forget, only_one
from pipeline.data.header import Header
from pipeline.data.manifest import write_manifest
from pipeline.errors import Top1Error

SPLITS = ("train", "val")


def prepare_folder(
    folder: str | Path,
    *,
    name: str | None = None,
    command: str | None = None,
    processes: int | None = None,
    progress: Quiet | None = None,
) -> Header:
    """Write the manifest of a tree. Raises Top1Error where it is not one, or where a file is no image.

    Every file is read once, for its checksum and its size. An indexing that was interrupted goes on.
    """
    folder, progress = Path(folder).resolve(), progress or Quiet()
    classes = _same_classes(folder, {split: _class_names(folder, split) for split in SPLITS})
    items = list(_items(folder, classes))
    _check_counts(folder, classes, items)
    with only_one(folder) as state:
        (state / ASKED).unlink(missing_ok=True)  # what is there is indexed, whatever it was made with
        keys = index_files(folder, items, state / "index", progress, processes)
        found = collect(state / "index", keys, classes)
        if found.bad:
            problems = [f"{path} ({what})" for path, what in sorted(found.bad)]
            raise Top1Error(
                f"{len(problems)} of {len(items)} files in {folder} cannot be read as images: "
                f"{some(problems)}. Remove or replace them; `top1 prep verify {folder}` looks at every pixel."
            )
        header = write_manifest(
            folder,
            found.table,
            name=name or folder.name,
            classes=classes,
            command=command or f"top1 prep folder {folder}",
        )
        forget(state)
    return header


def _class_names(folder: Path, split: str) -> list[str]:
    if not folder.is_dir():
        raise Top1Error(
            f"data folder {folder} does not exist; give a folder that holds train/<class>/ and val/<class>/"
        )
    root = folder / split
    names = list(folders_of(root)) if root.is_dir() else []
    if not names:
        state = "is empty" if root.is_dir() else "is missing"
        raise Top1Error(
            f"{root} {state}; expected one folder per class in train and in val, e.g. {root}/n01440764/. "
            "Put the images there, or give another folder."
        )
    return names


def _same_classes(folder: Path, names: dict[str, list[str]]) -> list[str]:
    """Return the classes; the label of an image is its class's place in the sorted list."""
    train, val = set(names["train"]), set(names["val"])
    if train != val:
        only = [
            f"{len(a - b)} only in {where} ({some(sorted(a - b))})"
            for a, b, where in ((train, val, "train"), (val, train, "val"))
            if a - b
        ]
        raise Top1Error(
            f"train and val of {folder} have different classes: {'; '.join(only)}. Labels are places in the "
            "common list, so both need the same folders; move or remove the others."
        )
    return names["train"]


def _items(folder: Path, classes: Sequence[str]) -> Iterator[Item]:
    """Yield every image file, sorted by split, class and name."""
    for split in SPLITS:
        for name in classes:
            yield from ((split, f"{split}/{name}/{file}", name) for file in images_of(folder / split / name))


def _check_counts(folder: Path, classes: Sequence[str], items: Sequence[Item]) -> None:
    for split in SPLITS:
        present = {name for where, _, name in items if where == split}
        missing = [name for name in classes if name not in present]
        if missing:
            raise Top1Error(
                f"{len(missing)} of {len(classes)} class folders of {folder / split} hold no image: "
                f"{some(missing)}; expected files ending in {', '.join(sorted(SUFFIXES))}. "
                "Add images or remove the folders."
            )
