"""LeNet-5: today's network and the solver it is trained with, against lecun1998 and Caffe's files."""

import math

import pytest
import torch

import recipes
from pipeline import models
from pipeline.networks.lenet_modern import ModernLeNet5
from pipeline.schedule import lr_at

MODERN = ("lenet5@modern", "lenet5@relu", "lenet5@tanh")


def test_a_map_of_c3_sees_all_six_maps_today():
    counts = {name: sum(p.numel() for p in m.parameters()) for name, m in ModernLeNet5().named_children()}
    # (5 * 5 * 6 + 1) * 16 = 2,416 instead of 1,516 with Table I; ten linear outputs of 84 inputs.
    assert counts == {"c1": 156, "c3": 2416, "c5": 48_120, "f6": 10_164, "output": 850}


def test_maps_have_the_sides_of_figure_2():
    network, sides = ModernLeNet5(), []
    for layer in (network.c1, network.c3, network.c5):
        layer.register_forward_hook(lambda m, i, o: sides.append(o.shape[-1]))
    assert network(torch.zeros(2, 1, 32, 32)).shape == (2, 10)
    assert sides == [28, 10, 1]
    assert ModernLeNet5(num_classes=0)(torch.zeros(2, 1, 32, 32)).shape == (2, 84)


@pytest.mark.parametrize(
    ("name", "pooled", "rectified"),
    [("lenet5@modern", 4.0, 0.0), ("lenet5@relu", 2.5, 0.0), ("lenet5@tanh", 2.5, math.tanh(-1.0))],
)
def test_recipes_differ_in_pooling_and_activation(name, pooled, rectified):
    recipe = recipes.get(name)
    network = models.build(recipe.model, recipe.regularization)
    assert network.pool(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), 2).item() == pooled
    assert network.activation(torch.tensor(-1.0)).item() == pytest.approx(rectified)


@pytest.mark.parametrize("name", MODERN)
def test_the_rate_falls_as_caffes_inv_policy(name):
    recipe = recipes.get(name)
    for iteration in (0, 1000, 10_000):
        expected = 0.01 * (1 + 1e-4 * iteration) ** -0.75
        epoch = iteration * 64 / 60_000
        assert lr_at(recipe.optimizer.lr, recipe.schedule, epoch) == pytest.approx(expected)
    assert recipe.schedule.epochs * 60_000 / 64 == pytest.approx(10_000)


def test_weights_begin_as_caffes_xavier_filler():
    torch.manual_seed(0)
    recipe = recipes.get("lenet5@modern")
    network = models.build(recipe.model, recipe.regularization)
    # Uniform in +-sqrt(3 / inputs): c5 has 16 * 25 inputs and 48,000 weights, f6 has 120.
    for layer, inputs in ((network.c5, 400), (network.f6, 120)):
        assert layer.weight.std().item() == pytest.approx(inputs**-0.5, rel=0.02)
        assert layer.weight.abs().max().item() <= math.sqrt(3 / inputs)
        assert not layer.bias.any()


def test_the_distorted_digits_are_a_target_that_no_run_here_is_compared_with():
    plain, distorted = recipes.get("lenet5").targets
    assert (plain.top1, plain.extra_data) == (99.05, "none")
    assert distorted.top1 == 99.2
    assert "distortions" in distorted.extra_data
    assert all(recipes.get(name).targets == () for name in MODERN)
