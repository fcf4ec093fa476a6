"""Where runs stand: queue and run folders together. Light: without SLURM or accounting too."""

from __future__ import annotations

import platform
import re
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.attempts import Attempt, read_attempts
from pipeline.errors import Top1Error, UsageError
from pipeline.failures import first_failure
from pipeline.follow import start_of
from pipeline.journal import read_json, read_json_or_none
from pipeline.runs import PLAN, STATUS, find_runs
from slurm import average
from slurm.batch import CRASHES
from slurm.launch import SUBMITTED, read_job
from slurm.queue import QueuedJob, ended_states

LIVE = ("pending", "starting", "running", "completing")
_ENDED = {
    "COMPLETED": "ended",
    "NODE_FAIL": "node lost",
    "TIMEOUT": "timed out",
    "OUT_OF_MEMORY": "out of memory",
}


@dataclass(frozen=True)
class Standing:
    """Where a run stands; one row of `top1 status`, whose keys in JSON these are.

    warnings: what the run itself last found wrong (`pipeline.early_warning`): kind, step and text of each.
    """

    run: str
    recipe: str
    job: str | None
    state: str
    reason: str
    attempt: int
    epoch: float | None
    step: int | None
    total_steps: int | None
    images_per_second: float | None
    eta_seconds: float | None
    top1: float | None
    warnings: tuple[dict[str, Any], ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def standings(runs: Path, jobs: dict[str, QueuedJob] | None) -> list[Standing]:
    """Return where every run below a folder stands, oldest first, then the averages still to be measured.

    Raises Top1Error where there is no such folder.
    """
    if not runs.is_dir():
        raise Top1Error(f"there is no folder {runs}; give --runs, or submit something first.")
    return [*standings_of(list(find_runs(runs)), jobs), *_averages(runs, jobs)]


def standings_of(folders: list[Path], jobs: dict[str, QueuedJob] | None) -> list[Standing]:
    """Return where these runs stand. SLURM is asked once for all their jobs that are no longer queued."""
    ended = ended_states(_gone(folders, jobs))
    return [standing(folder, jobs, ended) for folder in folders]


def _gone(folders: list[Path], jobs: dict[str, QueuedJob] | None) -> Iterator[str]:
    """Yield the jobs of unfinished runs that are no longer queued; none where the queue is not known."""
    if jobs is None:
        return
    for folder in folders:
        try:
            job, status = job_of(folder), read_json_or_none(folder / STATUS) or {}
        except Top1Error:  # which is where that run stands
            continue
        if job and job not in jobs and status.get("state") != "finished":
            yield job


def _averages(runs: Path, jobs: dict[str, QueuedJob] | None) -> Iterator[Standing]:
    """Yield where those jobs stand that wait, run or failed; what the others measured is among the runs."""
    if jobs is None:
        return
    submitted = list(average.submitted(runs / SUBMITTED))
    ended = ended_states(job for job, _ in submitted if job not in jobs)
    for job, of in submitted:
        here = jobs.get(job)
        state = here.state if here else ended.get(job)
        if state:
            why = _waits(here) if here else f"log {average.log_of(runs / SUBMITTED, job)}"
            shown = _ENDED.get(state, state.lower())
            yield Standing(f"average of {of}", of, job, shown, why, 0, *(None,) * 6)


def standing(
    folder: Path, jobs: dict[str, QueuedJob] | None, ended: dict[str, str] | None = None
) -> Standing:
    """Return where one run stands. jobs: the queue; None where it is not known, and the run alone tells.

    ended: how jobs ended that are no longer queued; without it SLURM is asked.
    A run folder whose files are damaged is told as that, beside the others.
    """
    try:
        plan, job = read_json(folder / PLAN), job_of(folder)
        status = read_json_or_none(folder / STATUS) or {}
        if not isinstance(plan.get("recipe"), dict):
            raise Top1Error(f"{folder / PLAN} is no plan: it holds no recipe.")
    except Top1Error as error:
        return Standing(str(folder), "?", None, "damaged", str(error), 0, *(None,) * 6)
    attempts = read_attempts(folder)
    said = str(status.get("state", "not started"))
    if ended is None:
        ended = ended_states(_gone([folder], jobs))
    state, reason = _state(folder, job, jobs, ended, attempts, said)
    moving = state == "running"
    return Standing(
        run=str(folder),
        recipe=str(plan["recipe"].get("name", "?")),
        job=job,
        state=state,
        reason=reason,
        attempt=attempts[-1].number if attempts else 0,
        epoch=status.get("epoch"),
        step=status.get("step"),
        total_steps=status.get("total_steps", plan.get("total_steps")),
        images_per_second=status.get("images_per_second") if moving else None,
        eta_seconds=_time_left(status) if moving else None,
        top1=status.get("top1"),
        warnings=tuple(status.get("warnings", ())),
    )


def job_of(folder: Path) -> str | None:
    """Return the job that runs a run or ran it last: of `top1 submit`, or of an sbatch script."""
    known = read_job(folder)
    if known:
        return known.job
    attempts = read_attempts(folder)
    return attempts[-1].job if attempts else None


def find_run(text: str, runs: Path) -> Path:
    """Return the folder of the run that is meant, by its folder or its job. Raises UsageError."""
    if (Path(text) / PLAN).is_file():
        return Path(text)
    if (runs / text / PLAN).is_file():
        return runs / text
    if not text.replace("_", "").isdecimal():
        raise UsageError(f"{text} is no run folder and no job; `top1 status` lists both.")
    found = [folder for folder in find_runs(runs) if job_of(folder) == text]
    if not found:
        raise UsageError(f"no run in {runs} is job {text}'s; `top1 status` lists them. Is it another --runs?")
    return found[-1]


def _state(
    folder: Path,
    job: str | None,
    jobs: dict[str, QueuedJob] | None,
    ended: dict[str, str],
    attempts: list[Attempt],
    written: str,
) -> tuple[str, str]:
    """Return (state, why). written: what the run itself last said."""
    if written == "finished":
        return "finished", ""
    if job and jobs is None:
        return written, "SLURM does not answer"
    jobs = jobs or {}
    here = jobs.get(job) if job else None
    if here and here.state == "PENDING":
        return "pending", _waits(here)
    if here:
        begun = bool(attempts) and attempts[-1].job == job and attempts[-1].step is not None
        if here.state == "COMPLETING":
            return "completing", _on(here)
        if here.state != "RUNNING":  # CONFIGURING, SUSPENDED, REQUEUED, ...: it is SLURM's all the same
            return "starting", f"SLURM calls it {here.state} {_on(here)}".rstrip()
        return ("running" if written == "running" and begun else "starting"), _on(here)
    why = attempts[-1].reason or "" if attempts else ""
    if written in ("failed", "running"):  # else it ended as it was told to
        why = _first_to_fail(folder) or why
    if job:
        if job in ended:
            return _ENDED.get(ended[job], ended[job].lower()), _given_up(folder, why) or why
        return (written if written != "running" else "lost"), why
    if written == "running" and not attempts:
        return "died", "attempts.jsonl is damaged, so it is not known where"
    if written == "running" and not is_alive(attempts[-1]):
        return "died", f"process {attempts[-1].pid} on {attempts[-1].host} is gone"
    return written, why


def is_alive(attempt: Attempt) -> bool:
    """Whether the main process of an attempt lives; on another machine we suppose so."""
    if attempt.host != platform.node():
        return True
    return attempt.pid_start is not None and start_of(attempt.pid) == attempt.pid_start


def _waits(job: QueuedJob) -> str:
    """Return why a job waits, or where it is."""
    return _on(job) or ("" if job.reason == "None" else job.reason)


def _on(job: QueuedJob) -> str:
    return f"on {job.nodes}" if job.nodes else ""


def _given_up(folder: Path, why: str) -> str:
    """Return why a job was given up, where it was; of crashes why the last one was."""
    notes = sorted((folder / "logs").glob("give-up.*"), key=lambda path: path.stat().st_mtime)
    text = notes[-1].read_text(encoding="utf-8").strip() if notes else ""
    return f"{text}: {why}" if text.endswith(CRASHES) and why else text


def _first_to_fail(folder: Path) -> str:
    """Return which process ended first, where and of what: as srun saw it killed, or as it said itself."""
    log = folder / "logs" / "batch.log"
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    last = re.split(r"^\S+ \S+ job \S+ restart \d+: (?:on |starting )", text, flags=re.M)[-1]
    for host, task, how in re.findall(r"^srun: error: (\S+): tasks? (\S+): (.+)$", last, re.M):
        if not how.startswith(("Exited", "Terminated")):  # those followed, or have told why
            return f"process {task} on {host}: {how}"
    return str(first_failure(folder) or "")


def _time_left(status: dict[str, Any]) -> float | None:
    """Return the seconds left, counted on from when the run last said it."""
    left = status.get("eta_seconds")
    if left is None:
        return None
    return max(0.0, float(left) - (time.time() - float(status.get("time", time.time()))))
