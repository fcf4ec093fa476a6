"""Which of a job's processes this one is, from what its launcher told it. Light until submitit is asked."""

from __future__ import annotations

import os
from dataclasses import dataclass

from pipeline.errors import UsageError


@dataclass(frozen=True)
class Task:
    """One process of a job. job: as people type it, 12 or 12_3. launch: differs at each start of the tasks.

    restart: how often SLURM has put the job back. None of these where no scheduler runs it.
    batch: whether our script runs it (`slurm.batch`), which puts the job back; salloc and srun have none.
    cpus: how many SLURM gave it, where that was asked for.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    local_world: int = 1
    job: str | None = None
    restart: int = 0
    batch: bool = False
    launch: str = "local"
    cpus: int | None = None


def slurm_task() -> Task:
    """Return what srun says. Raises UsageError outside of one of its tasks."""
    if "SLURM_PROCID" not in os.environ or "SLURM_STEP_ID" not in os.environ:
        raise UsageError("--slurm is for tasks that srun started; slurm/train.sbatch shows how.")
    job, restart = slurm_job(), int(os.environ.get("SLURM_RESTART_COUNT", "0"))
    world = _tasks()
    return Task(
        rank=int(os.environ["SLURM_PROCID"]),
        world=world,
        local_rank=int(os.environ["SLURM_LOCALID"]),
        local_world=world // int(os.environ.get("SLURM_STEP_NUM_NODES", "1")),
        job=job,
        restart=restart,
        batch="TOP1_BATCH" in os.environ,
        launch=f"{job}.{restart}.{os.environ['SLURM_STEP_ID']}",
        cpus=int(os.environ["SLURM_CPUS_PER_TASK"]) if "SLURM_CPUS_PER_TASK" in os.environ else None,
    )


def check_started_once(advice: str) -> None:
    """Raise UsageError where srun started several of a command that has not been told so.

    Each would do the whole of it: as many networks trained, as many evaluations writing the same files. A
    launcher that srun started, torchrun say, tells each process its RANK. A terminal has one task alone: it
    is a shell of `srun --ntasks=8 --pty`, and what is typed there is started once.
    """
    if _tasks() > 1 and "RANK" not in os.environ and not os.isatty(0):
        raise UsageError(f"srun started {_tasks()} of this command, and each would do all of it. {advice}")


def _tasks() -> int:
    """Return how many tasks srun started together; SLURM_NTASKS may be the allocation's instead."""
    return int(os.environ.get("SLURM_STEP_NUM_TASKS", "1"))


def slurm_job() -> str:
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    return f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}" if array else os.environ["SLURM_JOB_ID"]


def submitit_task() -> Task:
    """Return what submitit's executor says, SLURM's or the local one."""
    import submitit

    environment = submitit.JobEnvironment()
    if environment.cluster == "slurm":
        return slurm_task()
    return Task(
        rank=environment.global_rank,
        world=environment.num_tasks,
        local_rank=environment.local_rank,
        local_world=environment.num_tasks,
        launch=f"local-{environment.job_id}",
    )
