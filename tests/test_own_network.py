"""A network of one's own, from a file beside the recipe: the run keeps it, and works with what it kept."""

import pytest
import torch
from run_results import losses, weights
from test_training import FAST
from test_training import run as launch

from pipeline.choose import choose_recipe
from pipeline.errors import Top1Error, UsageError
from pipeline.models import build
from pipeline.predict import load_network

NETWORK = """
from dataclasses import dataclass
from torch import nn

@dataclass
class Width:
    channels: int

class Net(nn.Module):
    def __init__(self, num_classes, channels=4):
        super().__init__()
        width = Width(channels).channels
        self.features = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(2))
        self.classifier = nn.Linear(4 * width, num_classes)

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))

def not_a_network(num_classes, channels):
    return "a text"
"""
RECIPE = """
from dataclasses import replace
import recipes
from recipes.schema import Model
ALEXNET = recipes.get("alexnet")
NET = Model("nets/net.py:Net", parameters=25168, gmacs=0.005, gmacs_size=224, arguments={"channels": 6})
MINE = replace(ALEXNET, name="mine", targets=(), model=NET,
               regularization=replace(ALEXNET.regularization, dropout=None))
"""
SHORT = ("--tiny", "--set", "schedule.epochs=2", "--set", "schedule.milestones=(1,)", *FAST)


@pytest.fixture
def mine(tmp_path):
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "net.py").write_text(NETWORK)
    (tmp_path / "mine.py").write_text(RECIPE)
    return f"{tmp_path}/mine.py:MINE"


def test_it_is_found_beside_the_recipe_from_any_folder(mine, tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    recipe = choose_recipe(mine, (), True, 10)
    assert recipe.model.constructor == f"{tmp_path}/nets/net.py:Net"
    network = build(recipe.model, recipe.regularization)
    assert network(torch.zeros(2, 3, 64, 64)).shape == (2, 10)
    assert network.features[0].out_channels == 6


def test_a_run_goes_on_and_is_used_with_the_file_that_it_kept(mine, small_data, tmp_path):
    whole, broken, moved = (tmp_path / name for name in ("whole", "broken", "moved"))
    for folder in (whole, broken):
        launch("train", mine, "--data", small_data, "--run", folder, *SHORT)
    # As after a crash between two checkpoints, the file changed since, and the folder in another place.
    max((broken / "checkpoints").glob("step-*.safetensors")).unlink()
    (broken / "result.json").unlink()
    (tmp_path / "nets" / "net.py").write_text("raise RuntimeError('changed')")
    broken.rename(moved)
    launch("train", "--run", moved)
    assert weights(moved) == weights(whole)
    assert losses(moved) == losses(whole)
    assert load_network(moved)(torch.zeros(1, 3, 64, 64)).shape == (1, 10)
    assert "top-1" in launch("eval", moved, "--device", "cpu")


def test_its_weights_are_a_start_for_the_same_network_only(mine, small_data, tmp_path):
    first = tmp_path / "first"
    launch("train", mine, "--data", small_data, "--run", first, *SHORT)
    best = first / "checkpoints" / "best.safetensors"
    launch("train", mine, "--data", small_data, "--run", tmp_path / "second", "--init", best, *SHORT)
    for weights_of_it in (first, best):
        others = ("--run", tmp_path / "third", "--data", small_data, "--init", weights_of_it, *SHORT)
        assert "holds the weights of network.py:Net" in launch("train", "resnet18", *others, code=2)
    (first / "weights.safetensors").unlink()
    others = ("--run", tmp_path / "third", "--data", small_data, "--init", first, *SHORT)
    assert "has not ended: it has no weights.safetensors" in launch("train", mine, *others, code=2)


@pytest.mark.parametrize(
    ("name", "said"),
    [("Nett", "KeyError: 'Nett'"), ("not_a_network", "makes a str, which is no torch.nn.Module")],
)
def test_a_file_that_makes_no_network_is_told(mine, name, said):
    recipe = choose_recipe(mine, [f"model.constructor=nets/net.py:{name}"], True, 10)
    with pytest.raises(Top1Error, match=said):
        build(recipe.model, recipe.regularization)


def test_a_missing_file_is_told_before_anything_starts(mine, tmp_path):
    (tmp_path / "nets" / "net.py").unlink()
    with pytest.raises(UsageError, match=r"nets/net\.py, from which mine takes its network"):
        choose_recipe(mine, (), False, 10)


def test_a_file_that_could_not_be_built_is_taken_anew_once_it_is_mended(mine, small_data, tmp_path):
    file, run = tmp_path / "nets" / "net.py", tmp_path / "run"
    file.write_text(NETWORK.replace("num_classes, channels=4", "channels=4"))
    said = launch("train", mine, "--data", small_data, "--run", run, *SHORT, code=1)
    assert "does not make a network Net" in said
    file.write_text(NETWORK)
    launch("train", mine, "--data", small_data, "--run", run, *SHORT)
    assert (run / "network.py").read_text() == NETWORK


def test_an_error_in_its_forward_stands_alone(mine, small_data, tmp_path):
    file = tmp_path / "nets" / "net.py"
    file.write_text(
        NETWORK.replace("return self.classifier(", "raise ArithmeticError('mine')\n        return (")
    )
    said = launch("train", mine, "--data", small_data, "--run", tmp_path / "run", *SHORT, code=1)
    assert "ArithmeticError: mine" in said
    assert "Exception ignored" not in said


def test_a_recipe_of_ones_own_may_not_be_called_as_the_books(mine, tmp_path):
    (tmp_path / "mine.py").write_text(RECIPE.replace('name="mine"', 'name="alexnet"'))
    with pytest.raises(UsageError, match="has the name of the book's alexnet and is another"):
        choose_recipe(mine, (), False, 10)
