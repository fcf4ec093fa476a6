"""Submitting runs through submitit: one job a run, one task a process, the run folder its only argument."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import submitit

from pipeline import runs
from pipeline.errors import Top1Error, UsageError
from pipeline.failures import first_failure
from pipeline.journal import read_json_or_none
from pipeline.machine import gpu_models
from pipeline.plan import Plan
from slurm.job import run_task
from slurm.launch import QUIET, Request
from slurm.local_tasks import LocalTasks

NO_TIME_LIMIT = 60 * 24 * 365  # minutes; submitit's local executor otherwise ends a job after five
POLL_SECONDS = 0.2


@dataclass
class Submitted:
    """A run that was handed over: its folder, its plan, its job; none where it was not started after all.

    gpus: the numbers of those it has to itself. tasks: its processes.
    """

    folder: Path
    plan: Plan
    job: submitit.Job[bool] | None
    gpus: tuple[int, ...] = ()
    tasks: LocalTasks | None = None

    @property
    def log(self) -> Path:
        """What the main process printed."""
        return Path(self.job.paths.stderr) if self.job else self.folder / "logs"


def run_local(requests: list[Request], parallel: int, tell: Callable[[str], None]) -> int:
    """Run jobs as `submit_local` does and tell how each began and ended; return a command's exit code."""
    failures = []
    for request in requests:
        tell(f"submitted   {request.plan.recipe.name}, folder {request.folder}")
    for run in submit_local(requests, parallel, tell):
        try:
            tell(f"{check_ended(run):11} {run.plan.recipe.name}, folder {run.folder}")
        except Top1Error as error:
            failures.append(str(error))
    for failure in failures:
        tell(f"top1: {failure}")
    return 1 if failures else 0


def submit_local(requests: list[Request], parallel: int, tell: Callable[[str], None]) -> Iterator[Submitted]:
    """Run jobs on this machine, `parallel` at a time, and yield each when it has ended.

    A run that begins with another's weights waits for it, and is not started where that did not finish. Each
    has GPUs of its own, and waits for them. tell: receives each new line a run's main process prints.
    Raises UsageError where a run wants more GPUs than there are.
    """
    free = visible_gpus() if any(one.plan.device != "cpu" for one in requests) else []
    wanted, has_gpus = max(one.plan.gpus for one in requests), bool(free)
    if has_gpus and wanted > len(free):
        raise UsageError(
            f"--gpus {wanted} asks for more GPUs than can be used here, {len(free)}. Ask for fewer."
        )
    waiting, running = list(requests), list[Submitted]()
    finished = dict.fromkeys((request.folder for request in requests), False)
    told: dict[Path, int] = {}
    while waiting or running:
        busy = {one.folder for one in waiting} | {run.folder for run in running}
        for one in [request for request in waiting if request.parent not in busy]:
            if one.parent and not finished.get(one.parent, True):
                waiting.remove(one)
                yield Submitted(one.folder, one.plan, None)
            elif len(running) < parallel and (not has_gpus or one.plan.gpus <= len(free)):
                waiting.remove(one)
                gpus, free = tuple(free[: one.plan.gpus]), free[one.plan.gpus :]
                job = _start(one.folder, one.plan, gpus)
                tasks = LocalTasks(job.job_id, one.folder, _launch(job))
                running.append(Submitted(one.folder, one.plan, job, gpus, tasks))
        for run in list(running):
            if run.tasks:
                run.tasks.look()
            ended = run.job is None or run.job.done()
            told[run.folder] = _tell_news(run, told.get(run.folder, 0), tell)
            if ended:
                running.remove(run)
                free = sorted([*free, *run.gpus])
                finished[run.folder] = _state(run) == "finished"
                yield run
        time.sleep(POLL_SECONDS)


def visible_gpus() -> list[int]:
    """Return the numbers of the GPUs that may be used here. Raises UsageError where they have other names."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        return list(range(len(gpu_models())))
    try:
        return [int(number) for number in named.split(",") if number.strip() not in ("", "-1")]
    except ValueError:
        raise UsageError(
            f"CUDA_VISIBLE_DEVICES is {named!r}, and --local shares GPUs out by their numbers. Set it to "
            "those, e.g. 0,1."
        ) from None


def _start(folder: Path, plan: Plan, gpus: tuple[int, ...]) -> submitit.Job[bool]:
    os.environ.setdefault(*QUIET)  # submitit reads it in the child
    executor = submitit.LocalExecutor(folder=folder / "logs")
    executor.update_parameters(
        timeout_min=NO_TIME_LIMIT,
        tasks_per_node=plan.gpus,
        gpus_per_node=plan.gpus if plan.device != "cpu" else 0,
        visible_gpus=gpus,
    )
    return executor.submit(run_task, str(folder.resolve()))


def _launch(job: submitit.Job[bool]) -> str:
    """Return how failures of its processes name it, as `slurm.tasks` does."""
    return f"local-{job.job_id}"


def _tell_news(run: Submitted, start: int, tell: Callable[[str], None]) -> int:
    """Tell the whole lines the run has printed since `start`; return where the next begin."""
    if not run.log.exists():
        return start
    with run.log.open("rb") as file:
        file.seek(start)
        news = file.read()
    whole = news[: news.rfind(b"\n") + 1]
    for line in whole.decode(errors="replace").splitlines():
        if line.startswith(("epoch", "result", "stopped")):
            tell(f"{run.plan.recipe.name:24} {line}")
    return start + len(whole)


def check_ended(run: Submitted) -> str:
    """Return how a run ended, "finished" or "stopped". Raises Top1Error, naming its log, when it failed."""
    if run.job is None:
        raise Top1Error(
            f"{run.plan.recipe.name} was not started: the run whose weights it begins with did not finish."
        )
    error = run.job.exception()
    if error is not None:
        why = str(first_failure(run.folder, _launch(run.job)) or _last_line(str(error)))
        raise Top1Error(
            f"{run.plan.recipe.name} failed: {why.rstrip('.')}. See {run.log}; "
            f"`top1 requeue {run.folder} --local` goes on from its last checkpoint."
        )
    return _state(run)


def _state(run: Submitted) -> str:
    status = read_json_or_none(run.folder / runs.STATUS) or {}
    return str(status.get("state", "unknown"))


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.strip().splitlines() if line.strip(" -=")]
    return lines[-1] if lines else "no reason given."
