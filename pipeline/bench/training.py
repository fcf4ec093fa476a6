"""`top1 bench step` and `top1 bench train`: what our training loop costs, and what real data cost it. Light.

Rows are compared by the clock: a loop that waits is what is looked for. Each row is a process of its own
(`training_loops`), and the rows take turns.
"""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from pipeline import machine
from pipeline.bench.figures import (
    COMPARED_HEAD,
    Goal,
    Row,
    Timings,
    check_rounds,
    clock_cost,
    compared_text,
    facts_text,
    goal_json,
    goals_text,
    row_json,
)
from pipeline.bench.images import bench_files
from pipeline.bench.rounds import interleaved
from pipeline.columns import table
from pipeline.errors import UsageError
from recipes.schema import EMA, Recipe
from recipes.serialize import to_dict

_CHILD = "pipeline.bench.training_loops"
_EMA_DECAY, _CLIP_NORM = 0.9999, 1.0  # of the rows that show what they cost; any other costs as much


@dataclass(frozen=True)
class TrainingBench:
    """What is measured. batch: images a step. stage: of a progressive recipe, from 0, the last by default.

    data: a prepared folder, None for `images` generated ones, kept in `cache`.
    """

    recipe: Recipe
    batch: int
    steps: int
    rounds: int
    threads: int
    starts: int = 1
    device: str = "auto"
    precision: str = "auto"
    compile: str = "auto"
    stage: int | None = None
    peers: Sequence[str] = ()
    data: Path | None = None
    images: int = 1024
    cache: Path = Path()


@dataclass(frozen=True)
class _Row:
    """One row. loop: which one. feed: where its batches come from. against: the row it is compared with."""

    name: str
    against: str
    recipe: Recipe
    loop: str = "top1"
    feed: str = "memory"
    accumulation: int = 1


def bench_step(bench: TrainingBench, tell: Callable[[str], None]) -> dict[str, Any]:
    """Return the answer of `bench step --json`: our loop beside others, all on one batch kept in memory."""
    rows = list(_step_rows(bench))
    goals = [Goal("top1", "bare", 0.98)] if "bare" in bench.peers else []
    return _measure(bench, rows, goals, tell)


def bench_train(bench: TrainingBench, tell: Callable[[str], None]) -> dict[str, Any]:
    """Return the answer of `bench train --json`: our loop on real images beside one on a batch in memory."""
    recipe = plain(bench.recipe, bench.batch, keep=True)
    rows = [_Row("synthetic", "synthetic", recipe), _Row("top1", "synthetic", recipe, feed="data")]
    rows += [_Row(peer, "synthetic", recipe, loop=_LOOPS[peer], feed=peer) for peer in bench.peers]
    goals = [Goal("top1", "synthetic", 0.98 if _on_gpu(bench) else 0.95)]
    return _measure(bench, rows, goals, tell)


_LOOPS = {"timm": "bare", "torchvision": "torchvision"}  # of the peers of `bench train`


def _step_rows(bench: TrainingBench) -> Iterator[_Row]:
    own = plain(bench.recipe, bench.batch)
    baseline = "bare" if "bare" in bench.peers else "top1"
    for loop in (*bench.peers, "top1"):
        yield _Row(loop, baseline, own, loop)
    if bench.batch % 2 == 0:
        yield _Row("top1, 2 passes a step", "top1", own, accumulation=2)
    yield _Row("top1, weight average", "top1", replace(own, ema=EMA(_EMA_DECAY)))
    clipping = replace(own.regularization, clip_norm=_CLIP_NORM)
    yield _Row("top1, gradient clipping", "top1", replace(own, regularization=clipping))
    if bench.recipe.data.mixing:
        mixing = replace(own, data=replace(own.data, mixing=bench.recipe.data.mixing))
        yield _Row("top1, mixing", "top1", mixing)
    norm = bench.recipe.model.batch_norm
    if norm and norm.images and norm.images < bench.batch and bench.batch % norm.images == 0:
        groups = replace(own, model=replace(own.model, batch_norm=norm))
        yield _Row(f"top1, batch norm over {norm.images}", "top1", groups)


def plain(recipe: Recipe, batch: int, keep: bool = False) -> Recipe:
    """Return the recipe with this batch, batch norm over all of it, and nothing that a bare loop has not.

    keep: what a recipe does to its images and weights stays.
    """
    norm = recipe.model.batch_norm
    data = replace(recipe.data, batch_size=batch)
    model = replace(recipe.model, batch_norm=norm and replace(norm, images=None, frozen_epochs=0.0))
    if keep:
        return replace(recipe, data=data, model=model)
    return replace(
        recipe,
        data=replace(data, mixing=None),
        model=model,
        regularization=replace(recipe.regularization, clip_norm=None),
        ema=None,
    )


def _measure(
    bench: TrainingBench, rows: Sequence[_Row], goals: Sequence[Goal], tell: Callable[[str], None]
) -> dict[str, Any]:
    check_rounds(bench.rounds)
    stages = bench.recipe.progressive.stages if bench.recipe.progressive else 1
    if bench.stage is not None and not 0 <= bench.stage < stages:
        raise UsageError(f"--stage {bench.stage}: {bench.recipe.name} has the stages 0 to {stages - 1}.")
    with tempfile.TemporaryDirectory(prefix="top1-bench-") as folder:
        files = files_of(bench, Path(folder), tell)
        told = {
            row.name: told_of(
                bench, row.recipe, files, Path(folder) / f"run{i}", row.loop, row.feed, row.accumulation
            )
            for i, row in enumerate(rows)
        }
        timings = interleaved(told, bench.rounds, tell, child=_CHILD, starts=bench.starts)
    return {
        "machine": machine_of(bench) | {"starts": bench.starts},
        "baseline": rows[0].against,
        "rows": [_row_json(row, timings) for row in rows],
        "goals": [goal_json(goal, timings, clock_cost) for goal in goals if goal.name in timings],
    }


def files_of(bench: TrainingBench, folder: Path, tell: Callable[[str], None]) -> Path:
    """Put the images of a bench into a folder below `folder`; return it. Raises UsageError for too few."""
    if bench.images < bench.batch:
        raise UsageError(f"--images {bench.images} are fewer than one --batch of {bench.batch}.")
    return bench_files(bench.data, bench.images, bench.cache, folder / "files", bench.threads, tell)


def told_of(
    bench: TrainingBench,
    recipe: Recipe,
    files: Path,
    run: Path,
    loop: str = "top1",
    feed: str = "memory",
    accumulation: int = 1,
) -> dict[str, Any]:
    """Return what a training loop in a process of its own is told (`training_loops.Told`)."""
    return {
        "recipe": to_dict(recipe),
        "loop": loop,
        "feed": feed,
        "accumulation": accumulation,
        "files": str(files),
        "run": str(run),
        "stage": bench.stage,
        "steps": bench.steps,
        "threads": bench.threads,
        "device": bench.device,
        "precision": bench.precision,
        "compile": bench.compile,
    }


def _row_json(row: _Row, timings: Timings) -> dict[str, Any]:
    mine = timings[row.name]
    return row_json(Row(row.name, row.against), timings, clock_cost) | {
        "milliseconds_per_step": median(
            1000 * timing.seconds / timing.images * row.recipe.data.batch_size for timing in mine
        ),
        "data_wait_share": median(timing.waited / timing.seconds for timing in mine),
        "gpu_memory_gib": max(timing.gpu_memory_gib for timing in mine),
    }


def _on_gpu(bench: TrainingBench) -> bool:
    return bench.device != "cpu" and bool(machine.gpu_models())


def machine_of(bench: TrainingBench) -> dict[str, Any]:
    return {
        "recipe": bench.recipe.name,
        "gpu": (machine.gpu_models() or [None])[0] if _on_gpu(bench) else None,
        "cpu": machine.cpu_model(),
        "cpus": machine.cpus_allotted(),
        "load": round(os.getloadavg()[1], 1),
        "threads": bench.threads,
        "batch": bench.batch,
        "steps": bench.steps,
        "rounds": bench.rounds,
        "precision": bench.precision,
        "compile": bench.compile,
        "python": platform.python_version(),
        "dali": ", ".join(machine.dali_builds().values()),
        **machine.versions(("torch", "torchvision", "timm", "accelerate")),
    }


def training_text(answer: Mapping[str, Any]) -> str:
    """Return the answer of `bench step --json` or `bench train --json` for people."""
    head = ("loop", "images/s", "ms/step", "data wait", "GiB", *COMPARED_HEAD)
    rows = [
        (
            row["name"],
            f"{row['images_per_second']:.0f}",
            f"{row['milliseconds_per_step']:.2f}",
            f"{row['data_wait_share']:.3f}",
            f"{row['gpu_memory_gib']:.1f}" if row["gpu_memory_gib"] else "",
            *compared_text(row),
        )
        for row in answer["rows"]
    ]
    shown = table([head, *rows], right=range(1, 7))
    return f"{facts_text(answer['machine'])}\n\n{shown}\n\n{goals_text(answer['goals'])}".rstrip()
