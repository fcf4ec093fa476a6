"""One row of `top1 bench step` or `train` in a process of its own: a training loop. Heavy.

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
from dataclasses import asdict
from typing import Any, TextIO

import torch
from torch import Tensor, nn

from pipeline import runs
from pipeline.accelerator import start_accelerator
from pipeline.bench.figures import Timing
from pipeline.bench.training_feeds import ENDLESS, Batches, Told, feed_of, plan_of, read_told
from pipeline.gpu import peak_memory_gib, settled
from pipeline.loss import weighted_loss
from pipeline.models import build, outputs_of
from pipeline.optim import make_optimizer
from pipeline.plan import Plan
from pipeline.report import Report
from pipeline.run import Run, open_run
from pipeline.train import train_steps
from pipeline.trained import compiled

LEAD_STEPS = 3  # at the beginning of a round, not timed: what was fetched ahead is used up


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
            start, cpu, waited = settled(self._device), time.process_time(), 0.0
            for _ in range(self._steps * passes):
                asked = time.perf_counter()
                batch = next(self._batches)
                waited += time.perf_counter() - asked
                yield batch
            seconds, used = settled(self._device) - start, time.process_time() - cpu
            images = self._steps * self._plan.batch_size
            timing = Timing(images, seconds, used, waited, peak_memory_gib(self._device))
            print(json.dumps(asdict(timing)), file=self._answers, flush=True)
            if not self._orders.readline():
                sys.exit(0)


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
    accelerator = start_accelerator(plan)  # the same settings of torch for all rows
    device, precision = accelerator.device, _PRECISIONS.get(accelerator.mixed_precision)
    model, optimizer = _by_hand(plan, device)
    for batch in _paced(told, plan, device, orders, answers):
        with torch.autocast(device.type, precision, enabled=precision is not None):
            loss = _loss(model(batch.images), batch.labels, plan)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()


def torchvision(told: Told, plan: Plan, orders: TextIO, answers: TextIO) -> None:
    """Train as torchvision's references/classification does: it reads loss and accuracy each step."""
    accelerator = start_accelerator(plan)
    device, precision = accelerator.device, _PRECISIONS.get(accelerator.mixed_precision)
    model, optimizer = _by_hand(plan, device)
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
    accelerator = start_accelerator(plan)
    model, optimizer = _by_hand(plan, accelerator.device)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, ENDLESS)
    model, optimizer, scheduler = accelerator.prepare(model, optimizer, scheduler)
    for batch in _paced(told, plan, accelerator.device, orders, answers):
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


_PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16}


def _by_hand(plan: Plan, device: torch.device) -> tuple[nn.Module, torch.optim.Optimizer]:
    recipe, cuda = plan.recipe, device.type == "cuda"
    network = build(recipe.model, recipe.regularization, micro_batch=plan.micro_batch).to(device)
    if cuda:
        network = network.to(memory_format=torch.channels_last)
    optimizer = make_optimizer(network, recipe.optimizer, recipe.regularization, fused=cuda)
    return compiled(network, plan, cuda), optimizer


def _loss(answer: Any, labels: Tensor, plan: Plan) -> Tensor:
    return weighted_loss(answer, labels, plan.recipe.model, plan.recipe.regularization.label_smoothing)


def _paced(told: Told, plan: Plan, device: torch.device, orders: TextIO, answers: TextIO) -> Batches:
    feed = feed_of(told, plan, None, device)
    return Paced(feed, plan, told.steps, device, orders, answers).batches(0, ENDLESS)


def main() -> None:
    """Read what to do, then answer each line on stdin with the timing of a round, a line of JSON."""
    answers, sys.stdout = sys.stdout, sys.stderr  # libraries may print
    told = read_told(sys.stdin.readline())
    with contextlib.suppress(BrokenPipeError):  # nobody listens any more
        LOOPS[told.loop](told, plan_of(told), sys.stdin, answers)


if __name__ == "__main__":
    main()
