"""How a job leaves its nodes before its run is finished: back to the queue, or for good. Light.

No process returns from here in peace while SLURM is about to end the job: a job whose tasks end well is
called done, and is not put back.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

from pipeline.attempts import read_attempts, without_progress
from pipeline.errors import Top1Error
from pipeline.report import say
from slurm.batch import FAILURES, LEAVING
from slurm.signals import NOW, StopRequest
from slurm.tasks import Task

ENDED = 143  # what a process ends with that SIGTERM has ended; never well, or the job would be called done


def leave_job(folder: Path, task: Task, reason: int, stop: StopRequest) -> NoReturn:
    """Put the job back into the queue where it is for us to do, and end when SLURM ends the job.

    Every process calls this, after the checkpoint. Raises Top1Error where the job cannot go on.
    """
    if task.rank == 0:
        if reason == NOW and not _comes_back(task):
            say(f"SLURM is ending this job; the run is saved, and `top1 requeue {folder}` goes on")
        else:
            _check_progress(folder)
            _requeue(folder, task)
        sys.exit(ENDED)  # srun then ends the others
    told, gives_up = stop.terminations, time.monotonic() + LEAVING
    while stop.terminations == told and time.monotonic() < gives_up:
        time.sleep(0.1)
    sys.exit(ENDED)


def give_up(folder: Path, error: Top1Error) -> None:
    """Tell the batch script that to start the tasks again would help nobody, and why."""
    path = folder / "logs" / f"give-up.{os.environ['SLURM_JOB_ID']}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{error}\n", encoding="utf-8")


def _comes_back(task: Task) -> bool:
    """Whether it is for us to put back a job that was told to end.

    One that still runs is: it was only told, or has some time before it is preempted. So is one at its time
    limit, where the signal before was missed by a process that had just begun. A cancelled one is COMPLETING
    without that reason, and one that is preempted at once SLURM puts back itself.
    """
    shown = _scontrol("show", "job", "-o", str(task.job)).stdout
    return "JobState=RUNNING" in shown or "Reason=TimeLimit" in shown


def _check_progress(folder: Path) -> None:
    if without_progress(read_attempts(folder)) >= FAILURES and _ended_where_it_began(folder):
        error = Top1Error(
            f"{FAILURES} attempts in a row made no step, so the job does not go back to the queue. Its time "
            "limit or the time it is told before is too short; `top1 requeue` goes on."
        )
        give_up(folder, error)
        raise error


def _ended_where_it_began(folder: Path) -> bool:
    last = read_attempts(folder)[-1]
    return last.step is not None and last.end_step == last.step


def _requeue(folder: Path, task: Task) -> None:
    done = _scontrol("requeue", str(task.job))
    if done.returncode == 0:
        say(f"job {task.job} goes back to the queue")
        return
    refusal = f"SLURM did not put job {task.job} back into the queue: {done.stderr.strip()}."
    say(f"{refusal} Another job is to go on")
    # What SLURM told this job of itself is not so in the next one.
    own = ("SLURM_", "SBATCH_", "SUBMITIT_")
    env = {key: text for key, text in os.environ.items() if not key.startswith(own) or key == "SLURM_CONF"}
    command = [sys.executable, "-m", "slurm.again", str(folder), str(task.job)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        error = Top1Error(
            f"{refusal} {done.stderr.strip()} The run is saved; `top1 requeue {folder}` goes on."
        )
        give_up(folder, error)
        raise error
    say(done.stdout.strip())
    give_up(folder, Top1Error("the run goes on in another job"))


def _scontrol(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["scontrol", *arguments], capture_output=True, text=True, timeout=120, check=False)
