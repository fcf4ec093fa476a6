"""When to deliver: while a run goes on, at its end, and how long to try again. Light; sends nothing itself.

Whatever the receiver does, the loop ends a bounded time after the run, and a follower a bounded time after
the process that it follows.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

_LOOK = 0.5  # seconds between two looks at whether the run, or what is followed, has ended
_FIRST_PAUSE = 1.0  # seconds before the second try, once the run has ended; doubles from there
_PR_SET_PDEATHSIG = 1  # prctl(2)


@dataclass(frozen=True)
class Pace:
    """Seconds: between two deliveries, the longest pause after failures, and of trying after the end.

    limit: how long a follower may outlive what it follows, in the middle of a delivery too.
    """

    every: float = 5.0
    longest: float = 60.0
    patience: float = 30.0
    limit: float = 120.0


def deliver_until_end(
    deliver: Callable[[], None],
    *,
    news: Callable[[], object],
    ended: Callable[[], bool],
    failures: tuple[type[Exception], ...],
    failed: Callable[[Exception, float], None],
    pace: Pace,
) -> Exception | None:
    """Call `deliver` whenever `news` has changed, until `ended`; return the last failure, if it stayed.

    failed: told of each failure and of the seconds until the next try.
    """
    pause, delivered, gives_up = pace.every, None, None
    while True:
        over, found = ended(), news()  # in this order: what came before the end is in the news
        if over and gives_up is None:
            gives_up, pause = time.monotonic() + pace.patience, _FIRST_PAUSE / 2
        if over or found != delivered:
            try:
                deliver()
            except failures as error:
                pause = _pause_after_failure(pause, pace, gives_up)
                failed(error, pause)
                if over and pause <= 0:
                    return error
            else:
                delivered, pause = found, pace.every
                if over:
                    return None
        _sleep(pause, until=None if over else ended)


def _pause_after_failure(pause: float, pace: Pace, gives_up: float | None) -> float:
    pause = min(pace.longest, 2 * pause)
    return pause if gives_up is None else min(pause, gives_up - time.monotonic())


def _sleep(seconds: float, until: Callable[[], bool] | None) -> None:
    """Sleep, but no longer than until something is the case."""
    wakes = time.monotonic() + seconds
    while (left := wakes - time.monotonic()) > 0 and not (until and until()):
        time.sleep(min(left, _LOOK))


class Process:
    """A process by its number and its start, so that another one of the same number is not taken for it."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._start = start_of(pid)

    def is_alive(self) -> bool:
        return self._start is not None and start_of(self._pid) == self._start


def start_of(pid: int) -> str | None:
    """Return when a process began, in the kernel's ticks; None when there is none or it is a zombie."""
    try:
        # The name, in parentheses, may hold spaces; state is field 3, start time field 22 (proc(5)).
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else fields[19]


def outlive_by_at_most(seconds: float, process: Process, last_words: Callable[[], None]) -> None:
    """Have this process end so many seconds after another, whatever it is doing then.

    No timeout of a library bounds that: a server may answer a byte at a time, and whoever set longer timeouts
    or retries in the environment gets them.
    """
    Thread(target=_outlive, args=(seconds, process, last_words), daemon=True).start()


def _outlive(seconds: float, process: Process, last_words: Callable[[], None]) -> None:
    while process.is_alive():
        time.sleep(_LOOK)
    time.sleep(seconds)
    try:
        last_words()
    finally:
        os._exit(1)  # sys.exit waits for threads, and they may be what hangs


def die_with_parent() -> None:
    """Have the kernel kill this process when the one that started it is gone, while it is stopped too."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@contextmanager
def deaf_to_job_signals() -> Iterator[None]:
    """Ignore what is meant for the training: a follower ends with the process it follows.

    SLURM tells every process of a step that a time limit nears, and Ctrl-C every process of a terminal's
    group. SIGTERM is obeyed at once: it is a person's, or SLURM's that leaves no time to deliver anything.
    """
    meant_for_training = (signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in meant_for_training}
    before[signal.SIGTERM] = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
