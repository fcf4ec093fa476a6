"""The files of a pack again, byte for byte: `top1 prep unpack PACK OUT`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data_prep.asked import finished, source_of
from data_prep.collect import collect
from data_prep.extract import Extraction, Images, move_into_place, refuse_foreign
from data_prep.progress import Quiet
from data_prep.tars import Place, check_name
from data_prep.work import TOGETHER, check_room, forget, only_one, run
from pipeline.data.header import BODY_NAME, Header, read_header
from pipeline.data.manifest import SCHEMA, write_manifest
from pipeline.errors import Top1Error


def unpack(
    pack: str | Path,
    out: str | Path,
    *,
    command: str | None = None,
    processes: int | None = None,
    progress: Quiet | None = None,
) -> Header:
    """Write the images of a pack as files, with a manifest of the same fingerprint.

    May be killed and started again. Raises Top1Error where the pack is damaged or is none, and where
    `out` holds other data.
    """
    pack, out = Path(pack).resolve(), Path(out).resolve()
    header = read_header(pack)
    with only_one(out) as state:
        if made := finished(out, state, header.name, {"source": source_of(pack, header)}):
            return made
        table = pq.read_table(pack / BODY_NAME)
        if table["shard"].null_count:
            raise Top1Error(f"{pack} is a folder of files already; give the folder of a pack")
        tops = sorted({path.partition("/")[0] for path in table["path"].to_pylist()})
        refuse_foreign(out, tops)
        size = pc.sum(table["bytes"]).as_py()
        check_room(out, size, "the files")
        keys: list[str] = []
        with (progress or Quiet()).stage("unpacking", size) as stage:
            run(_parts(pack, out, header, table, keys), state / "records", stage, processes)
        found = collect(state / "records", keys, header.classes).table
        _check_contents(pack, table, found)
        move_into_place(out, tops)
        unpacked = write_manifest(
            out,
            _with_flags(found, table),
            name=header.name,
            classes=header.classes,
            command=command or f"top1 prep unpack {pack} {out}",
            official=header.official,
            changes=header.changes,
            repairs=header.repairs,
            archives=header.archives,
        )
        forget(state)
    return unpacked


def _parts(pack: Path, out: Path, header: Header, table: pa.Table, keys: list[str]) -> Iterator[Extraction]:
    for first in range(0, len(table), TOGETHER):
        rows = table.slice(first, TOGETHER).to_pylist()
        keys.append(f"images-{first:09d}")
        wanted = [_wanted(pack, row, header) for row in rows]
        yield Extraction(keys[-1], sum(row["bytes"] for row in rows), Images(wanted), out, header.fingerprint)


def _wanted(pack: Path, row: dict[str, Any], header: Header) -> tuple[str, str, str, Place]:
    check_name(row["path"], pack / BODY_NAME)
    place = Place(pack / row["shard"], row["offset"], row["bytes"])
    return row["split"], row["path"], header.classes[row["label"]], place


def _check_contents(pack: Path, wanted: pa.Table, found: pa.Table) -> None:
    """Raise Top1Error unless every file has the checksum the pack's manifest gives."""
    ours = dict(zip(found["path"].to_pylist(), found["sha256"].to_pylist(), strict=True))
    pairs = zip(wanted["path"].to_pylist(), wanted["sha256"].to_pylist(), strict=True)
    wrong = [path for path, sha256 in pairs if ours.get(path) != sha256]
    if wrong:
        raise Top1Error(
            f"{len(wrong)} images of {pack} are not what its manifest says, the first is {wrong[0]}; copy "
            "the pack again, or pack the data again with `top1 prep pack`"
        )


def _with_flags(found: pa.Table, packed: pa.Table) -> pa.Table:
    """Return the files' rows with the flags of the pack's, which know what was repaired."""
    flags = dict(zip(packed["path"].to_pylist(), packed["flags"].to_pylist(), strict=True))
    column = pa.array([flags[path] for path in found["path"].to_pylist()], SCHEMA.field("flags").type)
    return found.set_column(SCHEMA.get_field_index("flags"), SCHEMA.field("flags"), column)
