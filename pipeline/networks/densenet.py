"""DenseNets of any growth rate and depth, as torchvision builds the four it names.

DenseNet-264 with k=32 (Huang et al. 2016, Table 1) and the networks of the technical report are in no
library: timm's densenet264d is another network (k=48, deep stem).
"""

from torch import nn
from torchvision.models import DenseNet


def densenet(
    num_classes: int = 1000,
    growth_rate: int = 32,
    block_config: tuple[int, int, int, int] = (6, 12, 24, 16),
    dropout: float = 0.0,
) -> DenseNet:
    """Return a DenseNet-BC. (N, 3, S, S) -> (N, num_classes), or features (N, F) when num_classes is 0.

    growth_rate: k; the first convolution has 2k maps and a bottleneck 4k (§3). block_config: layers of each
    dense block (Table 1). dropout: after each 3x3, 0 on ImageNet.
    """
    network = DenseNet(
        growth_rate, block_config, 2 * growth_rate, drop_rate=dropout, num_classes=num_classes or 1
    )
    if not num_classes:
        network.classifier = nn.Identity()
    return network
