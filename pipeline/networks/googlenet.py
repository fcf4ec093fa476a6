"""GoogLeNet as Szegedy et al. 2014 describe it: no batch norm, real 5x5 filters, two auxiliary heads."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.networks.local_response_norm import LocalResponseNorm

# Table 1: #1x1, #3x3 reduce, #3x3, #5x5 reduce, #5x5, pool proj.
_MODULES = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


class Inception(nn.Module):
    """1x1, 3x3 and 5x5 filters and 3x3 max pooling side by side. (N, C, H, W) -> (N, sum of widths, H, W)."""

    def __init__(self, inputs: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        one, reduce3, three, reduce5, five, pool = widths
        self.one = nn.Conv2d(inputs, one, 1)
        self.reduce3 = nn.Conv2d(inputs, reduce3, 1)
        self.three = nn.Conv2d(reduce3, three, 3, padding=1)
        self.reduce5 = nn.Conv2d(inputs, reduce5, 1)
        self.five = nn.Conv2d(reduce5, five, 5, padding=2)
        self.pool = nn.Conv2d(inputs, pool, 1)
        self.outputs = one + three + five + pool

    def forward(self, x: Tensor) -> Tensor:
        three = self.three(self.reduce3(x).relu())
        five = self.five(self.reduce5(x).relu())
        pool = self.pool(functional.max_pool2d(x, 3, 1, padding=1))
        return torch.cat([self.one(x), three, five, pool], 1).relu()


class AuxiliaryHead(nn.Module):
    """§5's classifier on the way. (N, C, 14, 14) -> (N, num_classes)."""

    def __init__(self, inputs: int, num_classes: int, dropout: float, width: float) -> None:
        super().__init__()
        channels, hidden = round(128 * width), round(1024 * width)
        self.conv = nn.Conv2d(inputs, channels, 1)
        # 224 pixels leave 4x4 here; the adaptive pool is the identity then and lets --tiny sizes through.
        self.pool = nn.AdaptiveAvgPool2d(4)
        self.fc1 = nn.Linear(channels * 16, hidden)
        self.fc2 = nn.Linear(hidden, num_classes)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        if min(x.shape[-2:]) >= 5:
            x = functional.avg_pool2d(x, 5, 3)  # 14x14 -> 4x4
        x = self.pool(self.conv(x).relu()).flatten(1)
        return self.fc2(self.dropout(self.fc1(x).relu()))


class GoogLeNet(nn.Module):
    """GoogLeNet. (N, 3, S, S) -> (N, num_classes); S is 224 in the paper.

    auxiliary: whether there are the two heads, after 4a and 4d. In training the network then returns
    (main, that of 4a, that of 4d).
    dropout, auxiliary_dropout: before the classifier of the network and of the heads.
    width: share of the paper's channels. num_classes: 0 gives the features, without heads.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        dropout: float = 0.4,
        auxiliary: bool = True,
        auxiliary_dropout: float = 0.7,
        width: float = 1.0,
    ) -> None:
        super().__init__()
        c1, c2 = round(64 * width), round(192 * width)
        self.conv1 = nn.Conv2d(3, c1, 7, stride=2, padding=3)
        self.conv2_reduce = nn.Conv2d(c1, c1, 1)
        self.conv2 = nn.Conv2d(c1, c2, 3, padding=1)
        # The paper gives no constants; these are Caffe's bvlc_googlenet, whose alpha is divided by n too.
        self.norm = LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0)
        self.inception = nn.ModuleDict()
        outputs = {}
        channels = c2
        for name, widths in _MODULES.items():
            module = Inception(channels, tuple(round(w * width) for w in widths))
            self.inception[name] = module
            channels = outputs[name] = module.outputs
        self.aux1 = self.aux2 = None
        if auxiliary and num_classes:
            self.aux1 = AuxiliaryHead(outputs["4a"], num_classes, auxiliary_dropout, width)
            self.aux2 = AuxiliaryHead(outputs["4d"], num_classes, auxiliary_dropout, width)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels, num_classes) if num_classes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor, Tensor]:
        x = self.norm(_pool(self.conv1(x).relu()))
        x = _pool(self.norm(self.conv2(self.conv2_reduce(x).relu()).relu()))
        seen = {}
        for name, module in self.inception.items():
            x = seen[name] = module(x)
            if name in ("3b", "4e"):
                x = _pool(x)
        main = self.fc(self.dropout(x.mean((2, 3))))
        if self.training and self.aux1 is not None and self.aux2 is not None:
            return main, self.aux1(seen["4a"]), self.aux2(seen["4d"])
        return main


def _pool(x: Tensor) -> Tensor:
    """Halve a map, 112 -> 56 -> 28 -> 14 -> 7 as in Table 1: 3x3 with stride 2, positions rounded up."""
    return functional.max_pool2d(x, 3, 2, ceil_mode=True)
