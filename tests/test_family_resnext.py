"""ResNeXt against Xie et al. 2016, the authors' Torch code and torchvision's README."""

import math

import pytest
import torch
import torchvision
from networks import drawn, network_of, on_meta, rates
from torch import nn

import recipes

BOOK = {name: recipe for name, recipe in recipes.all_recipes().items() if recipe.family == "ResNeXt"}


@pytest.mark.parametrize(
    ("name", "epochs", "expected"),
    [
        ("resnext101_64x4d", (0, 30, 90), (0.1, 0.01, 1e-4)),  # train.lua: divided at 30, 60 and 90 of 100
        ("resnext50_32x4d@torchvision", (0, 30, 99), (0.4, 0.04, 4e-4)),  # README: 0.4 for 64 GPUs of 16
    ],
)
def test_the_rate_is_the_papers(name, epochs, expected):
    assert rates(name, *epochs) == pytest.approx(list(expected))


@pytest.mark.parametrize(
    ("name", "groups", "widths"),
    [
        ("resnext50_32x4d", 32, (128, 256, 512, 1024)),  # Table 1, right
        ("resnext101_32x4d", 32, (128, 256, 512, 1024)),
        ("resnext101_64x4d", 64, (256, 512, 1024, 2048)),
        ("resnext101_2x64d", 2, (128, 256, 512, 1024)),
    ],
)
def test_the_3x3_of_a_block_has_the_papers_groups_width_and_stride(name, groups, widths):
    network = on_meta(name)
    for stage, width in enumerate(widths, start=1):
        first, second = (network.get_submodule(f"layer{stage}.{i}.conv2") for i in (0, 1))
        assert (first.out_channels, first.groups) == (width, groups)
        assert first.stride == ((1, 1) if stage == 1 else (2, 2))
        assert second.stride == (1, 1)
        assert network.get_submodule(f"layer{stage}.0.conv1").stride == (1, 1)


def test_the_network_of_table_1_is_torchvisions():
    with torch.device("meta"):
        theirs = torchvision.models.resnext50_32x4d().state_dict()
    ours = on_meta("resnext50_32x4d").state_dict()
    assert {n: t.shape for n, t in ours.items()} == {n: t.shape for n, t in theirs.items()}


def test_weights_begin_as_the_authors_code_says():
    torch.manual_seed(0)
    network = network_of("resnext50_32x4d")
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            w = module.weight
            expected = math.sqrt(2 / (w.shape[0] * w[0, 0].numel()))  # by all outputs, resnext.lua
            assert w.std().item() == drawn(expected, w)
        elif isinstance(module, nn.BatchNorm2d):
            assert (module.weight == 1).all()  # no block begins as the identity
    assert network.fc.weight.abs().max().item() == pytest.approx(1 / math.sqrt(2048), rel=1e-3)
    assert not network.fc.bias.any()


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("resnext50_32x4d", {(224, 256): 77.8}),
        ("resnext101_32x4d", {(224, 256): 78.8}),
        ("resnext101_64x4d", {(320, 320): 80.9, (224, 256): 79.6}),
        ("resnext101_2x64d", {(224, 256): 79.3}),
        ("resnext50_32x4d@torchvision", {(224, 256): 77.618}),
        ("resnext101_32x8d@torchvision", {(224, 256): 79.312}),
    ],
)
def test_the_published_numbers_are_targets(name, numbers):
    found = {(t.evaluation.crop, *t.evaluation.resize): t.top1 for t in BOOK[name].targets}
    assert found == numbers
