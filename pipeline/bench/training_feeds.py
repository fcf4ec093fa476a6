"""What a row of `top1 bench step`, `train` or `stages` is told, its plan and its batches. Heavy: torch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from pipeline.bench.loaders import LOADERS, Setting
from pipeline.data.header import read_header
from pipeline.data.loader import Batch
from pipeline.noise import noise_batch
from pipeline.plan import DataFacts, Plan, make_plan
from pipeline.run import Run
from recipes.serialize import from_dict

ENDLESS = 2**40  # steps: no bench ends an epoch, in which a run would evaluate and save

Batches = Iterator[Batch]


@dataclass(frozen=True)
class Told:
    """What a row is told. stage: of a progressive recipe, from 0; None is its last."""

    recipe: Any
    loop: str
    feed: str
    accumulation: int
    files: Path
    run: Path
    stage: int | None
    steps: int
    threads: int
    device: str
    precision: str
    compile: str


def read_told(line: str) -> Told:
    """Return what a line of JSON tells."""
    read = json.loads(line)
    paths = {name: Path(read[name]) for name in ("files", "run")}
    return Told(**{**read, **paths, "recipe": from_dict(read["recipe"])})


def plan_of(told: Told, whole: bool = True) -> Plan:
    """Return the row's plan; `whole`: of one stage that does not end."""
    header = read_header(told.files)
    facts = DataFacts(
        path=str(told.files),
        name=header.name,
        classes=told.recipe.model.num_classes,  # the images' classes are among them
        train_images=header.splits["train"].images,
        val_images=0,
        fingerprint=header.fingerprint,
    )
    plan = make_plan(
        told.recipe,
        facts,
        id="bench",
        micro_batch=told.recipe.data.batch_size // told.accumulation,
        checkpoint_every=ENDLESS,
        seed=0,
        threads=told.threads,
        device=told.device,
        precision=told.precision,
        compile=told.compile,
        log_every=50,
    )
    if not whole:
        return plan
    stage = plan.stages[-1 if told.stage is None else told.stage]
    stage = replace(stage, first_step=0, end_step=ENDLESS)
    return replace(plan, stages=(stage,), total_steps=ENDLESS, steps_per_epoch=ENDLESS)


def feed_of(told: Told, plan: Plan, run: Run | None, device: torch.device) -> Batches:
    """Return the row's batches, endless."""
    if told.feed == "memory":
        return in_memory(plan, device)
    if told.feed == "data":
        assert run is not None  # only our own loop is fed by our loader
        return run.loader.batches(0, plan.stages[-1].end_step)
    return of_peer(told, plan, device)


def in_memory(plan: Plan, device: torch.device) -> Batches:
    """Yield one batch of each stage again and again, as the loader would have put it there."""
    mixed = plan.recipe.data.mixing is not None  # in place: a batch of its own each time
    for stage in plan.stages:
        batch = noise_batch(plan, stage.image_size, device)
        for _ in range((stage.end_step - stage.first_step) * plan.accumulation):
            yield replace(batch, images=batch.images.clone()) if mixed else batch


def of_peer(told: Told, plan: Plan, device: torch.device) -> Batches:
    """Yield the batches of another library's loader."""
    setting = Setting(
        told.files,
        plan.stages[0].image_size,
        plan.micro_batch,
        told.threads,
        device=str(device),
    )
    name = {"torchvision": "imagefolder"}.get(told.feed, told.feed)
    targets = torch.arange(plan.micro_batch, device=device) % plan.recipe.model.num_classes
    for images in LOADERS[name](setting):
        yield Batch(images, targets, targets, 0)
