"""One step of a run's largest stage, before anything is trained: its memory, its time. Light.

In a process of its own (`probed_step`), from a batch in memory, by one process of the plan. What DALI holds
of a GPU beside it is not counted.
"""

from __future__ import annotations

from typing import Any

from pipeline.child import answer_of
from pipeline.errors import Top1Error
from pipeline.plan import Plan, micro_batches
from pipeline.progressive import Stage


def largest_stage(plan: Plan) -> Stage:
    """Return the stage of the largest images, the first of those."""
    return max(plan.stages, key=lambda stage: stage.image_size)


def probe(plan: Plan) -> dict[str, Any]:
    """Return what one step of the largest stage took: `memory_gib` of `total_gib`, `seconds`, on `device`.

    Raises Top1Error, with a smaller micro-batch, where the memory is not enough.
    """
    found: dict[str, Any] = answer_of("pipeline.probed_step", plan.to_dict(), "the step")
    if found.get("out_of_memory"):
        raise Top1Error(too_large(plan, found))
    return found


def too_large(plan: Plan, found: dict[str, Any]) -> str:
    """Return the sentence for a step that needs more memory than there is."""
    size, images = largest_stage(plan).image_size, plan.micro_batch
    smaller = [m for m in micro_batches(plan.recipe, plan.gpus) if m < images]
    advice = f"Give --micro-batch {max(smaller)}" if smaller else "Use a GPU with more memory"
    return (
        f"a pass of {images} images of {size} pixels needs more than the {found['total_gib']:.1f} GiB of "
        f"{found['device']}, which would end the run where that stage begins. {advice}."
    )


def probe_text(plan: Plan, found: dict[str, Any]) -> str:
    """Return the answer of `probe` for people."""
    stage = largest_stage(plan)
    return (
        f"probe       stage {plan.stages.index(stage) + 1} of {len(plan.stages)}, {stage.image_size} pixels, "
        f"{plan.micro_batch} images a pass x {plan.accumulation}: {found['memory_gib']:.2f} of "
        f"{found['total_gib']:.1f} GiB, {found['seconds']:.2f} s a step, on {found['device']}"
    )
