"""AlexNet's later forms: the author's one tower, one of the two towers, torchvision's."""

import pytest
import torch
from networks import network_of, on_meta, rates
from torch import nn

import recipes
from pipeline.networks.alexnet import AlexNet
from pipeline.networks.local_response_norm import LocalResponseNorm

LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # krizhevsky2012 §3.5; layers-imagenet-1gpu.cfg; half of the first.
        ("alexnet", (96, 256, 384, 384, 256, 4096, 4096, 1000)),
        ("alexnet@owt", (64, 192, 384, 256, 256, 4096, 4096, 1000)),
        ("alexnet@half", (48, 128, 192, 192, 128, 2048, 2048, 1000)),
        ("alexnet@bvlc", (96, 256, 384, 384, 256, 4096, 4096, 1000)),  # train_val.prototxt
    ],
)
def test_layers_have_the_papers_channels(name, expected):
    network = on_meta(name)
    assert tuple(getattr(network, layer).weight.shape[0] for layer in LAYERS) == expected


def test_only_the_second_fourth_and_fifth_layer_stay_on_their_gpu():
    groups = {
        name: [getattr(on_meta(name), c).groups for c in LAYERS[:5]] for name in ("alexnet", "alexnet@owt")
    }
    assert groups == {"alexnet": [1, 2, 1, 2, 2], "alexnet@owt": [1, 1, 1, 1, 1]}


def test_the_one_tower_begins_as_its_configuration_says():
    torch.manual_seed(0)
    network = network_of("alexnet@owt")
    for layer, std in {"conv2": 0.01, "conv3": 0.03, "conv4": 0.03, "conv5": 0.03, "fc7": 0.01}.items():
        assert getattr(network, layer).weight.std().item() == pytest.approx(std, rel=0.01)
    biases = {layer: set(getattr(network, layer).bias.tolist()) for layer in LAYERS}
    ones = {layer for layer, values in biases.items() if values == {1.0}}
    assert ones == {"conv2", "conv4", "conv5", "fc6", "fc7"}
    assert biases["fc8"] == {-7.0}
    assert biases["conv1"] == biases["conv3"] == {0.0}


def test_caffes_begins_with_biases_of_a_tenth_where_the_papers_are_one():
    torch.manual_seed(0)
    network = network_of("alexnet@bvlc")
    for layer, std in {"conv3": 0.01, "fc6": 0.005, "fc7": 0.005, "fc8": 0.01}.items():
        assert getattr(network, layer).weight.std().item() == pytest.approx(std, rel=0.01)
    biases = {layer: getattr(network, layer).bias.unique().tolist() for layer in LAYERS}
    tenths = {layer for layer, values in biases.items() if values == pytest.approx([0.1])}
    assert tenths == {"conv2", "conv4", "conv5", "fc6", "fc7"}
    assert biases["conv1"] == biases["conv3"] == biases["fc8"] == [0.0]
    assert (network.norm.k, network_of("alexnet").norm.k) == (1, 2)


def test_caffes_length_is_that_of_the_snapshot_it_measured():
    schedule = recipes.get("alexnet@bvlc").schedule
    assert schedule.epochs == round(360_000 * 256 / 1_281_167)
    assert schedule.milestones == tuple(round(n * 100_000 * 256 / 1_281_167) for n in (1, 2, 3))


def test_the_one_tower_normalizes_its_first_layer_before_it_is_rectified():
    network = AlexNet(num_classes=10, width=0.25, groups=1, rectified=False)
    seen = []
    network.norm.register_forward_pre_hook(lambda m, inputs: seen.append(inputs[0].min().item()))
    network.eval()(torch.randn(1, 3, 67, 67))
    assert seen[0] < 0 <= seen[1]


@pytest.mark.parametrize(
    ("name", "epoch", "expected"),
    [
        ("alexnet", 3, 0.01),
        ("alexnet", 65, 1e-4),
        ("alexnet", 85, 1e-5),
        ("alexnet@owt", 22.4, 0.01),
        ("alexnet@owt", 45, 0.01 * 250 ** (-2 / 3)),
        ("alexnet@owt", 89, 0.01 / 250),  # dexp[base=0.01;tgtFactor=250;numSteps=4]
        ("alexnet@bvlc", 19.9, 0.01),  # solver.prototxt: a tenth every 100,000 iterations of 256 images
        ("alexnet@bvlc", 71, 1e-5),
        ("alexnet@torchvision", 30, 1e-3),
        ("alexnet@torchvision", 29.9, 0.01),
        ("alexnet@torchvision", 89, 1e-4),
    ],
)
def test_the_rate_is_the_papers(name, epoch, expected):
    assert rates(name, epoch) == pytest.approx([expected])


def test_features_of_a_headless_network_are_those_of_fc7():
    network = AlexNet(num_classes=0, width=0.125)
    assert network.eval()(torch.zeros(2, 3, 67, 67)).shape == (2, 512)


def test_torchvisions_has_no_response_normalization_and_drops_before_the_layers():
    network = on_meta("alexnet@torchvision")
    kinds = [type(m) for m in network.classifier]
    assert kinds[:2] == [nn.Dropout, nn.Linear]
    assert not any("ResponseNorm" in type(m).__name__ for m in network.modules())


@pytest.mark.parametrize("channels", [1, 4, 96])
def test_response_normalization_is_torchs_layer_and_has_its_gradient(channels):
    x = torch.randn(2, channels, 5, 3, dtype=torch.double) * 30
    found = []
    for kind in (nn.LocalResponseNorm, LocalResponseNorm):
        images = x.clone().requires_grad_()
        outputs = kind(5, alpha=0.01, beta=0.75, k=2.0)(images)
        outputs.square().sum().backward()
        found.append((outputs, images.grad))
    torch.testing.assert_close(*found)


def test_strong_responses_are_normalized_in_half_precision_too():
    x = torch.full((1, 8, 2, 2), 200.0)
    norm = LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=2.0)
    assert torch.allclose(norm(x.half()).float(), norm(x), rtol=2e-3)


def test_every_published_number_is_there_with_what_it_needs():
    found = {(t.top1, t.top5, t.ensemble, t.extra_data == "none") for t in recipes.get("alexnet").targets}
    # krizhevsky2012 Table 2, validation columns.
    assert found == {
        (59.3, 81.8, 1, True),
        (61.9, 83.6, 5, True),
        (61.0, 83.4, 1, False),
        (63.3, 84.6, 7, False),
    }
    owt = [(t.top1, t.top5, t.evaluation.views) for t in recipes.get("alexnet@owt").targets]
    assert owt == [(57.45, 80.19, "single_crop"), (59.58, 81.85, "ten_crop")]
    (bvlc,) = recipes.get("alexnet@bvlc").targets
    assert (bvlc.top1, bvlc.top5, bvlc.evaluation.protocol) == (
        57.1,
        80.2,
        "single_crop 227/256 bilinear squash",
    )
