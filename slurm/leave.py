"""How the processes of a job leave its nodes before its run is finished. Light.

They may run in a container, where there is no SLURM: they leave notes in the run folder, and the job's batch
script, which is the host's, does the rest (`slurm.batch`). No process returns from here in peace: a job whose
tasks end well is called done, and is not put back.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import NoReturn

from pipeline.attempts import read_attempts, without_progress
from pipeline.errors import PassingError, Top1Error
from pipeline.say import say
from slurm.batch import FAILURES, LEAVING
from slurm.signals import StopRequest
from slurm.tasks import Task

ENDED = 143  # what a process ends with that SIGTERM has ended; never well, or the job would be called done


def leave_job(folder: Path, task: Task, stop: StopRequest) -> NoReturn:
    """Tell the batch script that the run was told to stop and is saved, and end.

    Every process calls this, after the checkpoint. Raises Top1Error where the job would come back for ever.
    """
    if task.rank == 0:
        _check_progress(folder)
        _note(folder, "left", "told to stop, and saved")
        say("the run is saved; whether its job goes back to the queue is in `top1 logs --batch`")
        _end()  # srun then ends the others
    told, gives_up = stop.terminations, time.monotonic() + LEAVING
    while stop.terminations == told and time.monotonic() < gives_up:
        time.sleep(0.1)
    _end()


def give_up(folder: Path, error: Top1Error) -> None:
    """Tell the batch script that to start the tasks again would help nobody, and why."""
    _note(folder, "give-up", str(error))


def wait_for_storage(folder: Path, error: PassingError) -> None:
    """Tell the batch script to wait before it starts the tasks again, and why."""
    _note(folder, "outage", str(error))


def _end() -> NoReturn:
    """End at once: the batch script waits for it, and to take torch and DALI down first is seconds of the few
    that a job has between its limit and its end."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(ENDED)


def _note(folder: Path, kind: str, text: str) -> None:
    path = folder / "logs" / f"{kind}.{os.environ['SLURM_JOB_ID']}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n", encoding="utf-8")


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
