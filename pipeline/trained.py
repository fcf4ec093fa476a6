"""What is trained and what trains it, built from a plan alone. Heavy: torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from pipeline.ema import WeightAverage
from pipeline.freeze import Frozen, freeze
from pipeline.models import build, pool_deterministically, set_dropout
from pipeline.optim import make_optimizer
from pipeline.plan import Plan
from pipeline.progressive import Stage, stage_at

COMPILED_FORMS = 16  # of a network in one stage, at most: its own, and where layers are frozen; and some


@dataclass(kw_only=True)
class Trained:
    """What a training step needs and changes, on one process.

    network: the bare network, whose names are the checkpoint's; model: the same, averaging gradients.
    frozen: which of its layers stand still, and when.
    losses: by step, since they were last read, on the device.
    """

    plan: Plan
    accelerator: Accelerator
    network: nn.Module
    model: nn.Module
    optimizer: Any
    average: WeightAverage | None
    frozen: Frozen
    losses: dict[int, Tensor] = field(default_factory=dict)


def prepare_training(plan: Plan, accelerator: Accelerator) -> Trained:
    """Build the network and optimizer of a run on this rank, from the plan alone."""
    recipe, rank, world = plan.recipe, accelerator.process_index, accelerator.num_processes
    torch.manual_seed(plan.seed)  # the same first weights on every rank
    network = build(
        recipe.model, recipe.regularization, micro_batch=plan.micro_batch, rank=rank, world=world
    ).to(accelerator.device)
    if plan.deterministic:
        pool_deterministically(network)
    cuda = accelerator.device.type == "cuda"
    if cuda:
        network = network.to(memory_format=torch.channels_last)
    frozen = freeze(network, plan)
    fused = cuda and accelerator.mixed_precision != "fp16"
    model, optimizer = accelerator.prepare(
        compiled(network, plan, cuda),
        make_optimizer(network, recipe.optimizer, recipe.regularization, fused),
    )
    average = WeightAverage(network, recipe.ema.decay) if recipe.ema else None
    return Trained(
        plan=plan,
        accelerator=accelerator,
        network=network,
        model=model,
        optimizer=optimizer,
        average=average,
        frozen=frozen,
    )


def begin_step(trained: Trained, step: int) -> Stage:
    """Give the network what it has in a step, layers that stand still and dropout; return the stage."""
    stage, progressive = stage_at(trained.plan.stages, step), trained.plan.recipe.progressive
    trained.frozen.hold(step)
    if progressive and progressive.dropout:
        set_dropout(trained.network, stage.dropout)
    return stage


def compiled(network: nn.Module, plan: Plan, cuda: bool) -> nn.Module:
    """Return the network compiled for training where the plan has that, else itself.

    What is compiled shares the network's tensors; the network itself stays as it is. Each stage's image size
    and dropout is compiled by itself. Compiling again beyond that is an error: it would go on for the whole
    run.
    """
    if not plan.compiles(cuda):
        return network
    torch._dynamo.config.recompile_limit = COMPILED_FORMS * len(plan.stages)
    torch._dynamo.config.fail_on_recompile_limit_hit = True
    whole: nn.Module = torch.compile(network, dynamic=False)
    return whole
