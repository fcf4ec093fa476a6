"""Attempts at a run and their numbers, which fence off a writer that was superseded; how processes meet."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

import recipes
from pipeline import attempts, runs
from pipeline.checkpoint import CheckpointWriter, newest_step
from pipeline.errors import Top1Error
from pipeline.plan import make_plan
from pipeline.report import Report
from pipeline.show import DEMO
from pipeline.tiny import tiny
from slurm.rendezvous import _listen, _store_that_knows, join
from slurm.tasks import Task


def test_an_attempt_is_all_lines_of_its_number(tmp_path):
    assert attempts.begin(tmp_path, "12_3", restart=1) == 1
    attempts.note(tmp_path, 1, step=40)
    attempts.note(tmp_path, 1, end_step=50, reason="told to end")
    assert attempts.begin(tmp_path) == 2
    with (tmp_path / "attempts.jsonl").open("a") as file:
        file.write('{"attempt": 2, "st')  # torn by a crash
    first, second = attempts.read_attempts(tmp_path)
    assert (first.job, first.restart, first.step, first.end_step) == ("12_3", 1, 40, 50)
    assert (second.pid, second.step, second.reason) == (os.getpid(), None, None)
    assert attempts.begin(tmp_path, "13") == 3
    attempts.note(tmp_path, 3, step=60)
    third = attempts.read_attempts(tmp_path)[-1]
    assert (third.number, third.job, third.step) == (3, "13", 60)


def test_attempts_that_make_no_step_are_counted(tmp_path):
    for step in (0, 10, 10, 10):
        attempts.note(tmp_path, attempts.begin(tmp_path), step=step)
    assert attempts.without_progress(attempts.read_attempts(tmp_path)) == 3
    attempts.note(tmp_path, attempts.begin(tmp_path), step=11)
    assert attempts.without_progress(attempts.read_attempts(tmp_path)) == 1


def test_a_superseded_writer_leaves_no_checkpoint(tmp_path):
    number = attempts.begin(tmp_path)
    writer = CheckpointWriter(tmp_path / "checkpoints", lambda: attempts.check_newest(tmp_path, number))
    writer.write(1, {"w": torch.ones(2)}, {}, best=False)
    writer.wait()
    attempts.begin(tmp_path, "7")
    writer.write(2, {"w": torch.zeros(2)}, {}, best=True)
    with pytest.raises(attempts.SupersededError, match=r"attempt 1 .* superseded by attempt 2 \(job 7 on"):
        writer.wait()
    assert newest_step(tmp_path / "checkpoints") == 1
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [
        "step-000000001.safetensors"
    ]


def test_who_takes_over_waits_until_the_superseded_has_let_go(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from pipeline import attempts, runs\n"
        "folder = Path(sys.argv[1]); number = attempts.begin(folder)\n"
        "with runs.only_writer(folder):\n"
        "    print('held', flush=True)\n"
        "    while True:\n"
        "        time.sleep(0.05); attempts.check_newest(folder, number)\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(Top1Error, match="is being trained by another process"), runs.only_writer(tmp_path):
        pass
    attempts.begin(tmp_path)
    with runs.only_writer(tmp_path, takes_over=True):
        assert holder.wait(timeout=30) != 0
    assert "superseded by attempt 2" in holder.communicate()[1]


def test_only_the_store_that_knows_the_secret_is_joined(tmp_path):
    (host, port), ours = _listen(tmp_path / "logs" / "rendezvous-1.0.0", Task(launch="1.0.0"), seconds=30)
    said_host, said_port, secret = (tmp_path / "logs" / "rendezvous-1.0.0").read_text().split()
    assert (said_host, int(said_port)) == (host, port)
    assert _store_that_knows(secret, host, port) is not None
    # Another job got the port that a file of a dead job still names.
    assert _store_that_knows("0" * 32, host, port) is None
    del ours
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        start = time.monotonic()
        assert _store_that_knows(secret, "127.0.0.1", nobody.getsockname()[1]) is None
        assert time.monotonic() - start < 5


@pytest.fixture
def two_tasks(monkeypatch):
    """Two tasks of a group that does not wait for its members, as NCCL's, which meet at a collective."""
    monkeypatch.setattr(torch.distributed, "init_process_group", lambda *_, **__: None)
    for name in ("MASTER_ADDR", "MASTER_PORT", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        monkeypatch.setenv(name, "")
    return [Task(rank=r, world=2, local_rank=r, local_world=2, launch="1.0.0") for r in range(2)]


def test_a_process_that_comes_late_finds_the_others_where_the_group_does_not_wait_for_it(
    two_tasks, tmp_path, monkeypatch
):
    monkeypatch.setenv("TOP1_STARTUP_SECONDS", "10")
    first, late = two_tasks
    with ThreadPoolExecutor(1) as pool:
        joined = pool.submit(join, first, tmp_path, cuda=False)
        time.sleep(1)
        join(late, tmp_path, cuda=False)
        joined.result()
    assert not (tmp_path / "logs" / "rendezvous-1.0.0").exists()


def test_a_process_that_does_not_come_is_named(two_tasks, tmp_path, monkeypatch):
    monkeypatch.setenv("TOP1_STARTUP_SECONDS", "1")
    with pytest.raises(TimeoutError, match="of 2 processes these did not come within 1 s: 1"):
        join(two_tasks[0], tmp_path, cuda=False)


def test_an_error_in_a_folder_that_is_gone_stays_the_error_that_is_told(tmp_path):
    plan = make_plan(tiny(recipes.get("lenet5"), 10), DEMO, id="x", seed=0, threads=1)
    folder = tmp_path / "run"
    runs.write_plan(folder, plan)
    report = Report(plan, folder)
    report.started(0)
    shutil.rmtree(folder)
    report.failed(Top1Error("a loss that is not finite"))  # told by whoever called


def test_an_attempt_that_does_not_come_to_train_leaves_the_run_where_it_stood(tmp_path):
    plan = make_plan(tiny(recipes.get("lenet5"), 10), DEMO, id="x", seed=0, threads=1)
    runs.write_plan(tmp_path, plan)
    first = Report(plan, tmp_path)
    first.started(40, top1=31.5)
    first.stopped(40, "told to end")
    second = Report(plan, tmp_path, attempts.begin(tmp_path))
    second.failed(Top1Error("the data is not there"))
    status = json.loads((tmp_path / "status.json").read_text())
    assert status["state"] == "failed"
    assert (status["step"], status["durable_step"], status["top1"], status["attempt"]) == (40, 40, 31.5, 2)
    _, last = attempts.read_attempts(tmp_path)
    assert (last.step, last.end_step, last.reason) == (None, None, "the data is not there")
