"""The training arithmetic against loops written here from the papers, in float64.

The loops below use nothing of ours but the batches: their own loss, decay, clipping, optimizer, rate, average
and stage sizes.
"""

import math
from dataclasses import replace

import pytest
import torch

import recipes
from pipeline.data.header import read_header
from pipeline.plan import DataFacts, make_plan
from pipeline.run import open_run
from pipeline.tiny import tiny
from pipeline.train import train_step
from recipes.schema import Warmup

STEPS = 20
CLIPPED = []  # whether clipping did anything, step by step


@pytest.fixture
def plan_of(demo_data):
    header = read_header(demo_data)

    def make(recipe, **machine):
        facts = DataFacts(str(demo_data), header.name, 10, 1437, 360, header.fingerprint)
        plan = make_plan(recipe, facts, id="x", seed=3, threads=1, **machine)
        # Twenty steps with every stage in them.
        stages = [replace(s, first_step=5 * i, end_step=5 * (i + 1)) for i, s in enumerate(plan.stages)]
        return replace(plan, total_steps=STEPS, stages=tuple(stages)) if len(stages) > 1 else plan

    return make


class DoubleLoader:
    """The run's own batches in float64, and a copy of each for the loop to compare with."""

    def __init__(self, loader):
        self.loader, self.seen = loader, []

    def batches(self, first_step, end_step):
        for batch in self.loader.batches(first_step, end_step):
            batch = replace(batch, images=batch.images.double())
            self.seen.append(batch)
            yield batch


class NoReport:
    """Reports to nobody."""

    def started(self, done): ...


def run_ours(plan, tmp_path):
    """Train STEPS steps through our loop in float64; return (first weights, batches, run)."""
    with open_run(plan, tmp_path, NoReport()) as (run, _):
        run.network.double()
        if run.average:
            run.average.__init__(run.network, run.average.decay)
        first = {name: t.clone() for name, t in run.network.state_dict().items()}
        run.loader = DoubleLoader(run.loader)
        batches = run.loader.batches(0, STEPS)
        for step in range(STEPS):
            train_step(run, step, (next(batches) for _ in range(plan.accumulation)))
        return first, run.loader.seen, run


def cross_entropy(logits, labels, smoothing):
    """-sum q log p with q = (1 - e) onehot + e / K (Szegedy et al. 2016 §7)."""
    classes = logits.shape[1]
    log_p = logits - logits.exp().sum(1, keepdim=True).log()
    q = torch.full_like(logits, smoothing / classes)
    q[torch.arange(len(labels)), labels] += 1 - smoothing
    return -(q * log_p).sum(1).mean()


def clip(grads, largest):
    norm = math.sqrt(sum(g.square().sum().item() for g in grads.values()))
    CLIPPED.append(norm > largest)
    return {n: g * min(1.0, largest / (norm + 1e-6)) for n, g in grads.items()}


def gradients(network, step_batches, smoothing):
    """Mean gradient over the micro-batches of one step: accumulation by hand."""
    total = {}
    for batch in step_batches:
        loss = cross_entropy(network(batch.images), batch.labels, smoothing)
        parameters = dict(network.named_parameters())
        for name, g in zip(parameters, torch.autograd.grad(loss, parameters.values()), strict=True):
            total[name] = total.get(name, 0) + g / len(step_batches)
    return total


def is_norm(network, name):
    module = network.get_submodule(name.rpartition(".")[0])
    return "Norm" in type(module).__name__


def steps_of(batches, accumulation):
    return [batches[i : i + accumulation] for i in range(0, len(batches), accumulation)]


def close(found, expected):
    for name, tensor in expected.items():
        assert torch.allclose(found[name].double(), tensor.double(), rtol=1e-6, atol=1e-6), name


def test_caffes_sgd_with_accumulation_and_clipping_is_alexnets_update(plan_of, tmp_path):
    recipe = tiny(recipes.get("alexnet"), 10)
    recipe = replace(
        recipe,
        regularization=replace(recipe.regularization, dropout=0.0, clip_norm=1.5),
        schedule=replace(recipe.schedule, milestones=(0.2, 0.3, 5)),  # the rate falls at steps 9 and 14
    )
    plan = plan_of(recipe, micro_batch=16)
    assert plan.accumulation == 2
    first, batches, run = run_ours(plan, tmp_path)

    network = run.network
    ours = {name: t.clone() for name, t in network.state_dict().items()}
    network.load_state_dict(first)
    velocity = {name: torch.zeros_like(p) for name, p in network.named_parameters()}
    for step, group in enumerate(steps_of(batches, 2)):
        epoch = step / 44  # 1437 // 32 steps an epoch
        lr = 0.01 * 0.1 ** sum(epoch >= m for m in (0.2, 0.3, 5))
        grads = clip(gradients(network, group, 0.0), 1.5)
        with torch.no_grad():
            for name, p in network.named_parameters():
                decay = 0.0 if name.endswith("bias") else 5e-4
                # Krizhevsky et al. 2012 §5: v = 0.9 v - 0.0005 e w - e g, w = w + v
                velocity[name] = 0.9 * velocity[name] - decay * lr * p - lr * grads[name]
                p += velocity[name]
    assert True in CLIPPED[-STEPS:]
    close(ours, network.state_dict())


def test_rmsprop_with_average_smoothing_and_stages_is_tensorflows(plan_of, tmp_path):
    recipe = tiny(recipes.get("efficientnetv2_s"), 10)
    recipe = replace(
        recipe,
        data=replace(recipe.data, batch_size=16),
        regularization=replace(recipe.regularization, dropout=0.0, drop_path=0.0, clip_norm=20.0),
        progressive=replace(recipe.progressive, dropout=None),
        schedule=replace(recipe.schedule, every=0.06, warmup=Warmup(epochs=0.03)),
        optimizer=replace(recipe.optimizer, lr=0.01),
    )
    plan = plan_of(recipe)
    first, batches, run = run_ours(plan, tmp_path)
    assert [b.images.shape[2] for b in batches[::5]] == [s.image_size for s in plan.stages]
    assert len({s.image_size for s in plan.stages}) == 4

    network = run.network
    ours = {name: t.clone() for name, t in network.state_dict().items()}
    ours_average = {name: t.clone() for name, t in run.average.shadow.items()}
    network.load_state_dict(first)
    parameters = dict(network.named_parameters())
    square = {name: torch.ones_like(p) for name, p in parameters.items()}
    momentum = {name: torch.zeros_like(p) for name, p in parameters.items()}
    average = {n: t.clone() for n, t in first.items() if t.is_floating_point()}
    for step, batch in enumerate(batches):
        epoch = step / 89  # 1437 // 16 steps an epoch
        lr = 0.01 * 0.97 ** math.floor(epoch / 0.06) if epoch >= 0.03 else 0.01 * epoch / 0.03
        grads = clip(gradients(network, [batch], 0.1), 20.0)
        with torch.no_grad():
            for name, p in parameters.items():
                decays = not (name.endswith("bias") or is_norm(network, name))
                g = grads[name] + (1e-5 * p if decays else 0.0)
                square[name] = 0.9 * square[name] + 0.1 * g * g
                momentum[name] = 0.9 * momentum[name] + lr * g / (square[name] + 1e-3).sqrt()
                p -= momentum[name]
            decay = min(recipe.ema.decay, (1 + step) / (10 + step))
            for name, t in network.state_dict().items():
                if name in average:
                    average[name] = decay * average[name] + (1 - decay) * t
    assert True in CLIPPED[-STEPS:]
    close(ours, network.state_dict())
    close(ours_average, average)
