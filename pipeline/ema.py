"""The average of weights and batch-norm statistics that the TensorFlow recipes evaluate."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class WeightAverage:
    """Exponential moving average of a network's floating-point parameters and buffers.

    At step t (from 0) the decay is min(decay, (1 + t) / (10 + t)), TensorFlow's
    `ExponentialMovingAverage(num_updates=t)`; batch-norm statistics are averaged like weights.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self._live = _floats(network)
        self.shadow = {name: tensor.detach().clone() for name, tensor in self._live.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move the average towards the network as it is after optimizer step number `step`."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.shadow.values()), list(self._live.values()), 1 - decay)

    @torch.no_grad()
    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take over saved averages; with the network's own tensors this starts afresh."""
        for name, tensor in self.shadow.items():
            tensor.copy_(tensors[name])


def _floats(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in network.state_dict().items() if tensor.is_floating_point()}
