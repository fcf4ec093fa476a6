"""What this machine is and what is installed on it, without opening any of it. Light."""

from __future__ import annotations

import os
import platform
import re
from collections import Counter
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

LIBRARIES = ("torch", "torchvision", "timm", "accelerate", "mlflow", "submitit", "numba")
_DALI = re.compile(r"nvidia-dali-cuda(\d+)0$")  # CUDA 13.0 is 130


def dali_builds() -> dict[int, str]:
    """Return the version of every installed build of DALI, by its CUDA major version."""
    named = (
        (re.sub(r"[_.]", "-", one.metadata["Name"]).lower(), one.version) for one in metadata.distributions()
    )
    return {int(match[1]): version for name, version in named if (match := _DALI.match(name))}


def versions(names: Iterable[str]) -> dict[str, str | None]:
    """Return the installed version of each library, None where it is missing."""
    return {name: _version(name) for name in names}


def cpus_allotted() -> int:
    """Return how many CPUs the scheduler lets this process use."""
    return len(os.sched_getaffinity(0))


def cpu_model() -> str:
    """Return the processor's name, as Linux tells it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def gpu_models() -> list[str]:
    """Return the names of this node's GPUs, as NVIDIA's driver tells them without being opened."""
    found = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    lines = [line for path in found for line in path.read_text().splitlines()]
    return [line.partition(":")[2].strip() for line in lines if line.startswith("Model:")]


def hardware() -> str:
    """Return what kind of node this is: `8x NVIDIA H100 80GB HBM3, 192x INTEL(R) XEON(R) ...`."""
    kinds = [*Counter(gpu_models()).items(), (cpu_model(), os.cpu_count() or 1)]
    return ", ".join(f"{count}x {name}" for name, count in kinds)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
