"""The throw-away SLURM: real, on loopback only, gone when it is taken down, as root and as a normal user."""

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from made_runs import make_run

from pipeline import attempts
from pipeline.cli import main
from pipeline.errors import Top1Error
from slurm import dev_cluster
from slurm.dev_config import DevCluster
from slurm.dev_daemons import environment
from slurm.dev_processes import job_processes, recorded
from slurm.queue import ended_states, queued
from slurm.status import standings

pytestmark = pytest.mark.usefixtures("slurm_programs")

SMALL = DevCluster(nodes=2)
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def folder():
    """A short folder; whatever is up in it afterwards is taken down."""
    path = Path(tempfile.mkdtemp(prefix="top1-dev-"))
    yield path
    dev_cluster.down(path)
    shutil.rmtree(path, ignore_errors=True)


def alive_in(folder):
    return [one for one in [*recorded(folder), *job_processes(folder)] if one.is_alive()]


def listening(pids):
    """Return the addresses at which processes listen, as /proc/net/tcp and tcp6 have them."""
    sockets = set()
    for pid in pids:
        for link in Path(f"/proc/{pid}/fd").iterdir():
            target = os.readlink(link) if link.is_symlink() else ""
            if target.startswith("socket:["):
                sockets.add(target[8:-1])
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in sockets:
                found.add(fields[1].rpartition(":")[0])
    return found


def wait_for(what, reached, seconds=60):
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def test_it_is_up_twice_and_down_with_nothing_left(folder, capsys):
    assert dev_cluster.up(folder, SMALL)
    assert not dev_cluster.up(folder, SMALL)  # just this one is up
    daemons = recorded(folder)
    assert {one.name for one in daemons} == {"munged", "slurmctld", "n1", "n2"}
    assert listening(one.pid for one in daemons) == {"0100007F"}  # 127.0.0.1
    assert [row[:3] for row in dev_cluster.nodes(folder)] == [
        ("n1", "idle", "gpu:2"),
        ("n2", "idle", "gpu:2"),
    ]
    assert main(["cluster", "status", "--dir", str(folder), "--json"]) == 0
    assert [row["node"] for row in json.loads(capsys.readouterr().out)["nodes"]] == ["n1", "n2"]
    assert dev_cluster.down(folder)
    assert not any(one.is_alive() for one in daemons)
    assert not folder.exists()
    assert not dev_cluster.down(folder)
    assert main(["cluster", "status", "--dir", str(folder)]) == 1
    assert "no cluster is up" in capsys.readouterr().out


def test_tasks_see_the_gpus_they_were_given_and_too_many_are_refused(folder):
    dev_cluster.up(folder, SMALL)
    show = ("bash", "-c", "echo $SLURMD_NODENAME $CUDA_VISIBLE_DEVICES")
    seen = dev_cluster.command(folder, "srun", "-N2", "--gpus-per-node=2", *show).stdout.split("\n")
    assert sorted(seen[:-1]) == ["n1 0,1", "n2 0,1"]
    refused = dev_cluster.command(folder, "srun", "--gpus-per-node=3", "true")
    assert "Requested node configuration is not available" in refused.stderr


def test_what_a_killed_cluster_left_is_cleaned_when_the_next_comes_up(folder):
    dev_cluster.up(folder, SMALL)
    dev_cluster.command(folder, "sbatch", "-N2", "-o", "/dev/null", "--wrap", "srun sleep 600")
    wait_for("the job's tasks", lambda: len(list(job_processes(folder))) >= 6)
    old = [*recorded(folder), *job_processes(folder)]
    for one in recorded(folder):
        one.send(signal.SIGKILL)
    assert dev_cluster.up(folder, SMALL)
    assert not any(one.is_alive() for one in old)
    assert dev_cluster.command(folder, "srun", "-N2", "true").returncode == 0


def test_two_commands_at_once_build_one_cluster(folder):
    command = [sys.executable, "-m", "pipeline.cli", "cluster", "up", "--nodes", "2", "--dir", str(folder)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) for _ in range(2)]
    said = [process.communicate(timeout=60)[0] for process in started]
    assert sorted("as before" in text for text in said) == [False, True]
    assert len(alive_in(folder)) == 4


def test_it_has_accounting_where_that_is_asked_for(folder, tmp_path, monkeypatch):
    missing = dev_cluster.missing_programs(accounting=True)
    if missing:
        reason = f"no {', '.join(missing)}"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    dev_cluster.up(folder, DevCluster(nodes=1, accounting=True))
    assert listening(one.pid for one in recorded(folder)) == {"0100007F"}
    job = dev_cluster.command(
        folder, "sbatch", "--parsable", "-o", "/dev/null", "--wrap", "true"
    ).stdout.strip()

    def state():
        return dev_cluster.command(folder, "sacct", "-n", "-X", "-P", "-j", job, "-o", "State").stdout.strip()

    wait_for("sacct says that the job ended", lambda: state() == "COMPLETED")

    # What the controller has forgotten accounting still knows.
    for name, value in environment(folder).items():
        monkeypatch.setenv(name, value)
    assert ended_states([job]) == {job: "COMPLETED"}
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    def replace(name, text):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)

    # Where many runs have ended, SLURM's commands are asked once for all of them.
    for number in range(3):
        attempts.begin(make_run(tmp_path / "runs", seed=number, state="running"), job if number else "77")
    for name in ("squeue", "sacct"):
        replace(name, f'echo {name} >>{tmp_path}/asked; exec {shutil.which(name)} "$@"')
    assert [one.state for one in standings(tmp_path / "runs", queued())] == ["lost", "ended", "ended"]
    assert (tmp_path / "asked").read_text().split() == ["squeue", "squeue", "sacct"]
    replace("squeue", "exit 1")
    assert ended_states([job]) == {job: "COMPLETED"}
    replace("sacct", "exit 1")
    assert ended_states([job]) == {}


@pytest.mark.skipif(os.getuid() != 0, reason="already a normal user: the other tests are this one")
def test_a_normal_user_has_one_too():
    user = pwd.getpwnam("nobody")
    python = shutil.which("python3", path="/usr/bin:/bin") or sys.executable
    folder = Path(tempfile.mkdtemp(prefix="top1-user-"))
    os.chown(folder, user.pw_uid, user.pw_gid)
    copy = folder / "code"  # what this user may read
    for package in ("pipeline", "slurm", "recipes"):
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.chown(copy, user.pw_uid)

    def top1(*arguments):
        return subprocess.run(
            [python, "-m", "pipeline.cli", "cluster", *arguments, "--dir", str(folder / "c")],
            user=user.pw_uid,
            group=user.pw_gid,
            extra_groups=[],
            cwd=copy,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    try:
        up = top1("up", "--nodes", "2")
        assert up.returncode == 0, up.stderr
        assert dev_cluster.command(folder / "c", "srun", "-N2", "id", "-un").stdout.split() == ["nobody"] * 2
    finally:
        down = top1("down")
        shutil.rmtree(folder, ignore_errors=True)
    assert down.returncode == 0, down.stderr
    assert not alive_in(folder / "c")


def test_a_folder_too_long_for_a_socket_is_refused(tmp_path):
    with pytest.raises(Top1Error, match="characters long, and a socket in it needs 80 at most"):
        dev_cluster.up(tmp_path / ("x" * 80), SMALL)
