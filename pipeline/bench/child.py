"""One row of the bench in a process of its own: warms up, then makes a round of images whenever it is told.

A round is counted from a standing start to a standstill: everything fetched ahead was there before it and is
there again after it, so that the time in between is that of exactly the images of the round.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import torch

from pipeline.bench.figures import Timing

_POLL_SECONDS = 0.002
_STILL_SECONDS = 0.05  # without CPU time: all threads and workers wait
_MOST_SECONDS = 20.0  # a loader that never rests could not be measured
_REST_CPU_SECONDS = 0.0005  # used up by a poll itself, at most
_REST_GPU_SECONDS = 0.001  # that waiting for a GPU takes which has nothing to do, at most


def measured_rounds(stream: Iterator[Any], batches: int, orders: TextIO) -> Iterator[Timing]:
    """Yield the timing of a round to warm up, then of one round for each line of `orders`."""
    yield _round(stream, batches)
    for _ in orders:
        yield _round(stream, batches)


def _round(stream: Iterator[Any], batches: int) -> Timing:
    _, cpu_start = _standstill()
    start = time.perf_counter()
    images = sum(len(batch) for batch in islice(stream, batches))
    end, cpu_end = _standstill()
    return Timing(images, end - start, cpu_end - cpu_start)


def _standstill() -> tuple[float, float]:
    """Wait until nothing works any more; return when that was, and the CPU seconds used until then."""
    _gpu_was_busy()
    deadline = time.perf_counter() + _MOST_SECONDS
    last, used = time.perf_counter(), _cpu_seconds()
    while (now := time.perf_counter()) < min(deadline, last + _STILL_SECONDS):
        time.sleep(_POLL_SECONDS)
        gpu_was_busy = _gpu_was_busy()  # with what a thread asked of it since
        before, used = used, _cpu_seconds()
        if gpu_was_busy or used - before > _REST_CPU_SECONDS:
            last = time.perf_counter()
    if now >= deadline:
        raise RuntimeError(f"still working {_MOST_SECONDS:g} s after the last batch was taken")
    return last, used


def _gpu_was_busy() -> bool:
    """Wait until the GPU has done what was asked of it; return whether it had not."""
    if not torch.cuda.is_initialized():
        return False
    start = time.perf_counter()
    torch.cuda.synchronize()
    return time.perf_counter() - start > _REST_GPU_SECONDS


def _cpu_seconds() -> float:
    """Return the CPU time of this process and its workers."""
    workers = (worker.pid for worker in multiprocessing.active_children() if worker.pid is not None)
    return time.process_time() + sum(time.clock_gettime(_cpu_clock(pid)) for pid in workers)


def _cpu_clock(pid: int) -> int:
    """Return the number of another process's CPU clock, as Linux's clock_getcpuclockid(3) makes it."""
    return ~pid << 3 | 2


def main() -> None:
    """Read what to load, then answer each line on stdin with the timing of a round, a line of JSON."""
    answers, sys.stdout = sys.stdout, sys.stderr  # libraries may print
    from pipeline.bench.evaluations import EVALUATIONS
    from pipeline.bench.loaders import LOADERS, Setting

    told = json.loads(sys.stdin.readline())
    loader, batches = told.pop("loader"), told.pop("batches")
    # One thread a process: the loaders' own threads and workers are what is counted.
    torch.set_num_threads(1)
    stream = {**LOADERS, **EVALUATIONS}[loader](Setting(**{**told, "folder": Path(told["folder"])}))
    for timing in measured_rounds(stream, batches, sys.stdin):
        print(json.dumps(asdict(timing)), file=answers, flush=True)


if __name__ == "__main__":
    main()
