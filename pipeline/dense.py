"""Networks as a protocol applies them to images of any size: fully convolutional, or with DPN's pooling.

Knows networks by what they compute: what a form is allowed for is tried out on the network, not looked up.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.errors import Top1Error
from recipes.schema import Evaluation

_DPN_KERNEL = 7  # cypw/DPNs:score.py, pooling of 7x7 at stride 1
_PROBED = 224  # pixels, at least
_TOLERANCE = 1e-3  # relative, of float32 sums in another order


class Plain(nn.Module):
    """A network as it is. Like every form it has the network's tensors under `network.`."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images)


class Convolved(Plain):
    """torchvision's VGG and AlexNet: features, a pool to K x K, linear layers on the flattened map.

    The first linear layer becomes a K x K convolution, the others 1 x 1; scores (N, classes) are the mean
    over positions (Simonyan & Zisserman 2014 §3.2). A map smaller than K x K is pooled as the network does.
    """

    def forward(self, images: Tensor) -> Tensor:
        return self.score_map(images).mean((2, 3))

    def score_map(self, images: Tensor) -> Tensor:
        """Return the scores at every position, (N, classes, h, w)."""
        network: Any = self.network
        side = _pooled_side(network)
        x = network.features(images)
        if min(x.shape[2:]) < side:
            x = network.avgpool(x)
        for layer in network.classifier:
            if isinstance(layer, nn.Linear):
                kernel = side if layer.in_features == x.shape[1] * side**2 and min(x.shape[2:]) >= side else 1
                weight = layer.weight.view(layer.out_features, -1, kernel, kernel)
                x = functional.conv2d(x, weight, layer.bias)
                side = 1  # only the first sees an area
            else:
                x = layer(x)
        return x


class MeanMax(Plain):
    """DPN's test: 7 x 7 mean pooling at stride 1, the classifier, then the mean of average and maximum.

    Source: cypw/DPNs:score.py. A smaller map is pooled whole.
    """

    def forward(self, images: Tensor) -> Tensor:
        network: Any = self.network
        features = network.forward_features(images)
        kernel = min(_DPN_KERNEL, *features.shape[2:])
        classifier = network.get_classifier()
        weight = classifier.weight.view(*classifier.weight.shape[:2], 1, 1)
        scores = functional.conv2d(functional.avg_pool2d(features, kernel, 1), weight, classifier.bias)
        return (scores.mean((2, 3)) + scores.amax((2, 3))) / 2


def form_of(network: nn.Module, evaluation: Evaluation) -> Plain:
    """Return the network as a protocol applies it. network: in evaluation mode.

    Raises Top1Error where the protocol asks for a form the network does not have.
    """
    if evaluation.pooling == "mean_max":
        if not (hasattr(network, "forward_features") and hasattr(network, "get_classifier")):
            raise Top1Error(
                f"{type(network).__name__} shows no features before its pooling, which mean-max pooling "
                "needs; only timm's networks do. Measure it under a protocol without mean_max_pooling."
            )
        return MeanMax(network)
    if evaluation.views != "dense" or _averages_positions(network, evaluation.crop):
        return Plain(network)
    if _pooled_side(network) > 1:
        return Convolved(network)
    raise Top1Error(
        f"{type(network).__name__} has no fully convolutional form here: its classifier sees neither a mean "
        "over positions nor a flattened map of features. Measure it under another protocol than dense."
    )


def _pooled_side(network: Any) -> int:
    """Return K of features, pool to K x K, flatten, linear; 0 where the network is not of that shape."""
    layers = getattr(network, "classifier", None)
    pool = getattr(network, "avgpool", None)
    if not (isinstance(layers, nn.Sequential) and isinstance(pool, nn.AdaptiveAvgPool2d)):
        return 0
    size = pool.output_size
    return int(size if isinstance(size, int) else size[0] or 0)


@torch.inference_mode()
def _averages_positions(network: nn.Module, size: int) -> bool:
    """Whether the last layer sees the mean over positions of a map of features, and is linear.

    Then the network on a larger image gives the mean of its scores over positions (He et al. 2015, Lin et
    al. 2013), timm's VGG included. Found out with one image of noise, half as wide again as high, and large
    enough that there are several positions.
    """
    first = next(network.parameters())
    size = max(size, _PROBED)
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, _channels(network), size, size + size // 2, generator=generator).to(first)
    with _watched(network) as (inputs, means):
        try:
            network(image)
        except RuntimeError:  # how torch says that a layer does not fit: a network of one image size
            return False
    seen = inputs[-1]
    return any(m.shape == seen.shape and torch.allclose(m, seen, rtol=_TOLERANCE, atol=1e-6) for m in means)


@contextmanager
def _watched(network: nn.Module) -> Iterator[tuple[list[Tensor], list[Tensor]]]:
    """Yield two lists that a forward pass fills: what each linear layer sees at its only position (N, F), and
    the mean over positions of each map of features, as it is and after a ReLU, (N, F).
    """
    inputs: list[Tensor] = []
    means: list[Tensor] = []

    def hook(module: nn.Module, given: tuple[Any, ...], out: Any) -> None:
        if isinstance(module, nn.Linear | nn.Conv2d) and isinstance(given[0], Tensor):
            inputs.append(given[0].flatten(1) if given[0][0, 0].numel() == 1 else given[0].new_zeros(0))
        if isinstance(out, Tensor) and out.dim() == 4 and out[0, 0].numel() > 1:
            means.extend((out.mean((2, 3)), out.relu().mean((2, 3))))

    handles = [module.register_forward_hook(hook) for module in network.modules()]
    try:
        yield inputs, means
    finally:
        for handle in handles:
            handle.remove()


def _channels(network: nn.Module) -> int:
    return next(module.in_channels for module in network.modules() if isinstance(module, nn.Conv2d))
