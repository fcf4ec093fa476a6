"""The run folder: where a run's files are, and who may write them. Light.

runs/<recipe>/<stamp>-seed<N>/, or runs/<name>/, holds plan.json, metrics.jsonl, status.json, attempts.jsonl,
checkpoints/, logs/ and, at the end, result.json, weights.safetensors and evaluation/ (`analysis.py`). It is
the truth; everything else is a view.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pipeline import own_network
from pipeline.errors import Top1Error
from pipeline.journal import read_json, write_json
from pipeline.locks import locked
from pipeline.plan import Plan, plan_from_dict

PLAN = "plan.json"
STATUS = "status.json"
RESULT = "result.json"
EVALUATION = "evaluation"
ENSEMBLE = "ensemble.json"
ATTEMPTS = "attempts.jsonl"
CHECKPOINTS = "checkpoints"
NOT_FINITE = "not_finite"
TRACKED = "sync.json"
WEIGHTS = "weights.safetensors"

TAKE_OVER_SECONDS = 120.0  # for a superseded writer to find out and let go


def new_folder(runs: Path, recipe: str, seed: int) -> Path:
    """Return a folder name for a new run that nobody has yet; it is not created."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    folder = runs / recipe / f"{stamp}-seed{seed}"
    count = 1
    while folder.exists():
        count += 1
        folder = runs / recipe / f"{stamp}-seed{seed}-{count}"
    return folder


def write_plan(folder: Path, plan: Plan) -> None:
    """Create the run folder with its plan. Raises Top1Error when it cannot be written."""
    try:
        (folder / "logs").mkdir(parents=True, exist_ok=True)
        own_network.keep(plan.recipe, folder)
        write_json(folder / PLAN, plan.to_dict())
    except OSError as error:
        raise Top1Error(
            f"the run folder {folder} cannot be written: {error}. Choose another --run."
        ) from error


def write_next_plan(folder: Path, plan: Plan, attempt: int) -> Path:
    """Add the plan that the run goes on with from this attempt on: the same science on other hardware."""
    path = folder / f"plan.{attempt}.json"
    write_json(path, plan.to_dict())
    return path


def newest_plan(folder: Path) -> Path:
    """Return the file of the plan that a run goes on with."""
    attempt = plan_attempt(folder)
    return folder / f"plan.{attempt}.json" if attempt else folder / PLAN


def plan_attempt(folder: Path) -> int:
    """Return the attempt from which on a run's newest plan holds; 0 for its first plan."""
    names = (re.fullmatch(r"plan\.(\d+)\.json", path.name) for path in folder.glob("plan.*.json"))
    return max((int(match[1]) for match in names if match), default=0)


def read_plan(folder: Path) -> Plan:
    """Return a run's newest plan. Raises Top1Error when there is none or it is damaged."""
    if not (folder / PLAN).is_file():
        raise Top1Error(f"{folder} is not a run folder: it has no {PLAN}. `top1 leaderboard` lists runs.")
    data = read_json(newest_plan(folder))
    try:
        plan = plan_from_dict(data)
        return replace(plan, recipe=own_network.kept(plan.recipe, folder))
    except (KeyError, TypeError, ValueError) as error:
        raise Top1Error(
            f"{newest_plan(folder)} is not a plan that this version reads: {error}. "
            "Start a new run, or use the version that made it."
        ) from error


def find_runs(runs: Path) -> list[Path]:
    """Return every run folder below `runs`, oldest name first."""
    return sorted(path.parent for path in (*runs.glob(f"*/{PLAN}"), *runs.glob(f"*/*/{PLAN}")))


def home_of(folder: Path, recipe: str, runs: Path | None = None) -> Path:
    """Return the whole path of the folder of runs that a run is in: `runs`, or the one above it."""
    folder = folder.resolve()
    if runs and folder.is_relative_to(runs.resolve()):
        return runs.resolve()
    return folder.parent.parent if folder.parent.name == recipe else folder.parent


@contextmanager
def only_writer(folder: Path, takes_over: bool = False) -> Iterator[None]:
    """Hold the run folder while training. Raises Top1Error when another process holds it.

    takes_over: the holder has been superseded and is going to let go; wait for that.
    """
    try:
        with locked(folder / ".lock", TAKE_OVER_SECONDS if takes_over else 0):
            yield
    except TimeoutError as error:
        raise Top1Error(
            f"{folder} is being trained by another process. Wait for it or stop it; "
            "a second run wants its own --run folder."
        ) from error
