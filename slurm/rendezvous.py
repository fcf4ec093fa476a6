"""How the processes of a job find each other. Light until they do.

Rank 0 listens on one address, at a port that the kernel gives it and that it never lets go, and writes both
into the run folder with a secret; the others read them, and only a store that knows the secret is theirs. No
port is guessed, no name is resolved, and another job's store is never joined.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
import struct
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from pipeline.errors import Top1Error
from slurm.tasks import Task

STARTUP_SECONDS = 300.0
STEP_SECONDS = 600.0
ANSWER_SECONDS = 10.0  # of a store that is asked for its secret
_SIOCGIFADDR = 0x8915  # linux/sockios.h: the IPv4 address of an interface
_SECRET = "top1/secret"
_HERE = "top1/here"  # /RANK: that this process has come


def join(task: Task, folder: Path, cuda: bool, step_seconds: float = STEP_SECONDS) -> None:
    """Make this process one of the job's group, in the environment and in torch.

    folder: one that all of them see. step_seconds: how long one waits for the others at a time.
    Raises TimeoutError, naming the file, when the others do not come.
    """
    import torch

    startup = float(os.environ.get("TOP1_STARTUP_SECONDS", STARTUP_SECONDS))
    step = float(os.environ.get("TOP1_STEP_SECONDS", step_seconds))
    path = folder / "logs" / f"rendezvous-{task.launch}"
    address, store = _listen(path, task, startup) if task.rank == 0 else _find(path, startup)
    store.set_timeout(timedelta(seconds=startup))
    host, port = address
    # Some clusters show each task its own GPU alone.
    gpu = task.local_rank if cuda and torch.cuda.device_count() > 1 else 0
    os.environ |= {
        "MASTER_ADDR": host,
        "MASTER_PORT": str(port),
        "RANK": str(task.rank),
        "WORLD_SIZE": str(task.world),
        "LOCAL_RANK": str(gpu if cuda else task.local_rank),
        "LOCAL_WORLD_SIZE": str(task.local_world),
    }
    if cuda:
        torch.cuda.set_device(gpu)
    torch.distributed.init_process_group(
        "nccl" if cuda else "gloo",
        store=store,
        rank=task.rank,
        world_size=task.world,
        timeout=timedelta(seconds=step),
    )
    # With gloo every process is here now. NCCL meets the others at the first collective, and not before.
    store.set(f"{_HERE}/{task.rank}", "")
    if task.rank == 0:
        _wait_for_all(store, task.world, startup)
        path.unlink(missing_ok=True)


def _wait_for_all(store: Any, world: int, seconds: float) -> None:
    """Wait until every process has come. Raises TimeoutError, naming those that have not."""
    from torch.distributed import DistStoreError

    names = [f"{_HERE}/{rank}" for rank in range(world)]
    try:
        store.wait(names, timedelta(seconds=seconds))
    except DistStoreError:
        missing = ", ".join(str(rank) for rank, name in enumerate(names) if not store.check([name]))
        raise TimeoutError(
            f"of {world} processes these did not come within {seconds:.0f} s: {missing}. Their logs say why."
        ) from None


def address_of_this_node(task: Task) -> str:
    """Return the address at which the other processes reach this one."""
    interface = os.environ.get("TOP1_INTERFACE")
    if interface:
        return _address_of(interface)
    if task.world == task.local_world:
        return "127.0.0.1"
    # From here every node has reached srun already; the address on the way there is reached from them.
    launcher = os.environ.get("SLURM_LAUNCH_NODE_IPADDR")
    if not launcher:
        raise Top1Error(
            "this job has several nodes, and srun did not say where it runs (SLURM_LAUNCH_NODE_IPADDR). "
            "Give `interface` in the cluster's description."
        )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((launcher, 9))  # sends nothing
        return str(probe.getsockname()[0])


def _address_of(interface: str) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        request = struct.pack("256s", interface.encode()[:15])
        try:
            answer = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, request)
        except OSError as error:
            names = ", ".join(name for _, name in socket.if_nameindex())
            raise Top1Error(
                f"the interface {interface!r} has no address on {socket.gethostname()}: {error.strerror}. "
                f"There are {names}; correct `interface` in the cluster's description."
            ) from error
    return socket.inet_ntoa(answer[20:24])


def _listen(path: Path, task: Task, seconds: float) -> tuple[tuple[str, int], Any]:
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    host, secret = address_of_this_node(task), secrets.token_hex(16)
    listener = socket.socket()
    listener.bind((host, 0))
    listener.listen(2048)
    port = listener.getsockname()[1]
    store = TCPStore(
        host,
        port,
        is_master=True,
        wait_for_workers=False,
        timeout=timedelta(seconds=seconds),
        master_listen_fd=listener.detach(),
    )
    store.set(_SECRET, secret)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_text(f"{host} {port} {secret}\n")
    temporary.replace(path)
    return (host, port), store


def _find(path: Path, seconds: float) -> tuple[tuple[str, int], Any]:
    gives_up = time.monotonic() + seconds
    while time.monotonic() < gives_up:
        if path.exists():
            host, port, secret = path.read_text().split()
            store = _store_that_knows(secret, host, int(port))
            if store is not None:
                return (host, int(port)), store
        time.sleep(0.1)
    raise TimeoutError(
        f"rank 0 was not to be found through {path} within {seconds:.0f} s. Its log says why it did not "
        "start, or the address in the file cannot be reached from here."
    )


def _store_that_knows(secret: str, host: str, port: int) -> Any:
    """Return the store at this address, or None when it is not there or is another job's."""
    from torch.distributed import DistNetworkError, DistStoreError, TCPStore  # type: ignore[attr-defined]

    try:
        with socket.create_connection((host, port), timeout=ANSWER_SECONDS):
            pass  # torch would try again for its whole time, and say so at length
        store = TCPStore(
            host, port, is_master=False, wait_for_workers=False, timeout=timedelta(seconds=ANSWER_SECONDS)
        )
        return store if store.get(_SECRET).decode() == secret else None
    except (OSError, DistNetworkError, DistStoreError):
        return None
