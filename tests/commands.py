"""Commands as processes of their own, which can be killed, limited and interrupted like any.

`Started` begin where the imports end: a server that has imported torch and DALI forks each of them, so a test
does not pay five seconds a start. What runs is `pipeline.cli.main`.
"""

import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

DEADLINE = 120.0

_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(["pipeline.train", "pipeline.cli", "slurm.job", "pipeline.data.runner"])


class Started:
    """A command under way. output: the file of what it prints, on stdout and stderr together.

    before: called in the new process first, to take something away from it. variables: of its environment.
    """

    def __init__(self, arguments, output, before=None, variables=()):
        self.output = Path(output)
        given = (list(map(str, arguments)), self.output, before, dict(variables))
        self._process = _server.Process(target=_run, args=given)
        self._process.start()
        self.pid = self._process.pid

    def is_alive(self):
        return self._process.is_alive()

    def kill(self):
        self._process.kill()
        self._process.join()

    def send_signal(self, number):
        os.kill(self.pid, number)

    def wait(self, seconds=DEADLINE):
        """Return (exit code, what it printed). Fails where it does not end."""
        self._process.join(seconds)
        if self._process.exitcode is None:
            self.kill()
            raise AssertionError(f"it did not end within {seconds:g} s:\n{self.output.read_text()}")
        return self._process.exitcode, self.output.read_text()


class Cold:
    """A command as people start it, imports and all; a GPU is for such alone. Used as `Started` is."""

    def __init__(self, arguments, output):
        self.output = Path(output)
        with open(output, "w") as file:
            command = [sys.executable, "-m", "pipeline.cli", *map(str, arguments)]
            self._process = subprocess.Popen(command, stdout=file, stderr=file)

    def is_alive(self):
        return self._process.poll() is None

    def kill(self):
        self._process.kill()
        self._process.wait()

    def wait(self, seconds=DEADLINE):
        try:
            return self._process.wait(seconds), self.output.read_text()
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"it did not end within {seconds:g} s:\n{self.output.read_text()}") from None


def wait_until(condition, started, seconds=DEADLINE):
    """Return whether it came to be while the command ran; it is looked for every millisecond."""
    gives_up = time.monotonic() + seconds
    while not condition():
        if not started.is_alive():
            return condition()
        assert time.monotonic() < gives_up, started.output.read_text()
        time.sleep(0.001)
    return True


def _run(arguments, output, before, variables):
    from pipeline.cli import main

    os.environ.update(variables)

    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(file, 1)
    os.dup2(file, 2)
    if before:
        before()
    sys.exit(main(arguments))
