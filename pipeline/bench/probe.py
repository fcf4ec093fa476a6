"""Our loader alone for some seconds: what `top1 doctor` says of a machine's speed. Heavy."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from pipeline.bench.images import generate
from pipeline.bench.loaders import LOADERS, Setting
from pipeline.data.header import read_header

_IMAGES = 64  # generated ones
_SIZE, _BATCH = 224, 64


def probe(data: Path | None, threads: int, seconds: float) -> dict[str, Any]:
    """Load the train split of a prepared set, or generated images, for some seconds; return what came."""
    if data is not None:
        return _probe(data, threads, seconds)
    with tempfile.TemporaryDirectory(prefix="top1-doctor-") as folder:
        return _probe(generate(Path(folder), _IMAGES, threads), threads, seconds)


def _probe(folder: Path, threads: int, seconds: float) -> dict[str, Any]:
    header = read_header(folder)
    batch = min(_BATCH, header.splits["train"].images)
    batches = LOADERS["top1"](Setting(folder, _SIZE, batch, threads))
    next(batches)
    images, start, cpu_start = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - start < seconds:
        images += len(next(batches))
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu_start
    return {
        "data": header.name,
        "image_size": _SIZE,
        "threads": threads,
        "images_per_second": images / wall,
        "images_per_cpu_second": images / cpu,
    }
