"""`top1 bench loader`: our loader beside others, on the same files, in one run."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import machine
from pipeline.bench.figures import Goal, Row, check_rounds, clock_cost, cpu_cost, goal_json, row_json
from pipeline.bench.images import bench_files, pack
from pipeline.bench.rounds import interleaved
from pipeline.errors import UsageError

_BASELINE = "dali"
_RANDAUGMENTING = ("timm",)
_GOALS = (
    Goal("top1", "dali", 0.97),
    Goal("top1", "imagefolder", 1.5),
    Goal("top1 randaugment", "timm randaugment", 1.0),
)


@dataclass(frozen=True)
class Bench:
    """What to measure. data: a prepared folder, None for generated images, kept in `cache`.

    images: how many there are, and how many of them a round makes. sizes: the first with all peers, others
    with the baseline alone. storage: also from one tar.
    """

    data: Path | None
    cache: Path
    images: int
    sizes: Sequence[int]
    batch: int
    rounds: int
    starts: int
    threads: int
    randaugment: bool
    storage: bool
    peers: Sequence[str]
    device: str


@dataclass(frozen=True)
class Variant:
    """One row: a loader of `loaders.LOADERS` and what is asked of it. plain_size: the one not named."""

    loader: str
    size: int
    plain_size: int
    randaugment: bool = False
    pack: bool = False

    @property
    def name(self) -> str:
        words = [
            self.loader,
            *(["randaugment"] if self.randaugment else []),
            *(["pack"] if self.pack else []),
        ]
        return " ".join(words) + self._at_size

    @property
    def against(self) -> str:
        return _BASELINE + self._at_size

    @property
    def _at_size(self) -> str:
        return "" if self.size == self.plain_size else f" {self.size}px"


def bench_loader(bench: Bench, tell: Callable[[str], None]) -> dict[str, Any]:
    """Measure; return the answer of `bench loader --json`."""
    check_rounds(bench.rounds)
    if bench.images % bench.batch:
        raise UsageError(f"--images {bench.images} is no multiple of --batch {bench.batch}.")
    variants = variants_of(bench)
    rows = [Row(variant.name, variant.against) for variant in variants]
    with tempfile.TemporaryDirectory(prefix="top1-bench-") as folder:
        told = _told(bench, variants, Path(folder), tell)
        timings = interleaved(told, bench.rounds, tell, starts=bench.starts)
    # A GPU's work is no CPU time.
    cost = cpu_cost if bench.device == "cpu" else clock_cost
    goals = [goal for goal in _GOALS if goal.name in timings and goal.against in timings]
    return {
        "machine": _machine(bench),
        "baseline": _BASELINE,
        "rows": [row_json(row, timings, cost) for row in rows],
        "goals": [goal_json(goal, timings, cost) for goal in goals],
    }


def variants_of(bench: Bench) -> list[Variant]:
    """Return the rows, the baseline first."""
    first, *others = bench.sizes
    found = [Variant(name, first, first) for name in (_BASELINE, "top1", *bench.peers)]
    if bench.storage:
        found.append(Variant("top1", first, first, pack=True))
    if bench.randaugment:
        names = ("top1", *(name for name in bench.peers if name in _RANDAUGMENTING))
        found += [Variant(name, first, first, randaugment=True) for name in names]
    return found + [Variant(name, size, first) for size in others for name in (_BASELINE, "top1")]


def _told(
    bench: Bench, variants: Sequence[Variant], folder: Path, tell: Callable[[str], None]
) -> dict[str, dict[str, Any]]:
    """Stage the images; return what each row's process needs to know."""
    files = bench_files(bench.data, bench.images, bench.cache, folder / "files", bench.threads, tell)
    packed = pack(files, folder / "pack") if bench.storage else files
    return {
        variant.name: {
            "loader": variant.loader,
            "folder": str(packed if variant.pack else files),
            "size": variant.size,
            "batch": bench.batch,
            "threads": bench.threads,
            "randaugment": variant.randaugment,
            "device": bench.device,
            "batches": bench.images // bench.batch,
        }
        for variant in variants
    }


def _machine(bench: Bench) -> dict[str, Any]:
    libraries = machine.versions(("torch", "torchvision", "timm", "pillow", "numba"))
    return {
        "cpu": machine.cpu_model(),
        "cpus": machine.cpus_allotted(),
        **({"gpu": (machine.gpu_models() or ["?"])[0]} if bench.device != "cpu" else {}),
        "threads": bench.threads,
        "batch": bench.batch,
        "rounds": bench.rounds,
        "starts": bench.starts,
        "images": bench.images,
        "python": platform.python_version(),
        "dali": ", ".join(machine.dali_builds().values()),
        **libraries,
    }
