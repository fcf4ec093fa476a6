"""How a network's weights begin, as its recipe says. Heavy; knows the network only by its modules."""

from __future__ import annotations

import math
from fnmatch import fnmatchcase

from torch import nn

from recipes.schema import (
    Distribution,
    He,
    Initialization,
    InverseInputs,
    Normal,
    TruncatedNormal,
    Uniform,
    Xavier,
)

Weighted = nn.Conv2d | nn.Linear
NORMS = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm)


def initialize(network: nn.Module, initialization: Initialization) -> None:
    """Draw the weights of convolutions and linear layers, and set biases and normalization, from torch's
    default generator.

    Raises ValueError when a pattern of the recipe names no layer: a start that is silently not applied
    trains another network.
    """
    names = [name for name, _ in network.named_modules()]
    _check_patterns(initialization, names)
    for name, module in network.named_modules():
        if isinstance(module, Weighted):
            _start_layer(name, module, initialization)
        elif isinstance(module, NORMS) and module.weight is not None:
            zero = any(fnmatchcase(name, pattern) for pattern in initialization.zero_gamma)
            nn.init.constant_(module.weight, 0.0 if zero else 1.0)
            nn.init.constant_(module.bias, initialization.norm_bias)


def _start_layer(name: str, module: Weighted, initialization: Initialization) -> None:
    linear = isinstance(module, nn.Linear) and initialization.linear is not None
    weights = initialization.linear if linear else initialization.weights
    bias = 1.0 if name in initialization.ones_bias else initialization.bias
    for exception in initialization.layers:
        if fnmatchcase(name, exception.layers):
            weights = exception.weights or weights
            bias = bias if exception.bias is None else exception.bias
    assert weights is not None  # `linear` is taken only where it is given
    draw(module, weights)
    if module.bias is not None:
        nn.init.constant_(module.bias, bias)


def draw(module: Weighted, distribution: Distribution) -> None:
    """Draw one layer's weights (outputs, inputs per group, *kernel)."""
    weight = module.weight
    kernel = weight[0, 0].numel()
    fan_in, fan_out = weight.shape[1] * kernel, weight.shape[0] * kernel
    match distribution:
        case Normal(std=std):
            nn.init.normal_(weight, std=std)
        case TruncatedNormal(std=std):
            nn.init.trunc_normal_(weight, std=std, a=-2 * std, b=2 * std)
        case Uniform(bound=bound):
            nn.init.uniform_(weight, -bound, bound)
        case He(fan=fan, per_group=per_group):
            groups = module.groups if per_group and isinstance(module, nn.Conv2d) else 1
            nn.init.normal_(weight, std=math.sqrt(2 / (fan_in if fan == "fan_in" else fan_out / groups)))
        case Xavier(fan=fan):
            count = fan_in if fan == "fan_in" else (fan_in + fan_out) / 2
            bound = math.sqrt(3 / count)
            nn.init.uniform_(weight, -bound, bound)
        case InverseInputs():
            nn.init.normal_(weight, std=1 / weight.shape[1])


def _check_patterns(initialization: Initialization, names: list[str]) -> None:
    exceptions = [exception.layers for exception in initialization.layers]
    for pattern in (*initialization.ones_bias, *initialization.zero_gamma, *exceptions):
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ValueError(f"the initialization names the layer {pattern!r}, and the network has none such")
