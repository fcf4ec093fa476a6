"""Batch-norm statistics taken anew after training, with the weights fixed (He et al. 2015, ShuffleNet).

Moving averages lag behind the weights; this is their plain average over many images.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from pipeline.run import Run


@torch.no_grad()
def reestimate(run: Run) -> None:
    """Set running statistics to their mean over the recipe's number of training images, where it has one.

    Every rank calls this, at the end. The images are those of the last steps, augmented as in training;
    dropout is off, as when the statistics are used. Each pass over a micro-batch counts the same.
    Raises Interrupted when the processes agreed to stop meanwhile.
    """
    norm = run.plan.recipe.model.batch_norm
    if norm is None or norm.reestimated_over is None:
        return
    steps = min(run.plan.total_steps, math.ceil(norm.reestimated_over / run.plan.batch_size))
    layers = [m for m in run.network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momentum = [layer.momentum for layer in layers]
    run.network.eval()
    for layer in layers:
        layer.train()
    batches = run.loader.batches(run.plan.total_steps - steps, run.plan.total_steps)
    watched = run.stop.watched(batches, common=steps * run.plan.accumulation)
    for count, batch in enumerate(watched, start=1):
        for layer in layers:
            layer.momentum = 1 / count  # the statistics so far weigh count - 1, these 1
        with run.accelerator.autocast():
            run.network(batch.images)
    for layer, own in zip(layers, momentum, strict=True):
        layer.momentum = own
        _average_over_ranks(run, layer.running_mean)
        _average_over_ranks(run, layer.running_var)
    run.network.train()
    run.scores.clear()


def _average_over_ranks(run: Run, statistic: Tensor) -> None:
    if run.accelerator.num_processes > 1:
        statistic.copy_(run.accelerator.reduce(statistic, "mean"))
