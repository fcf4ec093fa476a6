"""`top1 sync`: bring MLflow up to date with a run folder, once or as long as the run goes on.

Heavy: opens MLflow; no training process does. What is sent is `replay.py`'s, when is `follow.py`'s.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from pipeline.errors import Top1Error
from pipeline.follow import Pace, Process, deaf_to_job_signals, deliver_until_end, outlive_by_at_most
from pipeline.replay import Delivery, Replay
from pipeline.result import read_progress, read_run
from pipeline.runs import ATTEMPTS, RESULT, STATUS
from pipeline.tracking import FAILURES, check_address, reason_of, shown
from recipes.schema import Recipe

EXPERIMENT = "top1"

_NICE = 10  # where a node has no CPU to spare, the training goes first
_AT_ONCE = Pace(patience=5.0)


class NotTakenError(Top1Error):
    """The address did not take a run, and would not take another one either."""


def sync(
    folder: str | Path,
    uri: str,
    *,
    experiment: str = EXPERIMENT,
    book: Mapping[str, Recipe] | None = None,
    follow: bool = False,
    parent: int | None = None,
    pace: Pace | None = None,
) -> Delivery:
    """Bring MLflow up to date with a run folder, once or (`follow`) until the run has ended.

    book: the recipes as published, by name, for the verdict. parent: the training process; a follower
    ends with it, `pace.limit` seconds later at most. Raises Top1Error when the folder is no run or cannot be
    shown, NotTakenError when the server did not take everything within `pace.patience` seconds of the end.
    """
    folder = Path(folder)
    check_address(uri)
    read_run(folder)  # a folder that is no run is said at once, not after trying
    log = _log_file(folder) if follow else _no_log
    pace = pace or (Pace() if follow else _AT_ONCE)
    process = None if parent is None else Process(parent)
    if process:
        os.nice(_NICE)
        outlive_by_at_most(pace.limit, process, lambda: log(_out_of_time(folder, pace.limit)))
    replay = Replay(folder, uri, experiment, book or {}, log)
    with deaf_to_job_signals() if process else contextlib.nullcontext():
        error = deliver_until_end(
            replay.deliver,
            news=lambda: _news(folder),
            ended=_end_of(folder, process) if follow else lambda: True,
            failures=(*FAILURES, Top1Error),
            failed=lambda error, pause: log(
                f"not delivered, {reason_of(error)}; again in {max(pause, 0):.0f} s"
            ),
            pace=pace,
        )
    if error is None:
        return replay.delivery
    message = (
        f"{shown(uri)} did not take the run: {reason_of(error)}. "
        f"Nothing is lost: `top1 sync {folder}` delivers it later."
    )
    log(message)
    raise (Top1Error if isinstance(error, Top1Error) else NotTakenError)(message) from error


def _out_of_time(folder: Path, seconds: float) -> str:
    return (
        f"the training process has been gone for {seconds:.0f} s, and the server is still being asked; "
        f"`top1 sync {folder}` delivers the rest"
    )


def _news(folder: Path) -> object:
    """Return what must change before there is something to send."""
    progress = read_progress(folder)
    return progress.durable_step, progress.state, _stamp(folder / ATTEMPTS), _stamp(folder / RESULT)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_size


def _end_of(folder: Path, process: Process | None) -> Callable[[], bool]:
    """Return the question whether a run has ended: finished, failed, its training process gone or stopped.

    A state that was there at the start is an earlier attempt's while a training process lives. Without a
    training process a stopped run is waited for: it goes on when it is started again.
    """
    earlier = _stamp(folder / STATUS) if process else None
    last_states = ("failed", "stopped") if process else ("failed",)

    def ended() -> bool:
        if (process and not process.is_alive()) or (folder / RESULT).exists():
            return True
        return read_progress(folder).state in last_states and _stamp(folder / STATUS) != earlier

    return ended


def _log_file(folder: Path) -> Callable[[str], None]:
    path = folder / "logs" / "sync.log"
    path.parent.mkdir(exist_ok=True)

    def log(text: str) -> None:
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")

    return log


def _no_log(text: str) -> None:
    """What is sent once is told by the command itself."""
