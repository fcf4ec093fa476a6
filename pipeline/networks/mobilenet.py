"""MobileNet v1 as Howard et al. 2017 describe it, at any width."""

from timm.layers import Conv2dSame
from torch import Tensor, nn

# Table 1: output channels and stride of each depthwise separable convolution. The last one's stride is
# printed as 2, but its output as 7 x 7 like its input, which is stride 1.
_BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))


def _convolution(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution, batch norm and ReLU (Figure 3; the authors' later code in slim has ReLU6).

    Padding is TensorFlow's SAME, whose odd pixel is at the bottom and right, as in the authors' framework.
    """
    return nn.Sequential(
        Conv2dSame(inputs, outputs, kernel, stride=stride, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class MobileNetV1(nn.Module):
    """MobileNet v1. (N, 3, S, S) -> (N, num_classes), or (N, features) where num_classes is 0.

    width: the paper's width multiplier, share of every layer's channels (1.0 has 4,231,976 parameters).
    dropout: probability before the classifier.
    """

    def __init__(self, num_classes: int = 1000, dropout: float = 0.0, width: float = 1.0) -> None:
        super().__init__()
        inputs = int(32 * width)
        self.stem = _convolution(3, inputs, 3, stride=2)
        self.blocks = nn.Sequential()
        for channels, stride in _BLOCKS:
            outputs = int(channels * width)
            depthwise = _convolution(inputs, inputs, 3, stride, groups=inputs)
            self.blocks.append(nn.Sequential(depthwise, _convolution(inputs, outputs, 1)))
            inputs = outputs
        self.drop = nn.Dropout(dropout)
        self.fc = nn.Linear(inputs, num_classes) if num_classes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.stem(x))
        return self.fc(self.drop(x.mean((2, 3))))
