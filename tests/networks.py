"""What the tests of every family ask of a recipe: its network, its rate, and how its weights begin."""

import math

import pytest
import torch

import recipes
from pipeline import models
from pipeline.schedule import lr_at


def network_of(name):
    recipe = recipes.get(name)
    return models.build(recipe.model, recipe.regularization)


def on_meta(name):
    """Return the network without memory for its weights."""
    with torch.device("meta"):
        return network_of(name)


def rates(name, *epochs):
    recipe = recipes.get(name)
    return [lr_at(recipe.optimizer.lr, recipe.schedule, epoch) for epoch in epochs]


def drawn(deviation, weight, errors=5):
    """Return what the deviation of n draws may be: it is off by 1 / sqrt(2 n), `errors` of those at most."""
    return pytest.approx(deviation, rel=errors / math.sqrt(2 * weight.numel()))
