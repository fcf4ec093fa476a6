"""`top1 prep verify`: look at everything, mend what may be mended, mark what was proven, and report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq

from data_prep.devkit import Devkit, read_devkit
from data_prep.listing import oddities
from data_prep.progress import Quiet
from data_prep.prove import mark_official, match_val, train_problems
from data_prep.published import ILSVRC2012, Published
from data_prep.repair import repair
from data_prep.verify import Problem, count_problems, look_at_all
from data_prep.work import only_one
from pipeline.data.header import BODY_NAME, Header
from pipeline.errors import Top1Error, UsageError


@dataclass(frozen=True)
class Report:
    """What was found. header: None for a tree without a manifest. repaired: (path, what was done).

    remarks: sentences on what was proven, and what not and why.
    """

    header: Header | None
    images: int
    problems: Sequence[Problem]
    oddities: Sequence[tuple[str, str]] = ()
    repaired: Sequence[tuple[str, str]] = ()
    remarks: Sequence[str] = field(default_factory=list)


def verify(
    folder: str | Path,
    *,
    mend: bool = False,
    val_tar: Path | None = None,
    devkit: Path | None = None,
    published: Published = ILSVRC2012,
    processes: int | None = None,
    progress: Quiet | None = None,
) -> Report:
    """Decode every image of a set or a tree, compare it with its manifest, and report.

    mend: truncated files are written anew from what decodes, odd training images as plain JPEGs; the
    originals are kept. val_tar and devkit: the published ones, to prove the set official: its validation
    files equal the archive's, their labels the devkit's. Where the devkit labelled the set when its manifest
    was written, val_tar is enough. Raises Top1Error for a folder without images, and for archives that are
    not those published.
    """
    folder, progress = Path(folder).resolve(), progress or Quiet()
    if devkit and not val_tar:
        raise UsageError("--devkit proves nothing without --val-tar; give both.")
    kit = read_devkit(devkit) if devkit else None
    if kit and devkit:
        published.check_sum("devkit", devkit, kit.md5)
    if not folder.is_dir():
        raise Top1Error(
            f"data folder {folder} does not exist; give the folder of a prepared set, or of a tree"
        )
    with only_one(folder) as state:
        seen = look_at_all(folder, state, processes, progress)
        header = seen.manifest.header if seen.manifest else None
        table = pq.read_table(folder / BODY_NAME) if header else None
        problems = seen.problems
        if header:
            problems += count_problems(header, table, published)
        repaired: list[tuple[str, str]] = []
        if mend:
            odd = [path for path, _ in oddities(folder) if path.startswith("train/")] if header else []
            guarded = ("val",) if header and header.name == published.name else ()
            header, repaired, problems = repair(folder, state, header, table, problems, odd, guarded)
        remarks: list[str] = []
        if val_tar:
            header, problems = _prove(folder, header, val_tar, kit, published, problems, remarks, progress)
    return Report(
        header,
        seen.images,
        sorted(problems, key=lambda one: (one.kind, one.path)),
        oddities(folder) if header else (),
        repaired,
        remarks,
    )


def _prove(
    folder: Path,
    header: Header | None,
    val_tar: Path,
    kit: Devkit | None,
    published: Published,
    problems: list[Problem],
    remarks: list[str],
    progress: Quiet,
) -> tuple[Header | None, list[Problem]]:
    """Match the set with the published archives, and mark it official where it is."""
    if header is None:
        raise Top1Error(
            f"{folder} has no manifest in which to write that it is official; make one first with "
            f"`top1 prep imagenet --from-folders {folder}`"
        )
    table = pq.read_table(folder / BODY_NAME)
    md5, found = match_val(header, table, val_tar, kit, published, progress)
    found += train_problems(header, table, kit) if kit else []
    problems = [*problems, *found]
    devkit_md5 = kit.md5 if kit else header.archives.get("devkit")
    if problems:
        remarks.append("not marked official: see the problems above")
    elif devkit_md5 != published.md5["devkit"]:
        remarks.append(
            "not marked official: the validation files are the archive's, but nothing proves their labels; "
            "add --devkit ILSVRC2012_devkit_t12.tar.gz"
        )
    else:
        header = mark_official(folder, header, md5, devkit_md5, published)
        remarks.append(f"official: {header.official}")
    return header, problems
