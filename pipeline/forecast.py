"""How long a run will take and what it will move, from what `top1 bench stages` measured. Light.

Training is the steps of each stage at the speed one process had there, over the plan's processes; measuring
is the images at the speed of the recipe's validation, a protocol of many views taking so many times as long.
What processes wait for each other is not in it: one process was measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import Top1Error
from pipeline.journal import read_json_or_none
from pipeline.judged import evaluations_of, is_judged
from pipeline.plan import Plan
from pipeline.protocols import count_views
from pipeline.runs import RESULT, find_runs, read_plan
from pipeline.say import duration
from pipeline.scale import bytes_text

Measured = Mapping[str, Any]  # an answer of `bench stages`, dated


@dataclass(frozen=True)
class Forecast:
    """What a whole run is to take. Seconds on the clock; bytes read are those of images, by all nodes.

    stage_rates: images a second of all processes, by stage. checkpoints: how many are written.
    measured: the answer that all follows from.
    """

    train_seconds: float
    first_step_seconds: float
    evaluation_seconds: float
    epoch_seconds: float
    gpu_hours: float
    stage_rates: tuple[float, ...]
    read_bytes: float
    checkpoints: int
    checkpoint_bytes: float
    measured: Measured


def newest_for(plan: Plan, answers: Sequence[Measured]) -> Measured | None:
    """Return the newest of the answers that measured this recipe at these sizes, on the kind of device meant.

    With `--device auto` one of a GPU is taken where there is any.
    """
    sizes = [stage.image_size for stage in plan.stages]
    fitting = [
        answer
        for answer in answers
        if answer["kind"] == "stages"
        and answer["machine"]["recipe"] == plan.recipe.name
        and answer["machine"]["feed"] == "data"
        and [row["image_size"] for row in answer["rows"]] == sizes
    ]
    gpu = [answer for answer in fitting if answer["machine"]["gpu"]]
    cpu = [answer for answer in fitting if not answer["machine"]["gpu"]]
    chosen = {"cuda": gpu, "cpu": cpu}.get(plan.device, gpu or cpu)
    return chosen[-1] if chosen else None


def forecast(plan: Plan, measured: Measured, image_bytes: float, checkpoint_bytes: float) -> Forecast:
    """Work a run out. image_bytes: of one image, in the mean; checkpoint_bytes: of one checkpoint."""
    rates = tuple(row["images_per_second"] * plan.gpus for row in measured["rows"])
    counts = [(stage.end_step - stage.first_step) * plan.batch_size for stage in plan.stages]
    training = sum(count / rate for count, rate in zip(counts, rates, strict=True))
    starting = sum(row["first_step_seconds"] for row in measured["rows"])
    evaluation = measured["evaluation"]
    start = evaluation.get("start_seconds", 0.0)  # of answers from before it was measured
    rate = evaluation["images"] / (evaluation["seconds"] - start) * plan.gpus
    passes, views = _passes(plan)
    evaluating = passes * start + plan.data.val_images * views / rate
    seconds = training + starting + evaluating
    return Forecast(
        train_seconds=training,
        first_step_seconds=starting,
        evaluation_seconds=evaluating,
        epoch_seconds=seconds * plan.steps_per_epoch / plan.total_steps,
        gpu_hours=seconds * plan.gpus / 3600,
        stage_rates=rates,
        read_bytes=(sum(counts) + plan.data.val_images * passes) * image_bytes,
        checkpoints=len(_saved(plan)),
        checkpoint_bytes=checkpoint_bytes,
        measured=measured,
    )


def _epoch_ends(plan: Plan) -> list[int]:
    return [*range(plan.steps_per_epoch, plan.total_steps, plan.steps_per_epoch), plan.total_steps]


def _saved(plan: Plan) -> set[int]:
    """Return the steps after which a checkpoint is written."""
    return {*_epoch_ends(plan), *range(plan.checkpoint_every, plan.total_steps, plan.checkpoint_every)}


def _passes(plan: Plan) -> tuple[int, int]:
    """Return how often a run goes through the validation set, and how many views of each image it takes.

    The views of one pass are counted beside those of the recipe's validation.
    """
    validation = plan.recipe.validation
    targets = {evaluation for _, evaluation in evaluations_of(plan.recipe)}
    unit = count_views(validation)
    passes = views = 0
    for done in _epoch_ends(plan):
        seen = {validation} | (targets if is_judged(plan, done) or done == plan.total_steps else set())
        raw = plan.recipe.ema is not None and validation.ema
        passes += len(seen) + raw
        views += sum(count_views(evaluation) for evaluation in seen) + raw * unit
    return passes, views // unit


@dataclass(frozen=True)
class Held:
    """A finished run beside the forecast of it. off: the share by which the forecast is too much."""

    folder: str
    gpu_hours: float
    forecast_gpu_hours: float
    off: float


def held_against(name: str, runs: Path, answers: Sequence[Measured]) -> list[Held]:
    """Return the finished runs of a recipe in a folder of runs, each beside its forecast."""
    found = []
    for folder in find_runs(runs):
        try:
            result = read_json_or_none(folder / RESULT)
            if result is None or result.get("recipe") != name:
                continue
            plan = read_plan(folder)
        except Top1Error:  # damaged, which the leaderboard tells; this page is about the recipe
            continue
        measured = newest_for(plan, answers)
        if measured:
            took = float(result["gpu_hours"])
            expected = forecast(plan, measured, image_bytes=0, checkpoint_bytes=0).gpu_hours
            found.append(Held(str(folder), took, expected, expected / took - 1))
    return found


def held_text(held: Sequence[Held]) -> str:
    """Return the lines of `top1 show` under a forecast."""
    return "\n".join(
        f"  finished     {one.folder}: {one.gpu_hours:.3g} GPU-hours, {one.forecast_gpu_hours:.3g} forecast "
        f"({100 * one.off:+.0f} %)"
        for one in held
    )


def forecast_text(plan: Plan, found: Forecast) -> str:
    """Return the section of `top1 show`."""
    machine = found.measured["machine"]
    where = machine["gpu"] or f"{machine['cpu']}, {machine['threads']} threads"
    who = f"{plan.gpus} GPU{'s' * (plan.gpus > 1)}"
    rates = " ".join(f"{rate:,.0f}" for rate in found.stage_rates)
    total = found.train_seconds + found.first_step_seconds + found.evaluation_seconds
    return "\n".join(
        [
            f"forecast on {who}, from what one was measured to do",
            f"  measured     {found.measured['time']} on {where}: batch {machine['batch']}, precision "
            f"{machine['precision']}, compile {machine['compile']}",
            f"  training     {duration(found.train_seconds)} at {rates} images a second, and "
            f"{duration(found.first_step_seconds)} of first steps",
            f"  measuring    {duration(found.evaluation_seconds)}",
            f"  whole run    {duration(total)}, {found.gpu_hours:.3g} GPU-hours; "
            f"{duration(found.epoch_seconds)} an epoch",
            f"  reading      {bytes_text(found.read_bytes)} of images",
            f"  checkpoints  {found.checkpoints} of {bytes_text(found.checkpoint_bytes)}, three of them kept",
            "  not counted  waits of processes for each other, a file system slower than the measured one",
        ]
    )
