"""VGG: the letters of Table 1, the chain of §3.1 and the dense test of §3.2 of simonyan2014."""

from pathlib import Path

import pytest
import torch
from networks import network_of, on_meta, rates
from torch import nn

import recipes
from pipeline.networks.vgg import vgg
from pipeline.transfer import _pairs

BOOK = {name: r for name, r in recipes.all_recipes().items() if r.family == "VGG"}
CHAIN = {
    "vgg13": "vgg11",
    "vgg16@s256": "vgg11",
    "vgg19@s256": "vgg11",
    "vgg16@s384": "vgg16@s256",
    "vgg19@s384": "vgg19@s256",
    "vgg16": "vgg16@s384",
    "vgg19": "vgg19@s384",
}


@pytest.mark.parametrize(
    ("name", "stages"),
    [("vgg11", (1, 1, 2, 2, 2)), ("vgg13", (2,) * 5), ("vgg16", (2, 2, 3, 3, 3)), ("vgg19", (2, 2, 4, 4, 4))],
)
def test_convolutions_are_those_of_table_1(name, stages):
    found, count = [], 0
    for layer in on_meta(name).features:
        if isinstance(layer, nn.Conv2d):
            assert (layer.kernel_size, layer.stride, layer.padding) == ((3, 3), (1, 1), (1, 1))
            found.append(layer.out_channels)
        count += isinstance(layer, nn.MaxPool2d)
    expected = [c for c, n in zip((64, 128, 256, 512, 512), stages, strict=True) for _ in range(n)]
    assert (found, count) == (expected, 5)


def test_a_larger_image_gives_the_mean_of_the_scores_of_all_positions():
    torch.manual_seed(0)
    network = vgg("A", num_classes=7, width=0.125).eval()
    image = torch.randn(1, 3, 256, 288)  # 8x9 positions after five poolings, 2x3 of the 7x7 classifier
    maps = network.features(image)
    scores = [network.forward_head(maps[:, :, y : y + 7, x : x + 7]) for y in range(2) for x in range(3)]
    assert torch.allclose(network(image), torch.stack(scores).mean(0), atol=1e-5)


def test_dropout_stands_behind_both_hidden_layers():
    network = vgg("A", width=0.125, dropout=0.5)
    assert network.pre_logits.drop.p == 0.5  # fc6
    assert network.head.drop.p == 0.5  # fc7


def test_features_of_a_headless_network_are_those_of_fc7():
    assert vgg("A", num_classes=0, width=0.125).eval()(torch.zeros(2, 3, 64, 64)).shape == (2, 4096)


def test_a_network_begins_as_glorot_says():
    torch.manual_seed(0)
    network = network_of("vgg11")
    # 2 / (inputs + outputs), with the 9 positions of a filter counted on both sides.
    assert network.features[8].weight.std().item() == pytest.approx((2 / (9 * 512)) ** 0.5, rel=0.01)
    assert network.pre_logits.fc1.weight.std().item() == pytest.approx((2 / (25_088 + 4096)) ** 0.5, rel=0.01)
    assert network.head.fc.weight.std().item() == pytest.approx((2 / (4096 + 1000)) ** 0.5, rel=0.01)
    assert not network.features[8].bias.any()


def test_recipes_begin_one_from_another_as_section_3_1_says():
    found = {name: r.starts_from.recipe for name, r in BOOK.items() if r.starts_from}
    assert found == CHAIN


@pytest.mark.parametrize("name", ["vgg13", "vgg16@s256", "vgg19@s256"])
def test_a_deeper_network_takes_four_convolutions_and_the_classifier_of_a(name):
    network, parent = on_meta(name), on_meta("vgg11")
    own, source = network.state_dict(), parent.state_dict()
    pairs = dict(_pairs(network, BOOK[name].starts_from, own, source, Path("start")))
    assert all(own[here].shape == source[there].shape for here, there in pairs.items())
    convolutions = [m for m in parent.features if isinstance(m, nn.Conv2d)]
    taken = sum(p.numel() for m in convolutions[:4] for p in m.parameters()) + 123_642_856
    # fc6, fc7, fc8: 25,088 * 4096 + 4096 + 4096 * 4096 + 4096 + 4096 * 1000 + 1000.
    assert sum(own[here].numel() for here in pairs) == taken


@pytest.mark.parametrize(
    ("name", "epoch", "expected"),
    [
        ("vgg11", 3, 0.01),
        ("vgg11", 26, 1e-3),
        ("vgg11", 73, 1e-5),  # §3.1: lowered three times by ten
        ("vgg16@s384", 3, 1e-3),
        ("vgg19", 48, 1e-5),
        ("vgg19@torchvision", 3, 0.01),
        ("vgg16_bn@torchvision", 3, 0.1),
        ("vgg16_bn@torchvision", 60, 1e-3),
    ],
)
def test_the_rate_is_the_papers(name, epoch, expected):
    assert rates(name, epoch) == pytest.approx([expected])


def test_every_number_of_tables_3_and_4_is_there():
    found = {
        (name, t.top1, t.top5, t.evaluation.resize)
        for name, recipe in BOOK.items()
        for t in recipe.targets
        if t.evaluation.views == "dense" and t.ensemble == 1
    }
    assert found == {
        ("vgg11", 70.4, 89.6, (256,)),
        ("vgg13", 71.3, 90.1, (256,)),
        ("vgg13", 71.8, 90.4, (224, 256, 288)),
        ("vgg16@s256", 73.0, 91.2, (256,)),
        ("vgg16@s256", 73.4, 91.4, (224, 256, 288)),
        ("vgg16@s384", 73.2, 91.3, (384,)),
        ("vgg16@s384", 73.5, 91.4, (352, 384, 416)),
        ("vgg16", 74.4, 91.9, (384,)),
        ("vgg16", 75.2, 92.5, (256, 384, 512)),
        ("vgg19@s256", 72.7, 91.0, (256,)),
        ("vgg19@s256", 73.1, 91.3, (224, 256, 288)),
        ("vgg19@s384", 73.1, 91.3, (384,)),
        ("vgg19@s384", 73.3, 91.4, (352, 384, 416)),
        ("vgg19", 74.5, 92.0, (384,)),
        ("vgg19", 75.2, 92.5, (256, 384, 512)),
    }
    pair = BOOK["vgg19"].targets[2]
    assert (pair.top1, pair.top5, pair.ensemble, pair.members) == (76.0, 92.9, 2, ("vgg16", "vgg19"))


def test_figures_that_others_measured_on_the_released_weights_are_of_the_networks_they_are():
    found = {
        (name, t.source.key, t.top1, t.top5, t.evaluation.protocol)
        for name, recipe in BOOK.items()
        for t in recipe.targets
        if t.note.startswith("Measured by others")
    }
    # he2015 Table 3: 28.07 and 9.33% error; the README of its authors: 28.5 and 9.9%; slim's README.
    assert found == {
        ("vgg16", "he2015", 71.93, 90.67, "ten_crop 224/256 bilinear"),
        ("vgg16", "kaiminghe", 71.5, 90.1, "single_crop 224/256 bilinear"),
        ("vgg16", "slim", 71.5, 89.8, "single_crop 224/256 bilinear no_antialias"),
        ("vgg19", "slim", 71.1, 89.8, "single_crop 224/256 bilinear no_antialias"),
    }
