"""What training does beside descending: layers that stand still, statistics anew, weights to begin with."""

from dataclasses import replace

import pytest
import torch
from no_report import NoReport
from torch import nn

import recipes
from pipeline import checkpoint, runs
from pipeline.errors import Top1Error
from pipeline.models import build, classifier_of
from pipeline.plan import make_plan
from pipeline.planning import data_facts
from pipeline.reestimate import reestimate
from pipeline.run import open_run
from pipeline.step import train_step
from pipeline.tiny import tiny
from pipeline.transfer import load_start
from recipes.schema import SGD, StartFrom

NORMS = nn.modules.batchnorm._BatchNorm


@pytest.fixture(scope="module")
def recipe():
    """A small EfficientNetV2 of one stage whose gradients are plain SGD's."""
    small = tiny(recipes.get("efficientnetv2_s"), 10)
    return replace(
        small,
        data=replace(small.data, batch_size=16),
        model=replace(small.model, batch_norm=replace(small.model.batch_norm, images=8)),
        optimizer=SGD(lr=0.05, momentum=0.9),
        progressive=None,
        ema=None,
    )


def plan_of(recipe, demo_data, **machine):
    return make_plan(recipe, data_facts(demo_data), id="x", seed=3, threads=1, device="cpu", **machine)


def steps(run, count, first=0):
    batches = run.loader.batches(first, first + count)
    for step in range(first, first + count):
        train_step(run, step, (next(batches) for _ in range(run.plan.accumulation)))


def state_of(modules):
    return [t.clone() for module in modules for t in module.state_dict().values()]


def test_batch_norm_stands_still_in_the_last_epochs_and_the_rest_goes_on(recipe, demo_data, tmp_path):
    norm = replace(recipe.model.batch_norm, frozen_epochs=1.0)
    recipe = replace(recipe, model=replace(recipe.model, batch_norm=norm))
    plan = plan_of(recipe, demo_data)
    assert plan.steps_per_epoch == 89  # 1437 // 16
    first_frozen = plan.total_steps - 89
    with open_run(plan, tmp_path, NoReport()) as (run, _):
        norms = [m for m in run.network.modules() if isinstance(m, NORMS)]
        others = [m for m in run.network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        steps(run, 1, first_frozen - 1)
        before, before_others = state_of(norms), state_of(others)
        run.network.train()  # as an evaluation between two epochs leaves it
        steps(run, 2, first_frozen)
    assert all(torch.equal(a, b) for a, b in zip(before, state_of(norms), strict=True))
    assert not any(
        torch.equal(a, b) for a, b in zip(before_others, state_of(others), strict=True) if a.dim() > 1
    )


def test_re_estimated_statistics_are_the_mean_over_the_last_steps_images(recipe, demo_data, tmp_path):
    norm = replace(recipe.model.batch_norm, images=None, reestimated_over=3 * 16)
    recipe = replace(recipe, model=replace(recipe.model, batch_norm=norm))
    plan = plan_of(recipe, demo_data)
    with open_run(plan, tmp_path, NoReport()) as (run, _):
        steps(run, 2)
        name, first_norm = next((n, m) for n, m in run.network.named_modules() if isinstance(m, NORMS))
        weights = {n: p.clone() for n, p in run.network.named_parameters()}
        reestimate(run)
        assert run.network.training
        assert all(torch.equal(p, weights[n]) for n, p in run.network.named_parameters())
        # What the first batch norm sees is the stem's output: its mean and unbiased variance, batch by batch.
        seen = [
            run.network.conv_stem(batch.images)
            for batch in run.loader.batches(plan.total_steps - 3, plan.total_steps)
        ]
    assert name == "bn1"
    means = torch.stack([x.mean((0, 2, 3)) for x in seen]).mean(0)
    variances = torch.stack([x.transpose(0, 1).flatten(1).var(1) for x in seen]).mean(0)
    assert torch.allclose(first_norm.running_mean, means, rtol=1e-4, atol=1e-6)
    assert torch.allclose(first_norm.running_var, variances, rtol=1e-4, atol=1e-6)
    assert first_norm.momentum == pytest.approx(1 - norm.momentum)


def trained(recipe, demo_data, folder):
    """Write the weights of a run of a few steps, as a finished run leaves them; return them."""
    folder.mkdir()
    plan = plan_of(recipe, demo_data)
    with open_run(plan, folder, NoReport()) as (run, _):
        steps(run, 2)
        tensors = {n: t.detach().clone() for n, t in run.network.state_dict().items()}
    checkpoint.write_tensors(folder / runs.WEIGHTS, tensors, {"recipe": recipe.name})
    return tensors


def test_a_run_begins_with_another_ones_weights_and_trains_only_what_it_is_told(recipe, demo_data, tmp_path):
    parent = trained(recipe, demo_data, tmp_path / "parent")
    start = StartFrom(recipe.name, trained=("classifier", "conv_head"))
    child = plan_of(replace(recipe, starts_from=start), demo_data, init_weights=str(tmp_path / "parent"))
    (tmp_path / "child").mkdir()
    with open_run(child, tmp_path / "child", NoReport()) as (run, done):
        assert done == 0
        begun = {n: t.clone() for n, t in run.network.state_dict().items()}
        assert all(torch.equal(begun[n], t) for n, t in parent.items())
        steps(run, 2)
        moved = {n for n, t in run.network.state_dict().items() if not torch.equal(t, parent[n])}
    assert moved == {"classifier.weight", "classifier.bias", "conv_head.weight"}


def test_a_new_head_takes_everything_else_over(recipe, demo_data, tmp_path):
    parent = trained(recipe, demo_data, tmp_path / "parent")
    other = replace(recipe.model, num_classes=7)
    network = build(other, recipe.regularization)
    assert classifier_of(network) == "classifier"
    load_start(network, StartFrom(recipe.name, new_head=True), tmp_path / "parent")
    found = network.state_dict()
    assert found["classifier.weight"].shape[0] == 7
    assert all(torch.equal(found[n], t) for n, t in parent.items() if not n.startswith("classifier."))
    with pytest.raises(Top1Error, match=r"'classifier.weight' of shape \(10, .*of \(7, .*--new-head"):
        load_start(network, StartFrom(recipe.name), tmp_path / "parent")


def test_some_layers_can_be_taken_over_under_other_names(tmp_path):
    source = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3))
    checkpoint.write_tensors(tmp_path / "w.safetensors", dict(source.state_dict()), {})
    target = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3))
    untouched = target[1].weight.clone()
    load_start(target, StartFrom("x", layers={"0": "0", "2": "1"}), tmp_path / "w.safetensors")
    assert torch.equal(target[0].weight, source[0].weight)
    assert torch.equal(target[2].bias, source[1].bias)
    assert torch.equal(target[1].weight, untouched)
    with pytest.raises(Top1Error, match=r"has no tensor '5\.weight', which '1\.weight' begins with"):
        load_start(target, StartFrom("x", layers={"1": "5"}), tmp_path / "w.safetensors")


def test_a_layer_to_train_that_is_not_there_is_named(recipe, demo_data, tmp_path):
    start = StartFrom(recipe.name, trained=("fc",))
    plan = plan_of(replace(recipe, starts_from=start), demo_data, init_weights="x")
    with pytest.raises(Top1Error, match=r"no layer of the network is called 'fc'.*classifier"):
        open_run(plan, tmp_path, NoReport()).__enter__()


def test_weights_to_begin_with_that_are_not_there_are_named(recipe, demo_data, tmp_path):
    plan = plan_of(replace(recipe, starts_from=StartFrom("p")), demo_data, init_weights=str(tmp_path / "no"))
    with pytest.raises(Top1Error, match=r"there is no .*no to begin with. Train p to its end first"):
        open_run(plan, tmp_path, NoReport()).__enter__()
