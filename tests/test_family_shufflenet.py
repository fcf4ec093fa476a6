"""ShuffleNets: the rate, the start, the layers and the numbers of both papers and their authors' code."""

import pytest
import torch
from networks import drawn, network_of, on_meta, rates
from torch import nn

import recipes
from pipeline.networks.shufflenet import ShuffleNetV1, ShuffleNetV2

# Zhang et al. 2018, Table 1: channels of stages 2, 3 and 4, and multiply-adds in millions.
TABLE_1 = {
    1: ((144, 288, 576), 143),
    2: ((200, 400, 800), 140),
    3: ((240, 480, 960), 137),
    4: ((272, 544, 1088), 133),
    8: ((384, 768, 1536), 137),
}


def test_the_rate_is_a_straight_line_to_zero_over_three_hundred_thousand_steps():
    recipe = recipes.get("shufflenet_v1_x1_0_g3")
    assert recipe.schedule.epochs == pytest.approx(300_000 * 1024 / 1_281_167, abs=0.05)
    found = rates("shufflenet_v1_x1_0_g3", *(239.8 * share for share in (0, 0.25, 0.9)))
    assert found == pytest.approx([0.5, 0.375, 0.05])
    assert rates("shufflenet_v2_x2_0@torchvision", 5 + 595 / 2) == pytest.approx([0.25])


@pytest.mark.parametrize("groups", TABLE_1)
def test_stages_of_v1_have_the_maps_and_cost_of_table_1(groups):
    channels, million = TABLE_1[groups]
    with torch.device("meta"):
        found = ShuffleNetV1(groups=groups)
        x = found.pool1(found.conv1(torch.zeros(1, 3, 224, 224)))
        assert x.shape[1:] == (24, 56, 56)
        shapes = []
        for stage in (found.stage2, found.stage3, found.stage4):
            x = stage(x)
            shapes.append(tuple(x.shape[1:]))
        assert found(torch.zeros(2, 3, 224, 224)).shape == (2, 1000)
    assert shapes == [(channels[0], 28, 28), (channels[1], 14, 14), (channels[2], 7, 7)]
    assert [len(stage) for stage in (found.stage2, found.stage3, found.stage4)] == [4, 8, 4]
    name = f"shufflenet_v1_x1_0_g{groups}"
    assert recipes.get(name).model.gmacs * 1000 == pytest.approx(million, rel=0.02)


def test_the_first_convolution_of_stage_2_alone_is_not_grouped():
    with torch.device("meta"):
        found = ShuffleNetV1(groups=8)
    groups = [unit.compress.groups for stage in (found.stage2, found.stage3) for unit in stage]
    assert groups == [1] + [8] * 11
    assert all(unit.expand.groups == 8 for unit in found.stage2)
    depthwise = found.stage2[0].depthwise
    assert depthwise.groups == depthwise.in_channels == 384 // 4  # bottleneck: a quarter


def test_a_unit_is_that_of_figure_2():
    torch.manual_seed(0)
    found = ShuffleNetV1(groups=3, width=0.25, stem=6).eval()
    first, second = found.stage2[0], found.stage2[1]
    x = torch.rand(2, 6, 16, 16)
    # Figure 2c: the first channels are the averaged input itself, the branch has the others.
    y = first(x)
    assert torch.allclose(y[:, :6], nn.functional.avg_pool2d(x, 3, 2, 1))
    assert y.shape == (2, 60, 8, 8)
    # Figure 2b, written out: channel i of group j moves to place i x groups + j.
    middle = torch.relu(second.norm1(second.compress(y)))
    order = torch.arange(15).view(3, 5).T.flatten()
    branch = second.norm3(second.expand(second.norm2(second.depthwise(middle[:, order]))))
    assert torch.allclose(second(y), torch.relu(y + branch), atol=1e-6)


def test_widths_that_do_not_divide_are_refused():
    for groups, width, stem in ((2, 0.5, 12), (4, 0.5, 12), (2, 0.25, 6), (4, 0.25, 6)):
        with pytest.raises(ValueError, match="must be divisible by groups"):
            ShuffleNetV1(groups=groups, width=width, stem=stem)


def test_weights_begin_as_in_the_authors_code():
    torch.manual_seed(0)
    for name, first in {"shufflenet_v1_x1_0_g3": "conv1", "shufflenet_v2_x1_0": "conv1.0"}.items():
        found = network_of(name)
        for layer, module in found.named_modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                fixed = layer == first or isinstance(module, nn.Linear)
                expected = 0.01 if fixed else 1 / module.weight.shape[1]
                assert module.weight.std().item() == drawn(expected, module.weight, errors=4.5)
            elif isinstance(module, nn.BatchNorm2d):
                assert (module.bias == 1e-4).all()
                assert (module.weight == 1).all()


def test_the_widest_v2_alone_has_dropout():
    found = {
        width: [m.p for m in on_meta(f"shufflenet_v2_{width}").modules() if isinstance(m, nn.Dropout)]
        for width in ("x0_5", "x1_0", "x1_5", "x2_0")
    }
    assert found == {"x0_5": [0.0], "x1_0": [0.0], "x1_5": [0.0], "x2_0": [0.2]}


def test_both_networks_give_features_without_a_classifier():
    images = torch.zeros(2, 3, 64, 64)
    assert ShuffleNetV1(num_classes=0, repeats=(1, 1, 1)).eval()(images).shape == (2, 960)
    assert ShuffleNetV2(num_classes=0, repeats=(1, 1, 1)).eval()(images).shape == (2, 1024)


def test_the_numbers_are_those_of_the_papers_tables():
    found = {n: [t.top1 for t in r.targets] for n, r in recipes.all_recipes().items() if "shufflenet" in n}
    assert found == {
        "shufflenet_v1_x1_0_g1": [66.4],
        "shufflenet_v1_x1_0_g2": [67.3],
        "shufflenet_v1_x1_0_g3": [67.4, 67.8],
        "shufflenet_v1_x1_0_g4": [67.2],
        "shufflenet_v1_x1_0_g8": [67.6, 68.0],
        "shufflenet_v1_x0_5_g1": [54.9],
        "shufflenet_v1_x0_5_g3": [56.8, 57.3],
        "shufflenet_v1_x0_5_g8": [57.7, 58.8],
        "shufflenet_v1_x0_25_g1": [42.9],
        "shufflenet_v1_x0_25_g3": [45.0],
        "shufflenet_v1_x0_25_g8": [47.3],
        "shufflenet_v1_x1_5_g3": [71.5, 71.6],
        "shufflenet_v1_x2_0_g3": [73.7, 74.1],
        "shufflenet_v1_x1_5_g8": [71.0],
        "shufflenet_v1_x2_0_g8": [72.9],
        "shufflenet_v2_x0_5": [60.3, 61.1],
        "shufflenet_v2_x1_0": [69.4, 69.4],
        "shufflenet_v2_x1_5": [72.6, 72.6],
        "shufflenet_v2_x2_0": [74.9, 75.0],
        "shufflenet_v2_x0_5@torchvision": [60.552],
        "shufflenet_v2_x1_0@torchvision": [69.362],
        "shufflenet_v2_x1_5@torchvision": [72.996],
        "shufflenet_v2_x2_0@torchvision": [76.23],
    }
