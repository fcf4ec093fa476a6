"""The training loop: one optimizer step is one explicit list of micro-batches, a run is one loop of steps.

Knows what to do with a run at each step; not how it is built, restored or launched.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from pipeline import checkpoint, runs
from pipeline.data.loader import Batch, EvalLoader
from pipeline.errors import Top1Error
from pipeline.evaluate import Score, evaluate
from pipeline.mixing import mix
from pipeline.models import set_dropout
from pipeline.plan import MIXING_BLOCK, Plan
from pipeline.progressive import Stage, stage_at
from pipeline.report import Report
from pipeline.run import Run, open_run, save, weights_of_main
from pipeline.stop import Agreement, Interrupted, Stop
from recipes.schema import Evaluation


def train(plan: Plan, folder: Path, report: Report, stop_asked: Callable[[], int]) -> Stop:
    """Train the run in `folder` from its newest checkpoint, or from the start, to its end.

    Every rank calls this. Returns Stop.NO when the run is finished, else why it was asked to stop, after a
    checkpoint. Raises Top1Error when the loss is not finite, and for what `open_run` raises.
    """
    with open_run(plan, folder, report) as (run, first_step):
        run.stop = Agreement(stop_asked, run.accelerator.num_processes, run.accelerator.device)
        done = train_steps(run, first_step)
        if not run.stop.reason:
            with contextlib.suppress(Interrupted):
                finish(run)
        if run.stop.reason:
            if run.books:
                run.books.writer.wait()
                report.stopped(done, run.stop.reason.why)
            run.accelerator.wait_for_everyone()  # nobody leaves before the checkpoint is durable
        return run.stop.reason


def train_steps(run: Run, first_step: int) -> int:
    """Train from `first_step` to the end, or until asked to stop; return the number of steps done."""
    plan = run.plan
    if lacks_validation(run, first_step):
        best = validate(run, first_step)
        if run.books and not run.stop.reason:
            save(run, first_step, best)
        if run.stop.reason:
            return first_step
    batches = run.loader.batches(first_step, plan.total_steps)
    for step in range(first_step, plan.total_steps):
        train_step(run, step, itertools.islice(batches, plan.accumulation))
        done = step + 1
        last = done == plan.total_steps
        epoch_ends = last or done % plan.steps_per_epoch == 0
        saving = epoch_ends or done % plan.checkpoint_every == 0
        stopping = run.stop.reached()
        if saving or stopping or done % plan.log_every == 0:
            log(run, done)
        best = epoch_ends and not stopping and validate(run, done)
        if run.books and (saving or stopping):
            save(run, done, best)
        if run.stop.reason:
            return done
    return plan.total_steps


def train_step(run: Run, step: int, batches: Iterator[Batch]) -> None:
    """One optimizer step over this rank's micro-batches of the global batch."""
    plan, accelerator = run.plan, run.accelerator
    regularization = plan.recipe.regularization
    stage = stage_at(plan.stages, step)
    run.scores.clear()
    set_dropout(run.network, stage.dropout)
    for group in run.optimizer.param_groups:
        group["lr"] = plan.lr_at(step)
    seed_generator(accelerator.device, step_seed(plan.seed, step, accelerator.process_index))
    losses = []
    for part, batch in enumerate(batches):
        last = part == plan.accumulation - 1
        with contextlib.nullcontext() if last else accelerator.no_sync(run.model):
            with accelerator.autocast():
                loss = micro_batch_loss(run, batch, part, stage) / plan.accumulation
            accelerator.backward(loss)
        losses.append(loss.detach())
    if regularization.clip_norm:
        accelerator.clip_grad_norm_(run.model.parameters(), regularization.clip_norm)
    run.optimizer.step()
    run.optimizer.optimizer.zero_grad()  # Accelerate's inspects a signature each time: 0.1 ms
    # A step that the fp16 scaler skipped moved no weight and must not move the average.
    if run.average and not run.optimizer.step_was_skipped:
        run.average.update(step)
    run.losses.append(torch.stack(losses).sum())


def micro_batch_loss(run: Run, batch: Batch, part: int, stage: Stage) -> Tensor:
    """Return the mean cross-entropy of one micro-batch, mixed and smoothed as the recipe says."""
    plan, recipe = run.plan, run.plan.recipe
    images, targets = batch.images, batch.labels
    smoothing = recipe.regularization.label_smoothing
    if recipe.data.mixing:
        rank, world = run.accelerator.process_index, run.accelerator.num_processes
        images, targets = mix(
            images,
            targets,
            recipe.data.mixing,
            seed=plan.seed,
            step=batch.step,
            first_slot=(part * world + rank) * plan.micro_batch,
            block=MIXING_BLOCK,
            mixup_alpha=stage.mixup,
            cutmix_alpha=stage.cutmix,
            num_classes=recipe.model.num_classes,
            label_smoothing=smoothing,
        )
        smoothing = 0.0  # the targets have it
    return functional.cross_entropy(run.model(images), targets, label_smoothing=smoothing)


def step_seed(seed: int, step: int, rank: int) -> int:
    """Return the 63-bit seed of dropout and stochastic depth in one step on one rank (splitmix64)."""
    state, mask = 0, 0xFFFFFFFFFFFFFFFF
    for word in (seed, step, rank):
        state = ((state ^ word) + 0x9E3779B97F4A7C15) & mask
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & mask
        state ^= state >> 31
    return state >> 1


def seed_generator(device: torch.device, seed: int) -> None:
    """Seed the device's default generator alone: torch.manual_seed takes a millisecond over all backends."""
    if device.type == "cuda":
        torch.cuda.default_generators[device.index or 0].manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)


# ---------------------------------------------------------------- what happens between steps


def lacks_validation(run: Run, done: int) -> bool:
    """Whether the attempt before this one was asked to stop before it had measured the epoch it ended."""
    last = run.facts["last"]
    epoch_ended = done > 0 and (done % run.plan.steps_per_epoch == 0 or done == run.plan.total_steps)
    return epoch_ended and (last is None or last["epoch"] != run.plan.epoch_at(done))


def log(run: Run, done: int) -> None:
    """Read the losses since the last time, at once, and write them down.

    Raises Top1Error, naming the step, when one is not finite: nothing is saved after such a step.
    """
    losses = run.accelerator.reduce(torch.stack(run.losses), "mean").tolist()
    run.losses.clear()
    for step, loss in enumerate(losses, start=done - len(losses)):
        if abs(loss) == float("inf") or loss != loss:
            newest = checkpoint.newest_step(run.folder / runs.CHECKPOINTS)
            raise Top1Error(
                f"the loss of step {step} is {loss}, so training stopped. The newest checkpoint in "
                f"{run.folder} is of step {newest}. Lower the rate, or look at the data of that step."
            )
    if run.books:
        values = run.books.report.progress(
            done, sum(losses) / len(losses), run.plan.lr_at(done - 1), stage_at(run.plan.stages, done - 1)
        )
        run.books.journal.append(done, run.plan.epoch_at(done), **values)


def validate(run: Run, done: int) -> bool:
    """Measure the recipe's validation protocol, a view of progress; return whether it is the best yet.

    False also where the processes agreed to stop meanwhile; the next attempt measures it then.
    """
    try:
        score = measure(run, run.plan.recipe.validation)
    except Interrupted:
        return False
    last = {"epoch": run.plan.epoch_at(done), "top1": score.top1, "top5": score.top5}
    best = run.facts["best"] is None or score.top1 > run.facts["best"]["top1"]
    run.facts |= {"last": last, "best": last if best else run.facts["best"]}
    if run.books:
        values = {"val/top1": score.top1, "val/top5": score.top5, "val/loss": score.loss}
        run.books.report.validated(done, score)
        run.books.journal.append(done, last["epoch"], **values)
    return best


def measure(run: Run, evaluation: Evaluation) -> Score:
    """Evaluate the current weights, or their average, on the whole validation split under a protocol.

    Raises Interrupted when the processes agreed to stop meanwhile.
    """
    if evaluation in run.scores:
        return run.scores[evaluation]
    accelerator, batch = run.accelerator, max(32, run.plan.micro_batch)
    weights = weights_of_main(run, averaged=evaluation.ema)
    split = run.manifest.split("val")
    loader = EvalLoader(
        split,
        run.plan.recipe.data,
        evaluation,
        batch=batch,
        rank=accelerator.process_index,
        world=accelerator.num_processes,
        device_id=run.device_id,
        threads=run.plan.threads,
    )

    def forward(images: Tensor) -> Tensor:
        with accelerator.autocast():
            return torch.func.functional_call(run.network, weights, (images,))

    common = len(split) // accelerator.num_processes // batch  # whole batches that every process has
    run.network.eval()
    try:
        score = evaluate(
            forward,
            run.stop.watched(loader, common),
            evaluation,
            images=run.plan.data.val_images,
            device=accelerator.device,
            reduce=lambda total: accelerator.reduce(total, "sum"),
        )
    finally:
        run.network.train()
    run.scores[evaluation] = score
    return score


def finish(run: Run) -> None:
    """Measure every target under its own protocol and write the weights and the result."""
    recipe = run.plan.recipe
    evaluations = [(i, target.evaluation) for i, target in enumerate(recipe.targets)]
    scores = [(i, e, measure(run, e)) for i, e in evaluations or [(None, recipe.validation)]]
    weights = weights_of_main(run, averaged=True)
    if not run.books:
        return
    run.books.writer.wait()
    tensors = {name: tensor.detach().to("cpu").contiguous() for name, tensor in weights.items()}
    facts = {"recipe": recipe.name, "plan": run.plan.id, "averaged": run.average is not None}
    checkpoint.write_tensors(run.folder / runs.WEIGHTS, tensors, facts)
    run.books.report.finished(run.facts, scores, checkpoint.checksum(tensors))
