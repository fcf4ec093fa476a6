"""The loop of `top1 bench stages`, in a process of its own: every stage, a few steps of each, then the
validation protocol over the same images. Heavy.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from pipeline.bench.training_feeds import ENDLESS, Batches, Told, feed_of, plan_of, read_told
from pipeline.bench.training_loops import open_top1
from pipeline.data.split import Split
from pipeline.gpu import peak_memory_gib, settled
from pipeline.plan import Plan
from pipeline.progressive import Stage
from pipeline.run import Run
from pipeline.train import measure_on, train_steps

LEAD_STEPS = 4  # after the first, not counted: algorithms are chosen, what was fetched ahead is used up


class Staged:
    """Batches of stage after stage, of which `count` steps are counted; then `done` is told of each stage."""

    def __init__(
        self,
        batches: Batches,
        plan: Plan,
        device: torch.device,
        count: int,
        done: Callable[[list[dict[str, Any]]], None],
    ) -> None:
        self._batches, self._plan, self._device = batches, plan, device
        self._count, self._done = count, done
        self._waited = 0.0

    def batches(self, first_step: int, end_step: int) -> Batches:
        """Yield them as a TrainLoader does."""
        rows = []
        for stage in self._plan.stages:
            start = settled(self._device)
            yield from self._steps(1)
            first = settled(self._device)
            yield from self._steps(LEAD_STEPS)
            lead, self._waited = settled(self._device), 0.0
            yield from self._steps(self._count)
            rows.append(self._row(stage, first - start, settled(self._device) - lead))
        self._done(rows)

    def _row(self, stage: Stage, first: float, seconds: float) -> dict[str, Any]:
        count = self._count
        return {
            "stage": self._plan.stages.index(stage),
            "image_size": stage.image_size,
            "images_per_second": count * self._plan.batch_size / seconds,
            "milliseconds_per_step": 1000 * seconds / count,
            "data_wait_share": self._waited / seconds,
            "first_step_seconds": first,
            "gpu_memory_gib": peak_memory_gib(self._device),
        }

    def _steps(self, count: int) -> Batches:
        for _ in range(count * self._plan.accumulation):
            asked = time.perf_counter()
            batch = next(self._batches)
            self._waited += time.perf_counter() - asked
            yield batch


def staged(told: Told) -> Plan:
    """Return the plan of a run of so many steps a stage, those before the counted ones included."""
    plan, each = plan_of(told, whole=False), 1 + LEAD_STEPS + told.steps
    stages = [replace(s, first_step=i * each, end_step=(i + 1) * each) for i, s in enumerate(plan.stages)]
    stages[-1] = replace(stages[-1], end_step=len(stages) * each + 1)  # one is asked for that never comes
    return replace(plan, stages=tuple(stages), total_steps=ENDLESS, steps_per_epoch=ENDLESS)


def evaluated(run: Run) -> dict[str, Any]:
    """Return how long the recipe's validation takes over the images there are, start to end.

    start_seconds: of them, until images go through, as two evaluations of different length tell; a whole
    validation set is measured once as often.
    """
    split = run.manifest.split("train")
    batch = min(len(split), max(32, run.plan.micro_batch))  # as `measure_on` has it
    first = split.take(np.arange(batch))
    _evaluation_seconds(run, split)  # what is compiled or chosen is so in the first
    short, whole = (_evaluation_seconds(run, some) for some in (first, split))
    images, more = len(split), len(split) - batch
    start = max(0.0, whole - images * (whole - short) / more) if more and whole > short else 0.0
    return {
        "protocol": run.plan.recipe.validation.protocol,
        "images": images,
        "seconds": whole,
        "start_seconds": start,
    }


def _evaluation_seconds(run: Run, split: Split) -> float:
    start = settled(run.accelerator.device)
    measure_on(run, run.plan.recipe.validation, split, len(split))
    return settled(run.accelerator.device) - start


def main() -> None:
    """Read what to do; print a row for each stage and the evaluation, all as one line of JSON."""
    answers, sys.stdout = sys.stdout, sys.stderr  # libraries may print
    told = read_told(sys.stdin.readline())
    plan = staged(told)

    def done(rows: list[dict[str, Any]]) -> None:
        print(json.dumps({"rows": rows, "evaluation": evaluated(run)}), file=answers, flush=True)
        sys.exit(0)

    with open_top1(told, plan) as run:
        batches = feed_of(told, plan, run, run.accelerator.device)
        loader = Staged(batches, plan, run.accelerator.device, told.steps, done)
        run.loader = loader  # type: ignore[assignment]
        train_steps(run, 0)


if __name__ == "__main__":
    main()
