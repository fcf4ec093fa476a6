"""From a recipe's words about a network to the network. Heavy; knows no optimizer and no data."""

from __future__ import annotations

from typing import Any

import timm
import torchvision
from torch import Tensor, nn

from pipeline.batch_norm import set_batch_norm, set_constants
from pipeline.errors import Top1Error
from pipeline.networks import NETWORKS
from pipeline.start import initialize
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
    """Return the network of a "library:name" constructor with the recipe's arguments."""
    library, _, name = model.constructor.partition(":")
    arguments = {**_regularization(library, regularization), **model.arguments}
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
        f"model.constructor is {model.constructor!r}; it must begin with timm:, torchvision: or top1:."
    )


def set_dropout(network: nn.Module, probability: float | None) -> None:
    """Change dropout everywhere, which progressive learning raises from stage to stage."""
    if probability is None:
        return
    if isinstance(getattr(network, "drop_rate", None), float):  # timm applies it as a function
        network.drop_rate = probability
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = probability


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
