"""Of many processes that fail, the one that failed first is named, with its node and its error."""

import psutil
from commands import Started, wait_until
from made_runs import make_run

from pipeline import failures
from pipeline.journal import read
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


def test_of_a_local_run_too_the_process_that_was_killed_is_named(demo_data, tmp_path):
    command = ["submit", "alexnet+tiny", "--data", demo_data, "--runs", tmp_path / "runs", "--local",
               "--gpus", 2, "--device", "cpu", "--threads", 1, "--log-every", 1]  # fmt: skip
    started = Started(command, tmp_path / "output")
    assert wait_until(lambda: list(tmp_path.glob("runs/*/*/attempts.jsonl")), started)
    (folder,) = tmp_path.glob("runs/*/*")
    assert wait_until(lambda: any("train/loss" in record for record in read(folder)[0]), started)
    (task,) = [
        process
        for process in psutil.process_iter(["cmdline", "environ"])
        if str(folder / "logs") in (process.info["cmdline"] or ())
        and process.info["environ"].get("SUBMITIT_LOCAL_GLOBALID") == "1"
    ]
    task.kill()
    code, said = started.wait()
    assert code == 1
    assert "alexnet+tiny failed: process 1 on " in said
    assert "it was killed, or crashed without a word" in said
