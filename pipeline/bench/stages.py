"""`top1 bench stages`: the real training loop through all stages of a recipe, a few steps each. Light.

No comparison: what each stage costs, how long the change to it takes, and what memory it needs.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pipeline.bench.figures import facts_text
from pipeline.bench.training import TrainingBench, files_of, machine_of, plain, told_of
from pipeline.columns import table
from pipeline.errors import Top1Error

_CHILD = "pipeline.bench.staged_loop"
_LINES_SHOWN = 5  # of what a failed loop printed


def bench_stages(bench: TrainingBench, feed: str, tell: Callable[[str], None]) -> dict[str, Any]:
    """Return the answer of `bench stages --json`. feed: "data" (real images) or "memory".

    Raises Top1Error where the loop fails, as it does when a stage needs more memory than there is.
    """
    with tempfile.TemporaryDirectory(prefix="top1-bench-") as folder:
        files = files_of(bench, Path(folder), tell)
        recipe = plain(bench.recipe, bench.batch, keep=True)
        told = told_of(bench, recipe, files, Path(folder) / "run", feed=feed)
        tell(f"training    {bench.recipe.name}, {bench.steps} steps a stage")
        done = subprocess.run(
            [sys.executable, "-m", _CHILD],
            input=json.dumps(told) + "\n",
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        lines = " / ".join(done.stderr.strip().splitlines()[-_LINES_SHOWN:])
        raise Top1Error(f"the loop ended with code {done.returncode}: {lines}")
    return {"machine": machine_of(bench) | {"feed": feed}, "rows": json.loads(done.stdout)}


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
    return f"{facts_text(answer['machine'])}\n\n{table([head, *rows], right=range(7))}"
