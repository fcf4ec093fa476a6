"""The part of train that EfficientNet papers select on: `top1 prep minival SOURCE OUT`.

The new set trains on the rest and validates on the part held out, so that nothing is ever chosen on the
validation images that results are measured on. No image is copied: a link leads to the set it is from.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data_prep.asked import finished, source_of
from data_prep.work import forget, only_one
from pipeline.data.header import BODY_NAME, Header, read_header
from pipeline.data.manifest import SCHEMA, write_manifest
from pipeline.data.sampling import minival_split
from pipeline.errors import Top1Error

IMAGES = 25_000  # tan2021 §4.1: about 2% of the training images, reserved as minival
_SOURCE = "source"  # the link


def make_minival(
    source: str | Path,
    out: str | Path,
    *,
    images: int = IMAGES,
    seed: int = 0,
    command: str | None = None,
) -> Header:
    """Write the manifest of a set whose val is `images` of the training images, and whose train is the rest.

    They are drawn at random over all classes, by the seed. The source has to stay where it is. Raises
    Top1Error where a class would have no image left in either part, the source has too few, or `out` holds
    another set.
    """
    source, out = Path(source).resolve(), Path(out).resolve()
    header = read_header(source)
    count = header.splits["train"].images
    if images >= count:
        raise Top1Error(
            f"{source} has {count:,} training images, of which {images:,} cannot be held out; ask for fewer"
        )
    name = f"{header.name}-minival"
    asked = {"source": source_of(source, header), "--images": images, "--seed": seed}
    with only_one(out) as state:
        if made := finished(out, state, name, asked):
            return made
        table = pq.read_table(source / BODY_NAME)
        train = table.filter(pc.equal(table["split"].cast(pa.string()), "train"))
        held_out = np.zeros(count, bool)
        held_out[minival_split(count, images, seed)[1]] = True
        link = out / _SOURCE
        if link.is_symlink():  # of a run that was killed, maybe to another source
            link.unlink()
        link.symlink_to(source, target_is_directory=True)
        made = write_manifest(
            out,
            pa.concat_tables([_part(train.filter(~held_out), "train"), _part(train.filter(held_out), "val")]),
            name=name,
            classes=header.classes,
            command=command or f"top1 prep minival {source} {out} --images {images} --seed {seed}",
            changes=header.changes,
        )
        forget(state)
    return made


def _part(rows: pa.Table, split: str) -> pa.Table:
    """Return rows as a split of the new set, their files or shards found through the link."""
    columns = {name: rows[name] for name in SCHEMA.names}
    columns["split"] = pa.array([split] * len(rows))
    placed = "path" if rows["shard"].null_count else "shard"
    columns[placed] = pc.binary_join_element_wise(_SOURCE, rows[placed].cast(pa.string()), "/")
    return pa.table(columns).cast(SCHEMA)
