"""Beginning with weights from elsewhere: other libraries', a checkpoint's; refused before the queue."""

import argparse

import pytest
import safetensors.torch
import torch
import torchvision
from test_cli import sentence
from test_weights import Small, same, state

import recipes
from pipeline import checkpoint
from pipeline.choose import with_start
from pipeline.errors import Top1Error
from pipeline.models import build
from pipeline.transfer import load_start
from pipeline.weights import read_weights
from recipes.schema import StartFrom

PLAIN, NEW_HEAD = StartFrom("file"), StartFrom("file", new_head=True)


@pytest.mark.parametrize("name", ["resnet18.safetensors", "resnet18.pth"])
def test_a_file_of_a_library_is_a_start_and_what_a_run_writes_is_one_of_the_library(name, tmp_path):
    recipe = recipes.get("resnet18@torchvision")
    theirs = torchvision.models.resnet18()
    save = safetensors.torch.save_file if name.endswith("safetensors") else torch.save
    save(theirs.state_dict(), tmp_path / name)
    network = build(recipe.model, recipe.regularization)
    load_start(network, PLAIN, tmp_path / name)
    assert same(network.state_dict(), theirs.state_dict())
    checkpoint.write_tensors(tmp_path / "weights.safetensors", network.state_dict(), {"recipe": recipe.name})
    theirs.load_state_dict(safetensors.torch.load_file(tmp_path / "weights.safetensors"))


def test_of_a_checkpoint_the_average_is_taken_as_eval_takes_it(tmp_path):
    path = tmp_path / "best.safetensors"
    raw, average = state(1), state(2)
    tensors = {f"model/{name}": t for name, t in raw.items()} | {"optimizer/x": torch.zeros(1)}
    checkpoint.write_tensors(path, tensors, {"step": 3})
    network = Small()
    load_start(network, PLAIN, path)
    assert same(network.state_dict(), raw)
    checkpoint.write_tensors(path, tensors | {f"average/{n}": t for n, t in average.items()}, {"step": 3})
    load_start(network, PLAIN, path)
    assert same(network.state_dict(), average)
    assert same(read_weights(path), average)
    path.write_bytes(path.read_bytes()[:-4] + b"abcd")
    with pytest.raises(Top1Error, match="does not have the checksum written with it"):
        load_start(network, PLAIN, path)


def test_auxiliary_heads_may_be_missing_in_either(tmp_path):
    torch.save(state(auxiliary=True), tmp_path / "with.pth")
    torch.save(state(2), tmp_path / "without.pth")
    network = Small()
    load_start(network, PLAIN, tmp_path / "with.pth")
    assert same(network.state_dict(), state())
    network = Small(auxiliary=True)
    begun = network.aux1.weight.clone()
    load_start(network, PLAIN, tmp_path / "without.pth")
    assert torch.equal(network.aux1.weight, begun)
    assert torch.equal(network.conv.weight, state(2)["conv.weight"])
    with pytest.raises(Top1Error, match=r"with.pth has 'fc.weight' of shape \(10, 4\).*--new-head"):
        load_start(Small(7, auxiliary=True), PLAIN, tmp_path / "with.pth")


def test_a_new_head_is_one_on_the_way_too(tmp_path):
    class Ends(Small):
        def __init__(self, classes):
            super().__init__()
            self.aux1 = torch.nn.Linear(4, classes)
            del self.fc
            self.fc = torch.nn.Linear(4, classes)  # as in torchvision's, after those on the way

    torch.save(Ends(10).state_dict(), tmp_path / "ten.pth")
    network = Ends(7)
    load_start(network, NEW_HEAD, tmp_path / "ten.pth")
    assert torch.equal(network.conv.weight, torch.load(tmp_path / "ten.pth")["conv.weight"])


def test_a_file_of_another_network_is_named(tmp_path):
    torch.save({**state(), "layer4.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(Top1Error, match=r"other.pth has a tensor 'layer4.weight' that this network has not"):
        load_start(Small(), PLAIN, tmp_path / "other.pth")


def options(init, **more):
    return argparse.Namespace(init=init, runs="runs", **{"new_head": False, "train_only": [], **more})


def test_a_file_stands_in_for_the_run_that_a_recipe_begins_with(tmp_path):
    torch.save(state(), tmp_path / "in21k.pth")
    recipe = recipes.get("efficientnetv2_l@21k_ft")
    found = with_start(recipe, options(tmp_path / "in21k.pth"))
    assert (found.name, found.starts_from.recipe) == (f"{recipe.name}+init", "in21k.pth")
    assert found.starts_from.new_head == recipe.starts_from.new_head
    assert found.modified  # never compared with the paper


def test_a_file_that_cannot_be_a_start_is_refused_before_the_queue(small_data, tmp_path, capsys):
    (tmp_path / "cluster.toml").write_text("gpus_per_node = 1\ncpus_per_node = 1\n")
    safetensors.torch.save_file(state(), tmp_path / "cut.safetensors")
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "cut.safetensors").read_bytes()[:-4])
    (tmp_path / "page.pth").write_text("<html>")
    for name, expected in (
        ("cut.safetensors", "cut.safetensors is no whole weight file (cut short)"),
        ("page.pth", "page.pth is no whole weight file (no file of torch.save"),
    ):
        asked = ("submit", "lenet5", "--data", small_data, "--init", tmp_path / name, "--runs", tmp_path)
        cluster = ("--cluster", tmp_path / "cluster.toml", "--dry-run", "--tracking", "none")
        assert expected in sentence(capsys, *asked, *cluster, code=1)
