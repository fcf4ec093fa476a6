"""What the launcher tells a process by signals: a flag, and nothing else. Light.

A handler may run inside any line, a collective included, so it sets an integer. SLURM tells all tasks of a
step; which step they stop after they agree on (`pipeline.stop`).
"""

from __future__ import annotations

import faulthandler
import signal

_STDERR = 2
LATER, NOW = 1, 2  # pipeline.stop.Stop, which opens torch


class StopRequest:
    """Set by SIGUSR2 (a time limit nears), SIGTERM (preempted, cancelled) and SIGINT. Calling it tells."""

    def __init__(self) -> None:
        self._asked = 0
        self.terminations = 0  # SIGTERMs so far

    def __call__(self) -> int:
        return self._asked

    def _note(self, signum: int, frame: object) -> None:
        # A second SIGINT is someone who does not want to wait.
        if self._asked and signum == signal.SIGINT:
            raise KeyboardInterrupt
        self.terminations += signum == signal.SIGTERM
        self._asked = max(self._asked, LATER if signum == signal.SIGUSR2 else NOW)

    def install(self) -> None:
        """Take the signals over, from submitit too, whose handlers would leave in the middle of a step."""
        for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2):
            signal.signal(signum, self._note)
        signal.signal(signal.SIGCONT, signal.SIG_DFL)  # SLURM sends it before SIGTERM
        # For a person who wonders where a process hangs: every thread's Python stack, and on it goes.
        faulthandler.register(signal.SIGUSR1, file=_STDERR)
