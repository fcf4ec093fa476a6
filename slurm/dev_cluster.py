"""A throw-away real SLURM on loopback, for laptops and tests: `top1 cluster up` and `down`. Light.

From the distribution's packages, as root or as a normal user (whose cluster runs that user's jobs alone).
Each cluster has its own munge, ports and folder, so several live side by side and the system's own services
are never touched.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from pipeline.errors import Top1Error
from pipeline.journal import read_json_or_none, write_json
from pipeline.locks import locked
from slurm.dev_config import PORTS, DevCluster, cluster_toml, gres_conf, slurm_conf, slurmdbd_conf
from slurm.dev_processes import forget, job_processes, recorded, spawn, stop, wait_until

PACKAGES = "slurmctld slurmd slurm-client munge"
ACCOUNTING_PACKAGES = "slurmdbd slurm-wlm-mysql-plugin mariadb-server-core mariadb-client-core"
PROGRAMS = ("munged", "munge", "slurmctld", "slurmd", "sinfo", "srun", "sbatch")
ACCOUNTING_PROGRAMS = ("slurmdbd", "sacctmgr", "mariadbd", "mariadb-install-db")
LONGEST_FOLDER = 80  # characters; a unix socket's path has 107
_KEY = "cluster.json"
_PARTS = ("munge", "run", "state", "spool", "db", "gpu", "log")


def default_folder() -> Path:
    """Return where this user's cluster on this machine lives."""
    return Path(tempfile.gettempdir()) / f"top1-cluster-{os.getuid()}"


def missing_programs(accounting: bool = False) -> list[str]:
    return [name for name in PROGRAMS + ACCOUNTING_PROGRAMS * accounting if _find(name) is None]


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
        _check_name()
        _clear(folder)
        try:
            _start(folder, cluster)
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
        existed = any((folder / part).exists() for part in _PARTS)
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


def command(folder: Path, *arguments: str, timeout: float = 30) -> subprocess.CompletedProcess[str]:
    """Run one of SLURM's commands against this cluster."""
    environment = {**os.environ, "SLURM_CONF": f"{folder}/slurm.conf"}
    return subprocess.run(
        arguments, env=environment, capture_output=True, text=True, timeout=timeout, check=False
    )


def kill_node(folder: Path, node: str) -> None:
    """Do to a node what a power cut does: its daemon, its steps and their tasks are gone at once."""
    with _held(folder):
        for one in [d for d in recorded(folder) if d.name == node] + list(job_processes(folder, node)):
            one.send(signal.SIGKILL)
        forget(folder, node)


def start_node(folder: Path, node: str) -> None:
    """Bring a killed node back."""
    with _held(folder):
        _start_slurmd(folder, node)


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


def _check_name() -> None:
    """Refuse where SLURM would listen beyond loopback: it binds to what the machine's name stands for."""
    name = socket.gethostname()
    try:
        address = socket.gethostbyname(name)
    except OSError:
        address = "no address"
    if not address.startswith("127."):
        raise Top1Error(
            f"this machine's name {name} stands for {address}, and SLURM would listen there instead of on "
            f"loopback. Put `127.0.0.1 {name}` first into /etc/hosts."
        )


def _is_up(folder: Path, cluster: DevCluster) -> bool:
    alive = [one.is_alive() for one in recorded(folder)]
    same = read_json_or_none(folder / _KEY) == asdict(cluster)
    return bool(alive) and all(alive) and same and _nodes_ready(folder, cluster)


def _nodes_ready(folder: Path, cluster: DevCluster) -> bool:
    states = command(folder, "sinfo", "-h", "-N", "-p", "debug", "-o", "%T").stdout.split()
    return len([s for s in states if s in ("idle", "mixed", "allocated")]) == cluster.nodes


def _start(folder: Path, cluster: DevCluster) -> None:
    user, host = pwd.getpwuid(os.getuid()).pw_name, socket.gethostname().split(".")[0]
    port = _free_ports()
    for part in _PARTS:
        (folder / part).mkdir(mode=0o755)
    for name in cluster.node_names:
        (folder / "spool" / name).mkdir(mode=0o755)
    for i in range(cluster.gpus):
        (folder / "gpu" / f"g{i}").symlink_to(os.devnull)
    (folder / "slurm.conf").write_text(slurm_conf(cluster, folder, port, user, host))
    if cluster.gpus:
        (folder / "gres.conf").write_text(gres_conf(cluster, folder))
    (folder / "cgroup.conf").write_text("ConstrainCores=no\n")  # some builds insist on the file
    (folder / "cluster.toml").write_text(cluster_toml(cluster))
    _start_munge(folder)
    if cluster.accounting:
        _start_accounting(folder, port, user)
    daemons = [spawn(folder, "slurmctld", [_path("slurmctld"), "-D", "-c", "-f", f"{folder}/slurm.conf"])]
    # A slurmd that finds no controller tries again only a second later.
    wait_until("slurmctld", lambda: _listens(port), 30, tuple(daemons))
    daemons += [_start_slurmd(folder, name) for name in cluster.node_names]
    wait_until("the nodes", lambda: _nodes_ready(folder, cluster), 30, tuple(daemons))


def _start_slurmd(folder: Path, node: str) -> subprocess.Popen[bytes]:
    return spawn(folder, node, [_path("slurmd"), "-D", "-N", node, "-f", f"{folder}/slurm.conf"])


def _start_munge(folder: Path) -> None:
    own = folder / "munge"
    (own / "key").write_bytes(secrets.token_bytes(128))
    (own / "key").chmod(0o400)
    files = {"key-file": "key", "socket": "s", "pid-file": "pid", "seed-file": "seed", "log-file": "log"}
    options = [f"--{option}={own / name}" for option, name in files.items()]
    daemon = spawn(
        folder, "munged", [_path("munged"), "--foreground", "--force", "--num-threads=4", *options]
    )

    def answers() -> bool:
        asked = subprocess.run(["munge", "-n", f"--socket={own}/s"], capture_output=True, check=False)
        return asked.returncode == 0

    wait_until("munged", answers, 10, (daemon,))


def _start_accounting(folder: Path, port: int, user: str) -> None:
    """Start slurmdbd and a MariaDB for it that listens on a socket in the folder only."""
    data = folder / "db"
    with open(folder / "log" / "install-db.out", "wb") as log:
        subprocess.run(
            [
                *(_path("mariadb-install-db"), "--no-defaults", f"--user={user}", f"--datadir={data}"),
                *("--auth-root-authentication-method=normal", "--skip-test-db"),
            ],
            check=True,
            stdout=log,
            stderr=log,
        )
    options = [f"--user={user}", f"--datadir={data}", f"--socket={folder}/run/my.sock", "--skip-networking"]
    options += [f"--pid-file={folder}/run/my.pid", "--skip-grant-tables", "--performance-schema=0"]
    options += ["--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=0"]
    options += ["--innodb-lock-wait-timeout=900"]
    database = spawn(folder, "mariadbd", [_path("mariadbd"), "--no-defaults", *options])
    wait_until("mariadbd", lambda: (folder / "run" / "my.sock").exists(), 30, (database,))
    (folder / "slurmdbd.conf").touch(mode=0o600)
    (folder / "slurmdbd.conf").write_text(slurmdbd_conf(folder, port, user))
    environment = {"SLURM_CONF": f"{folder}/slurm.conf", "MYSQL_UNIX_PORT": f"{folder}/run/my.sock"}
    daemon = spawn(folder, "slurmdbd", [_path("slurmdbd"), "-D"], environment)
    wait_until("slurmdbd", lambda: _listens(port + 90), 30, (daemon,))
    command(folder, "sacctmgr", "-i", "add", "cluster", "top1dev")


def _clear(folder: Path) -> None:
    """End every process of a cluster in this folder and remove its files."""
    _stop_all(folder)
    for part in _PARTS:
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


def _free_ports() -> int:
    """Return the first of PORTS consecutive free ports on loopback, below the ephemeral range."""
    first = range(20000, 32000, PORTS)
    offset = secrets.randbelow(len(first))
    bases: list[int] = [*first[offset:], *first[:offset]]
    for base in bases:
        with contextlib.ExitStack() as opened:
            try:
                for port in range(base, base + 100):
                    probe = opened.enter_context(socket.socket())
                    probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return base
    raise Top1Error(f"no {PORTS} consecutive ports between 20000 and 32000 are free on this machine.")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.3)
        refused = probe.connect_ex(("127.0.0.1", port))
    return not refused


def _find(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:/usr/local/sbin")


def _path(program: str) -> str:
    return _find(program) or program
