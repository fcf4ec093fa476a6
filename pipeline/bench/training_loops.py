"""One row of `top1 bench step` or `train` in a process of its own: a training loop, and what feeds it. Heavy.

Ours is the very loop that trains runs (`pipeline.train.train_steps`), log and all, with the paper's recipe;
only its supply of batches is held up between two rounds. The others are written here as their own examples
have them, for the same network and optimizer.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TextIO

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn import functional

from pipeline import runs
from pipeline.bench.figures import Timing
from pipeline.bench.loaders import LOADERS, Setting
from pipeline.data.header import read_header
from pipeline.data.loader import Batch
from pipeline.models import build, outputs_of
from pipeline.optim import make_optimizer
from pipeline.plan import DataFacts, Plan, make_plan
from pipeline.report import Report
from pipeline.run import Run, compiled, open_run, start_accelerator
from pipeline.train import train_steps
from recipes.serialize import from_dict

ENDLESS = 2**40  # steps: no bench ends an epoch, in which a run would evaluate and save
LEAD_STEPS = 3  # at the beginning of a round, not timed: what was fetched ahead is used up

Batches = Iterator[Batch]


@dataclass(frozen=True)
class Told:
    """What a row is told. stage: of a progressive recipe, from 0; None is its last."""

    recipe: Any
    loop: str
    feed: str
    accumulation: int
    files: Path
    run: Path
    stage: int | None
    steps: int
    threads: int
    device: str
    precision: str
    compile: str


class Paced:
    """Batches in rounds: after each it waits until the device is done, answers with the timing, and waits for
    the next line of `orders`. Iterating ends with the process.
    """

    def __init__(
        self, batches: Batches, plan: Plan, steps: int, device: torch.device, orders: TextIO, answers: TextIO
    ) -> None:
        self._batches, self._plan, self._steps, self._device = batches, plan, steps, device
        self._orders, self._answers = orders, answers

    def batches(self, first_step: int, end_step: int) -> Batches:
        """Yield them as a TrainLoader does."""
        passes = self._plan.accumulation
        while True:
            for _ in range(LEAD_STEPS * passes):
                yield next(self._batches)
            self._settle()
            start, cpu, waited = time.perf_counter(), time.process_time(), 0.0
            for _ in range(self._steps * passes):
                asked = time.perf_counter()
                batch = next(self._batches)
                waited += time.perf_counter() - asked
                yield batch
            self._settle()
            images = self._steps * self._plan.batch_size
            seconds, used = time.perf_counter() - start, time.process_time() - cpu
            timing = Timing(images, seconds, used, waited, self._memory())
            print(json.dumps(asdict(timing)), file=self._answers, flush=True)
            if not self._orders.readline():
                sys.exit(0)

    def _settle(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)

    def _memory(self) -> float:
        return torch.cuda.max_memory_reserved(self._device) / 2**30 if self._device.type == "cuda" else 0.0


def plan_of(told: Told, whole: bool = True) -> Plan:
    """Return the row's plan; `whole`: of one stage that does not end."""
    header = read_header(told.files)
    facts = DataFacts(
        path=str(told.files),
        name=header.name,
        classes=told.recipe.model.num_classes,  # the images' classes are among them
        train_images=header.splits["train"].images,
        val_images=0,
        fingerprint=header.fingerprint,
    )
    plan = make_plan(
        told.recipe,
        facts,
        id="bench",
        micro_batch=told.recipe.data.batch_size // told.accumulation,
        checkpoint_every=ENDLESS,
        seed=0,
        threads=told.threads,
        device=told.device,
        precision=told.precision,
        compile=told.compile,
        log_every=50,
    )
    if not whole:
        return plan
    stage = plan.stages[-1 if told.stage is None else told.stage]
    stage = replace(stage, first_step=0, end_step=ENDLESS)
    return replace(plan, stages=(stage,), total_steps=ENDLESS, steps_per_epoch=ENDLESS)


# ---------------------------------------------------------------- feeds


def feed_of(told: Told, plan: Plan, run: Run | None, device: torch.device) -> Batches:
    """Return the row's batches, endless."""
    if told.feed == "memory":
        return in_memory(plan, device)
    if told.feed == "data":
        assert run is not None  # only our own loop is fed by our loader
        return run.loader.batches(0, plan.stages[-1].end_step)
    return of_peer(told, plan, device)


def in_memory(plan: Plan, device: torch.device) -> Batches:
    """Yield one batch of each stage again and again, as the loader would have put it there."""
    labels = torch.arange(plan.micro_batch, device=device) % plan.recipe.model.num_classes
    indices = torch.arange(plan.micro_batch)
    mixed = plan.recipe.data.mixing is not None  # in place: a batch of its own each time
    for stage in plan.stages:
        images = _noise(plan, stage.image_size, device)
        for _ in range((stage.end_step - stage.first_step) * plan.accumulation):
            yield Batch(images.clone() if mixed else images, labels, indices, 0)


def _noise(plan: Plan, size: int, device: torch.device) -> Tensor:
    channels = len(plan.recipe.data.normalize.mean)
    images = torch.randn(plan.micro_batch, channels, size, size, device=device)
    return images.to(memory_format=torch.channels_last) if device.type == "cuda" else images


def of_peer(told: Told, plan: Plan, device: torch.device) -> Batches:
    """Yield the batches of another library's loader, moved to the device as its example does."""
    setting = Setting(
        told.files,
        plan.stages[0].image_size,
        plan.micro_batch,
        told.threads,
        device=str(device),
    )
    name = {"torchvision": "imagefolder"}.get(told.feed, told.feed)
    targets = torch.arange(plan.micro_batch, device=device) % plan.recipe.model.num_classes
    for images in LOADERS[name](setting):
        yield Batch(images.to(device, non_blocking=True), targets, targets, 0)


# ---------------------------------------------------------------- loops


def top1(told: Told, plan: Plan, orders: TextIO, answers: TextIO) -> None:
    """Train as `top1 train` does, log and all."""
    with open_top1(told, plan) as run:
        batches = feed_of(told, plan, run, run.accelerator.device)
        paced = Paced(batches, plan, told.steps, run.accelerator.device, orders, answers)
        run.loader = paced  # type: ignore[assignment]
        train_steps(run, 0)


@contextlib.contextmanager
def open_top1(told: Told, plan: Plan) -> Iterator[Run]:
    """Open a new run in its folder; the network is made, nothing trained."""
    runs.write_plan(told.run, plan)
    with open_run(plan, told.run, Report(plan, told.run)) as (run, _):
        yield run


def bare(told: Told, plan: Plan, orders: TextIO, answers: TextIO) -> None:
    """Train as PyTorch's tutorials do, with automatic mixed precision: forward, backward, update."""
    device, network, optimizer, precision = _by_hand(plan)
    model = compiled(network, plan) if plan.compiles(device.type == "cuda") else network
    for batch in _paced(told, plan, device, orders, answers):
        with torch.autocast(device.type, precision, enabled=precision is not None):
            loss = _loss(model(batch.images), batch.labels, plan)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()


def torchvision(told: Told, plan: Plan, orders: TextIO, answers: TextIO) -> None:
    """Train as torchvision's references/classification does: it reads loss and accuracy each step."""
    device, network, optimizer, precision = _by_hand(plan)
    model = compiled(network, plan) if plan.compiles(device.type == "cuda") else network
    for batch in _paced(told, plan, device, orders, answers):
        with torch.autocast(device.type, precision, enabled=precision is not None):
            answer = model(batch.images)
            loss = _loss(answer, batch.labels, plan)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        ranked = outputs_of(answer)[0].topk(5, 1)[1]
        hits = (ranked == batch.labels[:, None]).float()
        loss.item(), hits[:, 0].sum().item(), hits.sum().item()


def accelerate(told: Told, plan: Plan, orders: TextIO, answers: TextIO) -> None:
    """Train as Accelerate's examples do: all prepared, `accumulate`, a scheduler stepped each time."""
    start_accelerator(plan)  # the same settings of torch for all rows
    accelerator = Accelerator()
    device = accelerator.device
    network = _network(plan, device)
    optimizer = _optimizer(network, plan, device)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, ENDLESS)
    model = compiled(network, plan) if plan.compiles(device.type == "cuda") else network
    model, optimizer, scheduler = accelerator.prepare(model, optimizer, scheduler)
    for batch in _paced(told, plan, device, orders, answers):
        with accelerator.accumulate(model):
            loss = _loss(model(batch.images), batch.labels, plan)
            accelerator.backward(loss)
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()


LOOPS: dict[str, Callable[[Told, Plan, TextIO, TextIO], None]] = {
    "top1": top1,
    "bare": bare,
    "torchvision": torchvision,
    "accelerate": accelerate,
}


def _by_hand(plan: Plan) -> tuple[torch.device, nn.Module, torch.optim.Optimizer, torch.dtype | None]:
    accelerator = start_accelerator(plan)  # the same settings of torch for all rows
    device = accelerator.device
    network = _network(plan, device)
    precision = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(accelerator.mixed_precision)
    return device, network, _optimizer(network, plan, device), precision


def _network(plan: Plan, device: torch.device) -> nn.Module:
    network = build(plan.recipe.model, plan.recipe.regularization, micro_batch=plan.micro_batch).to(device)
    return network.to(memory_format=torch.channels_last) if device.type == "cuda" else network


def _optimizer(network: nn.Module, plan: Plan, device: torch.device) -> torch.optim.Optimizer:
    recipe = plan.recipe
    return make_optimizer(network, recipe.optimizer, recipe.regularization, fused=device.type == "cuda")


def _loss(answer: Any, labels: Tensor, plan: Plan) -> Tensor:
    smoothing = plan.recipe.regularization.label_smoothing
    main, *heads = outputs_of(answer)
    loss = functional.cross_entropy(main, labels, label_smoothing=smoothing)
    weights = plan.recipe.model.auxiliary.weights if plan.recipe.model.auxiliary else ()
    for weight, head in zip(weights, heads, strict=True):
        loss = loss + weight * functional.cross_entropy(head, labels, label_smoothing=smoothing)
    return loss


def _paced(told: Told, plan: Plan, device: torch.device, orders: TextIO, answers: TextIO) -> Batches:
    feed = feed_of(told, plan, None, device)
    return Paced(feed, plan, told.steps, device, orders, answers).batches(0, ENDLESS)


def read_told(line: str) -> Told:
    """Return what a line of JSON tells."""
    read = json.loads(line)
    paths = {name: Path(read[name]) for name in ("files", "run")}
    return Told(**{**read, **paths, "recipe": from_dict(read["recipe"])})


def main() -> None:
    """Read what to do, then answer each line on stdin with the timing of a round, a line of JSON."""
    answers, sys.stdout = sys.stdout, sys.stderr  # libraries may print
    told = read_told(sys.stdin.readline())
    with contextlib.suppress(BrokenPipeError):  # nobody listens any more
        LOOPS[told.loop](told, plan_of(told), sys.stdin, answers)


if __name__ == "__main__":
    main()
