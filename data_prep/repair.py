"""Write broken and odd images anew, keep what they were, and bring the manifest up to date."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from data_prep.collect import in_order, some
from data_prep.mend import Mended, mend_damage, mend_oddity
from data_prep.verify import Problem
from pipeline.data.header import Header
from pipeline.data.manifest import Entry, describe, table_of, write_manifest, write_whole
from pipeline.data.split import Flag
from pipeline.errors import Top1Error

_ORIGINALS = "originals"  # in the state folder


def repair(
    folder: Path,
    state: Path,
    header: Header | None,
    table: pa.Table | None,
    problems: Sequence[Problem],
    odd: Sequence[str],
    untouched: Sequence[str],
) -> tuple[Header | None, list[tuple[str, str]], list[Problem]]:
    """Mend truncated files and odd ones; return the new header, (path, what was done), what is left wrong.

    odd: the paths of sound images to be mended as well. untouched: splits in which nothing may be written,
    whose images have to be restored instead. Raises Top1Error for a pack.
    """
    if table is not None and table["shard"].null_count == 0:
        raise Top1Error(
            f"{folder} is a pack, in which nothing can be written anew; repair the folder it was made from "
            "and pack that again, or take the files out with `top1 prep unpack`"
        )
    wanted = {one.path: True for one in problems if one.kind == "truncated"}
    wanted |= dict.fromkeys(odd, False)
    done: dict[str, Mended] = {}
    entries: dict[str, Entry] = {}
    for path, is_damaged in wanted.items():
        if path.partition("/")[0] in untouched:
            continue
        content = (folder / path).read_bytes()
        before = None if is_damaged else describe(content, "", path, 0)
        mended = mend_damage(content) if before is None else mend_oddity(content, before)
        if mended:
            _replace(folder, state / _ORIGINALS, path, mended.content)
            done[path] = mended
            entries[path] = describe(mended.content, "", path, 0)
    left = [one for one in problems if one.path not in done]
    if header is not None and table is not None and done:
        damaged = [path for path in done if wanted[path]]
        header = _write(folder, header, table, entries, done, damaged)
    return header, [(path, mended.what) for path, mended in done.items()], left


def _replace(folder: Path, originals: Path, path: str, content: bytes) -> None:
    """Put a mended file in the place of the original, which is kept; other names of a hard link stay."""
    kept = originals / path
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        unfinished = kept.with_name(f".{kept.name}.tmp")
        shutil.copy2(folder / path, unfinished)
        unfinished.replace(kept)
    write_whole(folder / path, lambda file: file.write(content))


def _write(
    folder: Path,
    header: Header,
    table: pa.Table,
    entries: dict[str, Entry],
    done: dict[str, Mended],
    damaged: Sequence[str],
) -> Header:
    """Write the manifest with the new rows. What was broken has lost pixels: that is a change of the data."""
    is_new = pc.is_in(table["path"], pa.array(list(entries)))
    new = [
        replace(
            entries[row["path"]],
            split=row["split"],
            label=row["label"],
            flags=entries[row["path"]].flags | Flag.REPAIRED,
        )
        for row in table.filter(is_new).to_pylist()
    ]
    changes = list(header.changes)
    if damaged:
        changes.append(
            f"{len(damaged)} damaged images were written anew from what decoded: {some(sorted(damaged))}"
        )
    return write_manifest(
        folder,
        in_order(
            pa.concat_tables([table.filter(pc.invert(is_new)), table_of(new)], promote_options="default")
        ),
        name=header.name,
        classes=header.classes,
        command=header.command,
        official=None if any(entry.split == "val" for entry in new) else header.official,
        changes=changes,
        repairs=[*header.repairs, *(f"{path}: {mended.what}" for path, mended in sorted(done.items()))],
        archives=header.archives,
    )
