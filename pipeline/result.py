"""What came out of a run, read from its folder. Light.

Reads only what a comparison needs, so that a folder written by another version of top1 stays readable.
Judges nothing; that is `verdict.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.attempts import read_attempts, versions_of
from pipeline.errors import Top1Error
from pipeline.journal import NAME as JOURNAL
from pipeline.journal import check_seal, read_json, read_json_or_none
from pipeline.runs import ENSEMBLE, EVALUATION, PLAN, RESULT, STATUS, TRACKED
from pipeline.versions import Version, marked, version_from
from recipes.schema import Recipe
from recipes.serialize import from_dict


@dataclass(frozen=True)
class DataSet:
    """The data a run was trained and measured on, as its plan states it.

    official: how it was proven to be the published set, else None. changes: what was done to its images.
    """

    name: str
    fingerprint: str
    official: str | None
    changes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measurement:
    """One evaluation of the final weights. target: which of the recipe's targets it was made for, if any."""

    target: int | None
    protocol: str
    top1: float
    top5: float | None
    images: int

    def value(self, metric: str) -> float | None:
        return self.top1 if metric == "top1" else self.top5


@dataclass(frozen=True)
class Result:
    """What a finished run reached. best_top1 was selected on the test set: shown, never judged."""

    epochs: float
    gpu_hours: float
    measurements: tuple[Measurement, ...]
    last_top1: float | None
    best_top1: float | None
    weights_sha256: str = ""


@dataclass(frozen=True)
class Progress:
    """Where a run stands. durable_step: of the newest checkpoint that survives a crash, None without one."""

    state: str
    step: int | None = None
    total_steps: int | None = None
    durable_step: int | None = None


@dataclass(frozen=True)
class Run:
    """One run folder. result: None until the run is finished.

    commits: of the code that trained it, as far as it has come; the plan's where that was not noted.
    versions: of that code and its libraries, in order.
    members: of an ensemble, the recipe of each network that is averaged; empty for a single network.
    """

    folder: Path
    id: str
    recipe: Recipe
    seed: int
    data: DataSet
    commits: tuple[str, ...]
    command: str
    progress: Progress
    result: Result | None
    members: tuple[str, ...] = ()
    versions: tuple[Version, ...] = ()

    @property
    def commit(self) -> str:
        return ", ".join(self.commits)


def read_run(folder: str | Path) -> Run:
    """Read a run folder. Raises Top1Error, naming the file, where one is missing, damaged or incomplete."""
    folder = Path(folder)
    plan = read_json_or_none(folder / ENSEMBLE) or read_json(folder / PLAN)
    result = read_json_or_none(folder / RESULT)
    check_seal(folder / RESULT, result or {})
    progress = read_progress(folder)
    try:
        run = _run(folder, plan, progress, _result(folder / RESULT, result) if result else None)
        run = _with_versions(run, result)
        return _with_evaluations(run, result) if result else run
    except (KeyError, TypeError, ValueError) as error:
        raise Top1Error(_not_understood(folder / PLAN, error)) from error


def read_progress(folder: str | Path) -> Progress:
    """Read where a run stands, from its status alone."""
    path = Path(folder) / STATUS
    status = read_json_or_none(path) or {}
    try:
        return Progress(
            state=str(status.get("state", "not started")),
            step=_int_or_none(status.get("step")),
            total_steps=_int_or_none(status.get("total_steps")),
            durable_step=_int_or_none(status.get("durable_step")),
        )
    except (TypeError, ValueError) as error:
        raise Top1Error(_not_understood(path, error)) from error


def tracked_at(folder: str | Path) -> str | None:
    """Return the address of a run's page on the tracking server it was sent to, None where there is none."""
    try:
        return str((read_json_or_none(Path(folder) / TRACKED) or {}).get("url") or "") or None
    except Top1Error:  # what was sent is not known, which is no fault of the run
        return None


def read_runs(runs_folder: str | Path) -> tuple[list[Run], list[dict[str, str]]]:
    """Read every run below RUNS/<recipe>/<run>/ or RUNS/<run>/ and return (runs, problems).

    problems: {"path", "what"} of each folder that is no whole run, or that is a copy of another one.
    Raises Top1Error where there is no such folder.
    """
    runs_folder = Path(runs_folder)
    if not runs_folder.is_dir():
        raise Top1Error(f"there is no folder {runs_folder}; give the runs folder, or train something first")
    runs: dict[str, Run] = {}
    problems = []
    for folder in _run_folders(runs_folder):
        try:
            run = read_run(folder)
        except Top1Error as error:
            problems.append({"path": str(folder), "what": str(error)})
            continue
        first = runs.setdefault(run.id, run)
        if first is not run:  # counted twice, a mean would lean towards it
            what = f"is a copy of {first.folder} (the same id), which is counted already"
            problems.append({"path": str(folder), "what": what})
    return list(runs.values()), problems


def _run_folders(runs_folder: Path) -> Iterator[Path]:
    """Yield what is meant to be a run: a folder one or two levels down with at least one of a run's files."""
    marks = (PLAN, STATUS, RESULT, JOURNAL)
    for folder in sorted((*runs_folder.glob("*/"), *runs_folder.glob("*/*/"))):
        if any((folder / mark).exists() for mark in marks):
            yield folder


def _run(folder: Path, plan: dict[str, Any], progress: Progress, result: Result | None) -> Run:
    recipe = from_dict(plan["recipe"])
    if not isinstance(recipe, Recipe):
        raise TypeError("its recipe is no Recipe")
    data = plan["data"]
    commit = marked(plan.get("commit"), bool(plan.get("dirty")))
    return Run(
        folder=folder,
        id=str(plan["id"]),
        recipe=recipe,
        seed=int(plan["seed"]),
        data=DataSet(
            name=str(data["name"]),
            fingerprint=str(data["fingerprint"]),
            official=data.get("official"),
            changes=tuple(data.get("changes", ())),
        ),
        commits=(str(commit),) if commit else (),
        command=str(plan.get("command") or ""),
        progress=progress,
        result=result,
        members=tuple(str(member["recipe"]) for member in plan.get("members", ())),
    )


def _with_versions(run: Run, result: dict[str, Any] | None) -> Run:
    """Add what trained the run: by its sealed result, else by its attempts."""
    if result is None:
        found = versions_of(read_attempts(run.folder))
    else:
        found = [version for facts in result.get("versions", ()) if (version := version_from(facts))]
    commits = dict.fromkeys(version.commit for version in found if version.commit)
    return replace(run, versions=tuple(found), commits=tuple(commits) or run.commits)


def _with_evaluations(run: Run, result: dict[str, Any]) -> Run:
    """Add what `top1 eval` found of these very weights on these very data.

    Protocols not measured before are, but where a median over epochs is judged: the final weights alone are
    one of its epochs. Data that were proven official after the training are official.
    """
    assert run.result is not None
    measured, official = list(run.result.measurements), run.data.official
    for path in sorted((run.folder / EVALUATION).glob("*.json")):
        document = read_json(path)
        check_seal(path, document)
        later = document["result"]
        made_of = (later.get("weights_sha256"), later.get("data"))
        if made_of != (result.get("weights_sha256"), run.data.fingerprint):
            continue
        official = official or document.get("official")
        # Two targets of one protocol have one each.
        if run.recipe.report == "last" and later["protocol"] not in {m.protocol for m in measured}:
            measured.append(_measurement(later))
    return replace(
        run,
        data=replace(run.data, official=official),
        result=replace(run.result, measurements=tuple(measured)),
    )


def _result(path: Path, data: dict[str, Any]) -> Result:
    try:
        return Result(
            epochs=float(data["epochs"]),
            gpu_hours=float(data["gpu_hours"]),
            measurements=tuple(_measurement(item) for item in data["results"]),
            last_top1=_float_or_none((data.get("last") or {}).get("top1")),
            best_top1=_float_or_none((data.get("best") or {}).get("top1")),
            weights_sha256=str(data.get("weights_sha256") or ""),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Top1Error(_not_understood(path, error)) from error


def _measurement(data: dict[str, Any]) -> Measurement:
    return Measurement(
        target=_int_or_none(data["target"]),
        protocol=str(data["protocol"]),
        top1=float(data["top1"]),
        top5=_float_or_none(data.get("top5")),
        images=int(data["images"]),
    )


def _int_or_none(value: Any) -> int | None:
    return None if value is None else int(value)


def _float_or_none(value: Any) -> float | None:
    return None if value is None else float(value)


def _not_understood(path: Path, error: Exception) -> str:
    what = f"it has no {error}" if isinstance(error, KeyError) else str(error)
    return f"{path} is not understood: {what}. Another version of top1 wrote it, or it was changed by hand."
