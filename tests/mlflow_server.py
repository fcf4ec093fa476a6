"""A real MLflow for tests: empty databases, and a server that can be hung; fixtures by way of conftest.py."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager

import pytest

UP = 180.0  # seconds a server may take to start on a busy machine


def client_of(uri):
    from pipeline.tracking import MlflowClient

    return MlflowClient(uri)


def tracked_runs(uri, experiment="top1"):
    client = client_of(uri)
    found = client.get_experiment_by_name(experiment)
    return client.search_runs([found.experiment_id]) if found else []


@pytest.fixture(scope="session")
def template_database(tmp_path_factory):
    """An empty MLflow database; making one takes seconds, copying it does not."""
    from pipeline.tracking import connect

    path = tmp_path_factory.mktemp("template") / "mlflow.db"
    connect(f"sqlite:///{path}")
    return path


@pytest.fixture
def database(tmp_path, template_database):
    """The address of an empty database of one's own."""
    path = tmp_path / "mlflow.db"
    path.write_bytes(template_database.read_bytes())
    return f"sqlite:///{path}"


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """A real MLflow server on loopback; starting one takes long, so all tests share it."""
    folder = tmp_path_factory.mktemp("server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = (
        "--backend-store-uri",
        f"sqlite:///{folder}/mlflow.db",
        "--artifacts-destination",
        str(folder / "a"),
    )
    command = (sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port))
    environment = os.environ | {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, *place, "--workers", "1"],
            stdout=log,
            stderr=log,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
    try:
        wait_until_up(port, process, folder / "log")
        yield Server(process.pid, port)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class Server:
    def __init__(self, pid, port):
        self.pid, self.port = pid, port
        self.uri = f"http://127.0.0.1:{port}"

    @contextmanager
    def hung(self):
        """Stop every process of the server; connections are still accepted by the kernel."""
        os.killpg(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self.pid, signal.SIGCONT)


def wait_until_up(port, process, log):
    gives_up = time.monotonic() + UP
    while time.monotonic() < gives_up and process.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).read()
        except OSError:
            time.sleep(0.2)
        else:
            return
    pytest.fail(f"the MLflow server did not start:\n{log.read_text()[-3000:]}")
