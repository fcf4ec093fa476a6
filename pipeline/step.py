"""One optimizer step: an explicit list of micro-batches. Heavy: torch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm

from pipeline.data.loader import Batch
from pipeline.loss import micro_batch_loss
from pipeline.profile import named
from pipeline.trained import Trained, begin_step


def train_step(trained: Trained, step: int, batches: Iterable[Batch], logging: bool = False) -> Tensor | None:
    """One optimizer step over this rank's micro-batches of the global batch.

    Returns the gradient's norm, on the device, where the recipe clips it or the step is logged: elsewhere
    it would cost a pass over the gradients for nothing.
    """
    plan, accelerator = trained.plan, trained.accelerator
    stage = begin_step(trained, step)
    for group in trained.optimizer.param_groups:
        group["lr"] = plan.lr_at(step)
    seed_generator(accelerator.device, step_seed(plan.seed, step, accelerator.process_index))
    losses = []
    for part, batch in enumerate(batches):
        last = part == plan.accumulation - 1
        with contextlib.nullcontext() if last else accelerator.no_sync(trained.model):
            with named("forward"), accelerator.autocast():
                loss = micro_batch_loss(trained, batch, part, stage) / plan.accumulation
            with named("backward"):
                accelerator.backward(loss)
        losses.append(loss.detach())
    trained.frozen.drop_gradients(step)
    norm = None
    if clip_norm := plan.recipe.regularization.clip_norm:
        norm = accelerator.clip_grad_norm_(trained.model.parameters(), clip_norm)
    elif logging:
        norm = gradient_norm(trained)
    with named("optimizer"):
        trained.optimizer.step()
        trained.optimizer.optimizer.zero_grad()  # Accelerate's inspects a signature each time: 0.1 ms
    # A step that the fp16 scaler skipped moved no weight and must not move the average.
    if trained.average and not trained.optimizer.step_was_skipped:
        trained.average.update(step)
    trained.losses[step] = torch.stack(losses).sum()
    return norm


def gradient_norm(trained: Trained) -> Tensor:
    """Return the global L2 norm of the gradient, on the device; the same on every rank."""
    trained.accelerator.unscale_gradients(
        trained.optimizer
    )  # fp16's are scaled; the step does not do it twice
    return get_total_norm(p.grad for p in trained.network.parameters() if p.grad is not None)


def step_seed(seed: int, step: int, rank: int) -> int:
    """Return the 63-bit seed of dropout and stochastic depth in one step on one rank (splitmix64)."""
    state, mask = 0, 0xFFFFFFFFFFFFFFFF
    for word in (seed, step, rank):
        state = ((state ^ word) + 0x9E3779B97F4A7C15) & mask
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & mask
        state ^= state >> 31
    return state >> 1


def seed_generator(device: torch.device, seed: int) -> None:
    """Seed the device's default generator alone: torch.manual_seed takes a millisecond over all backends."""
    if device.type == "cuda":
        torch.cuda.default_generators[device.index or 0].manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)
