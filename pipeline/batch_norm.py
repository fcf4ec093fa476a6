"""Batch-norm statistics over exactly the images a recipe names, whatever the micro-batch.

A group smaller than the micro-batch is a piece of it (ghost batch norm); a larger one is the same
micro-batch of neighbouring ranks together (synchronized batch norm).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist
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
                setattr(module, name, GroupedBatchNorm(child, min(images, micro_batch), group, ranks))
    return network


def set_constants(network: nn.Module, norm: BatchNorm) -> None:
    """Give every batch norm the recipe's momentum and eps.

    The papers' momentum is the share of the old statistic that stays; PyTorch's is that of the new.
    """
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum, module.eps = 1 - norm.momentum, norm.eps


def _own_group(ranks: int, rank: int, world: int) -> str:
    """Create all groups of `ranks` neighbours, as torch demands of every rank; return one's own by name."""
    for first in range(0, world, ranks):
        group = dist.new_group(range(first, first + ranks))
        if first <= rank < first + ranks:
            own = f"from rank {first}"
            _GROUPS[own] = group
    return own


_GROUPS: dict[str, dist.ProcessGroup] = {}


# An operator, because torch.compile knows nothing of process groups: its graph would break at each layer.
@torch.library.custom_op("top1::gather", mutates_args=())
def _gather(statistics: Tensor, group: str, ranks: int) -> Tensor:
    """Return what each rank of a group has, (ranks, ...)."""
    found = statistics.new_empty(ranks * statistics.shape[0], *statistics.shape[1:])
    dist.all_gather_into_tensor(found, statistics.contiguous(), group=_GROUPS[group])
    return found.unflatten(0, (ranks, -1))


@torch.library.custom_op("top1::total", mutates_args=())
def _total(gradient: Tensor, group: str) -> Tensor:
    """Return the sum of what the ranks of a group have."""
    found = gradient.clone()
    dist.all_reduce(found, group=_GROUPS[group])
    return found


@_gather.register_fake
def _(statistics: Tensor, group: str, ranks: int) -> Tensor:
    return statistics.new_empty(ranks, *statistics.shape)


@_total.register_fake
def _(gradient: Tensor, group: str) -> Tensor:
    return torch.empty_like(gradient)


def _keep_group(ctx: Any, inputs: tuple[Tensor, str, int], output: Tensor) -> None:
    _, ctx.group, _ = inputs


def _gathered_backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
    """Return what the losses of all ranks say of this rank's statistics."""
    return _total(gradient, ctx.group)[dist.get_rank(_GROUPS[ctx.group])], None, None


_gather.register_autograd(_gathered_backward, setup_context=_keep_group)


class GroupedBatchNorm(nn.BatchNorm2d):
    """Batch norm that takes its training statistics over groups; state-dict keys are those it replaces.

    images: size of a group inside this micro-batch. group: the ranks whose statistics are pooled, `ranks` of
    them, each with as many images. The dropout and activation of timm's BatchNormAct2d come along.

    Sums are taken in float32, what comes out has the type and memory format of what went in, and
    torch.compile makes one graph of it. torch's SyncBatchNorm (2.15) can neither be compiled nor run on a
    CPU, and has the host wait for the GPU three times a layer.
    """

    def __init__(self, norm: nn.BatchNorm2d, images: int, group: str | None = None, ranks: int = 1) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum)
        self.load_state_dict(norm.state_dict())
        self.images, self.group, self.ranks = images, group, ranks
        self.drop = getattr(norm, "drop", nn.Identity())
        self.act = getattr(norm, "act", nn.Identity())

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.drop(self._normalize(x)))

    def _normalize(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        return self._ghost(x) if self.group is None else self._synchronized(x, self.group)

    def _ghost(self, x: Tensor) -> Tensor:
        """Normalize each consecutive group by itself; the running statistics move by the mean of theirs."""
        parts = x.chunk(max(1, x.shape[0] // self.images))
        means, variances = self.running_mean.repeat(len(parts), 1), self.running_var.repeat(len(parts), 1)
        normalized = [
            functional.batch_norm(part, mean, variance, self.weight, self.bias, True, self.momentum, self.eps)
            for part, mean, variance in zip(parts, means, variances, strict=True)
        ]
        self._set_running(means.mean(0), variances.mean(0))
        return torch.cat(normalized)

    def _synchronized(self, x: Tensor, group: str) -> Tensor:
        """Normalize over the ranks of the group, from the mean and variance of each."""
        variance, mean = torch.var_mean(x.float(), (0, 2, 3), correction=0)
        means, variances = _gather(torch.stack([mean, variance]), group, self.ranks).unbind(1)
        between, mean = torch.var_mean(means, 0, correction=0)
        variance = variances.mean(0) + between
        with torch.no_grad():
            n = x.numel() // x.shape[1] * self.ranks
            unbiased = variance * (n / (n - 1))
            self._set_running(
                self.running_mean.lerp(mean, self.momentum), self.running_var.lerp(unbiased, self.momentum)
            )
        scale = self.weight * (variance + self.eps).rsqrt()
        shift = self.bias - mean * scale
        return (x * scale[:, None, None] + shift[:, None, None]).to(x.dtype)

    @torch.no_grad()
    def _set_running(self, mean: Tensor, var: Tensor) -> None:
        self.running_mean.copy_(mean)
        self.running_var.copy_(var)
        self.num_batches_tracked.add_(1)
