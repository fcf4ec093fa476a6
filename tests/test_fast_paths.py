"""What makes a step fast changes nothing of what a recipe says: compiling, fused updates, exact pooling."""

import copy
import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from run_results import losses
from test_training import FAST
from test_training import run as launch
from torch import nn
from torch.nn import functional

import recipes
from pipeline import checkpoint, runs
from pipeline.cli import main
from pipeline.journal import read
from pipeline.models import DeterministicPool, build, outputs_of, pool_deterministically
from pipeline.optim import load_state, make_optimizer, state_of
from pipeline.plan import make_plan
from pipeline.run import Run
from pipeline.show import supposed_data
from pipeline.tiny import tiny
from recipes.schema import SGD, AdamW, Regularization, RMSProp

RMSPROP = RMSProp(lr=0.01, decay=0.9, momentum=0.9, eps=0.001)


def test_a_compiled_network_trains_as_the_plain_one_and_its_checkpoint_has_the_same_names(
    small_data, tmp_path
):
    found = {}
    for choice in ("no", "yes"):
        folder = tmp_path / choice
        options = ["--data", str(small_data), "--tracking", "none", "--device", "cpu", "--log-every", "1"]
        # No dropout: compiled, it draws other numbers from the same seed.
        options += ["--set", "regularization.dropout=0.0", "--set", "schedule.epochs=1"]
        options += ["--set", "schedule.milestones=(1,)", "--compile", choice]
        assert main(["train", "alexnet+tiny", *options, "--run", str(folder)]) == 0
        assert json.loads((folder / runs.PLAN).read_text())["compile"] == choice
        found[choice] = (
            [record["train/loss"] for record in read(folder)[0] if "train/loss" in record],
            checkpoint.load(folder / runs.WEIGHTS).tensors,
        )
    (plain, plain_weights), (whole, whole_weights) = found["no"], found["yes"]
    # Sums in another order: the first losses agree to rounding, which training then amplifies.
    assert whole[0] == pytest.approx(plain[0], rel=1e-5)
    assert whole == pytest.approx(plain, rel=0.05)
    assert whole_weights.keys() == plain_weights.keys()
    assert not any("_orig_mod" in name for name in whole_weights)


def test_bf16_follows_the_curve_of_fp32(small_data, tmp_path):
    curves = {}
    for precision in ("fp32", "bf16"):  # a process holds one precision
        options = [
            "--set",
            "schedule.epochs=3",
            "--set",
            "schedule.milestones=(2,)",
            "--precision",
            precision,
        ]
        launch("train", "alexnet+tiny", "--data", small_data, "--run", tmp_path / precision, *FAST, *options)
        curves[precision] = [loss for _, loss in losses(tmp_path / precision)]
    full, half = curves["fp32"], curves["bf16"]
    assert half != full
    # The result itself is measured in float32, as it is when it is measured again.
    (measured,) = (tmp_path / "bf16" / "evaluation").glob("*.json")
    error = json.loads(measured.read_text())["ece"]
    measured.unlink()
    launch("eval", tmp_path / "bf16", "--device", "cpu", "--threads", 1)
    assert json.loads(measured.read_text())["ece"] == pytest.approx(error, rel=1e-5)
    assert half[0] == pytest.approx(full[0], rel=2**-7)  # bf16 has 8 bits of mantissa, one of them implicit
    assert half == pytest.approx(full, rel=0.1)


def test_a_compiled_network_that_trained_in_bf16_is_measured_in_fp32(small_data, tmp_path):
    folder = tmp_path / "run"
    options = ["--compile", "yes", "--precision", "bf16", "--set", "schedule.epochs=1"]
    options += ["--set", "schedule.milestones=(1,)"]
    launch("train", "alexnet+tiny", "--data", small_data, "--run", folder, *FAST, *options)
    (measured,) = (folder / "evaluation").glob("*.json")
    error = json.loads(measured.read_text())["ece"]
    measured.unlink()
    launch("eval", folder, "--device", "cpu", "--threads", 1)
    assert json.loads(measured.read_text())["ece"] == pytest.approx(error, rel=1e-5)


def test_long_runs_on_a_gpu_are_compiled_unless_they_are_to_be_deterministic():
    recipe = recipes.get("resnet50")
    plan = make_plan(recipe, supposed_data(recipe), id="x", seed=0, threads=1)
    assert plan.compiles(cuda=True)
    assert not plan.compiles(cuda=False)
    assert not replace(plan, deterministic=True).compiles(cuda=True)
    assert not replace(plan, total_steps=100).compiles(cuda=True)  # shorter than it takes to compile
    assert replace(plan, compile="yes").compiles(cuda=False)
    assert not replace(plan, compile="no").compiles(cuda=True)


@pytest.mark.parametrize("optimizer", [SGD(lr=0.1, momentum=0.9, nesterov=True), AdamW(lr=0.01)])
def test_a_fused_update_is_the_same_update(optimizer):
    weights = []
    for fused in (False, True):
        torch.manual_seed(0)
        network = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.LazyLinear(5)
        ).double()
        images = torch.randn(8, 3, 6, 6, dtype=torch.double)
        network(images)
        own = make_optimizer(network, optimizer, Regularization(weight_decay=0.01), fused)
        assert own.defaults["fused"] is (True if fused else None)
        for _ in range(5):
            own.zero_grad()
            network(images).square().mean().backward()
            own.step()
        weights.append(torch.cat([p.detach().flatten() for p in network.parameters()]))
    torch.testing.assert_close(*weights, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize(
    "optimizer",
    [SGD(lr=0.1, momentum=0.9), SGD(lr=0.1, momentum=0.9, form="caffe"), RMSPROP, AdamW(lr=0.01)],
    ids=lambda optimizer: f"{type(optimizer).__name__} {getattr(optimizer, 'form', '')}",
)
def test_an_optimizer_of_a_channels_last_network_goes_on_from_a_file_as_if_unbroken(
    optimizer, fused, tmp_path
):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(128, 5))
    network = network.to(memory_format=torch.channels_last)
    other = copy.deepcopy(network)
    images = torch.randn(3, 8, 3, 6, 6)
    first = make_optimizer(network, optimizer, Regularization(weight_decay=0.01), fused)
    take_steps(network, first, images[:2])
    writer = checkpoint.CheckpointWriter(tmp_path)
    writer.write(2, state_of(first), {}, best=False)
    writer.wait()
    other.load_state_dict(network.state_dict())
    second = make_optimizer(other, optimizer, Regularization(weight_decay=0.01), fused)
    load_state(second, checkpoint.load_newest(tmp_path).tensors)
    for parameter, kept in second.state.items():
        assert all(t.stride() == parameter.stride() for t in kept.values() if t.dim())
    take_steps(network, first, images[2:])
    take_steps(other, second, images[2:])
    for one, same in zip(network.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, same)


def take_steps(network, optimizer, batches):
    for batch in batches:
        optimizer.zero_grad()
        network(batch.to(memory_format=torch.channels_last)).square().mean().backward()
        optimizer.step()


@pytest.mark.parametrize("size", [(1, 1), (6, 6), (7, 9), (13, 13)])
@pytest.mark.parametrize("asked", [1, 6, (7, 5)])
def test_deterministic_pooling_is_adaptive_pooling(size, asked):
    network = nn.Sequential(nn.AdaptiveAvgPool2d(asked))
    pool_deterministically(network)
    assert isinstance(network[0], DeterministicPool)
    images = torch.randn(2, 3, *size, dtype=torch.double)
    torch.testing.assert_close(network(images), functional.adaptive_avg_pool2d(images, asked))


@pytest.mark.parametrize(("device", "number"), [("cuda:0", 0), ("cuda:3", 3), ("cuda", 0), ("cpu", None)])
def test_dali_works_on_the_gpu_that_the_network_is_on(device, number):
    # The fourth process of a node, which may see the GPU that is its own alone: then that is number 0.
    accelerator = SimpleNamespace(device=torch.device(device), local_process_index=3)
    run = Run.__new__(Run)
    run.accelerator = accelerator
    assert run.device_id == number


@pytest.mark.parametrize("name", ["googlenet", "inception_v3", "vgg11+tiny"])
def test_no_gradient_of_a_deterministic_training_is_that_of_torchs_adaptive_pooling(name):
    recipe = recipes.get(name.removesuffix("+tiny"))
    recipe = tiny(recipe, 10) if name.endswith("+tiny") else recipe
    network = build(recipe.model, recipe.regularization)
    pool_deterministically(network)
    answer = network(torch.zeros(2, 3, *[recipe.data.geometry.size] * 2))
    nodes = {output.grad_fn for output in outputs_of(answer)}
    waiting = list(nodes)
    while waiting:
        found = {function for function, _ in waiting.pop().next_functions if function} - nodes
        nodes |= found
        waiting += found
    assert not [node.name() for node in nodes if "AdaptiveAvgPool" in node.name()]


def test_a_deterministic_vgg_sees_small_images_as_the_plain_one_does():
    recipe = tiny(recipes.get("vgg11"), 10)
    network = build(recipe.model, recipe.regularization).eval()
    images = torch.randn(2, 3, 96, 64)
    expected = network(images)
    pool_deterministically(network)
    torch.testing.assert_close(network(images), expected)
