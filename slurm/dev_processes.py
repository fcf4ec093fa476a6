"""The processes of a throw-away cluster: started, found again, ended, never mistaken for another's. Light.

A recorded process counts only together with the moment it began, so a reused number is never signalled.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.errors import Top1Error
from pipeline.follow import start_of
from pipeline.journal import write_json

RECORD = "processes.json"


@dataclass(frozen=True)
class Daemon:
    """A process by its number and the kernel's tick at which it began."""

    name: str
    pid: int
    start: str | None

    def is_alive(self) -> bool:
        return self.start is not None and start_of(self.pid) == self.start

    def send(self, signum: int) -> None:
        if self.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signum)


def recorded(folder: Path) -> list[Daemon]:
    """Return the daemons that were started in this folder, the living and the dead."""
    with contextlib.suppress(FileNotFoundError, ValueError):
        return [Daemon(**one) for one in json.loads((folder / RECORD).read_bytes())["daemons"]]
    return []


def spawn(
    folder: Path, name: str, arguments: list[str], environment: dict[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a daemon in a session of its own and record it.

    It starts in `folder`: a slurmstepd inherits that from its slurmd, and is found by it later.
    """
    with open(folder / "log" / f"{name}.out", "ab") as log:
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            start_new_session=True,
            env={**os.environ, **(environment or {})},
        )
    known = [one for one in recorded(folder) if one.name != name]
    _record(folder, [*known, Daemon(name, process.pid, start_of(process.pid))])
    return process


def forget(folder: Path, name: str) -> None:
    _record(folder, [one for one in recorded(folder) if one.name != name])


def _record(folder: Path, daemons: list[Daemon]) -> None:
    write_json(folder / RECORD, {"daemons": [asdict(one) for one in daemons]}, durable=False)


def stop(daemons: list[Daemon], seconds: float) -> None:
    """Ask them all to end, and kill those that have not after some seconds."""
    for signum, patience in ((signal.SIGTERM, seconds), (signal.SIGKILL, 3.0)):
        for one in daemons:
            one.send(signum)
        gives_up = time.monotonic() + patience
        while any(one.is_alive() for one in daemons) and time.monotonic() < gives_up:
            for one in daemons:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(one.pid, os.WNOHANG)
            time.sleep(0.02)


def job_processes(folder: Path, node: str | None = None) -> Iterator[Daemon]:
    """Yield what jobs of this cluster left running: batch shells, tasks, slurmstepd; of one node if named.

    Tasks carry the cluster's SLURM_CONF. slurmstepd's environment reads empty: its folder tells.
    """
    ours = f"SLURM_CONF={folder}/slurm.conf".encode()
    for path in Path("/proc").iterdir():
        if not path.name.isdigit() or int(path.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            variables = (path / "environ").read_bytes().split(b"\0")
            is_task = ours in variables and any(one.startswith(b"SLURM_JOB_ID=") for one in variables)
            on_node = node is None or f"SLURMD_NODENAME={node}".encode() in variables
            if (is_task and on_node) or _is_step_daemon(path, folder, node):
                yield Daemon("job", int(path.name), start_of(int(path.name)))


def _is_step_daemon(path: Path, folder: Path, node: str | None) -> bool:
    if not (path / "comm").read_text().startswith("slurmstepd"):
        return False
    where = f"{os.readlink(path / 'cwd')}/"
    return where.startswith(f"{folder}/spool/{node}/" if node else f"{folder}/")


def wait_until(
    what: str, ready: Callable[[], bool], seconds: float, daemons: tuple[subprocess.Popen[bytes], ...] = ()
) -> None:
    """Return once `ready()`. Raises Top1Error when a daemon ended meanwhile or the time is over."""
    gives_up = time.monotonic() + seconds
    while not ready():
        ended = [one for one in daemons if one.poll() is not None]
        if ended:
            raise Top1Error(
                f"{Path(str(ended[0].args[0])).name} ended with {ended[0].returncode} "  # type: ignore[index]
                f"while waiting for {what}. Look at the cluster's log folder."
            )
        if time.monotonic() > gives_up:
            raise Top1Error(f"{what}: not ready after {seconds:.0f} s. Look at the cluster's log folder.")
        time.sleep(0.03)
