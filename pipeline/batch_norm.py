"""Batch-norm statistics over exactly the images a recipe names, whatever the micro-batch.

A group smaller than the micro-batch is a piece of it (ghost batch norm); a larger one is the same
micro-batch of neighbouring ranks together (synchronized batch norm).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.distributed.nn.functional import all_reduce
from torch.nn import functional

from recipes.schema import BatchNorm


def set_batch_norm(network: nn.Module, norm: BatchNorm, micro_batch: int, rank: int, world: int) -> nn.Module:
    """Give every batch norm of the network the recipe's constants and groups. Returns the network.

    Every rank must call this: it creates the process groups of synchronized statistics.
    """
    set_constants(network, norm)
    images = norm.images
    if images is None or images == micro_batch:
        return network
    ranks = max(1, images // micro_batch)
    group = _own_group(ranks, rank, world) if ranks > 1 else None
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, GroupedBatchNorm(child, min(images, micro_batch), group))
    return network


def set_constants(network: nn.Module, norm: BatchNorm) -> None:
    """Give every batch norm the recipe's momentum and eps.

    The papers' momentum is the share of the old statistic that stays; PyTorch's is that of the new.
    """
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum, module.eps = 1 - norm.momentum, norm.eps


def _own_group(ranks: int, rank: int, world: int) -> dist.ProcessGroup | None:
    """Create all groups of `ranks` neighbours, as torch demands of every rank, and return one's own."""
    groups = [dist.new_group(range(first, first + ranks)) for first in range(0, world, ranks)]
    return groups[rank // ranks]


class GroupedBatchNorm(nn.SyncBatchNorm):
    """Batch norm that takes its training statistics over groups; state-dict keys are those it replaces.

    images: size of a group inside this micro-batch. group: the ranks whose statistics are pooled.
    The dropout and activation of timm's BatchNormAct2d come along.
    """

    def __init__(self, norm: nn.BatchNorm2d, images: int, group: dist.ProcessGroup | None) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum, process_group=group)
        self.load_state_dict(norm.state_dict())
        self.images = images
        self.drop = getattr(norm, "drop", nn.Identity())
        self.act = getattr(norm, "act", nn.Identity())

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.drop(self._normalize(x)))

    def _normalize(self, x: Tensor) -> Tensor:
        if not self.training:
            return functional.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        if self.process_group is None:
            return self._ghost(x)
        # torch's synchronized batch norm has no CPU kernel (2.15); ours serves gloo and the tests.
        return super().forward(x) if x.is_cuda else self._synchronized(x)

    def _ghost(self, x: Tensor) -> Tensor:
        """Normalize each consecutive group by itself, as channels of one larger batch norm."""
        count = max(1, x.shape[0] // self.images)
        groups = x.unflatten(0, (count, -1)).transpose(0, 1).flatten(1, 2)
        mean, var = self.running_mean.repeat(count), self.running_var.repeat(count)
        y = functional.batch_norm(groups, mean, var, None, None, True, self.momentum, self.eps)
        self._set_running(mean.view(count, -1).mean(0), var.view(count, -1).mean(0))
        y = y.unflatten(1, (count, -1)).transpose(0, 1).flatten(0, 1)
        return y * self.weight[:, None, None] + self.bias[:, None, None]

    def _synchronized(self, x: Tensor) -> Tensor:
        """Normalize over the ranks of the group: mean first, then squared differences from it."""
        n = x.shape[0] * x.shape[2] * x.shape[3] * dist.get_world_size(self.process_group)
        mean = all_reduce(x.sum((0, 2, 3)), group=self.process_group) / n
        centered = x - mean[:, None, None]
        var = all_reduce(centered.square().sum((0, 2, 3)), group=self.process_group) / n
        with torch.no_grad():
            unbiased = var * (n / (n - 1))
            self._set_running(
                self.running_mean.lerp(mean, self.momentum), self.running_var.lerp(unbiased, self.momentum)
            )
        scale = self.weight * (var + self.eps).rsqrt()
        return centered * scale[:, None, None] + self.bias[:, None, None]

    @torch.no_grad()
    def _set_running(self, mean: Tensor, var: Tensor) -> None:
        self.running_mean.copy_(mean)
        self.running_var.copy_(var)
        self.num_batches_tracked.add_(1)
