"""The training loop: a run is one loop of steps, with what happens between them.

Knows what to do with a run at each step; not how it is built, restored or launched.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from pipeline import checkpoint, runs
from pipeline.accelerator import common_figures
from pipeline.analysis import write_analysis
from pipeline.data.loader import Batch, EvalLoader
from pipeline.data.split import Split
from pipeline.dense import form_of
from pipeline.evaluate import Member, Score, evaluate
from pipeline.gpu import UTILIZATION, gpu_figures
from pipeline.judged import evaluations_of, is_judged, judged_record
from pipeline.memory import told_where_it_ends
from pipeline.not_finite import GoBack, check_finite, is_left_out, leave_out
from pipeline.plan import Plan
from pipeline.profile import named, profiling
from pipeline.progressive import stage_at
from pipeline.reestimate import reestimate
from pipeline.report import Report, result_of
from pipeline.run import Run, is_save_due, open_run, save, weights_of_main
from pipeline.step import train_step
from pipeline.stop import Agreement, Interrupted, Stop
from pipeline.waited import UNKNOWN, Waited, Waiting
from recipes.schema import Evaluation


def train(plan: Plan, folder: Path, report: Report, stop_asked: Callable[[], int]) -> Stop:
    """Train the run in `folder` from its newest checkpoint, or from the start, to its end.

    Every rank calls this. Returns Stop.NO when the run is finished, else why it was asked to stop, after a
    checkpoint. Raises Top1Error when the loss is not finite and the run may not go back (any more), and for
    what `open_run` raises.
    """
    skipped: tuple[int, ...] = ()
    while True:
        try:
            return train_on(plan, folder, report, stop_asked, skipped)
        except GoBack as back:
            skipped = back.skipped
        give_back_memory(plan)


def train_on(
    plan: Plan, folder: Path, report: Report, stop_asked: Callable[[], int], skipped: Sequence[int]
) -> Stop:
    """Train as `train` does, from before the last step of `skipped` where there is one; may raise GoBack."""
    with open_run(plan, folder, report, skipped) as (run, first_step):
        run.stop = Agreement(stop_asked, run.accelerator.num_processes, run.accelerator.device)
        check_forms(run)
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


def give_back_memory(plan: Plan) -> None:
    """Let go of a run that was left, whose parts hold each other, before it is built anew."""
    gc.collect()
    if torch.cuda.is_available() and plan.device != "cpu":
        torch.compiler.reset()  # or the network to come counts as one compiled once too often
        torch.cuda.empty_cache()


def train_steps(run: Run, first_step: int) -> int:
    """Train from `first_step` to the end, or until asked to stop; return the number of steps done."""
    plan = run.plan
    if lacks_validation(run, first_step):
        best = validate(run, first_step)
        if run.books and not run.stop.reason:
            save(run, first_step, best)
        if run.stop.reason:
            return first_step
    with contextlib.closing(run.loader.batches(first_step, plan.total_steps)) as loaded:
        batches = Waited(loaded, lambda: named("wait for images"))
        if not plan.profile:
            return train_on_batches(run, first_step, batches)
        with profiling(run.folder, run.accelerator, first_step, plan.total_steps) as after_step:
            return train_on_batches(run, first_step, batches, after_step)


def train_on_batches(
    run: Run, first_step: int, batches: Waited[Batch], after_step: Callable[[], None] = lambda: None
) -> int:
    """Train as `train_steps` does. batches: all of them, from that step on."""
    plan = run.plan
    for step in range(first_step, plan.total_steps):
        done = step + 1
        last = done == plan.total_steps
        epoch_ends = last or done % plan.steps_per_epoch == 0
        saving = epoch_ends or done % plan.checkpoint_every == 0
        logging = saving or done % plan.log_every == 0
        parts, norm = itertools.islice(batches, plan.accumulation), None
        if is_left_out(run.facts["skipped"], step):
            leave_out(run, step, parts)
        else:
            with told_where_it_ends(plan, run.folder, step, run.accelerator.device):
                norm = train_step(run, step, parts, logging)
            run.scores.clear()
        stopping = run.stop.reached()
        if logging or stopping:
            log(run, done, norm, batches.take_seconds())
        best = epoch_ends and not stopping and validate(run, done)
        # Where it was logged the losses are known to be finite.
        if run.books and (saving or stopping or (logging and is_save_due(run))):
            save(run, done, best)
        after_step()
        if run.stop.reason:
            return done
    return plan.total_steps


def lacks_validation(run: Run, done: int) -> bool:
    """Whether the attempt before this one was asked to stop before it had measured the epoch it ended."""
    last = run.facts["last"]
    epoch_ended = done > 0 and (done % run.plan.steps_per_epoch == 0 or done == run.plan.total_steps)
    return epoch_ended and (last is None or last["epoch"] != run.plan.epoch_at(done))


def log(run: Run, done: int, norm: Tensor | None, waited: float) -> None:
    """Read the losses since the last time and the gradient's norm, all at once, and write them down.

    waited: seconds since the last time that this process waited for batches.
    Raises GoBack or Top1Error, naming the step, when one is not finite: nothing is saved after such a step.
    """
    norms = [] if norm is None else [norm.float()]
    if not run.losses:  # every step since was left out
        return
    gpu = gpu_figures(run.accelerator.device)
    own = (waited, gpu.get(UTILIZATION, UNKNOWN))
    numbers, everyones = common_figures(run.accelerator, torch.stack([*run.losses.values(), *norms]), own)
    losses, norms = numbers[: len(run.losses)], numbers[len(run.losses) :]
    steps = list(run.losses)
    run.losses.clear()
    check_finite(run, dict(zip(steps, losses, strict=True)))
    if run.books:
        stage = stage_at(run.plan.stages, done - 1)
        values = run.books.report.progress(
            done,
            sum(losses) / len(losses),
            run.plan.lr_at(done - 1),
            stage,
            [Waiting(*one) for one in everyones],
        )
        values |= {"train/stage": run.plan.stages.index(stage) + 1}
        values |= {"train/gradient_norm": norms[0]} if norms else {}
        values |= gpu
        values |= run.books.report.watched(done, values)
        run.books.journal.append(done, run.plan.epoch_at(done), **values)


def validate(run: Run, done: int) -> bool:
    """Measure the recipe's validation protocol, a view of progress; return whether it is the best yet.

    Where the recipe averages its weights, the raw ones are measured beside their average. False also where
    the processes agreed to stop meanwhile; the next attempt measures it then.
    """
    evaluation, averaged = run.plan.recipe.validation, run.average is not None
    targets = evaluations_of(run.plan.recipe) if is_judged(run.plan, done) else []
    try:
        score = measure(run, evaluation)
        raw = measure(run, replace(evaluation, ema=False)) if averaged and evaluation.ema else None
        scores = {e.protocol: measure(run, e) for _, e in targets}
    except Interrupted:
        return False
    last = {"epoch": run.plan.epoch_at(done), "top1": score.top1, "top5": score.top5}
    best = run.facts["best"] is None or score.top1 > run.facts["best"]["top1"]
    run.facts |= {"last": last, "best": last if best else run.facts["best"]}
    if targets:
        run.facts["judged"] = [*run.facts["judged"], judged_record(last["epoch"], scores)]
    if run.books:
        values = {"val/top1": score.top1, "val/top5": score.top5, "val/loss": score.loss}
        if raw:
            values |= {"val/raw_top1": raw.top1, "val/raw_top5": raw.top5}
        run.books.report.validated(done, score)
        values |= run.books.report.watched(done, values)
        run.books.journal.append(done, last["epoch"], **values)
    return best


def check_forms(run: Run) -> None:
    """Raise Top1Error where a target asks for a form the network does not have: now, not after training."""
    for target in run.plan.recipe.targets:
        form_of(run.network.eval(), target.evaluation)
    run.network.train()


def measure(run: Run, evaluation: Evaluation) -> Score:
    """Evaluate the current weights, or their average, on the whole validation split under a protocol.

    Raises Interrupted when the processes agreed to stop meanwhile.
    """
    if evaluation not in run.scores:
        split = run.manifest.split("val")
        run.scores[evaluation] = measure_on(run, evaluation, split, run.plan.data.val_images)
    return run.scores[evaluation]


def measure_on(run: Run, evaluation: Evaluation, split: Split, images: int) -> Score:
    """Evaluate as `measure` does, on a split that has to hold so many images."""
    accelerator, plan = run.accelerator, run.plan
    weights = weights_of_main(run, averaged=evaluation.ema)
    form = form_of(run.network.eval(), evaluation)
    batch = max(32, plan.micro_batch)

    def forward(images: Tensor) -> Tensor:
        with contextlib.nullcontext() if run.precise else accelerator.autocast():
            return torch.func.functional_call(form, named, (images,))

    named = {f"network.{name}": tensor for name, tensor in weights.items()}
    loader = EvalLoader(
        split,
        plan.recipe.data.color,
        evaluation,
        batch=batch,
        rank=accelerator.process_index,
        world=accelerator.num_processes,
        device_id=run.device_id,
        threads=plan.threads,
    )
    common = len(split) // accelerator.num_processes // batch  # whole batches that every process has
    try:
        return evaluate(
            [Member(forward, plan.recipe.data.normalize)],
            loader,
            images=images,
            device=accelerator.device,
            most_images=batch,
            reduce=lambda total: accelerator.reduce(total, "sum"),
            watch=lambda batches: run.stop.watched(batches, common),
        )
    finally:
        run.network.train()


def finish(run: Run) -> None:
    """Measure every target under its own protocol and write the weights and the result."""
    recipe, cuda = run.plan.recipe, run.accelerator.device.type == "cuda"
    reestimate(run)
    if cuda or run.accelerator.mixed_precision != "no":
        # As `top1 eval` measures it again.
        torch.backends.cuda.matmul.allow_tf32 = False
        if not run.plan.compiles(cuda):  # else autocast is around what is compiled, and there alone
            run.accelerator.unwrap_model(run.network, keep_fp32_wrapper=False)
        run.precise = True
        run.scores.clear()
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
