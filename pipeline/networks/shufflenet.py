"""ShuffleNet v1 as Zhang et al. 2018 describe it, and v2 with the dropout of its authors' code."""

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.shufflenetv2 import channel_shuffle

# Table 1: channels after stage 2 for each number of groups; each later stage doubles them.
_STAGE_2 = {1: 144, 2: 200, 3: 240, 4: 272, 8: 384}


class ShuffleUnit(nn.Module):
    """A unit of Figure 2: grouped 1x1, shuffle, depthwise 3x3, grouped 1x1.

    (N, inputs, S, S) -> (N, outputs, S / stride, S / stride).

    first_groups: groups of the first 1x1 convolution; 1 where the stem's channels are too few to group.
    stride: 2 puts the pooled input beside the branch, which then has only the channels that are missing.
    """

    def __init__(self, inputs: int, outputs: int, groups: int, first_groups: int, stride: int) -> None:
        super().__init__()
        middle = outputs // 4
        branch = outputs - inputs if stride == 2 else outputs
        self.groups, self.stride = groups, stride
        self.compress = nn.Conv2d(inputs, middle, 1, groups=first_groups, bias=False)
        self.norm1 = nn.BatchNorm2d(middle)
        self.depthwise = nn.Conv2d(middle, middle, 3, stride, 1, groups=middle, bias=False)
        self.norm2 = nn.BatchNorm2d(middle)
        self.expand = nn.Conv2d(middle, branch, 1, groups=groups, bias=False)
        self.norm3 = nn.BatchNorm2d(branch)

    def forward(self, x: Tensor) -> Tensor:
        y = channel_shuffle(self.norm1(self.compress(x)).relu(), self.groups)
        y = self.norm2(self.depthwise(y))  # no activation after the depthwise convolution (§3.2)
        y = self.norm3(self.expand(y))
        if self.stride == 2:
            return torch.cat([functional.avg_pool2d(x, 3, 2, 1), y], 1).relu()
        return (x + y).relu()


class ShuffleNetV1(nn.Module):
    """ShuffleNet v1. (N, 3, S, S) -> (N, num_classes), or (N, features) where num_classes is 0.

    groups: of the 1x1 convolutions; 1, 2, 3, 4 or 8. width: share of Table 1's channels.
    stem: channels of the first convolution; 24 in Table 1, no number in the paper for other widths.
    repeats: units of stages 2, 3 and 4.

    Raises ValueError where the channels of a convolution do not divide by `groups`: Table 2's 0.5x and 0.25x
    with 2 or 4 groups, whose channel counts the paper does not give.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        groups: int = 3,
        width: float = 1.0,
        stem: int = 24,
        repeats: tuple[int, ...] = (4, 8, 4),
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, stem, 3, 2, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(stem)
        self.pool1 = nn.MaxPool2d(3, 2, 1)
        inputs, outputs = stem, round(_STAGE_2[groups] * width)
        for stage, count in enumerate(repeats, start=2):
            first_groups = 1 if stage == 2 else groups  # §3.3: no groups in the first layer of stage 2
            units = [ShuffleUnit(inputs, outputs, groups, first_groups, stride=2)]
            units += [ShuffleUnit(outputs, outputs, groups, groups, stride=1) for _ in range(count - 1)]
            self.add_module(f"stage{stage}", nn.Sequential(*units))
            inputs, outputs = outputs, outputs * 2
        self.fc = nn.Linear(inputs, num_classes) if num_classes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool1(self.norm1(self.conv1(x)).relu())
        x = self.stage4(self.stage3(self.stage2(x)))
        return self.fc(x.mean((2, 3)))


class ShuffleNetV2(torchvision.models.ShuffleNetV2):
    """torchvision's ShuffleNet v2, which is the paper's, with dropout before the classifier.

    (N, 3, S, S) -> (N, num_classes), or (N, features) where num_classes is 0.
    channels: of the stem, stages 2 to 4 and the last convolution. repeats: units of stages 2, 3 and 4.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        dropout: float = 0.0,
        channels: tuple[int, ...] = (24, 116, 232, 464, 1024),
        repeats: tuple[int, ...] = (4, 8, 4),
    ) -> None:
        super().__init__(list(repeats), list(channels), num_classes=num_classes or 1)
        self.fc = nn.Sequential(nn.Dropout(dropout), self.fc) if num_classes else nn.Identity()
