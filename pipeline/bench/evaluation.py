"""`top1 bench eval`: our evaluation beside torchvision's plain loop, the same files and network."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import machine
from pipeline.bench.figures import Goal, Row, check_rounds, goal_json, row_json
from pipeline.bench.images import bench_files
from pipeline.bench.rounds import interleaved
from pipeline.errors import UsageError

_BASELINE = "imagefolder"
_SIZE = 224  # pixels
_GOALS = (Goal("top1", _BASELINE, 1.0), Goal("top1 ten_crop", "imagefolder ten_crop", 1.0))


@dataclass(frozen=True)
class EvalBench:
    """What to measure. data: a prepared folder, None for generated images, kept in `cache`.

    network: of torchvision, with random weights. ten_crop: also under ten crops.
    """

    data: Path | None
    cache: Path
    images: int
    batch: int
    rounds: int
    starts: int
    threads: int
    network: str
    ten_crop: bool


def bench_eval(bench: EvalBench, tell: Callable[[str], None]) -> dict[str, Any]:
    """Measure; return the answer of `bench eval --json`."""
    check_rounds(bench.rounds)
    if bench.images % bench.batch:
        raise UsageError(f"--images {bench.images} is no multiple of --batch {bench.batch}.")
    kinds = ["", " ten_crop"] if bench.ten_crop else [""]
    rows = [Row(f"{name}{kind}", f"{_BASELINE}{kind}") for kind in kinds for name in (_BASELINE, "top1")]
    with tempfile.TemporaryDirectory(prefix="top1-bench-") as folder:
        files = bench_files(
            bench.data, bench.images, bench.cache, Path(folder) / "files", bench.threads, tell
        )
        told = {row.name: _told(bench, row.name, files) for row in rows}
        timings = interleaved(told, bench.rounds, tell, starts=bench.starts)
    goals = [goal for goal in _GOALS if goal.name in timings]
    return {
        "machine": {
            "cpu": machine.cpu_model(),
            "cpus": machine.cpus_allotted(),
            "threads": bench.threads,
            "batch": bench.batch,
            "rounds": bench.rounds,
            "starts": bench.starts,
            "images": bench.images,
            "network": bench.network,
            **machine.versions(("torch", "torchvision", "pillow")),
        },
        "baseline": _BASELINE,
        "rows": [row_json(row, timings) for row in rows],
        "goals": [goal_json(goal, timings) for goal in goals],
    }


def _told(bench: EvalBench, name: str, files: Path) -> dict[str, Any]:
    return {
        "loader": f"eval {name}",
        "folder": str(files),
        "size": _SIZE,
        "batch": bench.batch,
        "threads": bench.threads,
        "network": bench.network,
        "batches": bench.images // bench.batch,
    }
