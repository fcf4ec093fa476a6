"""What the page's charts draw, as plain data. Light; decides nothing and writes no HTML."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from pipeline import journal
from pipeline.errors import Top1Error
from pipeline.leaderboard import NOT_RUN, Board, Entry, Problem
from pipeline.plan import steps_of
from pipeline.progressive import make_stages
from pipeline.result import Run
from pipeline.show import supposed_data, training_gmacs
from recipes.schema import Recipe

LONGEST_CURVE = 200  # points; more cannot be told apart on a screen

Facts = dict[str, Any]


def facts_of(board: Board) -> tuple[Facts, list[Problem]]:
    """Return what the charts draw, and the problems of the board and of the journals read for it."""
    curves, problems = _curves(board.entries)
    points = [_point(number, entry) for number, entry in enumerate(board.entries)]
    return {"points": points, "curves": curves}, [*board.problems, *problems]


def status_of(entry: Entry) -> str:
    """Return the one word a row is filtered by: its verdict, or why it has none."""
    row = entry.row
    if row["verdict"]:
        return str(row["verdict"])
    return NOT_RUN if row["reason"] == NOT_RUN else "not comparable"


def counts_of(board: Board) -> dict[str, int]:
    """Return how many targets have each status."""
    return dict(Counter(status_of(entry) for entry in board.entries))


def published_figure(entry: Entry) -> str | None:
    """Return what tells one published figure from another; None for a changed recipe, which has none."""
    row = entry.row
    if entry.target is None or entry.recipe.modified:
        return None
    return f"{row['recipe']} {row['source']} {entry.target.evaluation.protocol} {row['target']}"


def training_exaflop(recipe: Recipe) -> float | None:
    """Return 1e18 operations that the recipe's training takes, two a multiply-add; its data as published."""
    steps_per_epoch, total_steps = steps_of(recipe, supposed_data(recipe))
    if not total_steps:
        return None
    stages = make_stages(recipe, total_steps, steps_per_epoch)
    return 2e-9 * training_gmacs(recipe.model, stages, recipe.data.batch_size)


def _point(number: int, entry: Entry) -> Facts:
    row, recipe = entry.row, entry.recipe
    cost = training_exaflop(recipe)
    return {
        "id": row_id(number),
        "status": status_of(entry),
        "dataset": recipe.data.dataset,
        "parameters": recipe.model.parameters,
        "exaflop": None if cost is None else float(f"{cost:.3g}"),
        "published": published_figure(entry),
        "std": entry.target.std if entry.target else None,
        "extra_data": entry.target.extra_data if entry.target else "none",
        **{key: row[key] for key in _SHOWN},
    }


_SHOWN = (
    *("recipe", "family", "year", "metric", "protocol", "target", "source", "reached", "spread", "gap"),
    *("reason", "gpu_hours", "seeds"),
)


def row_id(number: int) -> str:
    """Return the id of a row's element, by which charts open it."""
    return f"target-{number}"


# ---------------------------------------------------------------- learning curves


def _curves(entries: Sequence[Entry]) -> tuple[list[Facts], list[Problem]]:
    """Return a curve for each run, once, with the first of its targets that is top-1."""
    found: dict[str, Facts] = {}
    problems: list[Problem] = []
    for number, entry in enumerate(entries):
        for run in entry.runs:
            if run.id in found:
                continue
            try:
                records, damaged = journal.read(run.folder)
            except OSError as error:
                raise Top1Error(f"{run.folder / journal.NAME} cannot be read: {error.strerror}") from error
            problems += _damaged(run, damaged)
            if points := _points(records):
                found[run.id] = _curve(number, entry, run, points)
    return list(found.values()), problems


def _curve(number: int, entry: Entry, run: Run, points: list[list[float]]) -> Facts:
    target = entry.target if entry.target and entry.target.metric == "top1" else None
    return {
        "id": row_id(number),
        "recipe": run.recipe.name,
        "family": run.recipe.family,
        "status": status_of(entry),
        "seed": run.seed,
        "data": run.data.name,
        "epochs": run.recipe.schedule.epochs,
        "protocol": run.recipe.validation.protocol,
        "target": target.value if target else None,
        "target_protocol": target.evaluation.protocol if target else None,
        "points": points,
    }


def _points(records: Iterable[journal.Record]) -> list[list[float]]:
    """Return [epoch, top-1] of each validation, thinned evenly with the last one kept."""
    found = [
        [round(r["epoch"], 3), round(r["val/top1"], 3)]
        for r in records
        if math.isfinite(r.get("val/top1", math.nan))
    ]
    every = -(-len(found) // LONGEST_CURVE) or 1
    return found[::-1][::every][::-1]


def _damaged(run: Run, problems: Sequence[str]) -> Iterable[Problem]:
    if problems:
        lines = "line" if len(problems) == 1 else "lines"
        what = f"{len(problems)} damaged {lines} of its log skipped; the first: {problems[0]}"
        yield {"path": str(run.folder), "what": what}
