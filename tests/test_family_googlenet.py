"""GoogLeNet against Table 1 and §5 of szegedy2014, and Caffe's quick solver."""

import pytest
import torch
from networks import network_of, rates

import recipes
from pipeline.networks.googlenet import GoogLeNet

BOOK = {name: r for name, r in recipes.all_recipes().items() if r.family == "GoogLeNet"}
# Table 1: output size of each module.
TABLE_1 = {
    "3a": (256, 28),
    "3b": (480, 28),
    "4a": (512, 14),
    "4b": (512, 14),
    "4c": (512, 14),
    "4d": (528, 14),
    "4e": (832, 14),
    "5a": (832, 7),
    "5b": (1024, 7),
}


def test_modules_have_the_output_sizes_of_table_1():
    with torch.device("meta"):
        network, shapes = GoogLeNet(), {}
        network.conv1.register_forward_hook(lambda m, i, o: shapes.update(conv1=(o.shape[1], o.shape[2])))
        network.conv2.register_forward_hook(lambda m, i, o: shapes.update(conv2=(o.shape[1], o.shape[2])))
        for name, module in network.inception.items():
            module.register_forward_hook(
                lambda m, i, o, name=name: shapes.update({name: (o.shape[1], o.shape[2])})
            )
        network.eval()(torch.zeros(1, 3, 224, 224))
    assert shapes == {"conv1": (64, 112), "conv2": (192, 56), **TABLE_1}


def test_filters_of_five_are_five():
    with torch.device("meta"):
        network = GoogLeNet()
    assert {module.five.kernel_size for module in network.inception.values()} == {(5, 5)}
    assert network.inception["3a"].three.kernel_size == (3, 3)


def test_heads_are_answered_in_training_only_that_of_4a_first():
    torch.manual_seed(0)
    network, image = GoogLeNet(num_classes=7, width=0.125), torch.randn(2, 3, 224, 224)
    inputs = {}
    network.aux1.conv.register_forward_hook(lambda m, i, o: inputs.update(aux1=i[0].shape[1:]))
    network.aux2.conv.register_forward_hook(lambda m, i, o: inputs.update(aux2=i[0].shape[1:]))
    answer = network(image)
    assert [tuple(part.shape) for part in answer] == [(2, 7)] * 3
    # 4a has 512 channels, 4d 528; 5x5 with stride 3 leaves 4x4 of 14x14 (§5).
    assert inputs == {"aux1": (64, 4, 4), "aux2": (66, 4, 4)}
    assert network.eval()(image).shape == (2, 7)
    assert GoogLeNet(num_classes=7, width=0.125, auxiliary=False).train()(image).shape == (2, 7)
    assert GoogLeNet(num_classes=0, width=0.125).train()(image).shape == (2, 128)


def test_each_head_has_the_parameters_of_section_5():
    with torch.device("meta"):
        network = GoogLeNet()
    counts = [sum(p.numel() for p in head.parameters()) for head in (network.aux1, network.aux2)]
    # 1x1 to 128, 4 * 4 * 128 to 1024, 1024 to 1000, with biases, from 512 and 528 channels.
    assert counts == [128 * 513 + 1024 * 2049 + 1000 * 1025, 128 * 529 + 1024 * 2049 + 1000 * 1025]
    assert (network.dropout.p, network.aux1.dropout.p) == (0.4, 0.7)


def test_a_network_begins_as_caffes_says():
    torch.manual_seed(0)
    network = network_of("googlenet")
    module = network.inception["5b"]
    assert module.three.weight.std().item() == pytest.approx((1 / (9 * 192)) ** 0.5, rel=0.01)
    assert network.aux1.fc1.weight.std().item() == pytest.approx((1 / 2048) ** 0.5, rel=0.01)
    assert {0.2} == {round(b, 6) for b in (*module.three.bias.tolist(), *network.aux1.fc1.bias.tolist())}
    for classifier in (network.fc, network.aux1.fc2, network.aux2.fc2):
        assert not classifier.bias.any()


@pytest.mark.parametrize(
    ("name", "epoch", "expected"),
    [
        ("googlenet", 3, 0.01 * (1 - 3 / 60) ** 0.5),  # quick_solver.prototxt: poly, power 0.5
        ("googlenet", 45, 0.005),
        ("googlenet@paper", 3, 0.01),
        ("googlenet@paper", 8, 0.0096),  # §6: 4% every 8 epochs
        ("googlenet@paper", 249, 0.01 * 0.96**31),
        ("googlenet@bvlc", 15, 0.01 * 0.75**0.5),
    ],
)
def test_the_rate_is_the_papers_or_caffes(name, epoch, expected):
    assert rates(name, epoch) == pytest.approx([expected])


def test_table_3_is_there_without_a_top_1_that_the_paper_does_not_give():
    found = {(t.ensemble, t.evaluation.views): (t.top1, t.top5) for t in BOOK["googlenet"].targets}
    assert found == {
        (1, "single_crop"): (None, 89.93),
        (1, "ten_crop"): (None, 90.85),
        (1, "crops_144"): (None, 92.11),
        (7, "single_crop"): (None, 91.91),
        (7, "ten_crop"): (None, 92.38),
        (7, "crops_144"): (None, 93.33),
    }
    assert BOOK["googlenet"].model.auxiliary.weights == (0.3, 0.3)
