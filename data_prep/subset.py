"""Some classes, and some images of each, of a prepared set: `top1 prep subset`.

What is taken is a function of the seed and of the set's order alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from data_prep.asked import finished, source_of
from data_prep.extract import Extraction, Images, move_into_place, refuse_foreign
from data_prep.place import place_files
from data_prep.progress import Quiet
from data_prep.tars import Place
from data_prep.work import TOGETHER, forget, only_one, run
from pipeline.data.header import BODY_NAME, Header, read_header
from pipeline.data.manifest import SCHEMA, write_manifest
from pipeline.data.sampling import epoch_order
from pipeline.errors import Top1Error


def make_subset(
    source: str | Path,
    out: str | Path,
    *,
    classes: int,
    images: int,
    val_images: int | None = None,
    seed: int = 0,
    copy: bool = False,
    command: str | None = None,
    processes: int | None = None,
    progress: Quiet | None = None,
) -> Header:
    """Write N classes with M training images each, and with all their validation images or `val_images` each.

    Files are hard links where the file system can, or copies; from a pack they are written out. A class that
    has fewer images gives them all. Raises Top1Error where the set has fewer classes, or `out` holds another.
    """
    source, out = Path(source).resolve(), Path(out).resolve()
    header = read_header(source)
    if classes > len(header.classes):
        raise Top1Error(
            f"{source} has {len(header.classes):,} classes where {classes:,} are asked for; ask for fewer"
        )
    name = f"{header.name}-{classes}x{images}-seed{seed}"
    asked = {
        "source": source_of(source, header),
        "--classes": classes,
        "--images": images,
        "--val-images": val_images,
        "--seed": seed,
        "--copy": copy or None,
    }
    with only_one(out) as state:
        if made := finished(out, state, name, asked):
            return made
        table = pq.read_table(source / BODY_NAME)
        labels = np.sort(epoch_order(seed, 0, len(header.classes))[:classes])
        most = {split: images if split == "train" else val_images for split in header.splits}
        chosen = table.take(_choose(table, labels, most, seed))
        if chosen["shard"].null_count == 0:
            _write_out(source, out, state, chosen, f"{name} {header.fingerprint}", processes, progress)
        else:
            place_files(((source / path, out / path) for path in chosen["path"].to_pylist()), copy)
        made = write_manifest(
            out,
            _as_files(chosen, labels),
            name=name,
            classes=[header.classes[label] for label in labels.tolist()],
            command=command or f"top1 prep subset {source} {out} --classes {classes} --images {images}",
            changes=header.changes,
        )
        forget(state)
    return made


def _choose(
    table: pa.Table, labels: NDArray[np.int64], most: dict[str, int | None], seed: int
) -> NDArray[np.int64]:
    """Return the rows taken, in the table's order. Each class and split has an order of its own."""
    of_label, of_split = table["label"].to_numpy(), np.array(table["split"].to_pylist())
    chosen = []
    for split, count in most.items():
        for label in labels.tolist():
            rows = np.flatnonzero((of_label == label) & (of_split == split))
            chosen.append(rows[epoch_order(seed, 1 + label, len(rows))[:count]])
    return np.sort(np.concatenate(chosen))


def _as_files(chosen: pa.Table, labels: NDArray[np.int64]) -> pa.Table:
    """Return rows of files, their labels counted anew."""
    renumbered = pc.index_in(chosen["label"], pa.array(labels, pa.int32())).cast(pa.int32())
    columns = {name: chosen[name] for name in SCHEMA.names}
    columns |= {"label": renumbered, "shard": pa.nulls(len(chosen)), "offset": pa.nulls(len(chosen))}
    return pa.table(columns).cast(SCHEMA)


def _write_out(
    source: Path,
    out: Path,
    state: Path,
    chosen: pa.Table,
    origin: str,
    processes: int | None,
    progress: Quiet | None,
) -> None:
    """Write images of a pack as files."""
    tops = sorted({path.partition("/")[0] for path in chosen["path"].to_pylist()})
    refuse_foreign(out, tops)
    with (progress or Quiet()).stage("writing", pc.sum(chosen["bytes"]).as_py()) as stage:
        run(_parts(source, out, chosen, origin), state / "records", stage, processes)
    move_into_place(out, tops)


def _parts(source: Path, out: Path, chosen: pa.Table, origin: str) -> Iterator[Extraction]:
    for first in range(0, len(chosen), TOGETHER):
        rows = chosen.slice(first, TOGETHER).to_pylist()
        wanted = [
            (row["split"], row["path"], "", Place(source / row["shard"], row["offset"], row["bytes"]))
            for row in rows
        ]
        yield Extraction(
            f"images-{first:09d}", sum(row["bytes"] for row in rows), Images(wanted), out, origin
        )
