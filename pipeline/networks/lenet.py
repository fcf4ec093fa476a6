"""LeNet-5 as LeCun et al. 1998 draw it: 60,000 trainable parameters, RBF outputs."""

import torch
from torch import Tensor, nn
from torch.nn import functional

# Table I: which of the six maps of S2 each of the sixteen maps of C3 sees.
_C3_INPUTS = (
    *((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5)),
    *((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5)),
    (0, 1, 2, 3, 4, 5),
)
_GAIN = 2.4  # App. A: weights uniform in +-2.4 / fan-in


def squash(x: Tensor) -> Tensor:
    """The paper's activation, 1.7159 tanh(2x/3) (App. A)."""
    return 1.7159 * torch.tanh(x * (2 / 3))


class Subsampling(nn.Module):
    """Sum of 2x2 neighbours times a trainable coefficient plus a bias, one of each per map (S2, S4)."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(maps, 1, 1).uniform_(-_GAIN / 4, _GAIN / 4))
        self.bias = nn.Parameter(torch.zeros(maps, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return functional.avg_pool2d(x, 2, divisor_override=1) * self.weight + self.bias


class PartialConv(nn.Module):
    """C3: a 5x5 convolution whose maps see only the inputs of Table I; 1,516 parameters."""

    kept: Tensor

    def __init__(self) -> None:
        super().__init__()
        pairs = [(out, i) for out, inputs in enumerate(_C3_INPUTS) for i in inputs]
        bound = torch.tensor([_GAIN / (25 * len(_C3_INPUTS[out])) for out, _ in pairs])
        self.weight = nn.Parameter((torch.rand(len(pairs), 5, 5) * 2 - 1) * bound[:, None, None])
        self.bias = nn.Parameter(torch.zeros(len(_C3_INPUTS)))
        index = torch.tensor([out * 6 + i for out, i in pairs])
        self.register_buffer("kept", index, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        full = self.weight.new_zeros(len(_C3_INPUTS) * 6, 5, 5).index_copy(0, self.kept, self.weight)
        return functional.conv2d(x, full.view(len(_C3_INPUTS), 6, 5, 5), self.bias)


class LeNet5(nn.Module):
    """LeNet-5. (N, 1, 32, 32) -> (N, num_classes): minus the squared distance to each class's code.

    num_classes: 0 gives the features, (N, 84).
    """

    codes: Tensor

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.c1 = nn.Conv2d(1, 6, 5)
        self.s2 = Subsampling(6)
        self.c3 = PartialConv()
        self.s4 = Subsampling(16)
        self.c5 = nn.Conv2d(16, 120, 5)
        self.f6 = nn.Linear(120, 84)
        for layer in (self.c1, self.c5, self.f6):
            bound = _GAIN / layer.weight[0].numel()
            nn.init.uniform_(layer.weight, -bound, bound)
            nn.init.zeros_(layer.bias)
        # Fixed +-1 codes (§II-B: "could have been chosen at random"); their own generator keeps them
        # the same whatever the seed of a run.
        generator = torch.Generator().manual_seed(1998)
        codes = torch.randint(0, 2, (num_classes, 84), generator=generator, device="cpu") * 2.0 - 1.0
        self.register_buffer("codes", codes)

    def forward(self, x: Tensor) -> Tensor:
        x = squash(self.s2(squash(self.c1(x))))
        x = squash(self.s4(squash(self.c3(x))))
        x = squash(self.c5(x)).flatten(1)
        x = squash(self.f6(x))
        if not len(self.codes):
            return x
        return -(x[:, None] - self.codes).square().sum(2)
