"""Res2Net against Gao et al. 2019 and the authors' code."""

import math
from dataclasses import replace

import pytest
import torch
from networks import drawn, network_of, on_meta, rates
from torch import nn

import recipes
from pipeline import models

BOOK = {name: recipe for name, recipe in recipes.all_recipes().items() if recipe.family == "Res2Net"}


@pytest.mark.parametrize(
    ("name", "epochs", "expected"),
    [
        ("res2net50_26w_4s", (0, 30, 99), (0.1, 0.01, 1e-4)),  # §4.1: divided every 30 of 100 epochs
        ("res2net101_v1b_26w_4s", (74.9, 150, 299), (0.1, 1e-3, 1e-4)),  # CutMix §4.1: at 75, 150, 225 of 300
    ],
)
def test_the_rate_is_the_papers(name, epochs, expected):
    assert rates(name, *epochs) == pytest.approx(list(expected))


@pytest.mark.parametrize("name", ["res2net50_26w_4s", "res2net101_26w_4s"])
def test_a_block_splits_four_times_26_maps_and_has_three_3x3(name):
    network = on_meta(name)
    for stage, width in enumerate((26, 52, 104, 208), start=1):
        block = network.get_submodule(f"layer{stage}.1")
        assert block.conv1.out_channels == 4 * width
        assert [(c.in_channels, c.out_channels, c.kernel_size) for c in block.convs] == [
            (width, width, (3, 3))
        ] * 3


def test_each_split_but_the_first_of_a_block_sees_the_answer_of_the_one_before():
    # Eq. 1: y1 = x1, y2 = K(x2), y3 = K(x3 + y2), y4 = K(x4 + y3); in the code the plain split is the last.
    torch.manual_seed(0)
    recipe = BOOK["res2net50_26w_4s"]
    small = replace(recipe.model, arguments={**recipe.model.arguments, **recipe.model.narrow})
    block = models.build(small, recipe.regularization).eval().layer1[1]
    x = torch.rand(2, 64, 8, 8)
    splits = block.bn1(block.conv1(x)).relu().chunk(4, 1)
    found, before = [], 0
    for split, conv, bn in zip(splits, block.convs, block.bns, strict=False):
        before = bn(conv(split + before)).relu()
        found.append(before)
    expected = (block.bn3(block.conv3(torch.cat([*found, splits[3]], 1))) + x).relu()
    assert torch.allclose(block(x), expected, atol=1e-5)


def test_v1b_has_three_3x3_in_its_stem_and_pools_before_it_projects():
    network = on_meta("res2net101_v1b_26w_4s")
    stem = [m for m in network.conv1 if isinstance(m, nn.Conv2d)]
    assert [(c.out_channels, c.kernel_size) for c in stem] == [(32, (3, 3)), (32, (3, 3)), (64, (3, 3))]
    assert [c.stride for c in stem] == [(2, 2), (1, 1), (1, 1)]
    pool, projection, _ = network.layer2[0].downsample
    assert isinstance(pool, nn.AvgPool2d)
    assert projection.stride == (1, 1)


def test_weights_begin_as_the_authors_code_says():
    torch.manual_seed(0)
    network = network_of("res2net50_26w_4s")
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            w = module.weight
            expected = math.sqrt(2 / (w.shape[0] * w[0, 0].numel()))  # He by outputs, res2net.py
            assert w.std().item() == drawn(expected, w)
        elif isinstance(module, nn.BatchNorm2d):
            assert (module.weight == 1).all()  # timm's own start has zeros in the last of a block
    assert network.fc.weight.abs().max().item() == pytest.approx(1 / math.sqrt(2048), rel=1e-3)


@pytest.mark.parametrize(
    ("name", "top1", "top5", "crop"),
    [
        ("res2net50_26w_4s", 77.99, 93.85, 224),
        ("res2net101_26w_4s", 79.19, 94.43, 224),
        ("res2net50_26w_4s_299", 78.59, 94.12, 299),
        ("res2net50_v1b_26w_4s", 80.27, 95.04, 224),
        ("res2net101_v1b_26w_4s", 81.23, 95.36, 224),
    ],
)
def test_the_published_numbers_are_targets(name, top1, top5, crop):
    (target,) = BOOK[name].targets
    assert (target.top1, target.top5, target.evaluation.crop) == (top1, top5, crop)
    assert ("unreleased recipe" in target.note) == ("v1b" in name)
