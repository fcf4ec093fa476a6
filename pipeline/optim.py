"""From a recipe's optimizer and regularization to a torch optimizer with its parameter groups."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from timm.optim import RMSpropTF
from torch import Tensor, nn

from recipes.schema import SGD, AdamW, Optimizer, Regularization, RMSProp


def make_optimizer(
    network: nn.Module, optimizer: Optimizer, regularization: Regularization, fused: bool = False
) -> torch.optim.Optimizer:
    """Return the recipe's optimizer over the network's parameters, multi-tensor where torch has it.

    fused: one kernel an update, where torch has it. On a GPU only, and not with fp16: there such an optimizer
    skips a step by itself, and nobody learns of it.
    """
    groups = parameter_groups(network, regularization)
    kernels = {"fused": True} if fused else {"foreach": True}
    match optimizer:
        case SGD(form="caffe"):
            return CaffeSGD(groups, lr=optimizer.lr, momentum=optimizer.momentum)
        case SGD():
            return torch.optim.SGD(
                groups,
                lr=optimizer.lr,
                momentum=optimizer.momentum,
                nesterov=optimizer.nesterov,
                **kernels,
            )
        case RMSProp():
            return RMSpropTF(
                groups,
                lr=optimizer.lr,
                alpha=optimizer.decay,
                momentum=optimizer.momentum,
                eps=optimizer.eps,
                foreach=True,
            )
        case AdamW():
            return torch.optim.AdamW(
                groups, lr=optimizer.lr, betas=optimizer.betas, eps=optimizer.eps, **kernels
            )


def parameter_groups(network: nn.Module, regularization: Regularization) -> list[dict]:
    """Split parameters into those that decay and those that the recipe exempts, in the network's order."""
    decayed, exempt = [], []
    for module in network.modules():
        is_norm = isinstance(module, nn.modules.batchnorm._BatchNorm | nn.LayerNorm | nn.GroupNorm)
        for name, parameter in module.named_parameters(recurse=False):
            if not parameter.requires_grad:  # a layer the recipe does not train
                continue
            if is_norm:
                decays = regularization.decay_norm
            elif name == "bias":
                decays = regularization.decay_bias
            elif _is_depthwise(module):
                decays = regularization.decay_depthwise
            else:
                decays = True
            (decayed if decays else exempt).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": regularization.weight_decay},
        {"params": exempt, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def _is_depthwise(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1


def state_of(optimizer: Any) -> dict[str, Tensor]:
    """Return the optimizer's tensors, named NUMBER-OF-PARAMETER/KEY."""
    state = optimizer.state_dict()["state"]
    return {f"{index}/{key}": tensor for index, values in state.items() for key, tensor in values.items()}


def load_state(optimizer: Any, tensors: Mapping[str, Tensor]) -> None:
    """Restore what `state_of` returned; the numbers (rates, decays) come from the recipe at every step.

    A file holds its tensors contiguous. Fused updates go through memory as it lies (torch 2.15: wrong weights
    on the CPU, an error on a GPU), so each tensor is laid out as its parameter is: channels_last, perhaps.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, key = name.split("/")
        like = parameters[int(index)]
        if tensor.shape == like.shape:
            tensor = torch.empty_like(like, dtype=tensor.dtype, requires_grad=False).copy_(tensor)
        state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


class CaffeSGD(torch.optim.Optimizer):
    """Momentum with the rate inside: v = momentum * v + lr * (g + weight_decay * w), w -= v.

    AlexNet's update (Krizhevsky et al. 2012 §5) and Caffe's. Torch's SGD multiplies by the rate outside,
    so the two part for 1 / (1 - momentum) steps whenever the rate changes.
    """

    def __init__(self, params: list[dict], lr: float, momentum: float, weight_decay: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if not params:
                continue
            velocities = [self._velocity(p) for p in params]
            steps = torch._foreach_add([p.grad for p in params], params, alpha=group["weight_decay"])
            torch._foreach_mul_(velocities, group["momentum"])
            torch._foreach_add_(velocities, steps, alpha=group["lr"])
            torch._foreach_sub_(params, velocities)

    def _velocity(self, parameter: torch.Tensor) -> torch.Tensor:
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        return state["momentum_buffer"]
