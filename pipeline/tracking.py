"""The MLflow server, or sqlite database, that runs are shown on. Heavy: imports MLflow.

Knows addresses, experiments and how a run is found again; not what is sent (`replay.py`) nor when.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

# MLflow reads these when it is imported or at each call; only this process sees them. Trying again is
# `follow.py`'s, with a bound: with MLflow's own settings one call to a dead server took over 150 s.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["DO_NOT_TRACK"] = "true"
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.entities import Run as TrackedRun
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from pipeline.errors import Top1Error
from pipeline.locks import locked
from pipeline.run_card import ID_TAG

# What a server, a network, a database or a missing storage package can do to us.
FAILURES = (MlflowException, SQLAlchemyError, OSError, ImportError)

Point = tuple[str, float, int, int]  # a metric's key, value, time in milliseconds, step
Moment = tuple[str, int, int]  # a point without its value: which one it is

METRICS_PER_CALL = 1000  # the server's own limits
_PARAMS_PER_CALL = 100

_SCHEMES = ("http", "https", "sqlite", "postgresql", "mysql", "mssql", "databricks")
_CREATION_PATIENCE = 180.0  # seconds; making the tables of a new database takes 2, on a busy machine 10


def check_address(uri: str) -> None:
    """Raise Top1Error unless `uri` is an address MLflow keeps runs at."""
    scheme = urlsplit(uri).scheme.partition("+")[0]
    if scheme not in _SCHEMES:
        raise Top1Error(
            f"{shown(uri)!r} is no tracking address; MLflow keeps runs on a server (http://HOST:PORT) or in "
            "a database (sqlite:////absolute/path/mlflow.db)."
        )
    if scheme == "sqlite" and sqlite_file(uri) is None:
        raise Top1Error(f"{uri!r} names no file; write sqlite:////absolute/path/mlflow.db, four slashes.")


def connect(uri: str) -> MlflowClient:
    """Return a client. A sqlite database is made by one process; the others wait until it is whole.

    Three processes opening a new database at once left two with a failed migration (MLflow 3.17); its own
    lock is per machine, this one lies beside the database.
    """
    path = sqlite_file(uri)
    if path is None:
        return MlflowClient(uri)
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.with_name(f"{path.name}.lock"), _CREATION_PATIENCE):
        client = MlflowClient(uri)
        client.search_experiments(max_results=1)
    return client


def experiment_id(client: MlflowClient, uri: str, name: str) -> str:
    """Return the id of an experiment, made where there is none; the artifacts of sqlite's lie beside it."""
    found = client.get_experiment_by_name(name)
    if found is None:
        path = sqlite_file(uri)
        place = (path.resolve().parent / "mlartifacts").as_uri() if path else None
        try:
            return client.create_experiment(name, artifact_location=place)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            return experiment_id(client, uri, name)  # another process was first
    if found.lifecycle_stage == "deleted":
        raise Top1Error(
            f"the experiment {name!r} is deleted on {shown(uri)}; restore it there "
            f"(`mlflow experiments restore -x {found.experiment_id}`) or use another --experiment."
        )
    return found.experiment_id


def find_run(client: MlflowClient, experiment: str, plan_id: str, known: str | None) -> TrackedRun | None:
    """Return the one tracked run of a plan, or None.

    A server that hung while a run was created may create it after the caller has given up and created
    another. Of several the `known` one stays, else the first by id, and the others are deleted.
    """
    found = client.search_runs([experiment], f"tags.`{ID_TAG}` = '{plan_id}'")
    found.sort(key=lambda run: (run.info.run_id != known, run.info.run_id))
    for extra in found[1:]:
        client.delete_run(extra.info.run_id)
    return found[0] if found else None


def send(
    client: MlflowClient,
    run_id: str,
    points: Iterable[Point] = (),
    params: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Store at most METRICS_PER_CALL points, and any number of parameters and tags."""
    items = list((params or {}).items())
    for first in range(0, len(items), _PARAMS_PER_CALL):
        client.log_batch(run_id, params=[Param(*item) for item in items[first : first + _PARAMS_PER_CALL]])
    metrics = [Metric(*point) for point in points]
    if metrics or tags:
        client.log_batch(run_id, metrics=metrics, tags=[RunTag(*item) for item in (tags or {}).items()])


def moments(client: MlflowClient, run: TrackedRun) -> set[Moment]:
    """Return which points are stored."""
    keys = run.data.metrics
    return {
        (key, p.timestamp, p.step) for key in keys for p in client.get_metric_history(run.info.run_id, key)
    }


def sqlite_file(uri: str) -> Path | None:
    """Return the file of a sqlite address, None for any other."""
    parts = urlsplit(uri)
    return Path(parts.path[1:]) if parts.scheme == "sqlite" and parts.path[1:] else None


def shown(uri: str) -> str:
    """Return an address without its user and password."""
    parts = urlsplit(uri)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def page_of(uri: str, experiment: str, run_id: str) -> str:
    """Return the address of a run's page; a database has none."""
    if urlsplit(uri).scheme not in ("http", "https"):
        return ""
    return f"{shown(uri).rstrip('/')}/#/experiments/{experiment}/runs/{run_id}"


def reason_of(error: BaseException) -> str:
    """Return the innermost cause of a failure in one line: `Connection refused`, not the ten around it."""
    if isinstance(error, Top1Error):
        return str(error)
    while inner := error.__cause__ or error.__context__:
        error = inner
    text = (str(error).strip() or "no message").splitlines()[0]
    return f"{type(error).__name__}: {text[:200]}"
