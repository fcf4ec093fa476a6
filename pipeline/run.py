"""What one process holds of a run, and how it comes by it: joining, building, restoring, saving.

Knows networks, loaders, checkpoints and the journal; not the loop that uses them. A run's whole state is
its weights, their average, the optimizer's tensors and the number of steps done: everything random is a
function of (seed, step).
"""

from __future__ import annotations

import contextlib
import os
import platform
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor

from pipeline import checkpoint, runs
from pipeline.accelerator import start_accelerator
from pipeline.data.bad_files import list_in
from pipeline.data.header import HEADER_NAME
from pipeline.data.loader import TrainLoader
from pipeline.data.manifest import Manifest
from pipeline.data.patience import Patience
from pipeline.data.sampling import Shard
from pipeline.errors import PassingError, Top1Error
from pipeline.evaluate import Score
from pipeline.gpu import number_of
from pipeline.journal import Journal, cut_back
from pipeline.memory import told_where_it_ends
from pipeline.models import outputs_of
from pipeline.noise import noise_batch
from pipeline.optim import load_state, state_of
from pipeline.plan import Plan
from pipeline.report import Report
from pipeline.say import say
from pipeline.stop import Agreement
from pipeline.trained import Trained, begin_step, prepare_training
from pipeline.transfer import load_start
from recipes.schema import Evaluation

SAVE_SECONDS = 600.0  # of training between two checkpoints, unless --checkpoint-every says how many steps
START_UP_PASSES = 2  # DDP rebuilds its buckets at the beginning of the second


@dataclass
class Books:
    """What the main process alone keeps: the journal, the checkpoint writer, and what people read.

    saved_at: when a checkpoint was last handed over, or the attempt began; of the monotonic clock.
    """

    journal: Journal
    writer: checkpoint.CheckpointWriter
    report: Report
    saved_at: float = field(default_factory=time.monotonic)


@dataclass(kw_only=True)
class Run(Trained):
    """Everything one process holds of a run while training it.

    scores: of the weights as they are now.
    precise: whether the network is measured in float32 from now on, whatever it was trained in.
    facts: what goes into a checkpoint beside tensors: seconds trained, last and best validation, what the
    report rule judges, and the steps whose loss was not finite, which are left out.
    """

    folder: Path
    loader: TrainLoader
    manifest: Manifest
    books: Books | None = None
    scores: dict[Evaluation, Score] = field(default_factory=dict)
    precise: bool = False
    stop: Agreement = field(default_factory=Agreement)
    facts: dict[str, Any] = field(
        default_factory=lambda: {
            "seconds": 0.0,
            "gpu_seconds": 0.0,
            "best": None,
            "last": None,
            "judged": [],
            "skipped": [],
        }
    )

    @property
    def device_id(self) -> int | None:
        """The GPU of this process for DALI, None on the CPU."""
        return number_of(self.accelerator.device)


@contextlib.contextmanager
def open_run(
    plan: Plan, folder: Path, report: Report, skipped: Sequence[int] = ()
) -> Iterator[tuple[Run, int]]:
    """Join the other processes and bring the run to its newest checkpoint; yield it and the steps done.

    skipped: the steps whose loss was not finite; the run goes back to before the last of them.
    Every rank calls this. Raises Top1Error when the folder is another process's, the data changed or the
    number of processes is not the plan's.
    """
    accelerator = start_accelerator(plan)
    main = accelerator.is_main_process
    with runs.only_writer(folder, report.takes_over) if main else contextlib.nullcontext():
        run = prepare(plan, folder, accelerator)
        done = restore(run, skipped)
        hosts = gather_object([platform.node()])
        if main:
            if skipped:
                checkpoint.drop_later(folder / runs.CHECKPOINTS, done)
            run.books = open_books(run, report, done, hosts)
        try:
            yield run, done
        finally:
            if run.books:
                run.books.writer.wait()
                run.books.journal.close()


def prepare(plan: Plan, folder: Path, accelerator: Accelerator) -> Run:
    """Build the network, optimizer and loader of a run on this rank, all from the plan alone."""
    trained, manifest = prepare_training(plan, accelerator), _load_manifest(plan, folder, accelerator)
    return Run(
        **vars(trained),
        folder=folder,
        loader=TrainLoader(
            manifest.split("train"),
            plan.recipe.data,
            plan.stages,
            seed=plan.seed,
            batch_size=plan.batch_size,
            shard=Shard(
                accelerator.process_index, accelerator.num_processes, plan.micro_batch, plan.accumulation
            ),
            device_id=number_of(accelerator.device),
            threads=plan.threads,
            on_bad_file=list_in(folder),
        ),
        manifest=manifest,
    )


def _load_manifest(plan: Plan, folder: Path, accelerator: Accelerator) -> Manifest:
    data = Path(plan.data.path)
    try:
        manifest = Patience(data).read(data, lambda: Manifest.load(data))
    except Top1Error as error:
        # A file system that is not mounted for a while looks like a folder that never was.
        if os.path.isfile(data / HEADER_NAME) or not checkpoint.newest_step(folder / runs.CHECKPOINTS):
            raise
        raise PassingError(f"the data that this run was trained on is not there: {error}.") from error
    found, planned = manifest.header.fingerprint, plan.data.fingerprint
    if found != planned:
        raise Top1Error(
            f"the data in {plan.data.path} is not what this run was planned with: its fingerprint begins "
            f"with {found[:12]}, the plan's with {planned[:12]}. Restore the data or start a new run."
        )
    manifest.copy_to = Path(plan.copy_to) if plan.copy_to else None
    if plan.copy_to and accelerator.is_main_process and manifest.split("train").pack is None:
        say(f"copies: {data} is no pack and is read where it is; `top1 prep pack {data} DIR` makes one")
    return manifest


def restore(run: Run, skipped: Sequence[int] = ()) -> int:
    """Bring the run to its newest checkpoint, or to its first weights; return the steps done.

    skipped: steps that broke the run; the checkpoint is one before the last of them.

    DDP rebuilds its buckets after the first step of a process, which changes the order of sums. Every
    start therefore makes throw-away passes before anything is restored: a resumed run then adds up its
    gradients in the same order as an unbroken one.
    """
    first_weights = {name: tensor.clone() for name, tensor in run.network.state_dict().items()}
    if run.accelerator.num_processes > 1:
        with told_where_it_ends(run.plan, run.folder, 0, run.accelerator.device):
            _throw_away_passes(run)
    found = checkpoint.load_newest(run.folder / runs.CHECKPOINTS, before=skipped[-1] if skipped else None)
    if found and found.facts["plan"] != run.plan.id:
        raise Top1Error(f"{run.folder} holds checkpoints of another run. Start with another --run folder.")
    if found and not run.plan.is_of(found.facts.get("science", run.plan.science)):
        raise Top1Error(
            f"{runs.newest_plan(run.folder)} is not what it was when training began: recipe, seed or data "
            "are others. Put the old one back, or start with another --run folder."
        )
    _check_common(run, found.step if found else 0)
    run.network.load_state_dict(found.part("model") if found else first_weights)
    if not found and run.plan.recipe.starts_from:
        load_start(run.network, run.plan.recipe.starts_from, Path(run.plan.init_weights or ""))
    if run.average:
        run.average.load(found.part("average") if found else run.network.state_dict())
    if found:
        load_state(run.optimizer, found.part("optimizer"))
        if run.accelerator.scaler and "scaler" in found.facts:
            run.accelerator.scaler.load_state_dict(found.facts["scaler"])
        run.facts.update({key: found.facts.get(key, value) for key, value in run.facts.items()})
    if skipped:
        run.facts["skipped"] = list(skipped)
    return found.step if found else 0


def _check_common(run: Run, step: int) -> None:
    """Raise Top1Error unless every process goes on from the same step: each has read the folder itself."""
    if run.accelerator.num_processes > 1:
        most = torch.tensor([step, -step], device=run.accelerator.device)
        torch.distributed.all_reduce(most, torch.distributed.ReduceOp.MAX)
        latest, earliest = most[0].item(), -most[1].item()
        if latest != earliest:
            raise Top1Error(
                f"the processes read checkpoints of steps {earliest} and {latest} in {run.folder}: the "
                "newest does not read whole everywhere. Look at the file system, and start the same command "
                "again."
            )


def _throw_away_passes(run: Run) -> None:
    # In the form of the first stage's batches, or what is compiled here would be compiled for this alone.
    stage = begin_step(run, 0)
    images = noise_batch(run.plan, stage.image_size, run.accelerator.device).images
    for _ in range(START_UP_PASSES):
        outputs = outputs_of(run.model(images))
        run.accelerator.backward(sum(output.float().sum() for output in outputs))
    run.optimizer.zero_grad(set_to_none=True)


def open_books(run: Run, report: Report, done: int, hosts: Sequence[str]) -> Books:
    """Open what the main process keeps, the journal cut back to the checkpoint that training goes on from.

    hosts: of each process.
    """
    folder, last = run.folder, run.facts["last"]
    cut_back(folder, done)
    report.started(done, last and last["top1"], hosts)
    writer = checkpoint.CheckpointWriter(folder / runs.CHECKPOINTS, report.check_newest)
    return Books(Journal(folder), writer, report)


def is_save_due(run: Run) -> bool:
    """Whether to save although neither the epoch nor --checkpoint-every asks for it.

    The main process alone saves, so it may ask its own clock; nothing of the run depends on the answer.
    """
    by_clock = run.plan.checkpoint_every == run.plan.steps_per_epoch  # nobody has chosen an interval
    return run.books is not None and by_clock and time.monotonic() - run.books.saved_at >= SAVE_SECONDS


def save(run: Run, done: int, best: bool) -> None:
    """Hand the state after `done` steps to the checkpoint writer (main process only)."""
    assert run.books is not None  # only the main process saves
    seconds = run.books.report.seconds_since_last_call()
    run.facts["seconds"] += seconds
    run.facts["gpu_seconds"] += seconds * run.plan.gpus  # attempts may differ in their GPUs
    run.books.saved_at = time.monotonic()
    run.books.journal.sync()
    tensors = {f"model/{name}": tensor for name, tensor in run.network.state_dict().items()}
    if run.average:
        tensors |= {f"average/{name}": tensor for name, tensor in run.average.shadow.items()}
    tensors |= {f"optimizer/{name}": tensor for name, tensor in state_of(run.optimizer).items()}
    plan = {"plan": run.plan.id, "science": run.plan.science}
    facts = {**run.facts, **plan, "time": time.time()}
    if run.accelerator.scaler:  # of fp16
        facts["scaler"] = run.accelerator.scaler.state_dict()
    run.books.writer.write(done, tensors, facts, best)
    # The one being written is not durable yet; the one before it is.
    run.books.report.saved(checkpoint.newest_step(run.folder / runs.CHECKPOINTS))


def weights_of_main(run: Run, averaged: bool) -> dict[str, Tensor]:
    """Return rank 0's weights on every rank, the average's where asked: running statistics differ."""
    weights = dict(run.network.state_dict())
    if averaged and run.average:
        weights |= run.average.shadow
    if run.accelerator.num_processes > 1:
        for tensor in weights.values():
            torch.distributed.broadcast(tensor, 0)
    return weights
