"""From the records of finished work to one table: every image, in order, once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from data_prep.work import read_records
from pipeline.data.manifest import SCHEMA
from pipeline.errors import Top1Error

_SHOWN = 5  # named in an error before "and N more"
_COLUMNS = ("split", "path", "class", "bytes", "sha256", "width", "height", "flags")


@dataclass(frozen=True)
class Collected:
    """All images of a preparation.

    table: the columns of a manifest, sorted by split (train first), label, path. mended and bad: (path,
    what was done; what is wrong).
    """

    table: pa.Table
    classes: tuple[str, ...]
    mended: tuple[tuple[str, str], ...]
    bad: tuple[tuple[str, str], ...]

    def counts(self, split: str) -> dict[str, int]:
        """Return the images of each class of a split."""
        return count_classes(self.table, self.classes, split)

    @property
    def repairs(self) -> list[str]:
        return [f"{path}: {what}" for path, what in sorted(self.mended)]


def collect(records: Path, keys: Iterable[str], classes: Sequence[str] | None = None) -> Collected:
    """Join the records of some parts. classes: in the order of the labels; by default those found, sorted.

    Raises Top1Error where a path comes twice.
    """
    parts, mended, bad = [], [], []
    for record in read_records(records, keys):
        if record["rows"]:
            parts.append(_columns(record["rows"]))
        mended += [(path, what) for path, what in record["mended"]]
        bad += [(path, why) for path, why in record["bad"]]
    if not parts:
        raise Top1Error(f"there is no image in what was given ({len(bad)} files could not be read as images)")
    table = pa.concat_tables(parts).combine_chunks()
    known = tuple(classes) if classes is not None else tuple(sorted(pc.unique(table["class"]).to_pylist()))
    labels = pc.index_in(table["class"], pa.array(known)).cast(pa.int32())
    table = table.append_column("label", labels)
    _check_paths(table)
    nothing = {"shard": pa.string(), "offset": pa.int64()}
    for name, kind in nothing.items():
        table = table.append_column(name, pa.nulls(len(table), kind))
    table = in_order(table.select(SCHEMA.names).cast(SCHEMA))
    return Collected(table, known, tuple(mended), tuple(bad))


def in_order(table: pa.Table) -> pa.Table:
    """Return the rows of a manifest in its order: train first, then by label, then by path."""
    split = table["split"].cast(pa.string())
    keyed = table.append_column("rank", pc.not_equal(split, "train"))
    order = [("rank", "ascending"), ("label", "ascending"), ("path", "ascending")]
    return table.take(pc.sort_indices(keyed, sort_keys=order))


def count_classes(table: pa.Table, classes: Sequence[str], split: str) -> dict[str, int]:
    rows = table.filter(pc.equal(table["split"].cast(pa.string()), split))
    counted = pc.value_counts(rows["label"]).to_pylist()
    return {classes[one["values"]]: one["counts"] for one in counted}


def missing_images(found: Mapping[str, int], expected: Mapping[str, int], split: str) -> str | None:
    """Return in words what a split lacks or has too much, None where it is complete."""
    wrong = [
        f"{name} has {found.get(name, 0):,} of {expected.get(name, 0):,}"
        for name in sorted(found.keys() | expected.keys())
        if found.get(name, 0) != expected.get(name, 0)
    ]
    if not wrong:
        return None
    return (
        f"{split} has {sum(found.values()):,} images where {sum(expected.values()):,} are expected; "
        f"in {len(wrong):,} classes the number differs: {some(wrong)}"
    )


def some(names: Sequence[str]) -> str:
    """Return the first of some names, and how many more there are."""
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest:,} more" if rest > 0 else "")


def _columns(rows: Sequence[Sequence[object]]) -> pa.Table:
    columns = dict(zip(_COLUMNS, map(list, zip(*rows, strict=True)), strict=True))
    columns["sha256"] = [bytes.fromhex(str(digest)) for digest in columns["sha256"]]
    kinds = {"split": pa.string(), "path": pa.string(), "class": pa.string()}
    kinds |= {name: SCHEMA.field(name).type for name in _COLUMNS[3:]}
    return pa.table({name: pa.array(columns[name], kinds[name]) for name in _COLUMNS})


def _check_paths(table: pa.Table) -> None:
    if pc.count_distinct(table["path"]).as_py() != len(table):
        counted = pc.value_counts(table["path"]).to_pylist()
        twice = sorted(one["values"] for one in counted if one["counts"] > 1)
        raise Top1Error(f"{len(twice)} images come twice: {some(twice)}; download the archives again")
