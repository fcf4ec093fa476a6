"""DLA: the rate, the start, the layers and the numbers of Yu et al. 2018 and its code."""

import pytest
import torch
from networks import drawn, network_of, on_meta, rates
from torch import nn

import recipes
from pipeline import models
from recipes.serialize import with_value

# Table 1 of the paper: bottleneck or basic blocks have this many channels at strides 2 to 32.
CHANNELS = {
    "dla34": (32, 64, 128, 256, 512),
    **dict.fromkeys(("dla60", "dla102", "dla169", "dla_x60"), (32, 128, 256, 512, 1024)),
    **dict.fromkeys(("dla_x102", "dla_x102_64"), (32, 128, 256, 512, 1024)),
    **dict.fromkeys(("dla46_c", "dla_x46_c", "dla_x60_c"), (32, 64, 64, 128, 256)),
}


def test_the_rate_falls_by_ten_every_thirty_epochs_of_a_hundred_and_twenty():
    assert rates("dla102", 0, 45, 119) == pytest.approx([0.1, 0.01, 0.0001])


def test_the_aspect_ratio_is_uniform_as_in_the_authors_transforms():
    assert recipes.get("dla34").data.geometry.rule == "linear"


@pytest.mark.parametrize("name", CHANNELS)
def test_stages_have_the_channels_and_sizes_of_table_1(name):
    with torch.device("meta"):
        network = network_of(name)
        x = network.level0(network.base_layer(torch.zeros(1, 3, 224, 224)))
        shapes = []
        for level in range(1, 6):
            x = network.get_submodule(f"level{level}")(x)
            shapes.append(tuple(x.shape[1:3]))
    assert shapes == list(zip(CHANNELS[name], (112, 56, 28, 14, 7), strict=True))


def test_the_deep_networks_alone_add_their_input_at_the_root():
    for name, shortcut in {"dla34": False, "dla60": False, "dla102": True, "dla169": True}.items():
        roots = [m for m in on_meta(name).modules() if hasattr(m, "conv") and hasattr(m, "shortcut")]
        assert {m.shortcut for m in roots} == {shortcut}


def test_convolutions_begin_as_in_the_authors_code():
    recipe = with_value(recipes.get("dla34"), "model.arguments", {"levels": (1,) * 6})
    torch.manual_seed(0)
    network = models.build(recipe.model, recipe.regularization)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):  # the classifier is one too
            expected = (2 / (module.out_channels * module.kernel_size[0] ** 2)) ** 0.5
            assert module.weight.std().item() == drawn(expected, module.weight, errors=4)


def test_every_network_of_the_ledger_has_its_number():
    found = {name: recipes.get(name).targets[0].top1 for name in CHANNELS}
    assert found == {
        "dla34": 74.62,
        "dla60": 77.04,
        "dla102": 78.03,
        "dla169": 78.69,
        "dla_x60": 78.25,
        "dla_x102": 78.51,
        "dla_x102_64": 79.44,
        "dla46_c": 64.9,
        "dla_x46_c": 66.0,
        "dla_x60_c": 68.0,
    }
