"""What a person is told of a prepared set: the images that are odd, as they are now. Reads its manifest."""

from __future__ import annotations

from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from data_prep.mend import oddity_of
from pipeline.data.header import BODY_NAME


def oddities(folder: Path) -> list[tuple[str, str]]:
    """Return (path, what is odd) of every image of a set that decodes and yet is not as its name says."""
    table = pq.read_table(folder / BODY_NAME, columns=["path", "flags"])
    odd = table.filter(pc.not_equal(table["flags"], 0)).to_pylist()
    found = [(row["path"], oddity_of(row["path"], row["flags"])) for row in odd]
    return [(path, what) for path, what in found if what]
