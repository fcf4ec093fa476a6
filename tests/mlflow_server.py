"""A real MLflow for tests: empty databases, and a server that can be hung; fixtures by way of conftest.py."""

import os
import signal
from contextlib import contextmanager

import pytest

from pipeline.serve import PATIENCE, served

UP = PATIENCE  # seconds a server may take to start on a busy machine


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
    with served(f"sqlite:///{folder}/mlflow.db", "127.0.0.1", 0, folder / "log") as up:
        yield Server(up)


class Server:
    def __init__(self, up):
        self.uri, self._group = up.address, up.group

    @contextmanager
    def hung(self):
        """Stop every process of the server; connections are still accepted by the kernel."""
        os.killpg(self._group, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self._group, signal.SIGCONT)
