"""AlexNet as its author trained it: in two groups on two GPUs (2012), and as one tower (2014)."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from pipeline.networks.local_response_norm import LocalResponseNorm


class AlexNet(nn.Module):
    """AlexNet. (N, 3, S, S) -> (N, num_classes); S is 224 in the papers, at least 67.

    channels: of the five convolutions. hidden: of fc6 and fc7. groups: of conv2, conv4 and conv5, 2 on the
    paper's two GPUs. Left alone they are those of Krizhevsky et al. 2012, 60,965,224 parameters.
    rectified: whether conv1 is rectified before it is normalized and pooled, as the paper says; the
    author's one-tower configuration normalizes, pools and only then rectifies.
    k: what response normalization adds to the sum of squares; 1 in Caffe.
    dropout: probability after fc6 and fc7. width: share of all channels. num_classes: 0 gives the features.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        dropout: float = 0.5,
        channels: Sequence[int] = (96, 256, 384, 384, 256),
        hidden: int = 4096,
        groups: int = 2,
        rectified: bool = True,
        k: float = 2.0,
        width: float = 1.0,
    ) -> None:
        super().__init__()
        c1, c2, c3, c4, c5 = (round(c * width) for c in channels)
        hidden = round(hidden * width)
        self.conv1 = nn.Conv2d(3, c1, 11, stride=4)
        self.conv2 = nn.Conv2d(c1, c2, 5, padding=2, groups=groups)
        self.conv3 = nn.Conv2d(c2, c3, 3, padding=1)
        self.conv4 = nn.Conv2d(c3, c4, 3, padding=1, groups=groups)
        self.conv5 = nn.Conv2d(c4, c5, 3, padding=1, groups=groups)
        # 224 pixels leave 6x6 here; the adaptive pool is the identity then and lets --tiny sizes through.
        self.pool5 = nn.AdaptiveAvgPool2d(6)
        self.fc6 = nn.Linear(c5 * 36, hidden)
        self.fc7 = nn.Linear(hidden, hidden)
        self.fc8 = nn.Linear(hidden, num_classes) if num_classes else nn.Identity()
        self.drop6 = nn.Dropout(dropout)
        self.drop7 = nn.Dropout(dropout)
        # n=5, alpha=1e-4, beta=0.75, and k=2 in the paper (§3.3). PyTorch divides alpha by n, and so does the
        # authors' code.
        self.norm = LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=k)
        self.rectified = rectified

    def forward(self, x: Tensor) -> Tensor:
        # The authors' framework rounds the number of positions up: 224 pixels give 55 with the right
        # and bottom edge padded by 3 (cuda-convnet2 layer.py).
        x = self.conv1(functional.pad(x, (0, 3, 0, 3)))
        x = _pool(self.norm(x.relu())) if self.rectified else _pool(self.norm(x)).relu()
        x = _pool(self.norm(self.conv2(x).relu()))
        x = self.conv4(self.conv3(x).relu()).relu()
        x = self.pool5(_pool(self.conv5(x).relu())).flatten(1)
        x = self.drop6(self.fc6(x).relu())
        x = self.drop7(self.fc7(x).relu())
        return self.fc8(x)


def _pool(x: Tensor) -> Tensor:
    """Overlapping pooling, 3x3 with stride 2 (§3.4); a map already smaller than that passes unpooled."""
    return functional.max_pool2d(x, 3, 2) if min(x.shape[-2:]) >= 3 else x
