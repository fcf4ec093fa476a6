"""The step that `probe` asks for, in a process of its own. Heavy: torch."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from pipeline import machine
from pipeline.accelerator import start_accelerator
from pipeline.gpu import settled
from pipeline.noise import noise_batch
from pipeline.plan import Plan, plan_from_dict
from pipeline.probe import largest_stage
from pipeline.step import train_step
from pipeline.trained import prepare_training


def main() -> None:
    """Read a plan; take two steps of its largest stage, print the second's figures as one line of JSON."""
    answers, sys.stdout = sys.stdout, sys.stderr  # libraries may print
    plan = alone(plan_from_dict(json.load(sys.stdin)))
    accelerator = start_accelerator(plan)
    device = accelerator.device
    trained = prepare_training(plan, accelerator)
    stage = largest_stage(plan)
    found: dict[str, Any] = {"device": name_of(device), "total_gib": total_gib(device)}
    try:
        for _ in range(2):  # kernels are chosen in the first
            start = settled(device)
            parts = (noise_batch(plan, stage.image_size, device) for _ in range(plan.accumulation))
            train_step(trained, stage.first_step, parts)
            found["seconds"] = settled(device) - start
        found["memory_gib"] = used_gib(device)
    except torch.OutOfMemoryError:
        found["out_of_memory"] = True
    print(json.dumps(found), file=answers)


def alone(plan: Plan) -> Plan:
    """Return the plan of one of its processes, batch norm over that one's images."""
    norm = plan.recipe.model.batch_norm
    model = replace(plan.recipe.model, batch_norm=norm and replace(norm, images=None))
    return replace(plan, gpus=1, recipe=replace(plan.recipe, model=model))


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


if __name__ == "__main__":
    main()
