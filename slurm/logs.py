"""A run's logs: which file, and what comes new into it. Light."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from slurm.queue import queued
from slurm.status import LIVE, standing

LOOK_SECONDS = 0.5  # between two looks into the file
ASK_SECONDS = 10.0  # between two questions whether the run still goes on


def log_of(folder: Path, rank: int = 0, batch: bool = False) -> Path | None:
    """Return the log of a process of a run, or of its batch script; None where there is none yet."""
    logs = folder / "logs"
    if batch:
        return logs / "batch.log" if (logs / "batch.log").exists() else None
    path = logs / f"task-{rank}.log"
    if path.exists():
        return path
    local = sorted(logs.glob(f"*_{rank}_log.err"), key=lambda found: found.stat().st_mtime)
    return local[-1] if local else None


def follow(folder: Path, rank: int = 0, batch: bool = False) -> Iterator[str]:
    """Yield what is in a log and what is added to it, until the run has ended.

    One file holds all attempts of a job, so this goes on over requeues.
    """
    path, position, asked, alive = None, 0, 0.0, True
    while True:
        path = path or log_of(folder, rank, batch)
        if path is not None:
            with path.open("rb") as file:
                file.seek(position)
                news = file.read()
            position += len(news)
            if news:
                yield news.decode(errors="replace")
                continue
        if not alive:
            return
        if time.monotonic() - asked > ASK_SECONDS:
            alive, asked = standing(folder, queued()).state in LIVE, time.monotonic()
        time.sleep(LOOK_SECONDS)
