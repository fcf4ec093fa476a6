"""Every recipe of the book, in its small form, through the whole pipeline on real images: `make sweep`.

Not part of `make test`, which trains one recipe per family and mechanism.
"""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from few_digits import few_digits
from torch.nn import functional

import recipes
from pipeline import checkpoint, runs
from pipeline.data.loader import TrainLoader
from pipeline.data.manifest import Manifest
from pipeline.data.sampling import Shard
from pipeline.journal import read
from pipeline.models import build, outputs_of
from pipeline.optim import make_optimizer
from pipeline.plan import make_plan
from pipeline.planning import data_facts
from pipeline.report import Report
from pipeline.start import NORMS
from pipeline.step import seed_generator
from pipeline.stop import Stop
from pipeline.tiny import tiny
from pipeline.train import train
from pipeline.transfer import load_start
from recipes.schema import RMSProp

BOOK = recipes.all_recipes()
BATCH = 16
FIT_STEPS = 400
FITTED = 0.1  # the loss of a batch that is learned by heart
RATES = (0.2, 0.1, 0.05, 1, 5)  # tried in turn: networks without normalization differ by orders of magnitude
STUCK = 50  # steps without a twentieth less: another rate will do better


@pytest.fixture(scope="session")
def sweep_data(demo_data, tmp_path_factory):
    """100 training and 10 validation digits."""
    return few_digits(demo_data, tmp_path_factory.mktemp("sweep") / "digits", train=10, val=1)


def small(recipe, batch):
    """The small form with a batch for two cores, and nothing that is longer than a step or two."""
    recipe = tiny(recipe, 10)
    norm = recipe.model.batch_norm
    if norm:
        images = norm.images and math.gcd(norm.images, batch)
        # Six steps are an epoch here: of three, the last is then frozen.
        frozen = min(norm.frozen_epochs, 0.2)
        seen = norm.reestimated_over and 2 * batch
        norm = replace(norm, images=images, reestimated_over=seen, frozen_epochs=frozen)
    return replace(
        recipe,
        data=replace(recipe.data, batch_size=batch),
        model=replace(recipe.model, batch_norm=norm),
    )


def short_plan(recipe, data, **machine):
    """A plan of one step a stage, three at least, each stage at its own rate."""
    plan = make_plan(recipe, data_facts(data), id=recipe.name, seed=1, threads=1, device="cpu", **machine)
    count = len(plan.stages)
    each = 1 if count > 2 else 3
    stages = [replace(s, first_step=i * each, end_step=(i + 1) * each) for i, s in enumerate(plan.stages)]
    return replace(plan, total_steps=count * each, stages=tuple(stages), log_every=1)


@pytest.mark.parametrize("name", BOOK)
def test_a_recipe_goes_through_the_whole_pipeline_and_moves_every_tensor(name, sweep_data, tmp_path):
    recipe = small(BOOK[name], min(BATCH, BOOK[name].data.batch_size))
    init = None
    if recipe.starts_from:
        init = str(parent_weights(recipe, tmp_path / "parent"))
    plan = short_plan(recipe, sweep_data, init_weights=init)
    folder = tmp_path / "run"
    runs.write_plan(folder, plan)
    assert train(plan, folder, Report(plan, folder), lambda: Stop.NO) == Stop.NO

    losses = [r["train/loss"] for r in read(folder)[0] if "train/loss" in r]
    assert len(losses) == plan.total_steps
    assert all(math.isfinite(loss) for loss in losses)
    result = json.loads((folder / runs.RESULT).read_text())
    assert len(result["results"]) >= 1
    assert all(r["images"] == 10 for r in result["results"])

    first = first_weights(recipe, plan, init)
    last = checkpoint.load(folder / runs.WEIGHTS).tensors
    still = [n for n, p in trained_tensors(first) if torch.equal(p, last[n])]
    assert still == []


def trained_tensors(network):
    """All but the gains of normalization: before a scale-invariant layer (ReLU, depthwise convolution, batch
    norm in ShuffleNet) their gradients are rounding errors, too small to move a float32 of 1 in three steps.
    """
    for module_name, module in network.named_modules():
        for name, parameter in module.named_parameters(module_name, recurse=False):
            gain = isinstance(module, NORMS) and name.endswith("weight")
            if parameter.requires_grad and not gain:
                yield name, parameter


def first_weights(recipe, plan, init):
    torch.manual_seed(plan.seed)
    network = build(recipe.model, recipe.regularization)
    if init:
        load_start(network, recipe.starts_from, Path(init))
    return network


def parent_weights(recipe, folder):
    """Weights of the recipe that this one begins with, as a finished run leaves them."""
    parent = tiny(BOOK[recipe.starts_from.recipe.removesuffix("+tiny")], 10)
    torch.manual_seed(7)
    network = build(parent.model, parent.regularization)
    folder.mkdir()
    checkpoint.write_tensors(folder / runs.WEIGHTS, dict(network.state_dict()), {})
    return folder


def without_regularization(own):
    """Nothing decays, nothing is smoothed or dropped; what the network has no argument for stays None."""
    off = {name: 0.0 for name in ("dropout", "drop_path") if getattr(own, name) is not None}
    return replace(own, weight_decay=0.0, label_smoothing=0.0, **off)


def gentle(optimizer, rate):
    """The recipe's optimizer at a rate that eight images bear, times `rate`."""
    if isinstance(optimizer, RMSProp):
        return replace(optimizer, lr=rate * (0.02 if optimizer.eps > 0.1 else 0.002))
    return replace(optimizer, lr=rate * 0.01)


def different_ones():
    """The first recipe of each network that starts, and is trained on one batch, in its own way."""
    found = {}
    for name, recipe in BOOK.items():
        recipe = small(recipe, 8)
        way = (
            without_regularization(recipe.regularization),
            gentle(recipe.optimizer, 1),
            recipe.data.geometry.size,
        )
        found.setdefault((repr(recipe.model), *way), name)
    return list(found.values())


@pytest.mark.parametrize("name", different_ones())
def test_a_recipe_fits_one_batch_with_regularization_off(name, sweep_data):
    recipe = small(BOOK[name], 8)
    plain = without_regularization(recipe.regularization)
    plan = short_plan(recipe, sweep_data)
    loader = TrainLoader(
        Manifest.load(sweep_data).split("train"),
        recipe.data,
        plan.stages,
        seed=1,
        batch_size=plan.batch_size,
        shard=Shard(0, 1, plan.batch_size),
    )
    batch = next(loader.batches(0, 1))
    images, labels = batch.images.clone(), batch.labels.clone()
    losses = []
    for rate in RATES:
        loss, reached, names = fit(recipe, plain, images, labels, rate)
        losses.append(round(loss, 3))
        if loss < FITTED:
            assert reached == names
            return
    pytest.fail(f"after {FIT_STEPS} steps at {RATES} times the rate the loss of one batch is {losses}")


def fit(recipe, regularization, images, labels, rate):
    """Train on one batch; return the last loss, the tensors that had a gradient, and all tensors."""
    seed_generator(torch.device("cpu"), 1)
    network = build(recipe.model, regularization).train()
    optimizer = make_optimizer(network, gentle(recipe.optimizer, rate), regularization)
    reached, losses = set(), []
    for step in range(FIT_STEPS):
        scores = outputs_of(network(images))
        heads = torch.stack([functional.cross_entropy(one, labels) for one in scores])
        losses.append(heads[0].item())
        if step > 2 and not FITTED <= losses[-1] < 100:
            break
        if step >= 2 * STUCK and min(losses[-STUCK:]) > 0.95 * min(losses[:-STUCK]):
            break
        optimizer.zero_grad()
        heads.sum().backward()
        reached |= {n for n, p in network.named_parameters() if p.grad is not None and p.grad.any()}
        optimizer.step()
    return losses[-1], reached, {name for name, _ in network.named_parameters()}
