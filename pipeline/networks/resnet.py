"""Residual networks as He et al. 2015 draw them: stride on the first 1x1, three kinds of shortcuts.

Layers are named as torchvision names them, so that its weights load wherever the shapes agree. What
torchvision and timm call ResNet-50 strides in the 3x3 instead (v1.5).
"""

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

Shortcut = Literal["A", "B", "C"]


class PaddedIdentity(nn.Module):
    """Option A: every `stride`-th position, new channels zero; no parameters (§3.3). (N, C, H, W)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.new_channels, self.stride = outputs - inputs, stride

    def forward(self, x: Tensor) -> Tensor:
        return functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.new_channels))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut (Fig. 5 left); the first has the stride."""

    expansion = 1

    def __init__(self, inputs: int, channels: int, stride: int, shortcut: nn.Module | None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = shortcut

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn1(self.conv1(x)).relu()
        y = self.bn2(self.conv2(y))
        return (y + (x if self.downsample is None else self.downsample(x))).relu()


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 around a shortcut (Fig. 5 right); the first 1x1 has the stride, as in the Caffe nets."""

    expansion = 4

    def __init__(self, inputs: int, channels: int, stride: int, shortcut: nn.Module | None) -> None:
        super().__init__()
        outputs = channels * self.expansion
        self.conv1 = nn.Conv2d(inputs, channels, 1, stride, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = shortcut

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn1(self.conv1(x)).relu()
        y = self.bn2(self.conv2(y)).relu()
        y = self.bn3(self.conv3(y))
        return (y + (x if self.downsample is None else self.downsample(x))).relu()


class ResNetV1(nn.Module):
    """ResNet of Table 1. (N, 3, S, S) -> (N, num_classes), or features (N, F) when num_classes is 0.

    block: "basic" (18 and 34 layers) or "bottleneck" (50, 101, 152). layers: blocks of conv2_x to conv5_x.
    shortcut: "A" pads with zeros, "B" projects where the size changes, "C" projects everywhere (§4.1).
    width: share of the paper's channels.

    Raises KeyError for another block, ValueError for another shortcut.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        block: Literal["basic", "bottleneck"] = "bottleneck",
        layers: tuple[int, ...] = (3, 4, 6, 3),
        shortcut: Shortcut = "B",
        width: float = 1.0,
    ) -> None:
        super().__init__()
        kind = {"basic": BasicBlock, "bottleneck": Bottleneck}[block]
        if shortcut not in ("A", "B", "C"):
            raise ValueError(f"shortcut is {shortcut!r}; it must be A, B or C.")
        first = round(64 * width)
        self.conv1 = nn.Conv2d(3, first, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(first)
        inputs = first
        for index, count in enumerate(layers):
            channels, stride = first * 2**index, 1 if index == 0 else 2
            self.add_module(f"layer{index + 1}", _stage(kind, inputs, channels, count, stride, shortcut))
            inputs = channels * kind.expansion
        self.stages = len(layers)
        self.fc = nn.Linear(inputs, num_classes) if num_classes else nn.Identity()
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = functional.max_pool2d(self.bn1(self.conv1(x)).relu(), 3, stride=2, padding=1)
        for index in range(self.stages):
            x = self.get_submodule(f"layer{index + 1}")(x)
        return self.fc(x.mean((2, 3)))


def _stage(
    kind: type[BasicBlock] | type[Bottleneck],
    inputs: int,
    channels: int,
    count: int,
    stride: int,
    shortcut: Shortcut,
) -> nn.Sequential:
    """Return `count` blocks; the first changes the size."""
    outputs = channels * kind.expansion
    blocks = []
    for index in range(count):
        before, step = (inputs, stride) if index == 0 else (outputs, 1)
        blocks.append(kind(before, channels, step, _shortcut(before, outputs, step, shortcut)))
    return nn.Sequential(*blocks)


def _shortcut(inputs: int, outputs: int, stride: int, shortcut: Shortcut) -> nn.Module | None:
    """Return the way past a block, None where it is the identity."""
    if inputs == outputs and stride == 1 and shortcut != "C":
        return None
    if shortcut == "A":
        return PaddedIdentity(inputs, outputs, stride)
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
