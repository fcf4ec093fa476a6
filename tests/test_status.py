"""Where runs stand, told from the run folders alone: no SLURM is asked here."""

import json
import os
import subprocess
import sys
import time

import pytest
from made_runs import make_run

from pipeline import attempts
from pipeline.cli import main
from pipeline.journal import write_json
from slurm.queue import QueuedJob
from slurm.status import LIVE, standing

KEYS = {
    "run", "recipe", "job", "state", "reason", "attempt", "epoch", "step", "total_steps", "images_per_second",
    "eta_seconds", "top1", "warnings",
}  # fmt: skip


@pytest.fixture(autouse=True)
def no_slurm(monkeypatch, tmp_path):
    """A machine without SLURM's commands."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


def write_status(folder, state, **facts):
    status = {"state": state, "epoch": 1.5, "step": 15, "total_steps": 40, "images_per_second": 99.0}
    write_json(
        folder / "status.json", {**status, "eta_seconds": 90.0, "top1": 12.3, "time": time.time(), **facts}
    )


def test_json_has_the_documented_keys(tmp_path, capsys):
    make_run(tmp_path)
    assert main(["status", "--runs", str(tmp_path), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["runs"]
    assert row.keys() == KEYS
    assert (row["state"], row["job"]) == ("finished", None)


def test_a_run_whose_process_is_gone_has_died(tmp_path):
    folder = make_run(tmp_path, state="running")
    (folder / "attempts.jsonl").unlink()
    write_status(folder, "running")
    attempts.note(folder, attempts.begin(folder), step=0)  # in this process, which lives
    found = standing(folder, {})
    assert (found.state, found.attempt, found.step, found.images_per_second) == ("running", 1, 15, 99.0)
    assert 80 < found.eta_seconds <= 90
    code = "import sys; from pathlib import Path; from pipeline import attempts\n"
    code += "attempts.begin(Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", code, folder], check=True, timeout=60)
    found = standing(folder, {})
    assert (found.state, found.attempt, found.eta_seconds) == ("died", 2, None)


def test_a_job_that_nobody_knows_any_more_is_lost_and_a_silent_queue_is_told(tmp_path):
    folder = make_run(tmp_path, state="running")
    write_status(folder, "running")
    (folder / "attempts.jsonl").unlink()
    attempts.note(folder, attempts.begin(folder, "77"), step=0)
    assert standing(folder, {}).state == "lost"
    found = standing(folder, None)
    assert (found.job, found.state, found.reason) == ("77", "running", "SLURM does not answer")


@pytest.mark.parametrize("state", ["CONFIGURING", "SUSPENDED", "REQUEUED"])
def test_a_job_that_slurm_has_in_whatever_state_is_not_over(tmp_path, state):
    folder = make_run(tmp_path, state="running")
    attempts.note(folder, attempts.begin(folder, "77"), step=0)
    found = standing(folder, {"77": QueuedJob("77", state, "None", "n1")})
    assert found.state in LIVE
    assert (state in found.reason, "on n1" in found.reason) == (True, True)


def test_a_run_is_found_by_its_folder_and_by_its_job(tmp_path, capsys):
    folder = make_run(tmp_path, state="stopped")
    (folder / "attempts.jsonl").unlink()
    attempts.begin(folder, "77_3")
    for text in (str(folder), str(folder.relative_to(tmp_path)), "77_3"):
        assert main(["status", text, "--runs", str(tmp_path)]) == 0
        assert "77_3  stopped" in capsys.readouterr().out
    assert main(["status", "78", "--runs", str(tmp_path)]) == 2
    assert "no run in" in capsys.readouterr().err


def test_what_is_over_is_neither_cancelled_nor_brought_back(tmp_path, capsys):
    folder = make_run(tmp_path)
    assert main(["cancel", str(folder), "--runs", str(tmp_path)]) == 2
    assert "is finished; there is nothing to cancel" in capsys.readouterr().err
    (tmp_path / "c.toml").write_text("gpus_per_node = 1")
    arguments = ["requeue", str(folder), "--runs", str(tmp_path), "--cluster", str(tmp_path / "c.toml")]
    assert main(arguments) == 1
    assert "is finished; `top1 eval" in capsys.readouterr().err


def test_a_local_run_is_cancelled_by_its_process(tmp_path, capsys):
    folder = make_run(tmp_path, state="running")
    write_status(folder, "running")
    (folder / "attempts.jsonl").unlink()
    code = (
        "import sys, time; from pathlib import Path; from pipeline import attempts\n"
        "folder = Path(sys.argv[1]); attempts.note(folder, attempts.begin(folder), step=0)\n"
        "print('begun', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, folder], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "begun\n"
    assert main(["cancel", str(folder), "--runs", str(tmp_path)]) == 0
    assert "it saves at the next step" in capsys.readouterr().err
    assert process.wait(timeout=30) == -15


def test_a_log_that_is_not_there_is_said(tmp_path, capsys):
    folder = make_run(tmp_path)
    assert main(["logs", str(folder), "--runs", str(tmp_path)]) == 1
    assert "has no log: `top1 train` prints to its terminal" in capsys.readouterr().err
    (folder / "logs").mkdir(exist_ok=True)
    (folder / "logs" / "task-0.log").write_text("epoch 1\n")
    assert main(["logs", "-f", str(folder), "--runs", str(tmp_path)]) == 0  # ends, for the run has
    assert capsys.readouterr().out == "epoch 1\n"
    assert os.environ["PATH"].endswith("bin")


def test_a_long_reason_is_clipped_in_the_table_of_all_runs_and_whole_for_one(tmp_path, capsys):
    folder = make_run(tmp_path, state="failed")
    attempts.note(folder, 1, reason="memory ran out " * 8 + "and that is all")
    assert main(["status", "--runs", str(tmp_path)]) == 0
    assert capsys.readouterr().out.rstrip().endswith("memory ran out memor ...")
    assert main(["status", str(folder), "--runs", str(tmp_path)]) == 0
    assert capsys.readouterr().out.rstrip().endswith("memory ran out and that is all")
