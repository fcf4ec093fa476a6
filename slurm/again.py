"""Bringing a run back: the same run, in a new job, on as many GPUs as there are now. Light."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pipeline import runs
from pipeline.attempts import read_attempts
from pipeline.errors import Top1Error
from pipeline.plan import Plan, split_batch
from slurm.batch import cpus_per_task
from slurm.checks import check_folder, check_gpus, check_script, check_slurm, check_srun
from slurm.cluster import Cluster
from slurm.launch import SUBMITTED, Request, read_job, scripts, submit_all
from slurm.queue import move_waiting, queued
from slurm.status import LIVE, job_of, standing


def replan(plan: Plan, gpus: int, threads: int, micro_batch: int | None = None) -> Plan:
    """Return the plan on other hardware: the same global batch, in passes of `micro_batch` images.

    Unless that is given, a pass has as many as before, or fewer: that much memory there is.
    Raises Top1Error, with the numbers that work, where the batch does not divide.
    """
    if (gpus, micro_batch or plan.micro_batch) == (plan.gpus, plan.micro_batch):
        return plan
    micro_batch, accumulation = split_batch(plan.recipe, gpus, micro_batch, most=plan.micro_batch)
    return replace(plan, gpus=gpus, micro_batch=micro_batch, accumulation=accumulation, threads=threads)


def write_changed(folder: Path, plan: Plan, tell: Callable[[str], None]) -> None:
    """Write the plan that a run goes on with as plan.<attempt>.json, where it is another than its newest."""
    if plan == runs.read_plan(folder):
        return
    attempts = read_attempts(folder)
    written = runs.write_next_plan(folder, plan, attempts[-1].number + 1 if attempts else 1)
    tell(
        f"planned     {plan.gpus} processes, micro-batch {plan.micro_batch} x accumulation "
        f"{plan.accumulation}, {written}"
    )


def requeue(
    folder: Path,
    cluster: Cluster,
    where: str,
    nodes: int,
    gpus: int,
    micro_batch: int | None,
    tell: Callable[[str], None],
) -> str:
    """Submit a run again, on `nodes` nodes of `gpus` GPUs, from its last checkpoint; return the job.

    Call `check_may_go_on` first.
    """
    plan = runs.read_plan(folder)
    check_slurm()
    check_gpus(cluster, gpus, where)
    check_srun(cluster, where)
    check_folder(folder, [plan])
    plan = replan(plan, nodes * gpus, cpus_per_task(cluster, gpus), micro_batch)
    request = Request(folder, plan, nodes)
    home = runs.home_of(folder, plan.recipe.name) / SUBMITTED
    for _, text in scripts(cluster, [request], home, None):
        check_script(text, where)
    for note in (folder / "logs").glob("give-up.*"):  # of the jobs before
        note.unlink()
    write_changed(folder, plan, tell)
    return submit_all(cluster, [request], home, None, tell)[folder]


def go_on_after(folder: Path, job: str, tell: Callable[[str], None]) -> None:
    """Submit the job that goes on with a run once this `job`, which may not go back to the queue, has ended.

    The same shape and cluster; jobs that wait for `job` to end well wait for the new one then.
    Raises Top1Error where the run was not submitted by `top1 submit`.
    """
    known = read_job(folder)
    if known is None:
        raise Top1Error(f"{folder} was not submitted by `top1 submit`, so its script is not ours to submit.")
    request = Request(folder, runs.read_plan(folder), known.nodes, follows=job)
    home = runs.home_of(folder, request.plan.recipe.name) / SUBMITTED
    new = submit_all(known.cluster, [request], home, None, tell)[folder]
    for waiting in move_waiting(job, new):
        tell(f"job {waiting} waits for job {new} now")


def check_may_go_on(folder: Path) -> None:
    """Raise Top1Error when a run is finished, or its job is still SLURM's."""
    now = standing(folder, queued())
    if now.state == "finished":
        raise Top1Error(f"{folder} is finished; `top1 eval {folder}` measures it again.")
    if now.state in LIVE:
        job = job_of(folder)
        who = f"job {job}" if job else "a process"
        raise Top1Error(
            f"{folder} is {now.state}: {who} has it. `top1 cancel {folder}` saves and ends it first."
        )


if __name__ == "__main__":  # in a job that ends: `python -m slurm.again RUN JOB`
    try:
        go_on_after(Path(sys.argv[1]), sys.argv[2], print)
    except Top1Error as error:
        sys.exit(str(error))
