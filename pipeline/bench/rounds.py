"""Runs the rows of a bench side by side: a process each, a round each in turn. Light; knows no loader."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import IO, Any

from pipeline.bench.figures import Timing
from pipeline.child import ended
from pipeline.errors import Top1Error


def interleaved(
    told: Mapping[str, Mapping[str, Any]],
    rounds: int,
    tell: Callable[[str], None],
    child: str = "pipeline.bench.child",
    starts: int = 1,
) -> dict[str, list[Timing]]:
    """Return the timings of each row, one a round. told: what the module `child` needs to know, by row.

    starts: how many processes of each row share its rounds, one after the other: where its memory happens to
    lie makes one process some percent faster than the next, for as long as it lives.
    Only one row works at a time. Every second round goes backwards, so that no row always follows the same.
    Raises Top1Error where a row fails.
    """
    timings: dict[str, list[Timing]] = {name: [] for name in told}
    for start in range(starts):
        with ExitStack() as stack:
            rows = {}
            for name, what in told.items():
                tell(f"warming up  {name}")
                printed = stack.enter_context(tempfile.TemporaryFile("w+"))
                rows[name] = stack.enter_context(_Process(name, what, printed, child))
                rows[name].timing()
            for number in range(rounds * start // starts, rounds * (start + 1) // starts):
                tell(f"round       {number + 1} of {rounds}")
                for name in _in_turn(list(told), number):
                    rows[name].order()
                    timings[name].append(rows[name].timing())
    return timings


def _in_turn(names: Sequence[str], number: int) -> Sequence[str]:
    return names if number % 2 == 0 else names[::-1]


class _Process:
    """A running row. printed: where what it says goes."""

    def __init__(self, name: str, told: Mapping[str, Any], printed: IO[str], child: str) -> None:
        self._name = name
        self._printed = printed
        self._process = subprocess.Popen(
            [sys.executable, "-m", child],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=printed,
            text=True,
        )
        self._write(json.dumps(told))

    def __enter__(self) -> _Process:
        return self

    def __exit__(self, *_: object) -> None:
        # Killed: no row has anything to keep, and DALI may hang where it is taken down midway. Workers end
        # when they see that their parent has.
        self._process.kill()
        self._process.wait()

    def order(self) -> None:
        """Have a round begin."""
        self._write("")

    def timing(self) -> Timing:
        """Wait for the end of the round."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._failure()
        return Timing(**json.loads(line))

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        try:
            print(line, file=self._process.stdin, flush=True)
        except BrokenPipeError:
            raise self._failure() from None

    def _failure(self) -> Top1Error:
        code = self._process.wait()
        self._printed.seek(0)
        return ended(f"the row {self._name}", code, self._printed.read())
