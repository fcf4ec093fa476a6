"""EfficientNet against the paper's tables and the authors' code."""

import math
import re
from fractions import Fraction

import pytest
import timm
import torch
from networks import drawn, network_of
from torch import nn

import recipes
from pipeline import models
from pipeline.schedule import lr_at
from recipes.schema import AutoAugment, RandAugment

FAMILY = {name: r for name, r in recipes.all_recipes().items() if r.family == "EfficientNet"}
SIZES = {"b0": 224, "b1": 240, "b2": 260, "b3": 300, "b4": 380, "b5": 456, "b6": 528, "b7": 600}
# Table 2 of the latest arXiv version; "baseline" and RandAugment rows of the authors' README.
PUBLISHED = {
    "efficientnet_b0": (77.1, 93.3), "efficientnet_b1": (79.1, 94.4), "efficientnet_b2": (80.1, 94.9),
    "efficientnet_b3": (81.6, 95.7), "efficientnet_b4": (82.9, 96.4), "efficientnet_b5": (83.6, 96.7),
    "efficientnet_b6": (84.0, 96.8), "efficientnet_b7": (84.3, 97.0),
    "efficientnet_b0@baseline": (76.7, None), "efficientnet_b1@baseline": (78.7, None),
    "efficientnet_b2@baseline": (79.8, None), "efficientnet_b3@baseline": (81.1, None),
    "efficientnet_b4@baseline": (82.5, None), "efficientnet_b5@baseline": (83.1, None),
    "efficientnet_b5@randaugment": (83.7, None), "efficientnet_b7@randaugment": (84.7, None),
}  # fmt: skip


def size_of(name):
    return SIZES[re.search(r"_(b\d)", name)[1]]


def test_every_published_training_is_here_with_its_number():
    assert {n: (r.targets[0].top1, r.targets[0].top5) for n, r in FAMILY.items()} == PUBLISHED
    assert all(len(r.targets) == 1 for r in FAMILY.values())


@pytest.mark.parametrize("name", FAMILY)
def test_it_is_trained_and_tested_at_the_size_of_its_name(name):
    recipe, size = FAMILY[name], size_of(name)
    evaluation = recipe.targets[0].evaluation
    assert recipe.data.geometry.size == evaluation.crop == evaluation.resize[0] == size
    # The window is size / (size + 32) of the short side, 0.875 for B0.
    assert evaluation.protocol == f"single_crop {size}/{size} bicubic efficientnet_window+32 no_antialias"


@pytest.mark.parametrize("name", FAMILY)
def test_dropout_grows_with_the_network_from_0_2_to_0_5(name):
    # tan2019 §5.2: linearly from 0.2 for B0 to 0.5 for B7; the code has steps of 0.1, two networks each.
    number = int(re.search(r"_b(\d)", name)[1])
    assert FAMILY[name].regularization.dropout == pytest.approx(0.2 + 0.1 * (number // 2))


@pytest.mark.parametrize(
    ("epoch", "expected"),
    [(0, 0.0), (1, 0.0512), (5, 0.256 * 0.97**2), (100, 0.256 * 0.97**41), (349.9, 0.256 * 0.97**145)],
)
def test_the_rate_warms_up_for_five_epochs_and_falls_by_3_percent_every_2_4(epoch, expected):
    for recipe in FAMILY.values():
        assert lr_at(recipe.optimizer.lr, recipe.schedule, epoch) == pytest.approx(expected, rel=1e-12)


def test_only_the_augmentation_tells_the_trainings_of_a_network_apart():
    kinds = {}
    for name, recipe in FAMILY.items():
        kinds[name] = [a for a in recipe.data.augment if isinstance(a, AutoAugment | RandAugment)]
    assert kinds["efficientnet_b5"] == [AutoAugment("google_v0")]
    assert kinds["efficientnet_b5@baseline"] == []
    assert kinds["efficientnet_b5@randaugment"] == [RandAugment(magnitude=17, layers=2)]
    assert kinds["efficientnet_b7@randaugment"] == [RandAugment(magnitude=28, layers=2)]


@pytest.mark.parametrize("variant", SIZES)
def test_the_network_is_timms_tf_efficientnet_name_by_name(variant):
    recipe = FAMILY[f"efficientnet_{variant}"]
    with torch.device("meta"):
        ours = models.build(recipe.model, recipe.regularization)
        theirs = timm.create_model(f"tf_efficientnet_{variant}", drop_rate=0.2, drop_path_rate=0.2)
    assert {n: t.shape for n, t in ours.state_dict().items()} == {
        n: t.shape for n, t in theirs.state_dict().items()
    }

    def layers(network):
        return [(n, str(m)) for n, m in network.named_modules() if not list(m.children())]

    # Batch norm's momentum is the recipe's 0.99 in ours, PyTorch's default in theirs.
    assert [(n, s.replace("momentum=0.01", "momentum=0.1")) for n, s in layers(ours)] == [
        (n, re.sub(r"momentum=[\d.]+", "momentum=0.1", s)) for n, s in layers(theirs)
    ]


def test_b0_has_the_stages_of_table_1():
    # tan2019 Table 1: the resolution at which a stage begins, its channels and its layers.
    table = [(112, 16, 1), (112, 24, 2), (56, 40, 2), (28, 80, 3), (14, 112, 3), (14, 192, 4), (7, 320, 1)]
    recipe = FAMILY["efficientnet_b0"]
    with torch.device("meta"):
        network = models.build(recipe.model, recipe.regularization).eval()
        found = []
        for stage in network.blocks:
            stage.register_forward_hook(lambda m, i, o: found.append((i[0].shape[-1], o.shape[1], len(m))))
        network(torch.zeros(1, 3, 224, 224))
    assert found == table
    assert network.num_features == 1280


def test_weights_begin_as_the_authors_code_draws_them():
    torch.manual_seed(0)
    network = network_of("efficientnet_b0")
    for name, module in network.named_modules():
        if not isinstance(module, nn.Conv2d):
            continue
        weight = module.weight
        outputs = weight.shape[0] // module.groups  # one for a depthwise filter, not the number of channels
        expected = math.sqrt(2 / (weight[0, 0].numel() * outputs))
        assert weight.std().item() == drawn(expected, weight), name
        if module.bias is not None:
            assert not module.bias.any()
    bound = 1 / math.sqrt(1000)
    assert network.classifier.weight.abs().max().item() == pytest.approx(bound, rel=1e-3)
    assert network.classifier.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.01)
    assert not network.classifier.bias.any()


def test_stochastic_depth_is_linear_over_the_blocks_and_only_where_a_shortcut_is():
    recipe = FAMILY["efficientnet_b0"]
    with torch.device("meta"):
        network = models.build(recipe.model, recipe.regularization)
    blocks = [block for stage in network.blocks for block in stage]
    rates = [float(getattr(block.drop_path, "drop_prob", 0.0)) for block in blocks]
    assert rates == pytest.approx([0.2 * i / len(blocks) for i in range(len(blocks))])
    assert [block.has_skip for block in blocks].count(
        True
    ) == 9  # 16 blocks less the first of each of 7 stages


def test_the_headless_network_gives_features():
    recipe = FAMILY["efficientnet_b0"]
    network = models.construct(
        recipes.schema.Model(
            "top1:efficientnet",
            parameters=0,
            gmacs=0,
            gmacs_size=64,
            num_classes=0,
            arguments=dict(recipe.model.narrow),
        ),
        recipe.regularization,
    )
    assert network.eval()(torch.zeros(2, 3, 64, 64)).shape == (2, network.num_features)


def test_batch_norm_is_taken_over_eight_cores_of_thirty_two():
    recipe = FAMILY["efficientnet_b0"]
    assert recipe.model.batch_norm.images == recipe.data.batch_size * Fraction(8, 32)
