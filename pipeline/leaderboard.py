"""Every target against what was reached, from the run folders alone. Light; no tracking server is asked.

A row is one target of one recipe. Runs that may be compared with it share a row, whatever their seed or
commit, and their mean is judged; runs that may not have rows of their own, without a verdict.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import stdev
from typing import Any

from pipeline.result import Result, Run, read_runs
from pipeline.verdict import Standing, standings, verdict
from recipes.schema import Recipe, Target

NOT_RUN = "not run yet"  # the reason of a row that no run was made for

Row = dict[str, Any]  # the keys of `leaderboard --json`
Problem = dict[str, str]  # {"path", "what"}


@dataclass(frozen=True)
class Entry:
    """One row, and what it was made from. target: None for a recipe that claims nothing."""

    row: Row
    recipe: Recipe
    target: Target | None
    runs: tuple[Run, ...] = ()


@dataclass(frozen=True)
class Board:
    """The leaderboard: its entries, and the run folders that could not be read."""

    entries: list[Entry]
    problems: list[Problem]

    @property
    def rows(self) -> list[Row]:
        return [entry.row for entry in self.entries]

    def to_json(self) -> dict[str, Any]:
        return {"rows": self.rows, "problems": self.problems}


def make_board(runs_folder: str | Path, book: Mapping[str, Recipe], with_missing: bool = False) -> Board:
    """Read every run and hold it against its targets, comparable ones first, then by year.

    book: the recipes as published, by name. with_missing: add the targets that nothing was run for.
    Raises Top1Error where there is no such folder.
    """
    runs, problems = read_runs(runs_folder)
    missing = _missing(runs, book) if with_missing else []
    return Board(_sorted([*entries_of(runs, book), *missing]), problems)


def entries_of(runs: Iterable[Run], book: Mapping[str, Recipe]) -> list[Entry]:
    """Return one entry for each target and group of runs that may be told as one."""
    groups: dict[tuple[Any, ...], list[Standing]] = {}
    untargeted: list[Entry] = []
    for run in runs:
        found = standings(run, book)
        for index, standing in enumerate(found):
            groups.setdefault((index, *_group(standing)), []).append(standing)
        if not found:
            untargeted.append(Entry(_row_without_target(run), run.recipe, None, (run,)))
    return [*map(_entry, groups.values()), *untargeted]


def _group(standing: Standing) -> tuple[Any, ...]:
    """Return what runs must share to be told in one row."""
    run, measured = standing.run, standing.measured
    if run.result is None:
        return (run.recipe.name, "not finished")
    if standing.comparable:
        return (run.recipe.name, standing.target)
    what = (measured.protocol, measured.images) if measured else None
    return (run.recipe.name, run.recipe.modified, standing.reasons, run.data.fingerprint, what)


def _entry(group: list[Standing]) -> Entry:
    first = group[0]
    return Entry(_row(group), first.run.recipe, first.target, tuple(standing.run for standing in group))


def _row(group: list[Standing]) -> Row:
    first = group[0]
    reached, gap = _mean(s.reached for s in group), _mean(s.gap for s in group)
    measured, results = first.measured, [s.run.result for s in group if s.run.result]
    return _of_recipe(first.run.recipe) | {
        **_of_target(first.target),
        **({"protocol": measured.protocol} if measured else {}),
        "reached": reached,
        "gap": gap,
        "verdict": verdict(first.target, reached) if first.comparable and reached is not None else None,
        "comparable": first.comparable,
        "reason": _reason(group),
        "images": measured.images if measured else None,
        "epochs": results[0].epochs if results else None,
        "gpu_hours": _mean(r.gpu_hours for r in results),
        "seeds": len({s.run.seed for s in group}) if results else 0,
        "commit": _listed(commit for s in group for commit in s.run.commits),
        "run": _listed(str(s.run.folder) for s in group),
        "spread": _spread(s.reached for s in group),
        "best": _best(group[0].target.metric, results),
    }


def _reason(group: list[Standing]) -> str | None:
    """Say why the row has no verdict; several unfinished runs are counted by their state."""
    if group[0].run.result is None and len(group) > 1:
        states = Counter(s.run.progress.state for s in group)
        return f"{len(group)} runs not finished ({', '.join(f'{n} {state}' for state, n in states.items())})"
    return "; ".join(group[0].reasons) or None


def _row_without_target(run: Run) -> Row:
    """Show a run of a recipe of one's own that claims nothing."""
    shown = run.result.measurements[0] if run.result and run.result.measurements else None
    return _of_recipe(run.recipe) | {
        **_NO_TARGET,
        **_NOTHING_REACHED,
        "protocol": shown.protocol if shown else None,
        "reached": _rounded(shown.top1 if shown else None),
        "reason": _why_no_target(run),
        "images": shown.images if shown else None,
        "epochs": run.result.epochs if run.result else None,
        "gpu_hours": _rounded(run.result.gpu_hours if run.result else None),
        "seeds": 1 if run.result else 0,
        "commit": run.commit or None,
        "run": str(run.folder),
        "best": _best("top1", [run.result] if run.result else []),
    }


def _why_no_target(run: Run) -> str:
    if run.result is None:
        return f"not finished: {run.progress.state}"
    if run.members:
        return f"no target averages these {len(run.members)} networks"
    return "the recipe states no target"


def _missing(runs: Iterable[Run], book: Mapping[str, Recipe]) -> list[Entry]:
    run_names = {run.recipe.name for run in runs}
    return [
        Entry(_of_recipe(recipe) | _of_target(target) | _NOTHING_REACHED, recipe, target)
        for recipe in book.values()
        if recipe.name not in run_names
        for target in recipe.targets
    ]


def _of_recipe(recipe: Recipe) -> Row:
    return {"recipe": recipe.name, "family": recipe.family, "year": recipe.year}


def _of_target(target: Target) -> Row:
    return {
        "metric": target.metric,
        "protocol": target.evaluation.protocol,
        "target": target.value,
        "source": f"{target.source.key} {target.where}",
    }


_NO_TARGET: Row = {"metric": "top1", "protocol": None, "target": None, "source": None}
_NOTHING_REACHED: Row = {
    "reached": None,
    "gap": None,
    "verdict": None,
    "comparable": False,
    "reason": NOT_RUN,
    "images": None,
    "epochs": None,
    "gpu_hours": None,
    "seeds": 0,
    "commit": None,
    "run": None,
    "spread": None,
    "best": None,
}


def _sorted(found: list[Entry]) -> list[Entry]:
    """Order by comparability, then year; sorting is stable, so a recipe's targets keep their order."""
    return sorted(found, key=lambda e: (not e.row["comparable"], e.row["year"], e.row["recipe"]))


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return _rounded(sum(known) / len(known)) if known else None


def _spread(values: Iterable[float | None]) -> float | None:
    """Return the sample standard deviation over runs, None of fewer than two."""
    known = [value for value in values if value is not None]
    return _rounded(stdev(known)) if len(known) > 1 else None


def _best(metric: str, results: Iterable[Result]) -> float | None:
    """Return the best epoch's top-1: selected on the test set, so shown and never judged."""
    found = [result.best_top1 for result in results if result.best_top1 is not None]
    return _rounded(max(found)) if found and metric == "top1" else None


def _rounded(value: float | None) -> float | None:
    """Cut what a float adds: one image of 50,000 is 0.002 points."""
    return None if value is None else round(value, 4)


def _listed(values: Iterable[str]) -> str | None:
    return ", ".join(dict.fromkeys(value for value in values if value)) or None
