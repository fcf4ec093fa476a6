"""A command that srun started several of: refused unless it was told so, and never a shell's by mistake."""

import os
import subprocess
import sys

import pytest
from test_cli import sentence, top1

WHOLE = "srun started 8 of this command, and each would do all of it. "


@pytest.fixture
def step(monkeypatch):
    """Set what a real srun (22.05) tells a task of a step of so many."""
    monkeypatch.delenv("RANK", raising=False)

    def tell(tasks, allocated=8):
        for name, value in (("PROCID", 0), ("STEP_ID", 0), ("NTASKS", allocated), ("STEP_NUM_TASKS", tasks)):
            monkeypatch.setenv(f"SLURM_{name}", str(value))

    return tell


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (("train", "lenet5", "--data", "d"), "Add --slurm and --run DIR"),
        (("eval", "run"), "Add --slurm"),
        (("submit", "lenet5", "--data", "d"), "Start one: `srun --ntasks=1`"),
        (("requeue", "run"), "Start one"),
        (("bench", "step", "lenet5"), "Start one"),
        (("prep", "demo", "d"), "Start one"),
    ],
)
def test_what_each_task_would_do_whole_is_refused(step, capsys, tmp_path, monkeypatch, arguments, advice):
    monkeypatch.chdir(tmp_path)
    step(8)
    assert WHOLE + advice in sentence(capsys, *arguments, code=2)
    assert not any(tmp_path.iterdir())


def test_a_task_that_is_alone_or_only_looks_is_not_refused(step, capsys, tmp_path):
    step(1)  # srun --ntasks=1 in an allocation of 8, or the shell that salloc starts as a step
    assert "no-data does not exist" in sentence(capsys, "train", "lenet5", "--data", "no-data", code=1)
    step(8)
    assert top1(capsys, "status", "--runs", tmp_path)[0] == 0


def test_a_process_that_a_launcher_has_told_its_rank_is_not_refused(step, capsys, monkeypatch):
    step(2)  # srun torchrun, one a node
    monkeypatch.setenv("RANK", "0")
    assert "no-data does not exist" in sentence(capsys, "train", "lenet5", "--data", "no-data", code=1)


def test_what_is_typed_in_the_shell_of_a_step_is_not_refused(step):
    step(8)  # srun --ntasks=8 --pty bash: the other seven shells have ended
    ours, terminal = os.openpty()
    command = [sys.executable, "-m", "pipeline.cli", "train", "lenet5", "--data", "no-data"]
    done = subprocess.run(command, stdin=terminal, capture_output=True, text=True, check=False)
    os.close(ours)
    os.close(terminal)
    assert "no-data does not exist" in done.stderr


def test_a_shell_of_one_task_is_one_of_one_whatever_the_allocation_has(step, monkeypatch):
    from slurm.tasks import slurm_task

    step(1, allocated=8)
    for name in ("JOB_ID", "LOCALID"):
        monkeypatch.setenv(f"SLURM_{name}", "0")
    assert (slurm_task().world, slurm_task().rank) == (1, 0)
