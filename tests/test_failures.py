"""Of many processes that fail, the one that failed first is named, with its node and its error."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from made_runs import make_run

from pipeline import failures
from slurm.local_tasks import LocalTasks
from slurm.status import standings

# As srun 22.05 writes it: rank 1 was killed twice, rank 0 failed of its absence.
BATCH_LOG = """\
2026-11-27 11:58:25 job 2 restart 2: on n[1-2]
srun: error: n2: task 1: Killed
srun: launch/slurm: _step_signal: Terminating StepId=2.0
srun: error: n1: task 0: Exited with exit code 1
srun: Force Terminated StepId=2.0
2026-11-27 11:59:01 job 2 restart 2: the tasks ended with 137
2026-11-27 11:59:06 job 2 restart 2: starting the tasks again, from step-000000035.safetensors
srun: error: n1: task 0: Exited with exit code 1
srun: launch/slurm: _step_signal: Terminating StepId=2.2
srun: error: n4: task 3: Out Of Memory
srun: Force Terminated StepId=2.2
2026-11-27 12:00:22 job 2 restart 2: the tasks ended with 137
"""


def note(folder, launch, rank, time, error):
    failures.note(folder, launch, rank, RuntimeError(error), at=time)


def test_the_first_of_the_last_launch_is_told(tmp_path):
    assert failures.first_failure(tmp_path) is None
    note(tmp_path, "2.0.0", 5, 100.0, "an older one")
    note(tmp_path, "2.0.1", 0, 202.0, "connection closed by peer")
    note(tmp_path, "2.0.1", 37, 201.0, "CUDA error: uncorrectable ECC error")
    with (tmp_path / failures.FAILURES).open("a") as file:
        file.write('{"torn')
    first = failures.first_failure(tmp_path)
    assert (first.rank, first.error) == (37, "RuntimeError: CUDA error: uncorrectable ECC error")
    assert failures.first_failure(tmp_path, "2.0.0").rank == 5
    assert failures.first_failure(tmp_path, "2.0.7") is None


def test_status_names_it_and_before_it_one_that_was_killed(tmp_path):
    folder = make_run(tmp_path, state="failed")
    note(folder, "2.2.2", 3, 5.0, "out of patience")
    (row,) = standings(tmp_path, None)
    assert row.reason.startswith("process 3 on ")
    assert row.reason.endswith("RuntimeError: out of patience")
    (folder / "logs" / "batch.log").write_text(BATCH_LOG)
    (row,) = standings(tmp_path, None)
    assert row.reason == "process 3 on n4: Out Of Memory"


STARTER = """
import os, subprocess, sys
tasks = [subprocess.Popen(["sleep", "60"], env={**os.environ, "SUBMITIT_LOCAL_GLOBALID": str(rank)})
         for rank in range(3)]
print(*(task.pid for task in tasks), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def started():
    """A process that has started three, as submitit's local executor does, and the numbers of all."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", STARTER], **pipes) as starter:
        pids = list(map(int, starter.stdout.readline().split()))
        yield str(starter.pid), pids
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def test_of_a_local_run_too_the_process_that_was_killed_is_named(started, tmp_path):
    job, pids = started
    tasks = LocalTasks(job, tmp_path, "local-1")
    tasks.look()
    os.kill(pids[1], signal.SIGKILL)
    stat = Path(f"/proc/{pids[1]}/stat")
    while stat.exists() and stat.read_text().rpartition(")")[2].split()[0] not in "ZX":
        time.sleep(0.01)  # the kernel may take its time on busy cores
    failures.note(tmp_path, "local-1", 0, RuntimeError("connection closed by peer"))
    tasks.look()
    first = failures.first_failure(tmp_path, "local-1")
    assert (first.rank, failures.ranks(tmp_path, "local-1")) == (1, {0, 1})
    assert first.error.startswith("it was killed, or crashed without a word")
    os.kill(pids[2], signal.SIGKILL)  # by submitit, for want of the others
    tasks.look()
    assert failures.ranks(tmp_path, "local-1") == {0, 1}


def test_who_has_told_why_or_has_ended_well_is_not_said_to_be_killed(started, tmp_path):
    job, pids = started
    tasks = LocalTasks(job, tmp_path, "local-1")
    tasks.look()
    failures.note(tmp_path, "local-1", 0, RuntimeError("a loss that is not finite"))
    (tmp_path / "logs" / f"{job}_2_result.pkl").touch()
    for pid in (pids[0], pids[2]):
        os.kill(pid, signal.SIGKILL)
    tasks.look()
    assert failures.first_failure(tmp_path).error == "RuntimeError: a loss that is not finite"
    assert failures.ranks(tmp_path, "local-1") == {0}
