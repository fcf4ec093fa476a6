"""An MLflow server over a database of runs, for as long as somebody looks. Light: it is a child process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import Top1Error

PATIENCE = 180.0  # seconds; MLflow takes 5 to start, on a busy machine 60
_LINES_SHOWN = 5  # of what a server printed that did not start


@dataclass(frozen=True)
class Server:
    """group: the process group of the server and its workers."""

    address: str
    group: int


@contextmanager
def served(uri: str, host: str, port: int, log: Path) -> Iterator[Server]:
    """Serve a tracking database and yield the server; it ends with the block, or with this process.

    port: 0 for any. Raises Top1Error where the port is taken or the server does not start.
    """
    port = _free_port(host, port)
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--host",
        host,
        "--port",
        str(port),
        "--workers",
        "1",
    ]
    place = ["--backend-store-uri", uri, "--artifacts-destination", str(log.parent / "mlartifacts")]
    # Its job runner is a second process of 235 MB that a table of runs has no use for.
    quiet = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    with log.open("wb") as printed:
        server = subprocess.Popen(
            [*command, *place],
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=printed,
            env=os.environ | quiet,
            start_new_session=True,  # its workers end with it
        )
    guard = _guard(server.pid)
    try:
        address = f"http://{host}:{port}"
        _wait_until_up(address, server, log)
        yield Server(address, server.pid)
    finally:
        guard.kill()
        guard.wait()
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _guard(group: int) -> subprocess.Popen[bytes]:
    """Have a shell kill a process group once this process is gone and the pipe it reads is closed."""
    command = ["sh", "-c", f"read nothing; kill -KILL -{group}"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)


def _free_port(host: str, port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise Top1Error(
                f"port {port} of {host} cannot be served on: {error.strerror}. Choose another --port."
            ) from error
        number: int = probe.getsockname()[1]
        return number


def _wait_until_up(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    gives_up = time.monotonic() + PATIENCE
    while server.poll() is None and time.monotonic() < gives_up:
        try:
            urllib.request.urlopen(f"{address}/health", timeout=2).read()
        except OSError:
            time.sleep(0.2)
        else:
            return
    lines = log.read_text(errors="replace").strip().splitlines()[-_LINES_SHOWN:]
    raise Top1Error(
        f"the MLflow server did not start: {' / '.join(lines) or 'it printed nothing'}. See {log}."
    )
