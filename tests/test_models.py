"""Networks: the paper's parameters, start and batch norm."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional

import recipes
from pipeline import models
from pipeline.batch_norm import GroupedBatchNorm, set_batch_norm
from pipeline.errors import Top1Error
from pipeline.networks.lenet import _C3_INPUTS, LeNet5
from recipes.schema import BatchNorm

BOOK = recipes.all_recipes()


def build(recipe):
    return models.build(recipe.model, recipe.regularization)


@pytest.mark.parametrize("recipe", BOOK.values(), ids=BOOK)
def test_a_network_has_exactly_the_stated_parameters(recipe):
    with torch.device("meta"):
        network = build(recipe)
    heads = recipe.model.auxiliary.parameters if recipe.model.auxiliary else 0
    assert sum(p.numel() for p in network.parameters()) == recipe.model.parameters + heads


def multiply_adds(network, size, channels):
    """Count the multiply-adds of convolutions and linear layers for one image, layer by layer."""
    total = 0

    def count(module, inputs, output):
        nonlocal total
        positions = output[0, 0].numel() if output.dim() == 4 else 1
        total += module.weight.numel() * positions

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear) or type(module).__name__ == "PartialConv":
            module.register_forward_hook(count)
    network.eval()(torch.zeros(1, channels, size, size, device=next(network.parameters()).device))
    return total / 1e9


@pytest.mark.parametrize("recipe", BOOK.values(), ids=BOOK)
def test_a_network_has_the_stated_multiply_adds(recipe):
    channels = len(recipe.data.normalize.mean)
    with torch.device("meta"):
        network = build(recipe).to("meta")
    found = multiply_adds(network, recipe.model.gmacs_size, channels)
    assert found == pytest.approx(recipe.model.gmacs, rel=0.02)


def test_lenet5_layer_by_layer_has_the_counts_of_section_2b():
    counts = {name: sum(p.numel() for p in m.parameters()) for name, m in LeNet5().named_children()}
    assert counts == {"c1": 156, "s2": 12, "c3": 1516, "s4": 32, "c5": 48_120, "f6": 10_164}


def test_lenet5_c3_sees_the_inputs_of_table_1():
    columns = [0] * 6
    for inputs in _C3_INPUTS:
        for i in inputs:
            columns[i] += 1
    # Table I: each map of S2 feeds ten maps of C3; six maps see three inputs, nine four, one all six.
    assert columns == [10] * 6
    assert sorted(map(len, _C3_INPUTS)) == [3] * 6 + [4] * 9 + [6]


def test_lenet5_answers_with_the_nearest_code():
    network = LeNet5()
    for digit in range(10):
        distances = (network.codes[digit] - network.codes).square().sum(1)
        assert distances.argmin() == digit
    assert torch.equal(LeNet5().codes, network.codes)


def test_alexnet_begins_as_section_5_says():
    torch.manual_seed(0)
    network = build(recipes.get("alexnet"))
    assert network.fc6.weight.std().item() == pytest.approx(0.01, rel=0.01)
    assert network.conv1.weight.mean().item() == pytest.approx(0.0, abs=1e-3)
    ones = {name for name, p in network.named_parameters() if name.endswith("bias") and (p == 1).all()}
    zeros = {name for name, p in network.named_parameters() if name.endswith("bias") and (p == 0).all()}
    assert ones == {"conv2.bias", "conv4.bias", "conv5.bias", "fc6.bias", "fc7.bias"}
    assert zeros == {"conv1.bias", "conv3.bias", "fc8.bias"}


def test_alexnet_has_55_positions_after_its_first_layer():
    network = build(recipes.get("alexnet"))
    shapes = []
    network.conv1.register_forward_hook(lambda m, i, o: shapes.append(o.shape[2:]))
    network.conv5.register_forward_hook(lambda m, i, o: shapes.append(o.shape[2:]))
    network.eval()(torch.zeros(1, 3, 224, 224))
    assert shapes == [(55, 55), (13, 13)]


def test_alexnets_response_normalization_is_the_papers_formula():
    x = torch.rand(1, 7, 2, 2)
    found = build(recipes.get("alexnet")).norm(x)
    for i in range(7):
        window = x[:, max(0, i - 2) : i + 3].square().sum(1)
        expected = x[:, i] / (2 + 1e-4 / 5 * window) ** 0.75  # the code divides alpha by n = 5
        assert torch.allclose(found[:, i], expected)


def test_batch_norm_constants_are_converted_once():
    with torch.device("meta"):
        network = build(recipes.get("efficientnetv2_s"))
    constants = {(m.momentum, m.eps) for m in network.modules() if isinstance(m, nn.BatchNorm2d)}
    assert {(round(m, 9), e) for m, e in constants} == {(0.01, 1e-3)}


def test_dropout_follows_the_stage_in_both_kinds_of_network():
    timm_network = build(recipes.get("efficientnetv2_s"))
    models.set_dropout(timm_network, 0.25)
    assert timm_network.drop_rate == 0.25
    own = build(recipes.get("alexnet"))
    models.set_dropout(own, 0.25)
    assert own.drop6.p == own.drop7.p == 0.25


def test_a_constructor_that_no_library_has_is_told():
    model = replace(recipes.get("alexnet").model, constructor="timm:alexnett")
    with pytest.raises(Top1Error, match="timm:alexnett cannot be built"):
        models.build(model, recipes.get("alexnet").regularization)


def test_ghost_statistics_are_those_of_each_group_alone():
    torch.manual_seed(1)
    network = nn.Sequential(nn.Conv2d(3, 5, 1), nn.BatchNorm2d(5))
    ghost = nn.Sequential(nn.Conv2d(3, 5, 1), nn.BatchNorm2d(5))
    ghost.load_state_dict(network.state_dict())
    set_batch_norm(ghost, BatchNorm(momentum=0.9, eps=1e-5, images=4), micro_batch=12, rank=0, world=1)
    assert isinstance(ghost[1], GroupedBatchNorm)
    assert ghost.state_dict().keys() == network.state_dict().keys()
    x = torch.randn(12, 3, 6, 6)
    y = ghost(x)
    for first in (0, 4, 8):
        part = network[0](x[first : first + 4])
        assert torch.allclose(
            y[first : first + 4], functional.batch_norm(part, None, None, training=True), atol=1e-5
        )
    # The running mean moves by 1 - 0.9 towards the mean of the groups' means, which is the mean of all.
    assert torch.allclose(ghost[1].running_mean, 0.1 * network[0](x).mean((0, 2, 3)), atol=1e-6)
    assert torch.equal(ghost.eval()(x), ghost.eval()(x[:12]))


def test_the_activation_of_a_timm_norm_comes_along():
    torch.manual_seed(0)
    recipe = recipes.get("efficientnetv2_s")
    narrow = replace(recipe.model, arguments=recipe.model.narrow)
    plain = models.build(narrow, recipe.regularization)
    narrow = replace(narrow, batch_norm=replace(narrow.batch_norm, images=2))
    grouped = models.build(narrow, recipe.regularization, micro_batch=4)
    grouped.load_state_dict(plain.state_dict())
    x = torch.randn(4, 3, 64, 64)
    assert torch.allclose(plain.eval()(x), grouped.eval()(x), atol=1e-5)


def test_dropout_that_a_recipe_leaves_out_is_none_whatever_the_constructor_says():
    recipe = recipes.get("se_resnet50")
    with torch.device("meta"):
        timm_network = build(recipe)  # timm's own default is 0.2
        model = replace(recipe.model, constructor="torchvision:mobilenet_v2", initialization=None)
        torchvision_network = models.build(model, recipe.regularization)  # torchvision's too
        models.set_dropout(timm_network, 0.5)
    assert timm_network.drop_rate == 0.5
    assert [m.p for m in torchvision_network.modules() if isinstance(m, nn.Dropout)] == [0.0]


@pytest.mark.parametrize(
    ("name", "features"),  # what each paper's classifier is given
    [("lenet5", 84), ("alexnet", 4096), ("vgg16", 4096), ("googlenet", 1024), ("resnet50", 2048),
     ("densenet121", 1024), ("mobilenet_v2", 1280), ("efficientnetv2_s", 1280)],
)  # fmt: skip
def test_a_network_without_its_classifier_gives_the_features_it_is_given(name, features):
    recipe = recipes.get(name)
    channels, size = 1 if recipe.data.color == "gray" else 3, recipe.validation.crop
    network = models.headless(recipe.model, recipe.regularization).eval()
    with torch.inference_mode():
        assert network(torch.zeros(1, channels, size, size)).shape == (1, features)
