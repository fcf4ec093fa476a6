"""DenseNet against Huang et al. 2016 and the authors' Torch code."""

import math

import pytest
import torch
import torchvision
from networks import drawn, network_of, on_meta, rates
from torch import nn

import recipes
from pipeline.networks.densenet import densenet

BOOK = {name: recipe for name, recipe in recipes.all_recipes().items() if recipe.family == "DenseNet"}


@pytest.mark.parametrize(
    ("name", "epochs", "expected"),
    [
        ("densenet264", (0, 30, 89.9), (0.1, 0.01, 1e-3)),  # §4.2: divided at 30 and 60 of 90
        ("densenet161", (0, 60, 99.9), (0.1, 1e-3, 1e-4)),  # once more at 90 of 100
        # pleiss2017 §5: 0.05 (cos(pi t / 100) + 1), half way 0.05, at a third 0.075.
        ("densenet264@pleiss2017", (0, 100 / 3, 50), (0.1, 0.075, 0.05)),
        ("densenet232_k48@pleiss2017", (0, 60, 99.9), (0.1, 1e-3, 1e-4)),  # train.lua: every 30 epochs
    ],
)
def test_the_rate_is_the_papers(name, epochs, expected):
    assert rates(name, *epochs) == pytest.approx(list(expected))


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("densenet121", (6, 12, 24, 16)),
        ("densenet169", (6, 12, 32, 32)),
        ("densenet201", (6, 12, 48, 32)),
        ("densenet264", (6, 12, 64, 48)),
    ],
)
def test_the_blocks_have_the_sizes_of_table_1(name, layers):
    network, shapes = on_meta(name), []
    for block in range(1, 5):
        module = network.get_submodule(f"features.denseblock{block}")
        module.register_forward_hook(lambda m, i, o: shapes.append(tuple(o.shape[1:])))
    network(torch.zeros(2, 3, 224, 224, device="meta"))
    channels, expected = 64, []  # 2k maps before the first block, k more a layer, half after a transition
    for count, size in zip(layers, (56, 28, 14, 7), strict=True):
        channels += 32 * count
        expected.append((channels, size, size))
        channels //= 2
    assert shapes == expected


def test_a_layer_is_a_1x1_to_4k_maps_and_a_3x3_to_k_and_a_transition_pools_the_mean():
    network = on_meta("densenet264")
    layer = network.get_submodule("features.denseblock3.denselayer64")
    assert (layer.conv1.out_channels, layer.conv1.kernel_size) == (128, (1, 1))
    assert (layer.conv2.out_channels, layer.conv2.kernel_size) == (32, (3, 3))
    assert isinstance(network.get_submodule("features.transition3.pool"), nn.AvgPool2d)


def test_a_network_that_torchvision_names_has_its_weights():
    with torch.device("meta"):
        theirs = torchvision.models.densenet201().state_dict()
    ours = on_meta("densenet201").state_dict()
    assert {n: t.shape for n, t in ours.items()} == {n: t.shape for n, t in theirs.items()}


def test_without_classes_the_network_gives_features():
    network = densenet(0, growth_rate=8, block_config=(2, 2, 2, 2)).eval()
    # 16 + 16 = 32, 16 + 16 = 32, 16 + 16 = 32, 16 + 16 = 32
    assert network(torch.zeros(2, 3, 64, 64)).shape == (2, 32)


def test_weights_begin_as_the_authors_code_says():
    torch.manual_seed(0)
    network = network_of("densenet121")
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            w = module.weight
            expected = math.sqrt(2 / (w.shape[0] * w[0, 0].numel()))  # by outputs, densenet.lua
            assert w.std().item() == drawn(expected, w)
    assert network.classifier.weight.abs().max().item() == pytest.approx(1 / 32, rel=1e-3)  # 1/sqrt(1024)
    assert not network.classifier.bias.any()


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("densenet121", [74.98, 76.39, 75.0]),
        ("densenet169", [76.20, 77.92, 76.4]),
        ("densenet201", [77.42, 78.54, 77.5]),
        ("densenet264", [77.85, 79.20, 77.9]),
        ("densenet161", [77.8]),
        ("densenet232_k48@pleiss2017", [78.8]),
        ("densenet264@pleiss2017", [78.4]),
        ("densenet264_k48@pleiss2017", [79.74, 79.6]),
        ("densenet161@torchvision", [77.138]),
    ],
)
def test_the_published_numbers_are_targets(name, numbers):
    assert [target.top1 for target in BOOK[name].targets] == numbers


def test_everything_decays_and_momentum_is_nesterovs():
    for name in ("densenet121", "densenet264"):
        recipe = BOOK[name]
        assert recipe.regularization.decay_norm
        assert recipe.regularization.decay_bias
        assert recipe.optimizer.nesterov
