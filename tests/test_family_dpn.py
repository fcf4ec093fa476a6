"""DPN: the rate, the start, the layers and the numbers of Chen et al. 2017."""

import pytest
import torch
from networks import drawn, on_meta, rates
from torch import nn

import recipes
from pipeline import models
from recipes.serialize import with_value

NAMES = ("dpn68", "dpn92", "dpn98", "dpn131")


def test_the_rates_are_the_root_of_a_tenth_and_four_tenths():
    for name, first in {"dpn68": 0.1**0.5, "dpn92": 0.1**0.5, "dpn98": 0.4, "dpn131": 0.1**0.5}.items():
        assert rates(name, 0, 45, 95) == pytest.approx([first, first / 10, first / 1000], rel=1e-3)


def test_batches_are_those_of_forty_gpus():
    assert [recipes.get(name).data.batch_size / 40 for name in NAMES] == [64, 32, 32, 24]
    assert [recipes.get(name).model.batch_norm.images for name in NAMES] == [64, 32, 32, 24]


@pytest.mark.parametrize(
    ("name", "groups", "width", "blocks"),
    [
        ("dpn92", 32, 96, (3, 4, 20, 3)),
        ("dpn98", 40, 160, (3, 6, 20, 3)),
        ("dpn131", 40, 160, (4, 8, 28, 3)),
    ],
)
def test_layers_are_those_of_table_1(name, groups, width, blocks):
    network = on_meta(name)
    features = dict(network.features.named_children())
    for stage, count in enumerate(blocks, start=2):
        assert sum(layer.startswith(f"conv{stage}_") for layer in features if "bn" not in layer) == count
    first = features["conv2_1"].c3x3_b.conv
    assert (first.groups, first.in_channels) == (groups, width)
    assert features["conv3_1"].c3x3_b.conv.stride == (2, 2)
    assert {m.eps for m in network.modules() if isinstance(m, nn.BatchNorm2d)} == {1e-3}


def test_weights_begin_with_he_deviation():
    recipe = recipes.get("dpn92")
    recipe = with_value(recipe, "model.arguments", dict(recipe.model.narrow))
    torch.manual_seed(0)
    network = models.build(recipe.model, recipe.regularization)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            expected = (2 / module.weight[0].numel()) ** 0.5
            assert module.weight.std().item() == drawn(expected, module.weight, errors=4)


def test_pixels_are_multiplied_by_0_0167_as_the_readme_says():
    normalize = recipes.get("dpn92").data.normalize
    assert [(255 - mean) / std for mean, std in zip(normalize.mean, normalize.std, strict=True)] == (
        pytest.approx([131 * 0.0167, 138 * 0.0167, 151 * 0.0167])
    )


def test_each_network_has_its_three_ways_of_testing():
    for name, numbers in {
        "dpn68": [76.43, 77.85, 78.49],
        "dpn92": [79.27, 80.66, 80.96],
        "dpn98": [79.85, 81.06, 81.28],
        "dpn131": [80.07, 81.38, 81.45],
    }.items():
        targets = recipes.get(name).targets
        assert [t.top1 for t in targets] == numbers
        protocols = [(t.evaluation.crop, t.evaluation.pooling, t.evaluation.interpolation) for t in targets]
        assert protocols == [
            (224, "mean", "bicubic"),
            (320, "mean", "bicubic"),
            (320, "mean_max", "bicubic"),
        ]
