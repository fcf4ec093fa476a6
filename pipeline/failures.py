"""Which process of a run failed, where and why: `logs/failures.jsonl`, a line of each that knew. Light.

When one of many processes fails, the others fail of its absence a moment later, the main one among them. The
first to have failed is the one to look at.
"""

from __future__ import annotations

import json
import platform
import time
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import in_short

FAILURES = Path("logs", "failures.jsonl")
_LONGEST = 500  # characters of an error that are kept


@dataclass(frozen=True)
class Failure:
    """launch: one start of the processes. time: seconds since 1970, by the node's clock."""

    launch: str
    rank: int
    host: str
    time: float
    error: str

    def __str__(self) -> str:
        return f"process {self.rank} on {self.host}: {self.error}"


def note(folder: Path, launch: str, rank: int, error: Exception | str, at: float | None = None) -> None:
    """Add what ended a process of this node. Raises OSError where the folder cannot be written.

    at: when, if not now.
    """
    text = error if isinstance(error, str) else in_short(error)
    when = time.time() if at is None else at
    line = {"launch": launch, "rank": rank, "host": platform.node(), "time": when, "error": text[:_LONGEST]}
    path = folder / FAILURES
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:  # one append: processes share the file
        file.write(json.dumps(line) + "\n")


def first_failure(folder: Path, launch: str | None = None) -> Failure | None:
    """Return what failed first of a launch, by default of the last with failures; None: nobody knows."""
    found = _read(folder)
    wanted = launch or (found[-1].launch if found else "")
    return min((one for one in found if one.launch == wanted), key=lambda one: one.time, default=None)


def ranks(folder: Path, launch: str) -> set[int]:
    """Return which processes of a launch have told what ended them."""
    return {one.rank for one in _read(folder) if one.launch == launch}


def _read(folder: Path) -> list[Failure]:
    path = folder / FAILURES
    found = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else ():
        try:
            found.append(Failure(**json.loads(line)))
        except (ValueError, TypeError):  # torn, or not ours
            continue
    return found
