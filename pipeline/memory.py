"""The memory of a device: how much there is and was used, and what to do where it runs out. Heavy: torch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import torch

from pipeline import machine
from pipeline.errors import CrashError, is_out_of_memory
from pipeline.plan import Plan, micro_batches
from pipeline.progressive import stage_at


@contextlib.contextmanager
def told_where_it_ends(plan: Plan, folder: Path, step: int, device: torch.device) -> Iterator[None]:
    """Raise CrashError instead of a library's error where a pass of a step (from 0) needs too much."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        smaller = [m for m in micro_batches(plan.recipe, plan.gpus) if m < plan.micro_batch]
        advice = (
            f"`top1 requeue {folder} --micro-batch {max(smaller)}` (--local where no SLURM runs it) goes on "
            "with fewer a pass, the same global batch"
            if smaller
            else "use more GPUs, or ones with more memory"
        )
        raise CrashError(
            f"memory ran out in step {step + 1}, {plan.micro_batch} images of "
            f"{stage_at(plan.stages, step).image_size} pixels a pass, on {name_of(device)} with "
            f"{total_gib(device):.1f} GiB: {advice}."
        ) from error


def name_of(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else machine.cpu_model()


def total_gib(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[1] / 2**30
    return _kib("/proc/meminfo", "MemTotal") / 2**20


def used_gib(device: torch.device) -> float:
    """Return the most that torch has held of a GPU, or this process of the machine's memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device) / 2**30
    return _kib("/proc/self/status", "VmHWM") / 2**20


def _kib(path: str, key: str) -> int:
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key))
