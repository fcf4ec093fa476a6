"""MobileNets: rates, starts, layers and numbers of the three papers."""

import pytest
import torch
from networks import network_of, on_meta, rates
from torch import nn

import recipes
from pipeline.networks.mobilenet import MobileNetV1
from pipeline.optim import make_optimizer

# Table 1 of Howard et al. 2017: channels after each block and the side of its map for 224 pixels.
TABLE_1 = (
    *((32, 112), (64, 112), (128, 56), (128, 56), (256, 28), (256, 28)),
    *(((512, 14),) * 6),
    *((1024, 7), (1024, 7)),
)


def test_rates_fall_in_steps_as_the_papers_and_codes_say():
    # sandler2018 §6.1 of MobileNetV1: 0.045, for each of sixteen parts of 64 images, times 0.98 an epoch.
    assert rates("mobilenet_v1", 0, 0.9, 1, 25) == pytest.approx([0.72, 0.72, 0.72 * 0.98, 0.72 * 0.98**25])
    # Sandler et al. §6.1: 0.045 a worker, times 0.98 each epoch; slim's README: every 2.5 epochs.
    assert rates("mobilenet_v2", 0, 1, 10) == pytest.approx([0.72, 0.72 * 0.98, 0.72 * 0.98**10])
    assert rates("mobilenet_v2@slim", 0, 2, 10) == pytest.approx([0.36, 0.36, 0.36 * 0.98**4])
    assert rates("mobilenet_v2@torchvision", 0, 1.5, 10) == pytest.approx(
        [0.045, 0.045 * 0.98, 0.045 * 0.98**10]
    )
    # Howard et al. 2019 §6.1.1: 0.1, times 0.99 every 3 epochs, after a warm-up of five.
    assert rates("mobilenet_v3_large", 2.5, 6, 300) == pytest.approx(
        [(0.1 + 1e-6) / 2, 0.1 * 0.99**2, 0.1 * 0.99**100]
    )


@pytest.mark.parametrize("width", [1.0, 0.75, 0.5, 0.25])
def test_mobilenet_v1_has_the_maps_of_table_1_at_every_width(width):
    with torch.device("meta"):
        network = MobileNetV1(width=width)
        x = network.stem(torch.zeros(1, 3, 224, 224))
        shapes = [tuple(x.shape[1:3])]
        for block in network.blocks:
            x = block(x)
            shapes.append(tuple(x.shape[1:3]))
    assert shapes == [(int(channels * width), side) for channels, side in TABLE_1]


def test_mobilenet_v1_pads_as_tensorflow_at_the_bottom_and_right():
    network = MobileNetV1(width=0.25)
    conv = network.stem[0]
    x = torch.randn(1, 3, 8, 8)
    # SAME with stride 2 and an even side: one row and column of zeros, after the last ones.
    expected = nn.functional.conv2d(nn.functional.pad(x, (0, 1, 0, 1)), conv.weight, stride=2)
    assert torch.allclose(conv(x), expected, atol=1e-6)


def test_mobilenet_v1_gives_features_without_a_classifier():
    assert MobileNetV1(num_classes=0, width=0.25).eval()(torch.zeros(2, 3, 64, 64)).shape == (2, 256)


def test_weights_begin_with_a_truncated_normal_of_0_09():
    torch.manual_seed(0)
    network = network_of("mobilenet_v1_x0_5")
    weights = torch.cat(
        [m.weight.flatten() for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    )
    assert weights.abs().max() <= 0.18
    # A standard normal cut at two has the variance 1 - 4 phi(2) / (2 Phi(2) - 1) = 0.7737.
    assert weights.std().item() == pytest.approx(0.09 * 0.7737**0.5, rel=0.01)
    assert (network.fc.bias == 0).all()


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small"])
def test_depthwise_filters_and_norms_do_not_decay(name):
    recipe = recipes.get(name)
    network = on_meta(name)
    optimizer = make_optimizer(network, recipe.optimizer, recipe.regularization)
    decays = {id(p): g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            depthwise = isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1
            expected = 0.0 if depthwise else recipe.regularization.weight_decay
            assert decays[id(module.weight)] == expected
        elif isinstance(module, nn.BatchNorm2d):
            assert decays[id(module.weight)] == decays[id(module.bias)] == 0.0


def test_googles_networks_have_tensorflows_padding_and_eps():
    for name in ("mobilenet_v2", "mobilenet_v2_x1_4@slim", "mobilenet_v2_x0_35@slim", "mobilenet_v3_large"):
        network = on_meta(name)
        strided = [m for m in network.modules() if isinstance(m, nn.Conv2d) and m.stride == (2, 2)]
        assert {type(m).__name__ for m in strided} == {"Conv2dSame"}
        assert {m.eps for m in network.modules() if isinstance(m, nn.BatchNorm2d)} == {1e-3}


def test_rmsprop_of_the_first_two_papers_runs_with_an_epsilon_of_one():
    names = [name for name in recipes.all_recipes() if name.startswith(("mobilenet_v1", "mobilenet_v2"))]
    eps = {name: getattr(recipes.get(name).optimizer, "eps", None) for name in names}
    assert {name for name, value in eps.items() if value != 1.0} == {"mobilenet_v2@torchvision"}


def test_the_numbers_are_those_of_the_papers_tables():
    found = {n: r.targets[0].top1 for n, r in recipes.all_recipes().items() if r.family == "MobileNet"}
    assert found == {
        "mobilenet_v1": 70.6,
        "mobilenet_v1_x0_75": 68.4,
        "mobilenet_v1_x0_5": 63.7,
        "mobilenet_v1_x0_25": 50.6,
        "mobilenet_v1_192": 69.1,
        "mobilenet_v1_160": 67.2,
        "mobilenet_v1_128": 64.4,
        "mobilenet_v1_x0_5_160": 60.2,
        "mobilenet_v2": 72.0,
        "mobilenet_v2_x1_4": 74.7,
        "mobilenet_v2@slim": 71.8,
        "mobilenet_v2_x1_4@slim": 75.0,
        "mobilenet_v2_x1_3@slim": 74.4,
        "mobilenet_v2_x0_75@slim": 69.8,
        "mobilenet_v2_x0_5@slim": 65.4,
        "mobilenet_v2_x0_35@slim": 60.3,
        "mobilenet_v3_large": 75.2,
        "mobilenet_v3_large_x0_75": 73.3,
        "mobilenet_v3_small": 67.4,
        "mobilenet_v3_small_x0_75": 65.4,
        "mobilenet_v2@torchvision": 71.878,
        "mobilenet_v3_large@torchvision": 74.042,
        "mobilenet_v3_small@torchvision": 67.668,
    }


def test_version_1_has_the_figures_of_the_weights_of_2018_beside_the_papers():
    found = {
        name: [(t.top1, t.top5, t.evaluation.crop) for t in recipe.targets if t.source.key == "slim"]
        for name, recipe in recipes.all_recipes().items()
        if name.startswith("mobilenet_v1")
    }
    # mobilenet_v1.md, rows MobileNet_v1_1.0_224 and so on.
    assert found == {
        "mobilenet_v1": [(70.9, 89.9, 224)],
        "mobilenet_v1_x0_75": [(68.4, 88.2, 224)],
        "mobilenet_v1_x0_5": [(63.3, 84.9, 224)],
        "mobilenet_v1_x0_25": [(49.8, 74.2, 224)],
        "mobilenet_v1_192": [(70.0, 89.2, 192)],
        "mobilenet_v1_160": [(68.0, 87.7, 160)],
        "mobilenet_v1_128": [(65.2, 85.8, 128)],
        "mobilenet_v1_x0_5_160": [(59.1, 81.9, 160)],
    }


@pytest.mark.parametrize(
    ("name", "stem", "last"),
    [
        # mobilenet_v2.py: 32 and 1280 channels times the width, to the nearest 8 but never a tenth fewer; the
        # last layer of a narrow network keeps 1280.
        ("mobilenet_v2_x1_4@slim", 48, 1792),
        ("mobilenet_v2_x1_3@slim", 40, 1664),
        ("mobilenet_v2_x0_75@slim", 24, 1280),
        ("mobilenet_v2_x0_5@slim", 16, 1280),
        ("mobilenet_v2_x0_35@slim", 16, 1280),
    ],
)
def test_version_2_has_the_first_and_last_channels_of_slim_at_every_width(name, stem, last):
    network = on_meta(name)
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert (convolutions[0].out_channels, convolutions[-1].out_channels) == (stem, last)
    assert {m.eps for m in network.modules() if isinstance(m, nn.BatchNorm2d)} == {1e-3}
