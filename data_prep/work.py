"""Work in parts that can be killed at any moment: who does it, what is finished, who else may not.

Every part of a preparation leaves a record, written in one piece after everything else of it was. A second
run does again what has no record. Workers end with the process that started them, so that nobody writes into
a folder whose lock is gone.
"""

from __future__ import annotations

import ctypes
import errno
import itertools
import json
import math
import os
import shutil
import signal
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol

from data_prep.progress import Stage
from pipeline.data.manifest import write_whole
from pipeline.errors import Top1Error
from pipeline.locks import locked

STATE = ".prep"  # in the folder that is prepared
ASKED = "asked.json"  # in the state: what the set was asked for, see `asked.py`
TOGETHER = 256  # images a part, where they are small
_FULL = (errno.ENOSPC, errno.EDQUOT)
_ALONE_SECONDS = 2.0  # about what it takes to start the others
_MOST_HELD = 2_000_000_000  # bytes of contents on their way to workers
_PR_SET_PDEATHSIG = 1

Record = dict[str, Any]


class Part(Protocol):
    """A piece of the work. key: the name of its record. bytes: how much it is, for the progress.

    A part that carries contents along has `held`, their bytes, so that they do not fill the memory.
    """

    @property
    def key(self) -> str: ...

    @property
    def bytes(self) -> int: ...

    def stands(self, record: Record) -> bool:
        """Whether what an earlier run recorded is still there."""
        ...

    def work(self) -> Record:
        """Do it; return what is to be known of it: with its images as "rows", or "images", a number."""
        ...


@dataclass(frozen=True)
class _Done:
    bytes: int
    images: int
    reused: bool


@contextmanager
def only_one(folder: Path) -> Iterator[Path]:
    """Hold the lock of a folder; give the place for its state. Raises Top1Error where another run has it."""
    state = folder / STATE
    try:
        state.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            try:
                stack.enter_context(locked(state / "lock", patience=0))
            except TimeoutError:
                raise Top1Error(
                    f"another `top1 prep` is at work in {folder}; wait for it, or end it and run this again"
                ) from None
            yield state
    except OSError as error:
        if error.errno in _FULL:
            raise _disk_is_full(folder) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise Top1Error(
                f"{error.filename or folder} cannot be read or written ({error.strerror}); a preparation "
                "keeps its state and its manifest in the data's folder. Run it as the folder's owner."
            ) from error
        raise


def run(parts: Iterable[Part], records: Path, stage: Stage, processes: int | None = None) -> None:
    """Do every part that has no standing record, several at a time; `records` is where they are kept.

    processes: by default one per CPU allotted, after what this one does in two seconds. What a part raises
    ends the run; the others' records stay.
    """
    records.mkdir(parents=True, exist_ok=True)
    for unfinished in records.glob(".*.tmp"):
        unfinished.unlink()
    count, left = processes or len(os.sched_getaffinity(0)), iter(parts)
    if processes is None or count == 1:
        patience = math.inf if count == 1 else _ALONE_SECONDS
        left = _alone(left, records, stage, patience)
        if (first := next(left, None)) is None:
            return
        left = itertools.chain([first], left)
    pool = ProcessPoolExecutor(
        count, mp_context=get_context("spawn"), initializer=_end_with, initargs=(os.getpid(),)
    )
    try:
        _spread(pool, left, records, stage, 2 * count)
    except BrokenProcessPool:
        raise Top1Error(
            "a worker process was killed, most often for want of memory; the same command goes on where it "
            "stopped. Give it more memory, or fewer processes with --processes."
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _alone(parts: Iterator[Part], records: Path, stage: Stage, patience: float) -> Iterator[Part]:
    """Do parts here for some seconds; return those that are left."""
    gives_up = time.monotonic() + patience
    while time.monotonic() < gives_up:
        part = next(parts, None)
        if part is None:
            break
        _count(stage, _do(part, records))
    return parts


def read_records(records: Path, keys: Iterable[str]) -> Iterator[Record]:
    """Yield the records of some parts, in this order."""
    for key in keys:
        yield json.loads((records / f"{key}.json").read_bytes())


def forget(state: Path) -> None:
    """Remove the state of a finished preparation; the lock's file and what was asked for stay."""
    for path in state.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name not in ("lock", ASKED):
            path.unlink()


def check_room(folder: Path, needed: int, what: str) -> None:
    """Raise Top1Error where a disk has less room than the bytes that are still to be written."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise Top1Error(
            f"{what} needs {needed / 1e9:.1f} GB and {folder} has {free / 1e9:.1f} GB free; "
            "free some, or give a folder on another disk"
        )


def _spread(pool: ProcessPoolExecutor, parts: Iterable[Part], records: Path, stage: Stage, most: int) -> None:
    """Keep `most` parts under way; parts are made while others are worked on."""
    running: dict[Future[_Done], int] = {}

    def collect(patience: float | None) -> None:
        for one in wait(running, patience, FIRST_COMPLETED).done:
            del running[one]
            _count(stage, one.result())

    for part in parts:
        running[pool.submit(_do, part, records)] = getattr(part, "held", 0)
        collect(0)
        while len(running) >= most or sum(running.values()) > _MOST_HELD:
            collect(None)
    while running:
        collect(None)


def _count(stage: Stage, done: _Done) -> None:
    stage.advance(done.bytes, done.images, done.reused)


def _do(part: Part, records: Path) -> _Done:
    path = records / f"{part.key}.json"
    if path.exists():
        record = json.loads(path.read_bytes())
        if part.stands(record):
            return _Done(part.bytes, _images(record), reused=True)
    record = part.work()
    text = json.dumps(record, separators=(",", ":")).encode()
    write_whole(path, lambda file: file.write(text))
    return _Done(part.bytes, _images(record), reused=False)


def _images(record: Record) -> int:
    return int(record["images"]) if "images" in record else len(record["rows"])


def _end_with(parent: int) -> None:
    """Have this worker killed when its parent dies, and leave Ctrl-C to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before
        os._exit(1)


def _disk_is_full(folder: Path) -> Top1Error:
    return Top1Error(
        f"the disk (or quota) of {folder} is full; nothing half-written is taken for whole. Free some space "
        "and run the same command again: it goes on where it stopped."
    )
