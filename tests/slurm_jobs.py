"""Runs on a real SLURM: submitted as people do, waited for with deadlines, explained when they fail."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.attempts import read_attempts
from pipeline.journal import read, read_json_or_none
from slurm import dev_cluster

DEADLINE = 300.0
ENDED = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED"}


def top1(*arguments, code=0):
    """Run a command; return its stdout and stderr together."""
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


RECIPES = """
from dataclasses import replace
import recipes
from recipes.schema import Normalize, Piecewise, StartFrom
LENET = recipes.get("lenet5")
GOOD = replace(LENET, name="good", schedule=Piecewise(periods=((1, 5e-4),)))
BAD = replace(GOOD, name="bad", data=replace(LENET.data, normalize=Normalize(mean=(20.0,), std=(1e-38,))))
CHILD = replace(GOOD, name="child", starts_from=StartFrom("bad"))
HEIR = replace(GOOD, name="heir", starts_from=StartFrom("good"))
AVERAGE = replace(LENET.targets[0], ensemble=2)
OF_BAD = replace(AVERAGE, members=("pair", "bad"))
PAIR = replace(GOOD, name="pair", targets=(AVERAGE, OF_BAD))
LONG = replace(LENET, name="long", targets=(AVERAGE,), schedule=Piecewise(periods=((900, 5e-4),)))
"""


class Site:
    """One dev cluster, a description of it, and runs on it."""

    def __init__(self, folder, home, data):
        self.folder, self.home, self.data = folder, home, data

    def describe(self, name, **keys):
        """Write a description of the cluster; CPUs are few, whatever its nodes claim."""
        values = {
            "partition": "debug", "gpus_per_node": 2, "cpus_per_node": 1, "time": "0:20:00",
            "signal_seconds": 25, "interface": "lo", "startup_seconds": 120, "step_seconds": 100, **keys,
        }  # fmt: skip
        path = self.home / f"{name}.toml"
        path.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items()))
        return path

    def submit(self, *arguments, cluster=None, **options):
        """Submit runs; return their folders in the order of submission, and what was printed."""
        said = top1(
            "submit", *arguments, "--data", self.data, "--cluster", cluster or self.describe("default"),
            "--runs", self.home / "runs", "--device", "cpu", "--log-every", 1,
            **options,
        )  # fmt: skip
        return [Path(text) for text in re.findall(r"^submitted .*, folder (.+)$", said, re.M)], said

    def slurm(self, *arguments):
        return dev_cluster.command(self.folder, *map(str, arguments)).stdout

    def state(self, job):
        found = re.search(r"JobState=(\w+)", self.slurm("scontrol", "show", "job", "-o", job))
        return found[1] if found else "UNKNOWN"

    def nodes(self, job):
        """Return the nodes a running job has."""
        found = re.search(r" NodeList=(\S+)", self.slurm("scontrol", "show", "job", "-o", job))
        return self.slurm("scontrol", "show", "hostnames", found[1]).split()

    def wait(self, run, what, reached, seconds=DEADLINE):
        """Return once `reached()`; fail with everything there is to know about the run."""
        deadline = time.monotonic() + seconds
        while not reached():
            if time.monotonic() > deadline:
                pytest.fail(f"not within {seconds:.0f} s: {what}\n{self.story(run)}")
            time.sleep(0.1)

    def wait_for_step(self, run, step, attempt=1):
        def reached():
            assert self.state(job_of(run)) not in ENDED, self.story(run)
            attempts, records = read_attempts(run), read(run)[0]
            begun = len(attempts) >= attempt and attempts[-1].step is not None
            return begun and bool(records) and records[-1]["step"] >= step

        self.wait(run, f"step {step} in attempt {attempt}", reached)

    def wait_for_attempt(self, run, number, steps=8):
        """Return the attempts of a run once its `number`-th has trained some steps and saved."""
        self.wait(
            run,
            f"attempt {number}",
            lambda: len(read_attempts(run)) >= number and read_attempts(run)[-1].step is not None,
        )
        self.wait_for_step(run, read_attempts(run)[-1].step + steps, number)
        return read_attempts(run)

    def pid(self, run, rank):
        """Return the process of a rank, once it is there: tasks that crashed are being started again."""
        self.wait(run, f"a process of rank {rank}", lambda: rank in pids_of(run))
        return pids_of(run)[rank]

    def wait_for_end(self, run, state="COMPLETED"):
        job = job_of(run)
        self.wait(run, f"job {job} ended", lambda: self.state(job) in ENDED)
        assert self.state(job) == state, self.story(run)

    def story(self, run):
        """Return the logs of a run, its job as SLURM shows it, and the end of the controller's log."""
        texts = [f"--- {path}\n{path.read_text()[-3000:]}" for path in sorted((run / "logs").glob("*.log"))]
        texts += [f"--- {path}\n{path.read_text()}" for path in run.glob("attempts.jsonl")]
        job = (read_json_or_none(run / "job.json") or {}).get("job", "")
        texts += [self.slurm("scontrol", "show", "job", job), self.slurm("squeue")]
        log = self.folder / "log" / "slurmctld.log"
        return "\n".join([*texts, f"--- {log}", log.read_text()[-3000:]])


def job_of(run):
    """Return the job of a run that was submitted by `top1 submit`."""
    return read_json_or_none(run / "job.json")["job"]


def pids_of(run):
    """Return the processes that train a run on this machine, by rank."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            variables = dict(v.split("=", 1) for v in (path / "environ").read_text().split("\0") if "=" in v)
            command = (path / "cmdline").read_text()
            parent = (path / "stat").read_text().rpartition(")")[2].split()[1]
        except (OSError, UnicodeDecodeError):
            continue
        own = {name: variables.get(name) for name in ("SLURM_CONF", "SLURM_JOB_ID")}
        ours = own == {"SLURM_CONF": os.environ["SLURM_CONF"], "SLURM_JOB_ID": job_of(run)}
        if (
            ours
            and "SLURM_PROCID" in variables
            and "submitit.core._submit" in command
            and "srun" not in command
        ):
            found[int(path.name)] = (int(parent), int(variables["SLURM_PROCID"]))
    # A child that a process has just forked looks like it until it becomes another program.
    return {rank: pid for pid, (parent, rank) in found.items() if parent not in found}
