"""What one process's GPU does while it trains: memory and utilization, for the log. Heavy: torch."""

from __future__ import annotations

import contextlib

import pynvml
import torch


def gpu_figures(device: torch.device) -> dict[str, float]:
    """Return the figures of a GPU by the names they are logged by; nothing for a CPU.

    Memory is the most that torch has held since the process began, and what the device has in use, in GiB.
    Utilization is NVML's, percent of the last sampling period in which a kernel ran; where the driver does
    not tell it (a slice of a GPU), it is left out. Nothing here waits for the device.
    """
    if device.type != "cuda":
        return {}
    free, total = torch.cuda.mem_get_info(device)
    found = {
        "system/gpu_memory_peak_gib": torch.cuda.max_memory_reserved(device) / 2**30,
        "system/gpu_memory_used_gib": (total - free) / 2**30,
    }
    # RuntimeError: torch finds no library of the driver's.
    with contextlib.suppress(pynvml.NVMLError, RuntimeError):
        found["system/gpu_utilization_percent"] = float(torch.cuda.utilization(device))
    return found
