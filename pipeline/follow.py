"""When to deliver: while a run goes on, at its end, and how long to try again. Light; sends nothing itself.

Whatever the receiver does, the loop ends a bounded time after the run.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_LOOK = 0.5  # seconds between two looks at whether the run has ended
_FIRST_PAUSE = 1.0  # seconds before the second try, once the run has ended; doubles from there


@dataclass(frozen=True)
class Pace:
    """Seconds: between two deliveries, the longest pause after failures, and of trying after the end."""

    every: float = 5.0
    longest: float = 60.0
    patience: float = 30.0


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


@contextmanager
def deaf_to_job_signals() -> Iterator[None]:
    """Ignore what is meant for the training: a follower ends with the process it follows.

    Slurm signals every process of a step, and Ctrl-C every process of a terminal's group.
    """
    meant_for_training = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in meant_for_training}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
