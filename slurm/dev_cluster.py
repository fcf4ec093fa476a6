"""A throw-away real SLURM on loopback, for laptops and tests: `top1 cluster up` and `down`. Light.

From the distribution's packages, as root or as a normal user (whose cluster runs that user's jobs alone).
Each cluster has its own munge, ports and folder, so several live side by side and the system's own services
are never touched.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from pipeline.errors import Top1Error
from pipeline.journal import read_json_or_none, write_json
from pipeline.locks import locked
from slurm.dev_config import DevCluster
from slurm.dev_daemons import PARTS, command, find, lacks_names, nodes_ready, start, start_slurmd
from slurm.dev_processes import forget, job_processes, recorded, stop

PACKAGES = "slurmctld slurmd slurm-client munge libnss-wrapper"
ACCOUNTING_PACKAGES = "slurmdbd slurm-wlm-mysql-plugin mariadb-server-core mariadb-client-core"
PROGRAMS = ("munged", "munge", "slurmctld", "slurmd", "sinfo", "srun", "sbatch")
ACCOUNTING_PROGRAMS = ("slurmdbd", "sacctmgr", "mariadbd", "mariadb-install-db")
LONGEST_FOLDER = 80  # characters; a unix socket's path has 107
_KEY = "cluster.json"


def default_folder() -> Path:
    """Return where this user's cluster on this machine lives."""
    return Path(tempfile.gettempdir()) / f"top1-cluster-{os.getuid()}"


def missing_programs(accounting: bool = False) -> list[str]:
    """Return what a cluster needs and this machine has not."""
    missing = [name for name in PROGRAMS + ACCOUNTING_PROGRAMS * accounting if find(name) is None]
    return missing + ["libnss_wrapper.so"] * lacks_names()


def up(folder: Path, cluster: DevCluster) -> bool:
    """Start the cluster; return False when just this one was up already.

    Whatever an earlier one left in the folder is ended and removed first. Raises Top1Error.
    """
    missing = missing_programs(cluster.accounting)
    if missing:
        packages = f"{PACKAGES} {ACCOUNTING_PACKAGES}" if cluster.accounting else PACKAGES
        raise Top1Error(
            f"there is no {', '.join(missing)} on this machine. Install SLURM (Debian, Ubuntu: "
            f"apt-get install --no-install-recommends {packages})."
        )
    folder = folder.resolve()
    if len(str(folder)) > LONGEST_FOLDER:
        raise Top1Error(
            f"{folder} is {len(str(folder))} characters long, and a socket in it needs {LONGEST_FOLDER} at "
            "most. Choose a shorter --dir."
        )
    with _held(folder):
        if _is_up(folder, cluster):
            return False
        _clear(folder)
        try:
            start(folder, cluster)
        except Top1Error:
            _stop_all(folder)
            raise
        write_json(folder / _KEY, asdict(cluster))
    return True


def down(folder: Path) -> bool:
    """Stop the cluster, its jobs included, and remove all it made; return whether there was anything."""
    folder = folder.resolve()
    if not folder.exists():
        return False
    with _held(folder):
        existed = any((folder / part).exists() for part in PARTS)
        _clear(folder)
    shutil.rmtree(folder, ignore_errors=True)
    return existed


def nodes(folder: Path) -> list[tuple[str, str, str, str]]:
    """Return (node, state, GPUs, jobs) of a running cluster, or nothing."""
    if not (folder / "slurm.conf").exists():
        return []
    listed = command(folder, "sinfo", "-h", "-N", "-p", "debug", "-o", "%N|%T|%G")
    if listed.returncode:
        return []
    jobs = command(folder, "squeue", "-h", "-t", "R", "-o", "%N").stdout.split()
    hosts = [name for text in jobs for name in _expand(folder, text)]
    rows = [line.split("|") for line in listed.stdout.split()]
    return [(name, state, gres, str(hosts.count(name))) for name, state, gres in rows]


def kill_node(folder: Path, node: str) -> None:
    """Do to a node what a power cut does: its daemon, its steps and their tasks are gone at once."""
    with _held(folder):
        for one in [d for d in recorded(folder) if d.name == node] + list(job_processes(folder, node)):
            one.send(signal.SIGKILL)
        forget(folder, node)


def start_node(folder: Path, node: str) -> None:
    """Bring a killed node back."""
    with _held(folder):
        start_slurmd(folder, node)


def _expand(folder: Path, nodes: str) -> list[str]:
    return command(folder, "scontrol", "show", "hostnames", nodes).stdout.split()


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Hold the folder, made where it is missing, so that two commands do not build at once."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    owner = folder.stat()
    if owner.st_uid != os.getuid() or owner.st_mode & stat.S_IWOTH:
        raise Top1Error(
            f"{folder} belongs to another user or is writable by everybody; a cluster's key must not lie "
            "there. Choose another --dir."
        )
    with locked(folder / ".lock", patience=60):
        yield


def _is_up(folder: Path, cluster: DevCluster) -> bool:
    alive = [one.is_alive() for one in recorded(folder)]
    same = read_json_or_none(folder / _KEY) == asdict(cluster)
    return bool(alive) and all(alive) and same and nodes_ready(folder, cluster)


def _clear(folder: Path) -> None:
    """End every process of a cluster in this folder and remove its files."""
    _stop_all(folder)
    for part in PARTS:
        shutil.rmtree(folder / part, ignore_errors=True)
    for path in folder.glob("*.*"):
        if path.name != ".lock":
            path.unlink()


def _stop_all(folder: Path) -> None:
    # Jobs first, at once: a slurmd waits long for tasks that ignore SIGTERM.
    for one in job_processes(folder):
        one.send(signal.SIGKILL)
    daemons = recorded(folder)
    stop([one for one in daemons if one.name not in ("munged", "mariadbd")], seconds=2)
    stop(daemons, seconds=5)
    stop(list(job_processes(folder)), seconds=0.2)
