"""The training loop: one optimizer step is one explicit list of micro-batches, a run is one loop of steps.

Knows what to do with a run at each step; not how it is built, restored or launched.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm

from pipeline import checkpoint, runs
from pipeline.analysis import write_analysis
from pipeline.data.loader import Batch, EvalLoader
from pipeline.dense import form_of
from pipeline.errors import Top1Error
from pipeline.evaluate import Member, Score, evaluate
from pipeline.gpu import gpu_figures
from pipeline.judged import evaluations_of, is_judged, judged_record
from pipeline.loss import micro_batch_loss
from pipeline.models import set_dropout
from pipeline.plan import Plan
from pipeline.progressive import stage_at
from pipeline.reestimate import reestimate
from pipeline.report import Report, Waited, result_of
from pipeline.run import Run, open_run, save, weights_of_main
from recipes.schema import Evaluation

AGREE_EVERY = 10  # steps between two questions whether any rank was asked to stop


def train(plan: Plan, folder: Path, report: Report, stop_asked: Callable[[], bool]) -> bool:
    """Train the run in `folder` from its newest checkpoint, or from the start, to its end.

    Every rank calls this. Returns False when it was asked to stop, after a checkpoint. Raises Top1Error
    when the loss is not finite, and for what `open_run` raises.
    """
    with open_run(plan, folder, report) as (run, first_step):
        check_forms(run)
        done = train_steps(run, first_step, stop_asked)
        if done < plan.total_steps:
            if run.books:
                run.books.writer.wait()
                report.stopped(done)
            return False
        finish(run)
        return True


def train_steps(run: Run, first_step: int, stop_asked: Callable[[], bool]) -> int:
    """Train from `first_step` to the end, or until asked to stop; return the number of steps done."""
    plan = run.plan
    batches = Waited(run.loader.batches(first_step, plan.total_steps))
    for step in range(first_step, plan.total_steps):
        done = step + 1
        last = done == plan.total_steps
        epoch_ends = last or done % plan.steps_per_epoch == 0
        saving = epoch_ends or done % plan.checkpoint_every == 0
        logging = saving or done % plan.log_every == 0
        norm = train_step(run, step, itertools.islice(batches, plan.accumulation), logging)
        stopping = agree_to_stop(run, done, stop_asked)
        if logging or stopping:
            log(run, done, norm, batches.take_seconds())
        best = epoch_ends and validate(run, done)
        if run.books and (saving or stopping):
            save(run, done, best)
        if stopping:
            return done
    return plan.total_steps


def train_step(run: Run, step: int, batches: Iterable[Batch], logging: bool = False) -> Tensor | None:
    """One optimizer step over this rank's micro-batches of the global batch.

    Returns the gradient's norm, on the device, where the recipe clips it or the step is logged: elsewhere
    it would cost a pass over the gradients for nothing.
    """
    plan, accelerator = run.plan, run.accelerator
    regularization, progressive = plan.recipe.regularization, plan.recipe.progressive
    stage = stage_at(plan.stages, step)
    run.scores.clear()
    run.frozen.hold(step)
    if progressive and progressive.dropout:
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
    run.frozen.drop_gradients(step)
    norm = None
    if regularization.clip_norm:
        norm = accelerator.clip_grad_norm_(run.model.parameters(), regularization.clip_norm)
    elif logging:
        norm = gradient_norm(run)
    run.optimizer.step()
    run.optimizer.optimizer.zero_grad()  # Accelerate's inspects a signature each time: 0.1 ms
    # A step that the fp16 scaler skipped moved no weight and must not move the average.
    if run.average and not run.optimizer.step_was_skipped:
        run.average.update(step)
    run.losses.append(torch.stack(losses).sum())
    return norm


def gradient_norm(run: Run) -> Tensor:
    """Return the global L2 norm of the gradient, on the device; the same on every rank."""
    run.accelerator.unscale_gradients(run.optimizer)  # fp16's are scaled; the step does not do it twice
    return get_total_norm(p.grad for p in run.network.parameters() if p.grad is not None)


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


def agree_to_stop(run: Run, done: int, stop_asked: Callable[[], bool]) -> bool:
    """Whether any rank was asked to stop; the same answer on every rank."""
    if run.accelerator.num_processes == 1:
        return stop_asked()
    if done % AGREE_EVERY:
        return False
    asked = torch.tensor([float(stop_asked())], device=run.accelerator.device)
    return run.accelerator.reduce(asked, "sum").item() > 0


def log(run: Run, done: int, norm: Tensor | None, waited: float) -> None:
    """Read the losses since the last time and the gradient's norm, all at once, and write them down.

    waited: seconds since the last time that the loop waited for batches.
    Raises Top1Error, naming the step, when one is not finite: nothing is saved after such a step.
    """
    norms = [] if norm is None else [norm.float()]
    numbers = run.accelerator.reduce(torch.stack([*run.losses, *norms]), "mean").tolist()
    losses, norms = numbers[: len(run.losses)], numbers[len(run.losses) :]
    run.losses.clear()
    for step, loss in enumerate(losses, start=done - len(losses)):
        if abs(loss) == float("inf") or loss != loss:
            newest = checkpoint.newest_step(run.folder / runs.CHECKPOINTS)
            raise Top1Error(
                f"the loss of step {step} is {loss}, so training stopped. The newest checkpoint in "
                f"{run.folder} is of step {newest}. Lower the rate, or look at the data of that step."
            )
    if run.books:
        stage = stage_at(run.plan.stages, done - 1)
        values = run.books.report.progress(
            done, sum(losses) / len(losses), run.plan.lr_at(done - 1), stage, waited
        )
        values |= {"train/stage": run.plan.stages.index(stage) + 1}
        values |= {"train/gradient_norm": norms[0]} if norms else {}
        values |= gpu_figures(run.accelerator.device)
        run.books.journal.append(done, run.plan.epoch_at(done), **values)


def validate(run: Run, done: int) -> bool:
    """Measure the recipe's validation protocol, a view of progress; return whether it is the best yet.

    Where the recipe averages its weights, the raw ones are measured beside their average.
    """
    evaluation = run.plan.recipe.validation
    score = measure(run, evaluation)
    raw = measure(run, replace(evaluation, ema=False)) if run.average and evaluation.ema else None
    last = {"epoch": run.plan.epoch_at(done), "top1": score.top1, "top5": score.top5}
    best = run.facts["best"] is None or score.top1 > run.facts["best"]["top1"]
    run.facts |= {"last": last, "best": last if best else run.facts["best"]}
    if is_judged(run.plan, done):
        scores = {e.protocol: measure(run, e) for _, e in evaluations_of(run.plan.recipe)}
        run.facts["judged"] = [*run.facts["judged"], judged_record(last["epoch"], scores)]
    if run.books:
        values = {"val/top1": score.top1, "val/top5": score.top5, "val/loss": score.loss}
        if raw:
            values |= {"val/raw_top1": raw.top1, "val/raw_top5": raw.top5}
        run.books.journal.append(done, last["epoch"], **values)
        run.books.report.validated(done, score)
    return best


def check_forms(run: Run) -> None:
    """Raise Top1Error where a target asks for a form the network does not have: now, not after training."""
    for target in run.plan.recipe.targets:
        form_of(run.network.eval(), target.evaluation)
    run.network.train()


def measure(run: Run, evaluation: Evaluation) -> Score:
    """Evaluate the current weights, or their average, on the whole validation split under a protocol."""
    if evaluation in run.scores:
        return run.scores[evaluation]
    accelerator, plan = run.accelerator, run.plan
    weights = weights_of_main(run, averaged=evaluation.ema)
    form = form_of(run.network.eval(), evaluation)

    def forward(images: Tensor) -> Tensor:
        with accelerator.autocast():
            return torch.func.functional_call(form, named, (images,))

    named = {f"network.{name}": tensor for name, tensor in weights.items()}
    batch = max(32, plan.micro_batch)
    loader = EvalLoader(
        run.manifest.split("val"),
        plan.recipe.data.color,
        evaluation,
        batch=batch,
        rank=accelerator.process_index,
        world=accelerator.num_processes,
        device_id=run.device_id,
        threads=plan.threads,
    )
    score = evaluate(
        [Member(forward, plan.recipe.data.normalize)],
        loader,
        images=plan.data.val_images,
        device=accelerator.device,
        most_images=batch,
        reduce=lambda total: accelerator.reduce(total, "sum"),
    )
    run.network.train()
    run.scores[evaluation] = score
    return score


def finish(run: Run) -> None:
    """Measure every target under its own protocol and write the weights and the result."""
    recipe = run.plan.recipe
    reestimate(run)
    scores = [(i, e, measure(run, e)) for i, e in evaluations_of(recipe)]
    weights = weights_of_main(run, averaged=True)
    if not run.books:
        return
    run.books.writer.wait()
    tensors = {name: tensor.detach().to("cpu").contiguous() for name, tensor in weights.items()}
    facts = {"recipe": recipe.name, "plan": run.plan.id, "averaged": run.average is not None}
    checkpoint.write_tensors(run.folder / runs.WEIGHTS, tensors, facts)
    digest = checkpoint.checksum(tensors)
    for index, evaluation, score in scores:
        made_of = {"weights_sha256": digest, "data": run.plan.data.fingerprint}
        write_analysis(run.folder, result_of(index, evaluation, score) | made_of, score, run.manifest.header)
    run.books.report.finished(run.facts, scores, digest)
