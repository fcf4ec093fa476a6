"""ILSVRC2012 that somebody extracted before: `top1 prep imagenet --from-folders TREE`.

Three layouts are known: train/<wnid>/* and val/<wnid>/*; the same with a flat val/*, which needs the devkit;
and Kaggle's CLS-LOC tree, whose CSV labels the flat validation images. Nothing is copied or changed: the
manifest is written into the tree, or, with an --out, into a folder of hard links in the usual layout.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from data_prep.asked import finished
from data_prep.collect import Collected, collect, missing_images, some
from data_prep.devkit import Devkit, read_devkit
from data_prep.files import Item, folders_of, images_of, index_files
from data_prep.place import place_files
from data_prep.progress import Quiet
from data_prep.published import ILSVRC2012, Published
from data_prep.work import ASKED, forget, only_one
from pipeline.data.header import Header
from pipeline.data.manifest import write_manifest
from pipeline.errors import Top1Error

_KAGGLE = PurePosixPath("ILSVRC/Data/CLS-LOC")
_KAGGLE_CSV = "LOC_val_solution.csv"


@dataclass(frozen=True)
class _Layout:
    """Where a tree has its splits, relative to it, and what labels its validation images.

    wnid_of: from a file name of a flat val; None where folders say it.
    """

    train: str
    val: str
    wnid_of: Callable[[str], str] | None


def prepare_from_folders(
    tree: str | Path,
    *,
    devkit: Path | None = None,
    out: str | Path | None = None,
    published: Published = ILSVRC2012,
    unofficial: bool = False,
    command: str | None = None,
    processes: int | None = None,
    progress: Quiet | None = None,
) -> Header:
    """Write the manifest of an extracted ILSVRC2012, in place, or in `out` beside hard links to its files.

    The set is not marked official by this: `top1 prep verify --val-tar TAR` proves its validation images.
    unofficial: the devkit need not be the published one, nor the numbers of images.
    Raises Top1Error for a layout that is none of the three, and where images are missing or unreadable.
    """
    tree, progress = Path(tree).resolve(), progress or Quiet()
    target = Path(out).resolve() if out else tree
    kit = read_devkit(devkit) if devkit else None
    if kit and devkit and not unofficial:
        published.check_sum("devkit", devkit, kit.md5)
    with only_one(target) as state:
        if out:
            if made := finished(target, state, published.name, {"--from-folders": str(tree)}):
                return made
        else:  # what is there is indexed, whatever it was made with
            (state / ASKED).unlink(missing_ok=True)
        layout = _layout_of(tree, kit)
        items = list(_items(tree, layout))
        if out:
            items = _linked(tree, target, items)
        keys = index_files(target, items, state / "index", progress, processes)
        found = collect(state / "index", keys)
        _check(found, kit, None if unofficial else published)
        header = write_manifest(
            target,
            found.table,
            name=published.name,
            classes=found.classes,
            command=command or f"top1 prep imagenet --from-folders {tree}",
            archives={"devkit": kit.md5} if kit else {},
        )
        forget(state)
    return header


def _layout_of(tree: Path, kit: Devkit | None) -> _Layout:
    if (tree / _KAGGLE / "train").is_dir():
        root, labels = str(_KAGGLE), _kaggle_labels(tree / _KAGGLE_CSV)
        return _Layout(f"{root}/train", f"{root}/val", labels)
    for split in ("train", "val"):
        if not (tree / split).is_dir():
            raise Top1Error(
                f"{tree} has no folder {split}; expected train/<wnid>/ with val/<wnid>/ or a flat val/, or "
                f"Kaggle's {_KAGGLE}/. Give the folder that holds them."
            )
    if next(folders_of(tree / "val"), None):
        return _Layout("train", "val", None)
    if kit is None:
        raise Top1Error(
            f"the images of {tree / 'val'} lie in one folder, so nothing says of which class they are; add "
            "--devkit ILSVRC2012_devkit_t12.tar.gz"
        )
    return _Layout("train", "val", kit.wnid_of)


def _kaggle_labels(path: Path) -> Callable[[str], str]:
    """Return what gives the class of a validation file, from the first word of its row's prediction."""
    try:
        with path.open(newline="", encoding="ascii") as file:
            wnids = {row["ImageId"]: row["PredictionString"].split()[0] for row in csv.DictReader(file)}
    except FileNotFoundError:
        raise Top1Error(
            f"{path} is missing; it labels Kaggle's validation images. Put it beside ILSVRC/, as it was"
        ) from None
    except (KeyError, IndexError, AttributeError, UnicodeDecodeError) as error:
        raise Top1Error(f"{path} is not Kaggle's list (ImageId,PredictionString): {error!r}") from error

    def wnid_of(name: str) -> str:
        wnid = wnids.get(PurePosixPath(name).stem)
        if wnid is None:
            raise Top1Error(f"{path} does not say of which class {name} is; give the whole download")
        return wnid

    return wnid_of


def _items(tree: Path, layout: _Layout) -> Iterator[Item]:
    for split, root in (("train", layout.train), ("val", layout.val)):
        if split == "val" and layout.wnid_of:
            yield from ((split, f"{root}/{file}", layout.wnid_of(file)) for file in images_of(tree / root))
            continue
        for wnid in folders_of(tree / root):
            yield from ((split, f"{root}/{wnid}/{file}", wnid) for file in images_of(tree / root / wnid))


def _linked(tree: Path, out: Path, items: list[Item]) -> list[Item]:
    """Link the files into the usual layout; return them as they lie there."""
    usual = [
        (split, f"{split}/{class_name}/{PurePosixPath(path).name}", class_name)
        for split, path, class_name in items
    ]
    place_files((tree / old[1], out / new[1]) for old, new in zip(items, usual, strict=True))
    return usual


def _check(found: Collected, kit: Devkit | None, published: Published | None) -> None:
    if found.bad:
        problems = [f"{path} ({what})" for path, what in sorted(found.bad)]
        raise Top1Error(
            f"{len(problems)} files cannot be read as images: {some(problems)}. Restore them from the "
            "archives."
        )
    for split in ("train", "val"):
        counts = found.counts(split)
        if kit:
            problem = missing_images(counts, kit.train_images if split == "train" else kit.val_images, split)
            if problem:
                raise Top1Error(f"{problem}. Restore them from the archives.")
        if published and (sum(counts.values()), len(counts)) != (published.images[split], published.classes):
            raise Top1Error(
                f"{split} has {sum(counts.values()):,} images of {len(counts):,} classes, and "
                f"{published.images[split]:,} of {published.classes:,} were published. Restore what is "
                "missing (--devkit names the classes), or say --unofficial to use the tree as it is."
            )
