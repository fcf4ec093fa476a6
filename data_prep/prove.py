"""Prove that a prepared ILSVRC2012 has the published validation images, each with its published label."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from data_prep.collect import count_classes, missing_images
from data_prep.devkit import Devkit
from data_prep.progress import Quiet
from data_prep.published import Published
from data_prep.tars import Digest, walk
from data_prep.verify import Problem
from pipeline.data.header import HEADER_NAME, Header
from pipeline.data.manifest import write_whole
from pipeline.errors import Top1Error

_Known = dict[str, tuple[str, str, str]]  # by file name: path, sha256, class


def match_val(
    header: Header, table: pa.Table, val_tar: Path, kit: Devkit | None, published: Published, progress: Quiet
) -> tuple[str, list[Problem]]:
    """Compare a set's validation images with the archive's; return its md5 and what differs.

    table: the manifest, whose checksums were just found to be those of the files. kit: its labels are
    compared too. Raises Top1Error where the archive is not the published one.
    """
    known, digest, problems = _val_images(table, header), Digest(), []
    with progress.stage("matching", val_tar.stat().st_size) as stage:
        for name, place in walk(val_tar, digest):
            path, sha256, wnid = known.pop(name.name, (f"val/{name.name}", "", ""))
            stage.advance(place.bytes, 1)
            if not sha256:
                problems.append(Problem(path, "missing", "is in the archive and not in the set"))
            elif hashlib.sha256(place.read()).hexdigest() != sha256:
                problems.append(Problem(path, "other", "is not the archive's file of this name"))
            elif kit and kit.wnid_of(name.name) != wnid:
                what = f"is labelled {wnid} where the devkit says {kit.wnid_of(name.name)}"
                problems.append(Problem(path, "label", what))
    published.check_sum("val", val_tar, digest.text)
    problems += [
        Problem(path, "extra", "is no validation image of the archive") for path, *_ in known.values()
    ]
    return digest.text, problems


def train_problems(header: Header, table: pa.Table, kit: Devkit) -> list[Problem]:
    """Return where the training images are not as many as the devkit counts."""
    told = missing_images(count_classes(table, header.classes, "train"), kit.train_images, "train")
    return [Problem("train", "count", told.removeprefix("train "))] if told else []


def mark_official(
    folder: Path, header: Header, val_md5: str, devkit_md5: str, published: Published
) -> Header:
    """Write into the manifest how the set was proven to be the official one."""
    marked = replace(
        header,
        name=published.name,
        official=f"matched with the val archive md5 {val_md5}, labels of the devkit md5 {devkit_md5}",
        archives={**header.archives, "val": val_md5, "devkit": devkit_md5},
    )
    write_whole(folder / HEADER_NAME, lambda file: file.write(marked.to_json().encode()))
    return marked


def _val_images(table: pa.Table, header: Header) -> _Known:
    rows: list[dict[str, Any]] = table.filter(pc.equal(table["split"].cast(pa.string()), "val")).to_pylist()
    known = {
        PurePosixPath(row["path"]).name: (row["path"], row["sha256"].hex(), header.classes[row["label"]])
        for row in rows
    }
    if len(known) < len(rows):
        raise Top1Error(
            f"{len(rows) - len(known)} validation images of {header.name} share a file name with another; "
            "ILSVRC2012 has no such files. Index the extracted tree again."
        )
    return known
