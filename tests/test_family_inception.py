"""Inception after GoogLeNet, against the figures of ioffe2015, szegedy2015 and szegedy2016."""

import pytest
import torch
from networks import network_of, on_meta, rates
from torch import nn

import recipes
from pipeline.networks.bn_inception import _ORDER, BNInception, Conv, Halving
from pipeline.networks.inception_v3 import InceptionV3
from pipeline.optim import make_optimizer

BOOK = {name: r for name, r in recipes.all_recipes().items() if r.family == "Inception"}


def shapes_of(layers, network, size):
    """Return (channels, side) of what each named layer answers for one image."""
    found = {}
    for name, layer in layers.items():
        layer.register_forward_hook(lambda m, i, o, name=name: found.update({name: tuple(o.shape[1:3])}))
    network.eval()(torch.zeros(1, 3, size, size, device="meta"))
    return found


def test_bn_inception_has_the_output_sizes_of_figure_5():
    with torch.device("meta"):
        network = BNInception()
    layers = {"conv1": network.conv1, "conv2": network.conv2}
    layers |= dict(zip(_ORDER, network.blocks, strict=True))
    assert shapes_of(layers, network, 224) == {
        "conv1": (64, 112),
        "conv2": (192, 56),
        "3a": (256, 28),
        "3b": (320, 28),
        "3c": (576, 14),
        **dict.fromkeys(("4a", "4b", "4c", "4d"), (576, 14)),
        "4e": (1024, 7),
        "5a": (1024, 7),
        "5b": (1024, 7),
    }
    assert [b.max_pool for b in network.blocks if hasattr(b, "max_pool")] == [False] * 7 + [True]


def test_its_first_layer_is_separable_with_multiplier_8():
    network = BNInception(width=0.25)
    assert network.depthwise1.weight.shape == (24, 1, 7, 7)
    assert network.depthwise1.groups == 3


def test_it_has_as_many_variables_as_slim_counts_of_its_own():
    # inception_v2_test.py: 10,173,112 without the classifier. There a normalized channel has three numbers
    # (beta, mean, variance; no gamma), and the 64 of the first layer have a bias instead.
    with torch.device("meta"):
        network = BNInception(num_classes=0)
    weights = sum(m.weight.numel() for m in network.modules() if isinstance(m, nn.Conv2d))
    normalized = sum(m.num_features for m in network.modules() if isinstance(m, nn.BatchNorm2d))
    assert weights + 3 * (normalized - 64) + 64 == 10_173_112


@pytest.mark.parametrize("side", [5, 6])
def test_branches_that_halve_a_map_look_at_the_same_places(side):
    module = Halving(2, (1, 1, 1, 1), Conv).eval()
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.ones_(layer.weight)
    lit = [torch.zeros(1, 2, side, side) for _ in range(side)]
    for place, maps in enumerate(lit):
        maps[..., place, place] = 1
    # TensorFlow's SAME: windows of 3 begin at 0, 2, 4 of an even side, at -1, 1, 3 of an odd one.
    first = -(side % 2)
    for place, maps in enumerate(lit):
        three, double3, _, pooled = module(maps)[0]
        windows = range((side + 1) // 2)
        expected = [0 <= place - first - 2 * w < 3 for w in windows]
        assert (pooled.diagonal() > 0).tolist() == (three.diagonal() > 0).tolist() == expected
        assert (double3.diagonal() > 0).tolist() == [-1 <= place - first - 2 * w < 4 for w in windows]


def test_the_depthwise_half_of_its_first_layer_does_not_decay():
    recipe = BOOK["bn_inception"]
    network = on_meta("bn_inception")
    optimizer = make_optimizer(network, recipe.optimizer, recipe.regularization)
    decays = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert decays[id(network.depthwise1.weight)] == 0.0
    assert decays[id(network.conv2[0].weight)] == 4e-5


def test_without_batch_norm_convolutions_have_a_bias_instead():
    network = BNInception(width=0.25, batch_norm=False)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in network.modules())
    without = [n for n, m in network.named_modules() if isinstance(m, nn.Conv2d) and m.bias is None]
    assert without == ["depthwise1"]
    assert BNInception(num_classes=0, width=0.25).eval()(torch.zeros(2, 3, 64, 64)).shape == (2, 256)


def test_inception_v3_has_the_sizes_of_table_1_and_answers_main_first():
    network = on_meta("inception_v3")
    layers = {n: getattr(network, n) for n in ("Mixed_5d", "Mixed_6e", "Mixed_7c")}
    assert shapes_of(layers, network, 299) == {
        "Mixed_5d": (288, 35),
        "Mixed_6e": (768, 17),
        "Mixed_7c": (2048, 8),
    }
    main, auxiliary = network.train()(torch.zeros(2, 3, 299, 299, device="meta"))
    assert main.shape == auxiliary.shape == (2, 1000)
    assert network.dropout.p == 0.2


def test_its_head_is_torchvisions_at_299_and_bears_smaller_images():
    torch.manual_seed(0)
    network = InceptionV3(num_classes=3, width=0.25)
    maps = torch.randn(2, 192, 17, 17)
    head = network.AuxLogits.eval()
    assert torch.allclose(head(maps), super(type(head), head).forward(maps), atol=1e-6)
    assert head(torch.randn(2, 192, 3, 3)).shape == (2, 3)
    with torch.device("meta"):
        headless = InceptionV3(num_classes=0)
    assert headless.train()(torch.zeros(2, 3, 75, 75, device="meta")).shape == (2, 2048)


# A normal distribution cut at two deviations keeps 0.8796 of its deviation.
CUT = 0.8796


# The deviation of n draws is known to about 1 / sqrt(2n); four of those are allowed.
@pytest.mark.parametrize(
    ("name", "deviations"),
    [
        (
            "inception_v3",
            {
                "Mixed_6e.branch1x1.conv": 0.1 * CUT,
                "AuxLogits.conv0.conv": 0.1 * CUT,
                "AuxLogits.conv1.conv": 0.01 * CUT,
                "AuxLogits.fc": 0.001 * CUT,
            },
        ),
        (
            "bn_inception",
            {
                "conv1.0": 1.0 * CUT,
                "blocks.9.three.0.0": 0.09 * CUT,
                "blocks.9.project.0": 0.1 * CUT,
                "blocks.9.three.1.0": (2 / (9 * 192)) ** 0.5,
            },
        ),
        ("bn_inception@nobn", {"blocks.9.three.0.0": (2 / 1024) ** 0.5}),
    ],
)
def test_layers_begin_as_the_code_of_google_says(name, deviations):
    torch.manual_seed(0)
    network = network_of(name)
    for layer, std in deviations.items():
        weight = network.get_submodule(layer).weight
        assert weight.std().item() == pytest.approx(std, rel=max(0.02, 4 / (2 * weight.numel()) ** 0.5))


@pytest.mark.parametrize(
    ("name", "epoch", "expected"),
    [
        ("bn_inception", 3, 0.045 * 0.94),  # 30 times 0.0015 (§4.2.2)
        ("bn_inception@x5", 3, 0.0075 * 0.94),
        ("bn_inception@baseline", 11.9, 0.0015),
        ("bn_inception@baseline", 12, 0.0015 * 0.94),
        ("inception_v3", 1.9, 0.045),
        ("inception_v3", 3, 0.045 * 0.94),
        ("inception_v3", 99, 0.045 * 0.94**49),
        ("inception_v4", 3, 0.045 * 0.94),
        ("inception_resnet_v2", 4, 0.045 * 0.94**2),
    ],
)
def test_the_rate_is_the_papers(name, epoch, expected):
    assert rates(name, epoch) == pytest.approx([expected])


def test_six_million_steps_of_32_images_are_150_epochs():
    assert BOOK["bn_inception"].schedule.epochs == round(6e6 * 32 / 1_281_167)
    assert BOOK["bn_inception@nobn"].schedule.epochs == round(31e6 * 32 / 1_281_167)


def test_every_published_number_is_there_under_its_protocol():
    found = {
        (name, t.top1, t.top5, t.evaluation.views, t.ensemble, t.images)
        for name, recipe in BOOK.items()
        for t in recipe.targets
    }
    assert found == {
        ("bn_inception", 74.8, 92.18, "single_crop", 1, 50_000),
        ("bn_inception", 78.01, 94.18, "crops_144", 1, 50_000),
        ("bn_inception", 79.9, 95.1, "crops_144", 6, 50_000),
        ("bn_inception", 73.9, 91.8, "single_crop", 1, 50_000),
        ("bn_inception@x5", 73.0, None, "single_crop", 1, 50_000),
        ("bn_inception@baseline", 72.7, None, "single_crop", 1, 50_000),
        ("bn_inception@nobn", 72.2, None, "single_crop", 1, 50_000),
        ("inception_v3", 78.8, 94.4, "single_crop", 1, 48_238),
        ("inception_v3", 81.23, 95.8, "crops_144", 1, 48_238),
        ("inception_v3", 81.1, 95.7, "crops_144", 1, 50_000),
        ("inception_v3", 82.8, 96.42, "crops_144", 4, 48_238),
        ("inception_v3", 78.0, 93.9, "single_crop", 1, 50_000),
        ("inception_v4", 80.0, 95.0, "single_crop", 1, 48_238),
        ("inception_v4", 82.3, 96.2, "crops_144", 1, 50_000),
        ("inception_v4", 83.6, 96.9, "crops_144", 4, 50_000),
        ("inception_v4", 80.2, 95.2, "single_crop", 1, 50_000),
        ("inception_resnet_v2", 80.1, 95.1, "single_crop", 1, 48_238),
        ("inception_resnet_v2", 82.2, 96.3, "crops_144", 1, 50_000),
        ("inception_resnet_v2", 80.4, 95.3, "single_crop", 1, 50_000),
    }
    for recipe in BOOK.values():
        for target in recipe.targets:
            assert target.evaluation.without_blacklist == (target.images == 48_238)


def test_figures_of_googles_released_weights_say_so_and_have_its_window():
    for name in ("bn_inception", "inception_v3", "inception_v4", "inception_resnet_v2"):
        (target,) = [t for t in BOOK[name].targets if t.source.key == "slim"]
        assert target.note.startswith("Weights that Google released without saying how it trained them.")
        assert (target.confidence, target.evaluation.window) == ("medium", "inception")
