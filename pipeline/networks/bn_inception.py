"""BN-Inception (Ioffe and Szegedy 2015) with the channels of the network Google released.

Figure 5 of the paper lists a pool projection of 128 for 4c and 4d, which makes 608 channels where its output
column says 576; the released code has 96 there (tensorflow/models:research/slim/nets/inception_v2.py).
Padding is that code's too, TensorFlow's SAME, so that all branches of a module see the same places; Caffe's
copies of the network have the convolutions of stride 2 in 3c and 4e a pixel above and left of the pooling.
The released network's first layer has a bias and no batch norm; here it is normalized like all layers.
"""

from collections.abc import Callable
from functools import partial

import torch
from timm.layers import Conv2dSame
from torch import Tensor, nn
from torch.nn import functional

# Figure 5: #1x1, #3x3 reduce, #3x3, double #3x3 reduce, double #3x3, pool proj, of the modules that keep the
# size of the map; 5b pools by the maximum, the others by the mean. Names are the paper's.
_MODULES = {
    "3a": (64, 64, 64, 64, 96, 32),
    "3b": (64, 64, 96, 64, 96, 64),
    "4a": (224, 64, 96, 96, 128, 128),
    "4b": (192, 96, 128, 96, 128, 128),
    "4c": (160, 128, 160, 128, 160, 96),
    "4d": (96, 128, 192, 160, 192, 96),
    "5a": (352, 192, 320, 160, 224, 128),
    "5b": (352, 192, 320, 192, 224, 128),
}
# #3x3 reduce, #3x3, double #3x3 reduce, double #3x3, of the modules that halve it.
_HALVING = {"3c": (128, 160, 64, 96), "4e": (128, 192, 192, 256)}
_ORDER = ("3a", "3b", "3c", "4a", "4b", "4c", "4d", "4e", "5a", "5b")


class Conv(nn.Sequential):
    """Convolution, batch norm, ReLU; without batch norm the convolution has a bias."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int = 1, norm: bool = True) -> None:
        kind = Conv2dSame if stride > 1 else nn.Conv2d  # with stride 1 SAME is the same on all sides
        conv = kind(inputs, outputs, size, stride, padding=size // 2, bias=not norm)
        between = nn.BatchNorm2d(outputs) if norm else nn.Identity()
        super().__init__(conv, between, nn.ReLU(inplace=True))


MakeConv = Callable[..., Conv]


class Inception(nn.Module):
    """1x1, 3x3, two 3x3 and pooling side by side. (N, C, H, W) -> (N, sum of widths, H, W)."""

    def __init__(self, inputs: int, widths: tuple[int, ...], max_pool: bool, conv: MakeConv) -> None:
        super().__init__()
        one, reduce3, three, reduce33, three3, pool = widths
        self.one = conv(inputs, one, 1)
        self.three = nn.Sequential(conv(inputs, reduce3, 1), conv(reduce3, three, 3))
        self.double3 = nn.Sequential(
            conv(inputs, reduce33, 1), conv(reduce33, three3, 3), conv(three3, three3, 3)
        )
        self.project = conv(inputs, pool, 1)
        self.max_pool = max_pool
        self.outputs = one + three + three3 + pool

    def forward(self, x: Tensor) -> Tensor:
        if self.max_pool:
            pooled = functional.max_pool2d(x, 3, 1, padding=1)
        else:  # TensorFlow's mean leaves the padding out
            pooled = functional.avg_pool2d(x, 3, 1, padding=1, count_include_pad=False)
        return torch.cat([self.one(x), self.three(x), self.double3(x), self.project(pooled)], 1)


class Halving(nn.Module):
    """3x3, two 3x3 and max pooling with stride 2. (N, C, H, W) -> (N, sum of widths + C, H/2, W/2)."""

    def __init__(self, inputs: int, widths: tuple[int, ...], conv: MakeConv) -> None:
        super().__init__()
        reduce3, three, reduce33, three3 = widths
        self.three = nn.Sequential(conv(inputs, reduce3, 1), conv(reduce3, three, 3, stride=2))
        self.double3 = nn.Sequential(
            conv(inputs, reduce33, 1),
            conv(reduce33, three3, 3),
            conv(three3, three3, 3, stride=2),
        )
        self.outputs = three + three3 + inputs

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.three(x), self.double3(x), _pool(x)], 1)


class BNInception(nn.Module):
    """BN-Inception. (N, 3, S, S) -> (N, num_classes); S is 224 in the paper.

    dropout: before the classifier. batch_norm: False is the network it is compared with in Figure 3.
    width: share of the channels. num_classes: 0 gives the features.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        dropout: float = 0.0,
        batch_norm: bool = True,
        width: float = 1.0,
    ) -> None:
        super().__init__()
        conv = partial(Conv, norm=batch_norm)
        c1, channels = round(64 * width), round(192 * width)
        # §4.1's footnote of Figure 5: a separable first layer with depth multiplier 8.
        self.depthwise1 = Conv2dSame(3, 24, 7, stride=2, groups=3, bias=False)
        self.conv1 = conv(24, c1, 1)
        self.conv2_reduce = conv(c1, c1, 1)
        self.conv2 = conv(c1, channels, 3)
        blocks: list[nn.Module] = []
        for name in _ORDER:
            widths = tuple(round(w * width) for w in _MODULES.get(name) or _HALVING[name])
            if name in _HALVING:
                block: Inception | Halving = Halving(channels, widths, conv)
            else:
                block = Inception(channels, widths, name == "5b", conv)
            blocks.append(block)
            channels = block.outputs
        self.blocks = nn.Sequential(*blocks)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels, num_classes) if num_classes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x = _pool(self.conv1(self.depthwise1(x)))
        x = _pool(self.conv2(self.conv2_reduce(x)))
        x = self.blocks(x)
        return self.fc(self.dropout(x.mean((2, 3))))


def _pool(x: Tensor) -> Tensor:
    """Halve a map: 3x3 with stride 2 and SAME padding, which an even side has at its end alone."""
    return functional.max_pool2d(x, 3, 2, padding=(x.shape[2] % 2, x.shape[3] % 2), ceil_mode=True)
