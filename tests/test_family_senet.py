"""SENet: the rate, the start, the strides and the numbers of Hu et al. 2018."""

import pytest
import torch
from networks import drawn, on_meta, rates
from torch import nn

import recipes
from pipeline import models
from recipes.serialize import with_value

NAMES = [
    *("se_resnet50", "se_resnet101", "se_resnet152", "se_resnext50_32x4d", "se_resnext101_32x4d"),
    *("se_resnet50@270ep", "senet154", "senet154@train320"),
]


def test_the_rate_is_that_of_section_5_1():
    # 0.6, a tenth of it every 30 epochs; in the middle of the warm-up of five epochs it is half.
    assert rates("se_resnet50", 2.5, 29.9, 30, 99) == pytest.approx([0.3, 0.6, 0.06, 0.0006])
    assert rates("senet154", 10, 45, 75) == pytest.approx([1.0, 0.1, 0.01])
    # Footnote 2: 0.1, a tenth of it after epochs 125, 200 and 250.
    assert rates("se_resnet50@270ep", 0, 130, 220, 260) == pytest.approx([0.1, 0.01, 0.001, 0.0001])


@pytest.mark.parametrize("name", NAMES)
def test_senet154_alone_has_dropout_though_timm_gives_it_to_all(name):
    found = on_meta(name)
    assert found.drop_rate == (0.2 if name.startswith("senet154") else 0.0)


def test_a_network_without_dropout_answers_the_same_twice_in_training():
    recipe = with_value(recipes.get("se_resnet50"), "model.arguments", {"layers": (1, 1, 1, 1)})
    found = models.build(recipe.model, recipe.regularization)
    images = torch.randn(2, 3, 64, 64)
    assert torch.equal(found(images), found(images))


def test_weights_begin_with_he_deviation():
    recipe = with_value(recipes.get("se_resnext50_32x4d"), "model.arguments", {"layers": (1, 1, 1, 1)})
    torch.manual_seed(0)
    found = models.build(recipe.model, recipe.regularization)
    for module in found.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            expected = (2 / module.weight[0].numel()) ** 0.5
            assert module.weight.std().item() == drawn(expected, module.weight, errors=4)
    assert all((m.weight == 1).all() for m in found.modules() if isinstance(m, nn.BatchNorm2d))


def test_strides_are_on_the_first_convolution_of_a_resnet_block_and_on_the_3x3_of_the_others():
    resnet, resnext, senet = map(on_meta, ("se_resnet50", "se_resnext50_32x4d", "senet154"))
    for layer in ("layer2", "layer3", "layer4"):
        assert [resnet.get_submodule(f"{layer}.0.conv{i}").stride[0] for i in (1, 2, 3)] == [2, 1, 1]
        assert [resnext.get_submodule(f"{layer}.0.conv{i}").stride[0] for i in (1, 2, 3)] == [1, 2, 1]
        assert senet.get_submodule(f"{layer}.0.downsample.0").kernel_size == (3, 3)  # appendix
    # Appendix: the first 1x1 is halved (128 of 256), 64 groups, the first 7x7 is three 3x3.
    assert senet.layer1[0].conv1.out_channels == 128
    assert senet.layer1[0].conv2.groups == 64
    assert [m.kernel_size for m in senet.layer0 if isinstance(m, nn.Conv2d)] == [(3, 3)] * 3
    assert [len(senet.get_submodule(f"layer{i}")) for i in (1, 2, 3, 4)] == [3, 8, 36, 3]
    assert resnet.layer4[0].se_module.fc1.out_channels == 2048 // 16  # §3.2, reduction 16


def test_batch_norm_of_senet154_rests_for_the_last_epochs():
    frozen = {name: recipes.get(name).model.batch_norm.frozen_epochs for name in NAMES}
    assert {name for name, epochs in frozen.items() if epochs} == {"senet154", "senet154@train320"}


def test_the_numbers_are_those_of_tables_2_8_9_and_10():
    found = {name: [t.top1 for t in recipes.get(name).targets] for name in NAMES}
    assert found == {
        "se_resnet50": [76.71],
        "se_resnet101": [77.62],
        "se_resnet152": [78.43],
        "se_resnext50_32x4d": [78.9],
        "se_resnext101_32x4d": [79.3],
        "se_resnet50@270ep": [77.8, 77.72],
        "senet154": [81.32, 82.72],
        "senet154@train320": [83.12],
    }
