"""Inception-v3 as torchvision builds it, with Google's dropout and a head on the way for small maps too."""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import inception


class AuxiliaryHead(inception.InceptionAux):
    """torchvision's head. (N, 768, 17, 17) -> (N, num_classes); below 17x17 it sees the map enlarged."""

    def forward(self, x: Tensor) -> Tensor:
        if min(x.shape[-2:]) >= 5:
            x = functional.avg_pool2d(x, 5, 3)  # 17x17 -> 5x5
        # 299 pixels leave 5x5 here; the adaptive pool is the identity then and lets --tiny sizes through.
        x = self.conv1(functional.adaptive_avg_pool2d(self.conv0(x), 5))
        return self.fc(x.flatten(1))


class InceptionV3(inception.Inception3):
    """Inception-v3. (N, 3, S, S) -> (N, num_classes); S is 299 in the paper, at least 75.

    In training it returns (main, auxiliary). dropout: before the classifier.
    num_classes: 0 gives the features, without the auxiliary head.
    """

    def __init__(self, num_classes: int = 1000, dropout: float = 0.2) -> None:
        blocks: list[Any] = [
            inception.BasicConv2d,
            inception.InceptionA,
            inception.InceptionB,
            inception.InceptionC,
            inception.InceptionD,
            inception.InceptionE,
            AuxiliaryHead,
        ]
        # Its own start draws beyond two deviations (a=-2, b=2 are absolute there); the recipe gives Google's.
        super().__init__(
            max(num_classes, 1),
            aux_logits=num_classes > 0,
            transform_input=False,
            inception_blocks=blocks,
            init_weights=False,
            dropout=dropout,
        )
        if num_classes == 0:
            self.fc = nn.Identity()
