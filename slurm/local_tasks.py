"""The processes of a run on this machine, seen from outside: a killed one cannot say so itself. Light."""

from __future__ import annotations

import time
from pathlib import Path

from pipeline import failures
from pipeline.follow import start_of

# When a process is gone, submitit interrupts the others, and kills those that are there a second later. Seen
# more often than that, who was killed by others goes first.
_OFTEN = 1.0  # seconds
_KILLED = "it was killed, or crashed without a word; where memory ran out, `dmesg` says so"


class LocalTasks:
    """The processes that submitit's local executor has started for one job.

    job: its number, which is the process that started them. folder: the run's. launch: as failures name it.
    """

    def __init__(self, job: str, folder: Path, launch: str) -> None:
        self._job, self._folder, self._launch = job, folder, launch
        self._ranks: dict[int, int] = {}  # of the processes that were there
        self._looked = time.time()
        self._watching = True

    def look(self) -> None:
        """Note in the run folder which process was the first to be gone, where it has not said why itself."""
        if not self._watching:
            return
        before, now = self._looked, time.time()
        there = _children(int(self._job))
        gone = [rank for pid, rank in self._ranks.items() if pid not in there]
        self._ranks |= {pid: rank for pid in there - set(self._ranks) if (rank := _rank(pid)) is not None}
        self._looked, self._watching = now, not gone
        if now - before < _OFTEN:
            for rank in gone:
                if not self._has_told(rank):
                    # Before what the others failed of, for want of it.
                    failures.note(self._folder, self._launch, rank, _KILLED, at=before)

    def _has_told(self, rank: int) -> bool:
        result = self._folder / "logs" / f"{self._job}_{rank}_result.pkl"
        return result.exists() or rank in failures.ranks(self._folder, self._launch)


def _children(process: int) -> set[int]:
    """Return the processes that it has started and that live."""
    try:
        found = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:  # it is gone itself
        return set()
    return {pid for pid in map(int, found) if start_of(pid) is not None}


def _rank(process: int) -> int | None:
    """Return which of the job's processes this is; None where it is none, or not yet."""
    try:
        variables = Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
    except OSError:
        return None
    named = dict(variable.partition(b"=")[::2] for variable in variables)
    rank = named.get(b"SUBMITIT_LOCAL_GLOBALID")
    return int(rank) if rank is not None else None
