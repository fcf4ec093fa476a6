"""A batch of noise, for what needs no real images: passes before training, the probe, benches. Heavy."""

from __future__ import annotations

import torch

from pipeline.data.loader import Batch
from pipeline.plan import Plan


def noise_batch(plan: Plan, size: int, device: torch.device) -> Batch:
    """Return a micro-batch of noise of `size` pixels, as the loader would have put it on the device."""
    images = torch.randn(plan.micro_batch, len(plan.recipe.data.normalize.mean), size, size, device=device)
    if device.type == "cuda":
        images = images.to(memory_format=torch.channels_last)
    labels = torch.arange(plan.micro_batch, device=device) % plan.recipe.model.num_classes
    return Batch(images, labels, torch.arange(plan.micro_batch), 0)
