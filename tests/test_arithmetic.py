"""The training arithmetic against loops written here from the papers, in float64.

The loops below use nothing of ours but the batches: their own loss, decay, clipping, optimizer, rate, average
and stage sizes.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
import torch
from no_report import NoReport

import recipes
from pipeline.data.header import read_header
from pipeline.mixing import mix
from pipeline.models import build
from pipeline.plan import DataFacts, make_plan
from pipeline.run import open_run
from pipeline.step import train_step
from pipeline.tiny import tiny
from recipes.schema import AdamW, Exponential, InverseDecay, Mixup, Polynomial, Steps, Warmup

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
    """The run's own batches in float64, and a copy of each for the loop to compare with.

    With some noise: the digits' background is of one colour, and where the largest of equal values is found
    is for rounding to say, at which two ways of adding up the same part.
    """

    def __init__(self, loader):
        self.loader, self.seen = loader, []
        self.noise = torch.Generator().manual_seed(0)

    def batches(self, first_step, end_step):
        for batch in self.loader.batches(first_step, end_step):
            images = batch.images.double()
            images += 0.01 * torch.randn(images.shape, generator=self.noise, dtype=torch.double)
            batch = replace(batch, images=images)
            self.seen.append(replace(batch, images=batch.images.clone()))  # mixing works in place
            yield batch


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


# ---------------------------------------------------------------- one recipe of every other combination


class Momentum:
    """v = m v + g, w -= lr v (He et al. 2015's momentum as PyTorch writes it)."""

    def __init__(self, momentum):
        self.momentum, self.velocity = momentum, {}

    def step(self, name, p, g, decay, lr):
        g = g + decay * p
        v = self.velocity[name] = self.momentum * self.velocity.get(name, 0.0) + g
        return self.direction(g, v) * lr

    def direction(self, g, v):
        return v


class Nesterov(Momentum):
    """w -= lr (g + m v): the gradient once more, looking ahead (Sutskever et al. 2013, in Torch's form)."""

    def direction(self, g, v):
        return g + self.momentum * v


class TensorFlowRMSProp:
    """s = 0.9 s + 0.1 g^2 from 1, m = 0.9 m + lr g / sqrt(s + eps), w -= m."""

    def __init__(self, eps):
        self.eps, self.square, self.momentum = eps, {}, {}

    def step(self, name, p, g, decay, lr):
        g = g + decay * p
        s = self.square[name] = 0.9 * self.square.get(name, torch.ones_like(p)) + 0.1 * g * g
        m = self.momentum[name] = 0.9 * self.momentum.get(name, 0.0) + lr * g / (s + self.eps).sqrt()
        return m


class DecoupledAdam:
    """Loshchilov and Hutter 2019, Algorithm 2: decay beside the moments, not in them."""

    def __init__(self):
        self.first, self.second, self.count = {}, {}, {}

    def step(self, name, p, g, decay, lr):
        t = self.count[name] = self.count.get(name, 0) + 1
        m = self.first[name] = 0.9 * self.first.get(name, 0.0) + 0.1 * g
        v = self.second[name] = 0.999 * self.second.get(name, 0.0) + 0.001 * g * g
        return lr * (m / (1 - 0.9**t) / ((v / (1 - 0.999**t)).sqrt() + 1e-8) + decay * p)


def everything(network, name):
    return True


def no_norm(network, name):
    return not is_norm(network, name)


def weights_only(network, name):
    """Convolutions' and linear layers' weights: no bias, no normalization."""
    return name.endswith("weight") and not is_norm(network, name)


def no_depthwise(network, name):
    module = network.get_submodule(name.rpartition(".")[0])
    depthwise = getattr(module, "groups", 1) > 1 and module.groups == module.in_channels
    return weights_only(network, name) and not depthwise


@dataclass
class Case:
    """What the paper says, by hand: update rule, rate at a step, what decays, the rest of the loss.

    steps_per_epoch is 44 everywhere: 1,437 digits in batches of 32. Rates are those for a base rate of 0.02.
    """

    recipe: str
    update: Callable
    schedule: object
    lr: Callable[[int], float]
    decays: Callable = everything
    decay: float = 1e-4
    smoothing: float = 0.0
    auxiliary: tuple = ()
    clip: float | None = None
    averaged: bool = False
    mixes: bool = False
    gentler: float = 1.0  # by how much all rates are lower, where twenty steps would amplify rounding errors
    changes: dict = field(default_factory=dict)


EPOCH = 44
FALLING = Steps(epochs=10, milestones=(0.2, 0.3))  # at steps 9 and 14
STAIRS = Exponential(epochs=10, decay=0.94, every=0.1)  # every 4.4 steps


def falling(step):
    return 0.02 * 0.1 ** ((step >= 9) + (step >= 14))


def stairs(step):
    return 0.02 * 0.94 ** math.floor(step / 4.4)


CASES = [
    Case("densenet121", lambda: Nesterov(0.9), FALLING, falling),
    Case("res2net50_26w_4s", lambda: Momentum(0.9), FALLING, falling, smoothing=0.1),
    Case(
        "resnet50@goyal2017",
        lambda: Nesterov(0.9),
        Steps(epochs=10, milestones=(0.3,), warmup=Warmup(epochs=0.25, start_lr=0.004)),  # 11 steps
        lambda step: 0.004 + 0.016 * step / 11 if step < 11 else 0.02 * 0.1 ** (step >= 14),
        decays=no_norm,
    ),
    Case(
        "shufflenet_v1_x0_25_g3",
        lambda: Momentum(0.9),
        Polynomial(epochs=1),
        lambda step: 0.02 * (1 - step / 44),
        decays=weights_only,
        decay=4e-5,
        smoothing=0.1,
    ),
    Case(
        "mobilenet_v1_x0_25",
        lambda: TensorFlowRMSProp(1.0),
        STAIRS,
        stairs,
        decays=no_depthwise,
        decay=4e-5,
        averaged=True,
        gentler=1000,
    ),
    Case(
        "inception_v3",
        lambda: TensorFlowRMSProp(1.0),
        STAIRS,
        stairs,
        decays=weights_only,
        decay=4e-5,
        smoothing=0.1,
        auxiliary=(0.4,),
        clip=2.0,
        averaged=True,
        gentler=100,
    ),
    Case(
        "googlenet",
        lambda: Momentum(0.9),
        Polynomial(epochs=1, power=0.5),
        lambda step: 0.02 * (1 - step / 44) ** 0.5,
        decays=weights_only,
        decay=2e-4,
        auxiliary=(0.3, 0.3),
        averaged=True,
        changes={"model.arguments": {"auxiliary_dropout": 0.0}},
    ),
    Case(
        "efficientnet_b0",
        lambda: TensorFlowRMSProp(1e-3),
        STAIRS,
        stairs,
        decays=no_norm,
        decay=1e-5,
        smoothing=0.1,
        averaged=True,
    ),
    Case(
        "efficientnetv2_m@automl",
        lambda: TensorFlowRMSProp(1e-3),
        STAIRS,
        stairs,
        decays=weights_only,
        decay=1e-5,
        smoothing=0.1,
        averaged=True,
        mixes=True,
        gentler=20,
    ),
    Case("res2net50_v1b_26w_4s", lambda: Momentum(0.9), FALLING, falling, smoothing=0.1, mixes=True),
    Case(
        "lenet5@modern",
        lambda: Momentum(0.9),
        InverseDecay(epochs=10, gamma=4.4, power=0.75),  # 0.1 a step
        lambda step: 0.02 * (1 + 0.1 * step) ** -0.75,
        decay=5e-4,
    ),
    Case(
        "densenet121",
        DecoupledAdam,
        FALLING,
        lambda step: falling(step) / 20,
        changes={"optimizer": AdamW(lr=0.001)},
    ),
    Case(
        "alexnet",
        lambda: Momentum(0.9),
        FALLING,
        falling,
        decays=weights_only,
        mixes=True,
        changes={"data.mixing": Mixup(alpha=0.2)},
    ),
]


def prepared(case):
    """The small form at the rates of the case, without what is drawn by the device's generator."""
    recipe = tiny(recipes.get(case.recipe), 10)
    silent = {n: 0.0 for n in ("dropout", "drop_path") if getattr(recipe.regularization, n) is not None}
    if recipe.progressive and recipe.progressive.dropout:
        recipe = replace(recipe, progressive=replace(recipe.progressive, dropout=None))
    optimizer = replace(case.changes.get("optimizer", recipe.optimizer))
    if "optimizer" not in case.changes:
        optimizer = replace(optimizer, lr=0.02 / case.gentler)
        if hasattr(optimizer, "form"):
            optimizer = replace(optimizer, form="torch")
    arguments = case.changes.get("model.arguments", {})
    mixing = case.changes.get("data.mixing", recipe.data.mixing)
    decay = {"weight_decay": case.decay, "clip_norm": case.clip}
    return replace(
        recipe,
        data=replace(recipe.data, batch_size=32, mixing=mixing),
        model=replace(recipe.model, arguments={**recipe.model.arguments, **arguments}),
        optimizer=optimizer,
        schedule=case.schedule,
        regularization=replace(recipe.regularization, **silent, **decay),
    )


def targets_of(plan, batch, case):
    """(images, rows summing to 1): mixed as tests/test_mixing.py proves, else one-hot, smoothed by hand."""
    stage = next(s for s in plan.stages if batch.step < s.end_step)
    if case.mixes:
        return mix(
            batch.images.clone(),
            batch.labels,
            plan.recipe.data.mixing,
            seed=plan.seed,
            step=batch.step,
            first_slot=0,
            block=8,
            num_classes=10,
            label_smoothing=case.smoothing,
            mixup_alpha=stage.mixup,
            cutmix_alpha=stage.cutmix,
        )
    rows = torch.full((len(batch.labels), 10), case.smoothing / 10, dtype=torch.float64)
    rows[torch.arange(len(rows)), batch.labels] += 1 - case.smoothing
    return batch.images, rows


def loss_of(network, images, rows, auxiliary):
    answer = network(images)
    heads = answer if isinstance(answer, tuple) else (answer,)
    losses = [-(rows.double() * scores.log_softmax(1)).sum(1).mean() for scores in heads]
    return losses[0] + sum(w * loss for w, loss in zip(auxiliary, losses[1:], strict=True))


def mean_gradients(network, images, rows, group, auxiliary):
    """Gradients of the mean loss, batch norm over `group` images: each group alone through the network."""
    parameters, total = dict(network.named_parameters()), {}
    parts = list(zip(images.split(group), rows.split(group), strict=True))
    for part_images, part_rows in parts:
        loss = loss_of(network, part_images, part_rows, auxiliary) / len(parts)
        for name, g in zip(parameters, torch.autograd.grad(loss, parameters.values()), strict=True):
            total[name] = total.get(name, 0) + g
    return total


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.recipe}-{case.update().__class__.__name__}")
def test_twenty_steps_are_those_of_a_loop_written_from_the_paper(case, plan_of, tmp_path):
    recipe = prepared(case)
    plan = plan_of(recipe)
    first, batches, run = run_ours(plan, tmp_path)
    ours = {name: p.clone() for name, p in run.network.named_parameters()}

    norm = recipe.model.batch_norm
    model = replace(recipe.model, batch_norm=norm and replace(norm, images=None))
    network = build(model, recipe.regularization).double().train()
    network.load_state_dict(first)
    parameters, update = dict(network.named_parameters()), case.update()
    average = {name: p.detach().clone() for name, p in parameters.items()}
    group = (norm and norm.images) or 32
    for step, batch in enumerate(batches):
        images, rows = targets_of(plan, batch, case)
        grads = mean_gradients(network, images, rows, group, case.auxiliary)
        grads = clip(grads, case.clip) if case.clip else grads
        with torch.no_grad():
            for name, p in parameters.items():
                decay = case.decay if case.decays(network, name) else 0.0
                p -= update.step(name, p, grads[name], decay, case.lr(step) / case.gentler)
                if case.averaged:
                    share = min(recipe.ema.decay, (1 + step) / (10 + step))
                    average[name] = share * average[name] + (1 - share) * p
    close(ours, parameters)
    moved = max((p - first[name]).abs().max().item() for name, p in parameters.items())
    assert moved > 5e-4  # hundreds of times what may differ
    assert (run.average is not None) == case.averaged
    if case.averaged:
        close(run.average.shadow, average)
