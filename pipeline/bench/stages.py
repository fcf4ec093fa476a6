"""`top1 bench stages`: the real training loop through all stages of a recipe, a few steps each. Light.

No comparison: what each stage costs, how long the change to it takes, what memory it needs, and how long the
recipe's validation takes. `top1 show` forecasts whole runs from it (`pipeline.forecast`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pipeline.bench.figures import facts_text
from pipeline.bench.training import TrainingBench, files_of, machine_of, plain, told_of
from pipeline.child import answer_of
from pipeline.columns import table

_CHILD = "pipeline.bench.staged_loop"


def bench_stages(bench: TrainingBench, feed: str, tell: Callable[[str], None]) -> dict[str, Any]:
    """Return the answer of `bench stages --json`. feed: "data" (real images) or "memory".

    Raises Top1Error where the loop fails, as it does when a stage needs more memory than there is.
    """
    with tempfile.TemporaryDirectory(prefix="top1-bench-") as folder:
        files = files_of(bench, Path(folder), tell)
        recipe = plain(bench.recipe, bench.batch, keep=True)
        told = told_of(bench, recipe, files, Path(folder) / "run", feed=feed)
        tell(f"training    {bench.recipe.name}, {bench.steps} steps a stage")
        found = answer_of(_CHILD, told, "the loop")
    return {"machine": machine_of(bench) | {"feed": feed}, **found}


def stages_text(answer: Mapping[str, Any]) -> str:
    """Return the answer of `bench stages --json` for people."""
    head = ("stage", "pixels", "images/s", "ms/step", "data wait", "first step s", "GiB")
    rows = [
        (
            str(row["stage"]),
            str(row["image_size"]),
            f"{row['images_per_second']:.0f}",
            f"{row['milliseconds_per_step']:.1f}",
            f"{row['data_wait_share']:.3f}",
            f"{row['first_step_seconds']:.2f}",
            f"{row['gpu_memory_gib']:.1f}" if row["gpu_memory_gib"] else "",
        )
        for row in answer["rows"]
    ]
    evaluation = answer["evaluation"]
    start = evaluation.get("start_seconds")  # not in answers from before it was measured
    after = "" if start is None else f" after {start:.2f} s"
    evaluated = (
        f"evaluation  {evaluation['protocol']}: "
        f"{evaluation['images'] / (evaluation['seconds'] - (start or 0.0)):.0f} images/s{after}, "
        f"{evaluation['images']} in {evaluation['seconds']:.2f} s"
    )
    return f"{facts_text(answer['machine'])}\n\n{table([head, *rows], right=range(7))}\n\n{evaluated}"
