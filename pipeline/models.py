"""From a recipe's words about a network to the network. Heavy; knows no optimizer and no data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import timm
import torch
import torchvision
from timm.models.vgg import ConvMlp
from torch import Tensor, nn

from pipeline.batch_norm import set_batch_norm, set_constants
from pipeline.errors import RAISED_BY_CODE, Top1Error
from pipeline.networks import NETWORKS
from pipeline.own_network import file_of
from pipeline.start import initialize
from recipes import run_file
from recipes.schema import Model, Regularization


def build(
    model: Model,
    regularization: Regularization,
    *,
    micro_batch: int | None = None,
    rank: int = 0,
    world: int = 1,
) -> nn.Module:
    """Return the recipe's network, initialized as the recipe says from torch's default generator.

    micro_batch: images of a training pass, for batch-norm statistics over groups; evaluation has none.

    Raises Top1Error when the library has no such constructor or refuses its arguments.
    """
    network = construct(model, regularization)
    if model.initialization:
        initialize(network, model.initialization)
    if model.batch_norm and micro_batch:
        set_batch_norm(network, model.batch_norm, micro_batch, rank, world)
    elif model.batch_norm:
        set_constants(network, model.batch_norm)
    return network


def construct(model: Model, regularization: Regularization) -> nn.Module:
    """Return the network of a "library:name" constructor with the recipe's arguments.

    A recipe without dropout gets none, whatever the constructor's default (timm's SENets: 0.2).
    """
    network = _call(model, regularization)
    if regularization.dropout is None:
        set_dropout(network, 0.0)
    return network


def _call(model: Model, regularization: Regularization) -> nn.Module:
    library, _, name = model.constructor.partition(":")
    arguments = {**_regularization(library, regularization), **model.arguments}
    file = file_of(model.constructor)
    if file:
        return _own(file, model, arguments)
    try:
        match library:
            case "timm":
                return timm.create_model(name, num_classes=model.num_classes, **arguments)
            case "torchvision":
                return torchvision.models.get_model(name, num_classes=model.num_classes, **arguments)
            case "top1":
                return NETWORKS[name](num_classes=model.num_classes, **arguments)
    except (TypeError, RuntimeError, ValueError, KeyError) as error:
        raise Top1Error(
            f"{model.constructor} cannot be built with {arguments}: {error}. "
            "Correct model.constructor or model.arguments."
        ) from error
    raise Top1Error(
        f"model.constructor is {model.constructor!r}; it must begin with timm:, torchvision: or top1:, or be "
        "path/to/file.py:NAME."
    )


def _own(file: Path, model: Model, arguments: Mapping[str, Any]) -> nn.Module:
    """Return the network that a user's own file makes."""
    name = model.constructor.rpartition(":")[2]
    try:
        network = run_file(file)[name](num_classes=model.num_classes, **arguments)
    except RAISED_BY_CODE as error:
        what = f"{type(error).__name__}: {error}".rstrip(": ")
        raise Top1Error(f"{file} does not make a network {name} with {arguments}: {what}.") from error
    if not isinstance(network, nn.Module):
        raise Top1Error(f"{name} of {file} makes a {type(network).__name__}, which is no torch.nn.Module.")
    return network


def set_dropout(network: nn.Module, probability: float | None) -> None:
    """Change dropout everywhere, which progressive learning raises from stage to stage."""
    if probability is None:
        return
    if isinstance(getattr(network, "drop_rate", None), int | float):  # timm applies it as a function
        network.drop_rate = probability
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = probability


class DeterministicPool(nn.AdaptiveAvgPool2d):
    """Adaptive average pooling as two matrix products: torch's own (2.15) has on a GPU no gradient that is
    the same each time. What has the size asked for stays as it is, as AlexNet's and VGG's at their papers'.
    """

    def forward(self, x: Tensor) -> Tensor:
        asked: Any = self.output_size
        height, width = asked if isinstance(asked, tuple) else (asked, asked)
        if tuple(x.shape[2:]) == (height, width):
            return x
        with torch.autocast(x.device.type, enabled=False):  # rounded to bf16 their weights would not be means
            whole = x.to(torch.promote_types(x.dtype, torch.float32))
            rows, columns = (_means(n, m, whole) for n, m in zip(x.shape[2:], (height, width), strict=True))
            return (rows @ whole @ columns.T).to(x.dtype)


def _means(length: int, parts: int, like: Tensor) -> Tensor:
    """Return (parts, length): the weights of the mean over each part as adaptive pooling cuts them."""
    weights = like.new_zeros(parts, length)
    for part in range(parts):
        first, end = part * length // parts, -(-(part + 1) * length // parts)
        weights[part, first:end] = 1 / (end - first)
    return weights


def pool_deterministically(network: nn.Module) -> None:
    """Replace every adaptive average pooling of a network by one that torch's deterministic mode accepts."""
    for name, module in list(network.named_modules()):
        if type(module) is nn.AdaptiveAvgPool2d:
            network.set_submodule(name, DeterministicPool(module.output_size))
        elif isinstance(module, ConvMlp):  # of timm's VGG: enlarges a small map by the function
            module.register_forward_pre_hook(_enlarged)


def _enlarged(module: ConvMlp, given: tuple[Tensor]) -> Tensor:
    """Return the map that a layer is given at least as large as its kernel."""
    height, width = (max(module.input_kernel_size, side) for side in given[0].shape[2:])
    return DeterministicPool((height, width))(given[0])


def headless(model: Model, regularization: Regularization) -> nn.Module:
    """Return the network without its classifier: (N, C, S, S) -> features (N, F) in evaluation mode."""
    if not model.constructor.startswith("torchvision:"):
        return construct(replace(model, num_classes=0), regularization)
    network = construct(model, regularization)
    network.set_submodule(classifier_of(network), nn.Identity())
    return network


def classifier_of(network: nn.Module) -> str:
    """Return the name of the layer that makes class scores: as timm says, else the last linear one."""
    configuration = getattr(network, "pretrained_cfg", None) or {}
    named = configuration.get("classifier")
    if isinstance(named, str):
        return named
    linear = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise Top1Error(f"{type(network).__name__} has no linear layer to put a new head in the place of.")
    return linear[-1]


def outputs_of(answer: Any) -> tuple[Tensor, ...]:
    """Return (main, auxiliary heads ...) of what a network returned in training mode, logits (N, K) each."""
    return tuple(answer) if isinstance(answer, tuple) else (answer,)


def _regularization(library: str, regularization: Regularization) -> dict[str, float]:
    """Return dropout and stochastic depth under the names the library's constructors use."""
    names = {
        "timm": ("drop_rate", "drop_path_rate"),
        "torchvision": ("dropout", "stochastic_depth_prob"),
    }.get(library, ("dropout", "drop_path"))
    values = (regularization.dropout, regularization.drop_path)
    return {name: value for name, value in zip(names, values, strict=True) if value is not None}
