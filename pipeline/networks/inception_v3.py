"""Inception-v3 as torchvision builds it, with Google's dropout and a head on the way for small maps too."""

from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import inception


class AuxiliaryHead(inception.InceptionAux):
    """torchvision's head. (N, 768, 17, 17) -> (N, num_classes); of smaller maps it enlarges the mean."""

    def __init__(self, in_channels: int, num_classes: int, conv_block: Any) -> None:
        super().__init__(in_channels, num_classes, conv_block)
        # 299 pixels leave 5x5 here; the adaptive pool is the identity then and lets --tiny sizes through.
        self.pool = nn.AdaptiveAvgPool2d(5)
        self.fc = nn.Linear(self.conv1.conv.out_channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        if min(x.shape[-2:]) >= 5:
            x = functional.avg_pool2d(x, 5, 3)  # 17x17 -> 5x5
        x = self.conv1(self.pool(self.conv0(x)))
        return self.fc(x.flatten(1))


class InceptionV3(inception.Inception3):
    """Inception-v3. (N, 3, S, S) -> (N, num_classes); S is 299 in the paper, at least 75.

    In training it returns (main, auxiliary). dropout: before the classifier.
    width: share of the channels, quarters of which are whole. num_classes: 0 gives the features, without the
    auxiliary head.
    """

    def __init__(self, num_classes: int = 1000, dropout: float = 0.2, width: float = 1.0) -> None:
        conv = partial(_conv, width=width)
        kinds = (
            inception.InceptionA,
            inception.InceptionB,
            inception.InceptionC,
            inception.InceptionD,
            inception.InceptionE,
            AuxiliaryHead,
        )
        blocks: list[Any] = [conv, *(partial(kind, conv_block=conv) for kind in kinds)]
        # Its own start draws beyond two deviations (a=-2, b=2 are absolute there); the recipe gives Google's.
        super().__init__(
            max(num_classes, 1),
            aux_logits=num_classes > 0,
            transform_input=False,
            inception_blocks=blocks,
            init_weights=False,
            dropout=dropout,
        )
        self.fc = nn.Linear(round(2048 * width), num_classes) if num_classes else nn.Identity()


def _conv(inputs: int, outputs: int, width: float, **arguments: Any) -> nn.Module:
    """Return torchvision's convolution with batch norm and ReLU, its channels scaled."""
    inputs = inputs if inputs == 3 else round(inputs * width)
    return inception.BasicConv2d(inputs, round(outputs * width), **arguments)
