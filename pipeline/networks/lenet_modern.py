"""LeNet-5 as it is taught today: every map of C3 sees all of S2, plain pooling, ten linear outputs."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional


class ModernLeNet5(nn.Module):
    """LeNet-5. (N, 1, 32, 32) -> (N, num_classes); 61,706 parameters for ten classes.

    pooling: the largest or the mean of each 2x2, without parameters. num_classes: 0 gives the 84 features.
    """

    def __init__(
        self,
        num_classes: int = 10,
        pooling: Literal["max", "mean"] = "max",
        activation: Literal["relu", "tanh"] = "relu",
    ) -> None:
        super().__init__()
        self.c1 = nn.Conv2d(1, 6, 5)
        self.c3 = nn.Conv2d(6, 16, 5)
        self.c5 = nn.Conv2d(16, 120, 5)
        self.f6 = nn.Linear(120, 84)
        self.output = nn.Linear(84, num_classes) if num_classes else nn.Identity()
        self.pool = {"max": functional.max_pool2d, "mean": functional.avg_pool2d}[pooling]
        self.activation = {"relu": torch.relu, "tanh": torch.tanh}[activation]

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.activation(self.c1(x)), 2)
        x = self.pool(self.activation(self.c3(x)), 2)
        x = self.activation(self.c5(x)).flatten(1)
        return self.output(self.activation(self.f6(x)))
