"""The step that `probe` asks for, in a process of its own. Heavy: torch."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import Any

from pipeline.accelerator import start_accelerator
from pipeline.errors import is_out_of_memory
from pipeline.gpu import settled
from pipeline.memory import name_of, total_gib, used_gib
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
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        found["out_of_memory"] = True
    print(json.dumps(found), file=answers)


def alone(plan: Plan) -> Plan:
    """Return the plan of one of its processes, batch norm over that one's images."""
    norm = plan.recipe.model.batch_norm
    model = replace(plan.recipe.model, batch_norm=norm and replace(norm, images=None))
    return replace(plan, gpus=1, recipe=replace(plan.recipe, model=model))


if __name__ == "__main__":
    main()
