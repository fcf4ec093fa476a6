"""Two runs side by side: what they did differently, and how their curves and figures differ. Light.

Reads the run folders alone. A run that is not finished is compared as far as it came.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline import journal
from pipeline.attempts import read_attempts
from pipeline.columns import table
from pipeline.data.bad_files import BAD_FILES, replaced_images
from pipeline.journal import Record
from pipeline.result import Measurement, Run, read_run
from pipeline.runs import PLAN
from pipeline.snapshot import environments
from recipes.serialize import field_paths

CURVES = ("train/loss", "val/top1", "val/top5")
_THEN = ", then "  # between what a fact of a run was and what it became
_CODE = 12  # characters of a digest of the code

SHOWN = 8  # of the points that two curves have in common, evenly spread

# What the machine was, of a plan; the rest is the recipe's or follows from these.
_MACHINE = (
    "gpus",
    "micro_batch",
    "accumulation",
    "threads",
    "precision",
    "deterministic",
    "compile",
    "device",
)


@dataclass(frozen=True)
class Difference:
    """One fact that is not the same; None where a run does not have it."""

    what: str
    first: str | None
    second: str | None


@dataclass(frozen=True)
class Common:
    """A curve at an epoch that both runs have."""

    epoch: float
    first: float
    second: float

    @property
    def difference(self) -> float:
        return self.second - self.first


@dataclass(frozen=True)
class Curve:
    """A series at all epochs that both runs logged; only: how many points each has alone."""

    key: str
    points: tuple[Common, ...]
    only_first: int
    only_second: int

    @property
    def largest(self) -> Common:
        return max(self.points, key=lambda point: abs(point.difference))


@dataclass(frozen=True)
class Comparison:
    """results: a protocol, its number of images, and what each run measured under it."""

    first: Run
    second: Run
    differences: tuple[Difference, ...]
    curves: tuple[Curve, ...]
    results: tuple[tuple[str, int, float | None, float | None], ...]
    problems: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "runs": [_described(self.first), _described(self.second)],
            "differences": [asdict(one) for one in self.differences],
            "curves": [_curve_json(curve) for curve in self.curves],
            "results": [
                {"protocol": protocol, "images": images, "first": first, "second": second}
                for protocol, images, first, second in self.results
            ],
            "problems": list(self.problems),
        }


def compare(first: str | Path, second: str | Path) -> Comparison:
    """Compare two run folders. Raises Top1Error where one is none."""
    runs = read_run(first), read_run(second)
    (records, problems), (others, more) = journal.read(first), journal.read(second)
    return Comparison(
        *runs,
        differences=tuple(_differences(*map(_facts, runs))),
        curves=tuple(curve for key in CURVES if (curve := _curve(key, records, others))),
        results=tuple(_results(*runs)),
        problems=(*problems, *more),
    )


# ---------------------------------------------------------------- facts


def _facts(run: Run) -> dict[str, str]:
    """Return everything that could make two runs differ, by name."""
    plan = journal.read_json(run.folder / PLAN)
    facts = {f"recipe.{path}": str(value) for path, value in field_paths(run.recipe).items()}
    facts |= {"seed": str(run.seed), "commit": _THEN.join(run.commits) or "unknown"}
    facts |= {f"data.{name}": str(value) for name, value in asdict(run.data).items()}
    facts |= {f"machine.{name}": str(plan[name]) for name in _MACHINE if name in plan}
    hardware = [attempt.hardware for attempt in read_attempts(run.folder) if attempt.hardware]
    facts |= {"machine.hardware": "; ".join(dict.fromkeys(map(str, hardware)))} if hardware else {}
    replaced = replaced_images(run.folder)
    facts |= {"images replaced": f"{replaced}, see {BAD_FILES}"} if replaced else {}
    codes = dict.fromkeys(version.code[:_CODE] for version in run.versions if version.code)
    facts |= {"code": _THEN.join(codes)} if codes else {}
    return facts | _environment(run.folder)


def _environment(folder: Path) -> dict[str, str]:
    """Return the version of each library, or what it was one after the other."""
    found: dict[str, list[str]] = {}
    for path in environments(folder):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            name, equal, version = line.partition("==")
            if equal and version not in found.setdefault(f"environment.{name}", []):
                found[f"environment.{name}"].append(version)
    return {name: _THEN.join(versions) for name, versions in found.items()}


def _differences(first: Mapping[str, str], second: Mapping[str, str]) -> Iterable[Difference]:
    for name in dict.fromkeys([*first, *second]):
        if first.get(name) != second.get(name):
            yield Difference(name, first.get(name), second.get(name))


# ---------------------------------------------------------------- figures


def _curve(key: str, first: Sequence[Record], second: Sequence[Record]) -> Curve | None:
    """Return a series where both runs have it, by epoch: runs of other batch sizes have other steps."""
    ours, theirs = _by_epoch(key, first), _by_epoch(key, second)
    common = [epoch for epoch in ours if epoch in theirs]
    points = tuple(Common(epoch, ours[epoch], theirs[epoch]) for epoch in common)
    return Curve(key, points, len(ours) - len(common), len(theirs) - len(common)) if points else None


def _by_epoch(key: str, records: Sequence[Record]) -> dict[float, float]:
    found = ((round(r["epoch"], 4), r[key]) for r in records if key in r)
    return {epoch: value for epoch, value in found if math.isfinite(value)}


def _results(first: Run, second: Run) -> Iterable[tuple[str, int, float | None, float | None]]:
    ours, theirs = _measured(first), _measured(second)
    for key in dict.fromkeys([*ours, *theirs]):
        one, other = ours.get(key), theirs.get(key)
        yield *key, one.top1 if one else None, other.top1 if other else None


def _measured(run: Run) -> dict[tuple[str, int], Measurement]:
    return {(m.protocol, m.images): m for m in (run.result.measurements if run.result else ())}


# ---------------------------------------------------------------- as text and JSON


def comparison_text(found: Comparison) -> str:
    """Return a comparison for people."""
    runs = (("first", found.first), ("second", found.second))
    parts = [table([(name, str(run.folder), _state(run)) for name, run in runs])]
    if found.differences:
        lines: list[tuple[str, ...]] = [("differs", "first", "second")]
        lines += [(d.what, _cell(d.first), _cell(d.second)) for d in found.differences]
        parts.append(table(lines))
    else:
        parts.append("nothing differs: recipe, seed, data, commit, machine and environment are the same")
    parts += [_curve_text(curve) for curve in found.curves] or ["the logs have no epoch in common"]
    if found.results:
        lines = [("top-1 under", "images", "first", "second", "difference")]
        lines += [_result_text(*result) for result in found.results]
        parts.append(table(lines, right=(1, 2, 3, 4)))
    if found.problems:
        count = len(found.problems)
        head = f"{count} damaged line{'s' if count > 1 else ''} skipped:"
        parts.append("\n".join([head, *(f"- {problem}" for problem in found.problems)]))
    return "\n\n".join(parts)


_LONGEST_CELL = 60


def _cell(text: str | None) -> str:
    if text is None:
        return "-"
    return text if len(text) <= _LONGEST_CELL else f"{text[: _LONGEST_CELL - 1]}…"


def _state(run: Run) -> str:
    if run.result:
        return "finished"
    at = run.progress
    return f"not finished: {at.state}" + (f" at step {at.step}" if at.step is not None else "")


def _curve_text(curve: Curve) -> str:
    points = curve.points
    every = -(-len(points) // SHOWN)
    shown = points[::-1][::every][::-1]
    lines = [(curve.key, "first", "second", "difference")]
    lines += [
        (f"  epoch {p.epoch:g}", f"{p.first:.4f}", f"{p.second:.4f}", _signed(p.difference)) for p in shown
    ]
    largest = curve.largest
    text = (
        f"  largest difference {_signed(largest.difference)} at epoch {largest.epoch:g}, {len(points)} points"
    )
    alone = [(curve.only_first, "first"), (curve.only_second, "second")]
    text += "".join(f", {count} more of the {name} alone" for count, name in alone if count)
    return f"{table(lines, right=(1, 2, 3))}\n{text}"


def _signed(value: float) -> str:
    return f"{value:+z.4f}"


def _result_text(protocol: str, images: int, first: float | None, second: float | None) -> tuple[str, ...]:
    figures = ["-" if value is None else f"{value:.2f}" for value in (first, second)]
    difference = "-" if first is None or second is None else f"{second - first:+z.2f}"
    return (f"  {protocol}", f"{images:,}", *figures, difference)


def _described(run: Run) -> dict[str, Any]:
    return {"run": str(run.folder), "recipe": run.recipe.name, "seed": run.seed, "state": _state(run)}


def _curve_json(curve: Curve) -> dict[str, Any]:
    points = [asdict(point) | {"difference": point.difference} for point in curve.points]
    largest = asdict(curve.largest) | {"difference": curve.largest.difference}
    alone = {"only_first": curve.only_first, "only_second": curve.only_second}
    return {"key": curve.key, "points": points, "largest": largest, **alone}
