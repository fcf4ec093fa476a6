"""EfficientNetV2's trainings against the paper's tables and the authors' code."""

import math
from itertools import pairwise

import pytest
import timm
import torch
from networks import drawn
from torch import nn

import recipes
from pipeline import models
from pipeline.plan import DataFacts, make_plan
from pipeline.schedule import lr_at

FAMILY = {name: r for name, r in recipes.all_recipes().items() if r.family == "EfficientNetV2"}
IMAGENET = DataFacts("imagenet", "imagenet", 1000, 1_281_167, 50_000, "")

# Paper Table 7; README of the code; torchvision's weights.
PUBLISHED = {
    "efficientnetv2_s": [83.9], "efficientnetv2_m": [85.1], "efficientnetv2_l": [85.7],
    "efficientnetv2_s@automl": [83.9], "efficientnetv2_m@automl": [85.2], "efficientnetv2_l@automl": [85.7],
    "efficientnetv2_b0@automl": [78.7], "efficientnetv2_b1@automl": [79.8],
    "efficientnetv2_b2@automl": [80.5], "efficientnetv2_b3@automl": [82.1],
    "efficientnetv2_s@21k": [], "efficientnetv2_m@21k": [], "efficientnetv2_l@21k": [],
    "efficientnetv2_xl@21k": [],
    "efficientnetv2_s@21k_ft": [84.9, 84.9], "efficientnetv2_m@21k_ft": [86.2, 86.2],
    "efficientnetv2_l@21k_ft": [86.8, 86.9], "efficientnetv2_xl@21k_ft": [87.3, 87.2],
    "efficientnetv2_s@torchvision": [84.228], "efficientnetv2_m@torchvision": [85.112],
}  # fmt: skip


def test_every_published_training_is_here_with_its_numbers():
    assert {name: [t.top1 for t in r.targets] for name, r in FAMILY.items()} == PUBLISHED


# Of the four stages: sizes, RandAugment, Mixup, whether CutMix too, dropout. Paper: Algorithm 1 and Table 6;
# code: main.py.
STAGES = {
    "efficientnetv2_m": (
        [128, 212, 296, 380], [5, 10, 15, 20], [0, 1 / 15, 2 / 15, 0.2], False, [0.1, 0.2, 0.3, 0.4],
    ),
    "efficientnetv2_l": (
        [128, 212, 296, 380], [5, 35 / 3, 55 / 3, 25], [0, 1 / 6, 1 / 3, 0.5], False,
        [0.1, 0.7 / 3, 1.1 / 3, 0.5],
    ),
    "efficientnetv2_m@automl": (
        [192, 256, 320, 384], [5, 25 / 3, 35 / 3, 15], [0, 1 / 15, 2 / 15, 0.2], True, [0.3] * 4,
    ),
    "efficientnetv2_l@automl": (
        [192, 256, 320, 384], [5, 10, 15, 20], [0, 1 / 6, 1 / 3, 0.5], True, [0.4] * 4,
    ),
    "efficientnetv2_b0@automl": ([144, 160, 176, 192], None, None, False, [0.2] * 4),
    "efficientnetv2_b2@automl": ([148, 168, 188, 208], None, None, False, [0.3] * 4),
    "efficientnetv2_b3@automl": ([156, 184, 212, 240], None, None, False, [0.3] * 4),
}  # fmt: skip


@pytest.mark.parametrize("name", STAGES)
def test_regularization_climbs_with_the_image_size(name):
    sizes, magnitudes, mixup, cutmix, dropout = STAGES[name]
    stages = make_plan(FAMILY[name], IMAGENET, id="", gpus=8, seed=0, threads=1).stages
    assert [s.image_size for s in stages] == sizes
    for field, values in (
        ("randaugment", magnitudes),
        ("mixup", mixup),
        ("cutmix", mixup if cutmix else None),
        ("dropout", dropout),
    ):
        found = [getattr(s, field) for s in stages]
        assert found == (pytest.approx(values) if values else [None] * 4), field


@pytest.mark.parametrize(
    ("name", "epoch", "expected"),
    [
        ("efficientnetv2_l", 2.5, 0.128),
        ("efficientnetv2_l", 100, 0.256 * 0.97**41),
        ("efficientnetv2_m@automl", 350, 0.256 * 0.97**145),
        ("efficientnetv2_xl@21k", 0.5, 0.064),  # 0.008 x 4096 / 256 = 0.128 after one epoch
        ("efficientnetv2_xl@21k", 30.5, 0.064),  # half way from 1 to 60
        ("efficientnetv2_xl@21k", 60, 0.0),
        ("efficientnetv2_l@21k_ft", 1, 0.001),  # 0.0005 x 512 / 256
        ("efficientnetv2_l@21k_ft", 8, 0.0005),
        ("efficientnetv2_l@21k_ft", 15, 0.0),
        ("efficientnetv2_s@torchvision", 0, 0.005),
        ("efficientnetv2_s@torchvision", 5, 0.5),
        ("efficientnetv2_s@torchvision", 302.5, 0.25),
    ],
)
def test_the_rate_is_the_one_worked_out_by_hand(name, epoch, expected):
    recipe = FAMILY[name]
    assert lr_at(recipe.optimizer.lr, recipe.schedule, epoch) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("size", ["s", "m", "l", "xl"])
def test_fine_tuning_begins_with_what_was_pretrained_on_the_same_network(size):
    tuned = FAMILY[f"efficientnetv2_{size}@21k_ft"]
    assert tuned.starts_from.new_head
    before = FAMILY[tuned.starts_from.recipe]
    assert before.data.dataset == "imagenet21k"
    assert (before.model.num_classes, tuned.model.num_classes) == (21_841, 1000)
    assert before.model.constructor == tuned.model.constructor
    assert before.model.narrow == tuned.model.narrow
    # Only the classifier differs: 1280 features to each class, and a bias.
    assert before.model.parameters - tuned.model.parameters == 1281 * (21_841 - 1000)
    assert all(t.extra_data == "ImageNet-21k" for t in tuned.targets)


def test_fine_tuning_and_its_test_squash_the_whole_image_to_one_size():
    sizes = {"s": 384, "m": 480, "l": 480, "xl": 512}  # automl effnetv2_configs.py: eval sizes
    for name, side in sizes.items():
        recipe = FAMILY[f"efficientnetv2_{name}@21k_ft"]
        geometry = recipe.data.geometry
        assert (geometry.size, geometry.resize, geometry.squash) == (side, side, True)
        assert (
            recipe.targets[0].evaluation.protocol == f"single_crop {side}/{side} bilinear squash no_antialias"
        )


def test_s_has_the_stages_of_table_4():
    # tan2021 Table 4: channels, layers and stride of stages 1 to 6, the first three of them fused.
    table = [(24, 2, 1), (48, 4, 2), (64, 4, 2), (128, 6, 2), (160, 9, 1), (256, 15, 2)]
    recipe = FAMILY["efficientnetv2_s"]
    with torch.device("meta"):
        network = models.build(recipe.model, recipe.regularization).eval()
        sides = []
        for stage in network.blocks:
            stage.register_forward_hook(lambda m, i, o: sides.append((i[0].shape[-1], *o.shape[1:3])))
        network(torch.zeros(1, 3, 384, 384))
    assert [
        (c, len(m), before // after) for m, (before, c, after) in zip(network.blocks, sides, strict=True)
    ] == table
    squeezed = [any("se." in n for n, _ in stage.named_parameters()) for stage in network.blocks]
    assert squeezed == [False] * 3 + [True] * 3  # fused blocks have no squeeze-and-excitation
    assert (network.conv_stem.out_channels, network.num_features) == (24, 1280)


def test_the_base_network_is_timms_name_by_name():
    for variant in ("b0", "b1", "b2", "b3"):
        recipe = FAMILY[f"efficientnetv2_{variant}@automl"]
        with torch.device("meta"):
            ours = models.build(recipe.model, recipe.regularization)
            theirs = timm.create_model(f"tf_efficientnetv2_{variant}")
        assert [(n, t.shape) for n, t in ours.state_dict().items()] == [
            (n, t.shape) for n, t in theirs.state_dict().items()
        ]
        assert {m.eps for m in ours.modules() if isinstance(m, nn.BatchNorm2d)} == {1e-3}


def test_weights_begin_as_effnetv2_model_draws_them():
    torch.manual_seed(0)
    recipe = FAMILY["efficientnetv2_s"]
    network = models.construct(
        recipes.schema.Model("timm:tf_efficientnetv2_s", parameters=0, gmacs=0, gmacs_size=64,
                             arguments=dict(recipe.model.narrow)),
        recipe.regularization,
    )  # fmt: skip
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            kernel, outputs = module.weight[0, 0].numel(), module.weight.shape[0] // module.groups
            expected = math.sqrt(2 / (kernel * outputs))
            assert module.weight.std().item() == drawn(expected, module.weight), name
    bound = 1 / math.sqrt(1000)
    assert network.classifier.weight.abs().max().item() == pytest.approx(bound, rel=1e-2)


def test_torchvisions_average_has_its_horizon_step_by_step():
    # train.py: every 32 steps, alpha = (1 - 0.99998) x 32 GPUs x 32 images x 32 / 600 epochs.
    alpha = (1 - 0.99998) * 32 * 32 * 32 / 600
    for name in ("efficientnetv2_s@torchvision", "efficientnetv2_m@torchvision"):
        assert FAMILY[name].ema.decay ** 32 == pytest.approx(1 - alpha, abs=1e-6)


def test_larger_networks_are_regularized_more():
    for kind in ("", "@automl"):
        sizes = [FAMILY[f"efficientnetv2_{s}{kind}"] for s in ("s", "m", "l")]
        for small, large in pairwise(sizes):
            assert small.regularization.dropout < large.regularization.dropout
            assert small.progressive.randaugment.end < large.progressive.randaugment.end
