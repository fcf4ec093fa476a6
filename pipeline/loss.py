"""The loss of one micro-batch as the recipe says: mixing, smoothing, auxiliary heads."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional

from pipeline.data.loader import Batch
from pipeline.mixing import mix
from pipeline.models import outputs_of
from pipeline.plan import MIXING_BLOCK
from pipeline.progressive import Stage
from pipeline.trained import Trained
from recipes.schema import Model


def micro_batch_loss(trained: Trained, batch: Batch, part: int, stage: Stage) -> Tensor:
    """Return the mean cross-entropy of pass `part` of a step, auxiliary heads added by their weights."""
    images, targets, smoothing = _mixed(trained, batch, part, stage)
    return weighted_loss(trained.model(images), targets, trained.plan.recipe.model, smoothing)


def weighted_loss(answer: Any, targets: Tensor, model: Model, smoothing: float) -> Tensor:
    """Return the mean cross-entropy of what a network answered, auxiliary heads added by their weights.

    targets: (N,) classes or (N, K) shares of them.
    """
    main, *heads = outputs_of(answer)
    loss = functional.cross_entropy(main, targets, label_smoothing=smoothing)
    weights = model.auxiliary.weights if model.auxiliary else ()
    for weight, head in zip(weights, heads, strict=True):
        loss = loss + weight * functional.cross_entropy(head, targets, label_smoothing=smoothing)
    return loss


def _mixed(trained: Trained, batch: Batch, part: int, stage: Stage) -> tuple[Tensor, Tensor, float]:
    """Return (images, targets, smoothing yet to be applied), mixed where the recipe mixes."""
    plan, recipe = trained.plan, trained.plan.recipe
    smoothing = recipe.regularization.label_smoothing
    if recipe.data.mixing is None:
        return batch.images, batch.labels, smoothing
    rank, world = trained.accelerator.process_index, trained.accelerator.num_processes
    images, targets = mix(
        batch.images,
        batch.labels,
        recipe.data.mixing,
        seed=plan.seed,
        step=batch.step,
        first_slot=(part * world + rank) * plan.micro_batch,
        block=MIXING_BLOCK,
        mixup_alpha=stage.mixup,
        cutmix_alpha=stage.cutmix,
        num_classes=recipe.model.num_classes,
        label_smoothing=smoothing,
    )
    return images, targets, 0.0  # the targets have the smoothing
