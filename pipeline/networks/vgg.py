"""VGG by the letters of Simonyan and Zisserman's Table 1, on timm's layers, with a choice of width."""

from timm.models.vgg import VGG
from torch import nn

# Channels of the 3x3 convolutions; "M" is 2x2 max pooling with stride 2.
_LAYERS: dict[str, tuple[int | str, ...]] = {
    "A": (64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"),
    "B": (64, 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"),
    "D": (64, 64, "M", 128, 128, "M", *(256,) * 3, "M", *(512,) * 3, "M", *(512,) * 3, "M"),
    "E": (64, 64, "M", 128, 128, "M", *(256,) * 4, "M", *(512,) * 4, "M", *(512,) * 4, "M"),
}


def vgg(
    configuration: str,
    num_classes: int = 1000,
    dropout: float = 0.5,
    batch_norm: bool = False,
    width: float = 1.0,
) -> nn.Module:
    """Return configuration A, B, D or E, fully convolutional: (N, 3, S, S) -> (N, num_classes).

    S is 224 in training. A larger image gives the mean of the scores over all positions, the paper's dense
    test (§3.2). batch_norm: after every convolution but the classifier's. width: share of the channels of
    the convolutions and of fc6. Layer names are timm's.
    """
    layers = [x if isinstance(x, str) else round(x * width) for x in _LAYERS[configuration]]
    norm = nn.BatchNorm2d if batch_norm else None
    return VGG(layers, num_classes, norm_layer=norm, mlp_ratio=width, drop_rate=dropout)
