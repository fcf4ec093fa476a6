"""ResNet against He et al. 2015, fb.resnet.torch, Goyal et al. 2017 and torchvision's networks."""

import math

import pytest
import torch
import torchvision
from networks import drawn, network_of, on_meta, rates
from torch import nn

import recipes
from pipeline.networks.resnet import PaddedIdentity, ResNetV1

BOOK = {name: recipe for name, recipe in recipes.all_recipes().items() if recipe.family == "ResNet"}
STAGES = ("conv1", "layer1", "layer2", "layer3", "layer4")


@pytest.mark.parametrize(
    ("name", "epochs", "expected"),
    [
        # 0.1, divided by 10 at 30, 60 and 90 of 120 epochs.
        ("resnet152", (0, 45, 119), (0.1, 0.01, 1e-4)),
        # Goyal §5.1: 0.1, divided by 10 at 30, 60 and 80 of 90.
        ("resnet50@goyal2017", (29.9, 79.9, 80), (0.1, 1e-3, 1e-4)),
        # fb.resnet.torch train.lua: 0.1 * 0.1 ^ floor((epoch - 1) / 30), epochs counted from 1.
        ("resnet50@fb_torch", (0, 30, 89.9), (0.1, 0.01, 1e-3)),
        # torchvision train.py: StepLR(30, 0.1) for 90 epochs.
        ("resnet18@torchvision", (0, 59.9, 60), (0.1, 0.01, 1e-3)),
    ],
)
def test_the_rate_is_the_papers(name, epochs, expected):
    assert rates(name, *epochs) == pytest.approx(list(expected))


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("resnet18", (64, 64, 128, 256, 512)),
        ("resnet34_c", (64, 64, 128, 256, 512)),
        ("resnet50", (64, 256, 512, 1024, 2048)),
        ("resnet152", (64, 256, 512, 1024, 2048)),
    ],
)
def test_the_stages_have_the_sizes_of_table_1(name, channels):
    network, shapes = on_meta(name), []
    for stage in STAGES:
        network.get_submodule(stage).register_forward_hook(lambda m, i, o: shapes.append(tuple(o.shape[1:])))
    assert network(torch.zeros(2, 3, 224, 224, device="meta")).shape == (2, 1000)
    assert shapes == [(c, s, s) for c, s in zip(channels, (112, 56, 28, 14, 7), strict=True)]


@pytest.mark.parametrize(
    ("name", "layer"), [("resnet34", "conv1"), ("resnet50", "conv1"), ("resnet50@fb_torch", "conv2")]
)
def test_downsampling_is_in_the_layer_the_source_names(name, layer):
    # conv3_1, conv4_1, conv5_1 (Table 1); in a bottleneck the first 1x1, in FAIR's the 3x3.
    strided = [n for n, m in on_meta(name).named_modules() if isinstance(m, nn.Conv2d) and m.stride == (2, 2)]
    expected = ["conv1"]
    for stage in ("layer2", "layer3", "layer4"):
        expected += [f"{stage}.0.{layer}"] + ([] if name == "resnet34" else [f"{stage}.0.downsample.0"])
    assert sorted(strided) == sorted(expected)


def test_option_a_keeps_every_second_position_and_adds_zeros():
    x = torch.rand(2, 3, 5, 6)
    y = PaddedIdentity(3, 7, 2)(x)
    assert y.shape == (2, 7, 3, 3)
    assert torch.equal(y[:, :3], x[:, :, [0, 2, 4]][..., [0, 2, 4]])
    assert not y[:, 3:].any()


@pytest.mark.parametrize(
    ("name", "identities", "projections"),
    [("resnet18", 3, 0), ("resnet34", 3, 0), ("resnet34_b", 0, 3), ("resnet34_c", 0, 16), ("resnet50", 0, 4)],
)
def test_shortcuts_are_those_of_options_a_b_and_c(name, identities, projections):
    shortcuts = [m.downsample for m in on_meta(name).modules() if hasattr(m, "downsample")]
    assert sum(isinstance(s, PaddedIdentity) for s in shortcuts) == identities
    assert sum(isinstance(s, nn.Sequential) for s in shortcuts) == projections


def test_another_shortcut_is_refused():
    with pytest.raises(ValueError, match="shortcut is 'D'; it must be A, B or C"):
        ResNetV1(shortcut="D")


def test_with_torchvisions_weights_and_a_moved_stride_the_answers_are_torchvisions():
    torch.manual_seed(0)
    theirs = torchvision.models.resnet50(num_classes=5).eval()
    for name, module in theirs.named_modules():
        if name.endswith("0.conv2") and module.stride == (2, 2):
            module.stride, theirs.get_submodule(name.replace("conv2", "conv1")).stride = (1, 1), (2, 2)
    ours = ResNetV1(num_classes=5).eval()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 3, 64, 96)
    assert torch.allclose(ours(x), theirs(x), atol=1e-4)


def test_basic_blocks_with_projections_are_torchvisions():
    torch.manual_seed(0)
    theirs = torchvision.models.resnet18(num_classes=5).eval()
    ours = ResNetV1(5, block="basic", layers=(2, 2, 2, 2), shortcut="B").eval()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 3, 64, 96)
    assert torch.allclose(ours(x), theirs(x), atol=1e-4)


def test_without_classes_the_network_gives_features():
    assert ResNetV1(0, layers=(1, 1, 1, 1), width=0.25)(torch.zeros(2, 3, 64, 64)).shape == (2, 512)


@pytest.mark.parametrize(
    ("name", "fan_dim", "linear"),
    [
        ("resnet50", 1, math.sqrt(2 / 2048)),  # He et al. 2015b eq. 10: 2 / inputs
        ("resnet50@fb_torch", 0, 1 / math.sqrt(3 * 2048)),  # 2 / outputs; nn.Linear's +-1/sqrt(inputs)
        ("resnet50@goyal2017", 0, 0.01),  # §5.1
    ],
)
def test_weights_begin_as_the_source_says(name, fan_dim, linear):
    torch.manual_seed(0)
    network = network_of(name)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            w = module.weight
            expected = math.sqrt(2 / (w.shape[fan_dim] * w[0, 0].numel()))
            assert w.std().item() == drawn(expected, w)
    assert network.fc.weight.std().item() == pytest.approx(linear, rel=0.005)
    assert not network.fc.bias.any()
    gammas = {n: m.weight for n, m in network.named_modules() if isinstance(m, nn.BatchNorm2d)}
    zero = {n for n, gamma in gammas.items() if (gamma == 0).all()}
    ones = {n for n, gamma in gammas.items() if (gamma == 1).all()}
    assert zero == ({n for n in gammas if n.endswith("bn3")} if name == "resnet50@goyal2017" else set())
    assert zero | ones == set(gammas)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet18", {("ten_crop", 224): 72.12}),
        ("resnet34", {("ten_crop", 224): 74.97}),
        ("resnet34_b", {("ten_crop", 224): 75.48, ("dense", 224): 78.16}),
        ("resnet34_c", {("ten_crop", 224): 75.81, ("dense", 224): 78.47}),
        (
            "resnet152",
            {
                ("ten_crop", 224): 78.57,
                ("dense", 224): 80.62,
                ("single_crop", 224): 77.0,
                ("single_crop", 320): 78.7,
            },
        ),
        ("resnet152@fb_torch", {("single_crop", 224): 77.84, ("ten_crop", 224): 79.31}),
        ("resnet50@goyal2017", {("single_crop", 224): 76.40}),
        ("resnet152@torchvision", {("single_crop", 224): 78.312}),
    ],
)
def test_each_published_number_stands_under_its_own_protocol(name, expected):
    singles = [t for t in BOOK[name].targets if t.ensemble == 1]
    assert {(t.evaluation.views, t.evaluation.crop): t.top1 for t in singles} == expected


def test_five_scales_are_averaged_after_the_softmax_as_vggs_are():
    five = [t.evaluation for r in BOOK.values() for t in r.targets if t.evaluation.views == "dense"]
    assert {e.resize for e in five} == {(224, 256, 384, 480, 640)}
    assert {e.average for e in five} == {"probabilities"}


def test_the_ensemble_of_six_is_a_top5_on_the_test_set():
    (ensemble,) = [t for t in BOOK["resnet152"].targets if t.ensemble == 6]
    assert (ensemble.metric, ensemble.value, ensemble.images) == ("top5", 96.43, 100_000)


def test_what_decays_is_each_sources_own():
    decays = {name: (r.regularization.decay_norm, r.regularization.decay_bias) for name, r in BOOK.items()}
    assert decays["resnet50"] == (False, False)  # convolutions' weights alone
    assert decays["resnet50@goyal2017"] == (False, True)  # §5.1: not gamma and beta
    assert decays["resnet50@fb_torch"] == decays["resnet50@torchvision"] == (True, True)
