"""What SLURM says of jobs, with accounting and without, and where there is no SLURM at all. Light."""

from __future__ import annotations

import getpass
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.errors import Top1Error
from slurm.cluster import Cluster

PATIENCE = 60.0  # seconds for one of SLURM's commands: a busy controller is slow
_SILENT = "it did not answer"


@dataclass(frozen=True)
class QueuedJob:
    """A job that SLURM has not done with. id: 12, or 12_3 in an array. reason: why it waits."""

    id: str
    state: str
    reason: str
    nodes: str


def has_slurm() -> bool:
    """Whether this machine belongs to a cluster; the commands may be installed where there is none.

    Raises Top1Error where its description is named and missing.
    """
    named = os.environ.get("SLURM_CONF")
    if named and not Path(named).exists():  # every command of SLURM's would wait a minute for it
        raise Top1Error(f"SLURM_CONF names {named}, which is not there. Set it anew, or `unset SLURM_CONF`.")
    if not shutil.which("sbatch"):
        return False
    said = _ask("scontrol", "--local", "show", "config").stderr
    return said != _SILENT and "Could not establish a configuration source" not in said


def queued() -> dict[str, QueuedJob]:
    """Return this user's jobs by id; none where there is no SLURM. Raises Top1Error where it is silent."""
    if not has_slurm():
        return {}
    done = _ask("squeue", "-h", "-r", "-u", getpass.getuser(), "-o", "%i|%T|%r|%N")
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:]
        raise Top1Error(f"squeue failed: {' '.join(said)}. Try again, or ask whoever runs the cluster.")
    rows = [line.split("|") for line in done.stdout.splitlines()]
    return {id: QueuedJob(id, state, reason, nodes) for id, state, reason, nodes in rows}


def ended_states(jobs: Iterable[str]) -> dict[str, str]:
    """Return how jobs that are no longer queued ended (COMPLETED, FAILED, ...), where somebody knows.

    The controller remembers a job for some minutes, accounting for good. Each is asked once for all jobs.
    """
    wanted, found = dict.fromkeys(jobs), dict[str, str]()
    for command in (
        ("squeue", "-h", "-r", "-t", "all", "-o", "%i|%T", "-j"),
        ("sacct", "-n", "-P", "-X", "-o", "JobID,State", "-j"),
    ):
        unknown = [job for job in wanted if job not in found]
        if not unknown or not shutil.which(command[0]):
            continue
        rows = [line.split("|") for line in _ask(*command, ",".join(unknown)).stdout.splitlines()]
        found |= {job: state.split()[0] for job, state in rows if job in unknown}  # "CANCELLED by 0"
    return found


def with_cpus(cluster: Cluster) -> Cluster:
    """Return a cluster with the CPUs of its partition's smallest node, where its description has none.

    As it is where SLURM does not tell.
    """
    if cluster.cpus_per_node or not has_slurm():
        return cluster
    partition = dict(cluster.sbatch).get("partition", cluster.partition)
    rows = [line.split("|") for line in _ask("sinfo", "-h", "-N", "-o", "%P|%c").stdout.splitlines()]
    ours = [
        int(cpus)
        for name, cpus in rows
        if (name.rstrip("*") == partition if partition else name.endswith("*"))
    ]
    return replace(cluster, cpus_per_node=min(ours, default=0))


def cancel(jobs: list[str]) -> None:
    """Cancel jobs; the runs save at the next step. Raises Top1Error with SLURM's words."""
    done = _ask("scancel", *jobs)
    if done.returncode:
        raise Top1Error(f"scancel failed: {done.stderr.strip()}.")


def move_waiting(old: str, new: str) -> list[str]:
    """Have the jobs that wait for job `old` to end well wait for `new` in its place; return them.

    Raises Top1Error with SLURM's words.
    """
    done = _ask("squeue", "-h", "-r", "-u", getpass.getuser(), "-o", "%i|%E")
    moved = []
    for line in done.stdout.splitlines():
        id, _, waits = line.partition("|")
        now = re.sub(rf"(?<=afterok:){re.escape(old)}(?=[(:,]|$)", new, waits)
        if now != waits:
            asked = _ask(
                "scontrol", "update", f"jobid={id}", f"dependency={re.sub(r'[(][a-z]+[)]', '', now)}"
            )
            if asked.returncode:
                said = asked.stderr.strip()
                raise Top1Error(f"job {id} waits for {old} and could not be made to wait for {new}: {said}.")
            moved.append(id)
    return moved


def _ask(*command: str) -> subprocess.CompletedProcess[str]:
    """Run one of SLURM's commands; one that does not answer in time has failed and says just that."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", _SILENT)
