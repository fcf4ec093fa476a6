"""MLflow's table of runs with our columns: a view that is stored with the experiment, and its address. Heavy.

MLflow's own table shows no metric, no target and no verdict. Its "share" button stores the state of the table
in a tag of the experiment, which a link names; this writes the same tag. The format is MLflow's own affair,
read off 3.17 and tested against the version that is locked; where it should change, the second address still
sorts and filters.
"""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pipeline.errors import Top1Error
from pipeline.tracking import FAILURES, connect, reason_of, shown

if TYPE_CHECKING:
    from mlflow import MlflowClient

KEY = "leaderboard"
COLUMNS = (
    *("tags.`recipe`", "metrics.`target`", "metrics.`reached`", "metrics.`gap`", "tags.`verdict`"),
    *("tags.`protocol`", "metrics.`epochs`", "metrics.`gpu_hours`"),
)
_ORDER = "metrics.`gap`"


@dataclass(frozen=True)
class Addresses:
    """Where to look: with our columns (empty where `problem` says why it was not stored), or only sorted."""

    view: str
    plain: str
    problem: str = ""


def store_view(uri: str, experiment: str, base: str) -> Addresses:
    """Store the view with an experiment and return where to look at it.

    uri: where runs are tracked. base: where its pages are served. Raises Top1Error where the server does not
    answer or has no such experiment.
    """
    try:
        client = connect(uri)
        found = client.get_experiment_by_name(experiment)
        names = [one.name for one in client.search_experiments()] if found is None else []
    except FAILURES as error:
        raise Top1Error(
            f"{shown(uri)} does not answer: {reason_of(error)}. Start the server, or leave --tracking out to "
            "see the runs of --runs."
        ) from error
    if found is None:
        raise Top1Error(
            f"there is no experiment {experiment!r} on {shown(uri)}, which has {', '.join(names)}. "
            "`top1 sync RUN` brings a run there, or name another --experiment."
        )
    page = f"{base.rstrip('/')}/#/experiments/{found.experiment_id}/runs"
    plain = f"{page}?orderByKey={quote(_ORDER)}&orderByAsc=false&startTime=ALL"
    problem = _store(client, found.experiment_id)
    return Addresses("" if problem else f"{page}?viewStateShareKey={KEY}", plain, problem)


def _store(client: MlflowClient, experiment_id: str) -> str:
    """Store the view; return why that failed, on a server that one may only read, say."""
    try:
        client.set_experiment_tag(experiment_id, f"mlflow.sharedViewState.{KEY}", packed(view_state()))
    except FAILURES as error:
        return reason_of(error)
    return ""


def view_state() -> dict[str, Any]:
    """Return the state of MLflow's table of runs: our columns, the best gap first."""
    return {
        "orderByKey": _ORDER,
        "orderByAsc": False,
        "searchFilter": "",
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": list(COLUMNS),
        "runsExpanded": {},
        "runsPinned": [],
        "runsHidden": [],
        "runsHiddenMode": "FIRST_10_RUNS",
        "runsVisibilityMap": {},
        "viewMaximized": False,
        "runListHidden": False,
        "isAccordionReordered": False,
        "useGroupedValuesInCharts": True,
        "hideEmptyCharts": True,
        "groupBy": None,
        "groupsExpanded": {},
        "autoRefreshEnabled": True,
        "globalLineChartConfig": {},
    }


def packed(state: dict[str, Any]) -> str:
    """Return a state as MLflow stores it: deflated JSON in base64, with the name of the method before it."""
    return "deflate;" + base64.b64encode(zlib.compress(json.dumps(state).encode())).decode()
