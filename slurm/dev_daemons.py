"""The daemons of a throw-away cluster: their files written, each started in its turn. Light."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import socket
import subprocess
from pathlib import Path

from pipeline.errors import Top1Error
from slurm.dev_config import PORTS, DevCluster, cluster_toml, gres_conf, slurm_conf, slurmdbd_conf
from slurm.dev_processes import spawn, wait_until

PARTS = ("munge", "run", "state", "spool", "db", "gpu", "log")  # folders
_NAMES = "hosts.txt"
_NSS_WRAPPER = ("lib/*/libnss_wrapper.so", "lib64/libnss_wrapper.so", "lib/libnss_wrapper.so")


def environment(folder: Path) -> dict[str, str]:
    """Return the variables that SLURM's commands and jobs need to be this cluster's."""
    variables = {"SLURM_CONF": f"{folder}/slurm.conf"}
    if (folder / _NAMES).exists():
        variables |= {"LD_PRELOAD": "libnss_wrapper.so", "NSS_WRAPPER_HOSTS": f"{folder}/{_NAMES}"}
    return variables


def command(folder: Path, *arguments: str, timeout: float = 30) -> subprocess.CompletedProcess[str]:
    """Run one of SLURM's commands against this cluster."""
    variables = {**os.environ, **environment(folder)}
    return subprocess.run(
        arguments, env=variables, capture_output=True, text=True, timeout=timeout, check=False
    )


def start(folder: Path, cluster: DevCluster) -> None:
    """Write the files of a cluster and start it; return when its nodes are ready. Raises Top1Error."""
    _keep_to_loopback(folder)
    user, host = pwd.getpwuid(os.getuid()).pw_name, socket.gethostname().split(".")[0]
    port = _free_ports()
    for part in PARTS:
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
    options = ["-D", "-c", "-f", f"{folder}/slurm.conf"]
    daemons = [spawn(folder, "slurmctld", [_path("slurmctld"), *options], environment(folder))]
    # A slurmd that finds no controller tries again only a second later.
    wait_until("slurmctld", lambda: _listens(port), 30, tuple(daemons))
    daemons += [start_slurmd(folder, name) for name in cluster.node_names]
    wait_until("the nodes", lambda: nodes_ready(folder, cluster), 30, tuple(daemons))


def start_slurmd(folder: Path, node: str) -> subprocess.Popen[bytes]:
    """Start the daemon of one node."""
    options = ["-D", "-N", node, "-f", f"{folder}/slurm.conf"]
    return spawn(folder, node, [_path("slurmd"), *options], environment(folder))


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
    variables = {**environment(folder), "MYSQL_UNIX_PORT": f"{folder}/run/my.sock"}
    daemon = spawn(folder, "slurmdbd", [_path("slurmdbd"), "-D"], variables)
    wait_until("slurmdbd", lambda: _listens(port + 90), 30, (daemon,))
    command(folder, "sacctmgr", "-i", "add", "cluster", "top1dev")


def nodes_ready(folder: Path, cluster: DevCluster) -> bool:
    """Whether every node takes jobs."""
    states = command(folder, "sinfo", "-h", "-N", "-p", "debug", "-o", "%T").stdout.split()
    return len([s for s in states if s in ("idle", "mixed", "allocated")]) == cluster.nodes


def lacks_names() -> bool:
    """Whether SLURM would listen beyond loopback, and there is no library to keep it from that.

    SLURM 22.05 binds to the address of the host's name, in containers often that of a network interface.
    """
    return _is_beyond_loopback() and not any(
        path for pattern in _NSS_WRAPPER for path in Path("/usr").glob(pattern)
    )


def _is_beyond_loopback() -> bool:
    try:
        return not socket.gethostbyname(socket.gethostname()).startswith("127.")
    except OSError:
        return True


def _keep_to_loopback(folder: Path) -> None:
    """Give the daemons a table of names where this machine's stands for another address than loopback."""
    if _is_beyond_loopback():
        (folder / _NAMES).write_text(f"127.0.0.1 localhost\n127.0.0.1 {socket.gethostname()}\n")


def _free_ports() -> int:
    """Return the first of PORTS consecutive free ports on loopback, below the ephemeral range."""
    first = range(20000, 32000, PORTS)
    offset = secrets.randbelow(len(first))
    bases: list[int] = [*first[offset:], *first[:offset]]
    for base in bases:
        with contextlib.ExitStack() as opened:
            try:
                for port in range(base, base + PORTS):
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


def find(program: str) -> str | None:
    """Return the path of a daemon or command; daemons are often not on a user's PATH."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:/usr/local/sbin")


def _path(program: str) -> str:
    return find(program) or program
