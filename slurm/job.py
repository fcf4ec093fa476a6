"""What one task of a job runs: join the others, train, ship the log, leave a resumable folder.

The only place that opens `pipeline.train`. Reads the launcher's environment, which nothing below does.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import submitit

from pipeline import runs
from pipeline.errors import Top1Error
from pipeline.plan import Plan

LAUNCHER_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
RENDEZVOUS_SECONDS = 300.0
DELIVERY_SECONDS = 60.0  # how long a finished run waits for its follower; `top1 sync` delivers the rest


class StopRequest:
    """Set by SIGTERM, SIGINT and SIGUSR2, read by the loop at step boundaries. Calling it tells."""

    def __init__(self) -> None:
        self._asked = False

    def __call__(self) -> bool:
        return self._asked

    def _note(self, signum: int, frame: object) -> None:
        # Only sets a flag: a handler may run inside any line, a collective included. A second SIGINT
        # is someone who does not want to wait.
        if self._asked and signum == signal.SIGINT:
            raise KeyboardInterrupt
        self._asked = True

    def install(self) -> None:
        for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2):
            signal.signal(signum, self._note)


def run_task(folder: str) -> bool:
    """Run one task of a submitit job; `folder` holds the plan. Returns whether the run is finished."""
    environment = submitit.JobEnvironment()
    plan = runs.read_plan(Path(folder))
    if plan.gpus > 1:
        rendezvous = Path(folder) / "logs" / f"rendezvous-{environment.job_id}"
        address, port = meet(rendezvous, environment.global_rank)
        os.environ |= {
            "MASTER_ADDR": address,
            "MASTER_PORT": str(port),
            "RANK": str(environment.global_rank),
            "WORLD_SIZE": str(environment.num_tasks),
            "LOCAL_RANK": str(environment.local_rank),
            "LOCAL_WORLD_SIZE": str(environment.num_tasks // environment.num_nodes),
        }
    return run_process(Path(folder), plan)


def meet(path: Path, rank: int) -> tuple[str, int]:
    """Return the address that rank 0 of a one-node job listens on, passed to the others in a file."""
    if rank == 0:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        temporary = path.with_suffix(".tmp")
        temporary.write_text(f"127.0.0.1 {port}")
        temporary.replace(path)
    deadline = time.monotonic() + RENDEZVOUS_SECONDS
    while not path.exists():
        if time.monotonic() > deadline:
            raise Top1Error(
                f"rank 0 did not write {path} within {RENDEZVOUS_SECONDS:.0f} s. Look at its log."
            )
        time.sleep(0.05)
    address, text = path.read_text().split()
    return address, int(text)


def run_process(folder: Path, plan: Plan) -> bool:
    """Train the run in this process (one of plan.gpus); return whether it is finished."""
    rank = int(os.environ.get("RANK", "0"))
    if plan.gpus > 1:
        _check_launcher(plan)
        os.environ.setdefault("OMP_NUM_THREADS", str(plan.threads))
    stop = StopRequest()
    stop.install()
    from pipeline.report import Report
    from pipeline.train import train

    report = Report(plan, folder)
    with _follower(folder, plan) if rank == 0 else contextlib.nullcontext():
        try:
            return train(plan, folder, report, stop)
        except Exception:
            if rank == 0:
                report.failed()
            raise


def _check_launcher(plan: Plan) -> None:
    """Raise Top1Error unless the launcher told this process all it needs to find the others."""
    missing = [name for name in LAUNCHER_VARIABLES if name not in os.environ]
    if missing:
        raise Top1Error(
            f"the plan is for {plan.gpus} processes, but {', '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} not set. Start them with a launcher such as torchrun, "
            "or let `top1 submit --local` do it."
        )


@contextlib.contextmanager
def _follower(folder: Path, plan: Plan) -> Iterator[None]:
    """Have a child process ship the log to MLflow meanwhile; training never waits for it, its end does."""
    if plan.tracking is None:
        yield
        return
    command = [sys.executable, "-m", "pipeline.cli", "sync", "--follow", "--parent", str(os.getpid())]
    with open(folder / "logs" / "sync.out", "ab") as log:
        child = subprocess.Popen(
            [*command, "--tracking", plan.tracking, str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield
    finally:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(DELIVERY_SECONDS)
