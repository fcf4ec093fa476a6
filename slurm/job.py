"""What one process of a job runs: join the others, train, ship the log, leave a resumable folder.

The only place that opens `pipeline.train`. Reads the launcher's environment, which nothing below does.
"""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from pipeline import attempts, failures, runs
from pipeline.errors import CrashError, PassingError, Top1Error
from pipeline.plan import Plan
from pipeline.report import Report
from slurm import leave
from slurm.signals import StopRequest
from slurm.tasks import Task, submitit_task

LAUNCHER_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
DELIVERY_SECONDS = 60.0  # how long a finished run waits for its follower; `top1 sync` delivers the rest


def run_task(folder: str) -> bool:
    """Run one task of a submitit job; `folder` holds the plan. Returns whether the run is finished."""
    return run_process(Path(folder), None, submitit_task())


def run_process(folder: Path, plan: Plan | None = None, task: Task | None = None) -> bool:
    """Train the run in this process (one of plan.gpus); return whether it is finished.

    plan: the folder's newest unless it is known already. task: which process this is, where we find the
    others ourselves; without it the launcher's variables say. In a SLURM job a run that is to go on later
    goes back to the queue, and this does not return.
    """
    stop = StopRequest()
    stop.install()
    rank = task.rank if task else int(os.environ.get("RANK", "0"))
    launch = task.launch if task else "local"
    # NCCL's record of the last collectives, one file a rank, written when one of them times out; by default
    # in the home folder, where jobs overwrite each other's.
    os.environ.setdefault("TORCH_FR_DUMP_ON_TIMEOUT", "1")
    os.environ.setdefault("TORCH_FR_DUMP_TEMP_FILE", f"{folder.absolute()}/logs/collectives-{launch}-rank-")
    try:
        reason = _train(folder, plan or runs.read_plan(folder), task, stop, rank)
    except Exception as error:
        with contextlib.suppress(OSError):  # a full disk, a folder that is gone: the error itself is told
            failures.note(folder, launch, rank, error)
            if task and task.job:
                _tell_batch_script(folder, error)
        raise
    if reason and task and task.batch:  # in an allocation of salloc there is nobody to start it again
        leave.leave_job(folder, task, stop)
    return not reason


def _tell_batch_script(folder: Path, error: Exception) -> None:
    """Say what the tasks ended of, where it is no crash after which they are started again at once."""
    if isinstance(error, PassingError):
        leave.wait_for_storage(folder, error)
    elif isinstance(error, Top1Error) and not isinstance(error, CrashError):
        leave.give_up(folder, error)


def _train(folder: Path, plan: Plan, task: Task | None, stop: StopRequest, rank: int) -> int:
    """Return 0 when the run is finished, else why it was asked to stop (pipeline.stop.Stop)."""
    if plan.gpus > 1:
        os.environ.setdefault("OMP_NUM_THREADS", str(plan.threads))
    if plan.deterministic:  # torch refuses else: cuBLAS would share its buffers out as kernels come to run
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    plan = replace(plan, copy_to=_on_this_node(plan.copy_to))
    report = _report(folder, plan, task, rank)
    if task and (plan.gpus > 1 or task.world > 1):
        _join(folder, plan, task)
    elif plan.gpus > 1:
        _check_launcher(plan)
    from pipeline.train import train

    follower = _start_follower(folder, plan) if rank == 0 else None
    leaving = False
    try:
        reason = train(plan, folder, report, stop)
        # A job that is to leave its nodes has no time: the follower of the next attempt delivers the rest.
        leaving = bool(reason and task and task.job)
        return reason
    except Exception as error:
        if rank == 0:
            report.failed(error)
        raise
    finally:
        if follower and not leaving:
            with contextlib.suppress(subprocess.TimeoutExpired):
                follower.wait(DELIVERY_SECONDS)


def _report(folder: Path, plan: Plan, task: Task | None, rank: int) -> Report:
    """Return rank 0's report; where an earlier attempt of this very job left a writer, that one is fenced.

    SLURM runs a job once at a time. Whoever else holds the folder is not ours to fence.
    """
    job, restart = (task.job, task.restart) if task else (None, 0)
    known = attempts.read_attempts(folder) if rank == 0 and job else []
    goes_on = bool(known) and known[-1].job == job
    return Report(plan, folder, attempts.begin(folder, job, restart) if goes_on else None, job, restart)


def _on_this_node(folder: str | None) -> str | None:
    """Return a folder with this node's variables put in. Raises Top1Error where one is not set."""
    path = os.path.expandvars(folder) if folder else None
    if path and "$" in path:
        raise Top1Error(
            f"copy_to is {folder!r}, and on {platform.node()} that is {path!r}: a variable is not set there. "
            "Name a folder, or a variable that every job has."
        )
    return path


def _join(folder: Path, plan: Plan, task: Task) -> None:
    if task.world != plan.gpus:
        raise Top1Error(
            f"the plan in {folder} is for {plan.gpus} processes, and {task.world} were started. "
            f"Start {plan.gpus}, or let `top1 requeue {folder} --nodes N` plan for another number."
        )
    import torch

    from slurm.rendezvous import join

    join(task, folder, cuda=torch.cuda.is_available() and plan.device != "cpu")


def _check_launcher(plan: Plan) -> None:
    """Raise Top1Error unless the launcher told this process all it needs to find the others."""
    missing = [name for name in LAUNCHER_VARIABLES if name not in os.environ]
    if missing:
        raise Top1Error(
            f"the plan is for {plan.gpus} processes, but {', '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} not set. Start them with a launcher such as torchrun, "
            "or let `top1 submit --local` do it."
        )


def _start_follower(folder: Path, plan: Plan) -> subprocess.Popen[bytes] | None:
    """Have a child process ship the log to MLflow meanwhile; training never waits for it, its end does."""
    if plan.tracking is None:
        return None
    command = [sys.executable, "-m", "pipeline.cli", "sync", "--follow", "--parent", str(os.getpid())]
    with open(folder / "logs" / "sync.out", "ab") as log:
        return subprocess.Popen(
            [*command, "--tracking", plan.tracking, str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
