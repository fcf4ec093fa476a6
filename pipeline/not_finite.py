"""A loss that is not finite: whose images it was, and going back before it where the recipe allows that.

A step's loss is computed before its update. What broke it is an image of the step itself or the update of the
step before, so both are left out: no forward pass, no update, while rate, order and draws of all other steps
stay what they are. Which steps are left out travels in checkpoints, so a resumed run leaves out the same; one
that was killed before it saved such a checkpoint meets the same loss again. Heavy: opens numpy.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from pipeline import checkpoint, runs
from pipeline.data.loader import Batch
from pipeline.data.sampling import epoch_order, step_images
from pipeline.early_warning import SKIPPED, NotFiniteError
from pipeline.run import Run

SHOWN = 3  # images named in the message; the file has all


class GoBack(Exception):  # noqa: N818 (the recipe allows it)
    """The run goes on from before the last of the steps `skipped`, whose losses were not finite."""

    def __init__(self, skipped: Sequence[int]) -> None:
        super().__init__()
        self.skipped = tuple(skipped)


def is_left_out(skipped: Sequence[int], step: int) -> bool:
    """Whether a step is left out. skipped: those whose loss was not finite."""
    return step in skipped or step + 1 in skipped


def leave_out(run: Run, step: int, batches: Iterable[Batch]) -> None:
    """Pass over the batches of a step and note that nothing was learned from them."""
    deque(batches, maxlen=0)
    if run.books:
        values = {SKIPPED: 1.0}
        values |= run.books.report.watched(step + 1, values)
        run.books.journal.append(step + 1, run.plan.epoch_at(step + 1), **values)


def check_finite(run: Run, losses: Mapping[int, float]) -> None:
    """Raise GoBack or NotFiniteError where a loss is not finite. losses: by step, the same on every rank."""
    for step, loss in losses.items():
        if abs(loss) == float("inf") or loss != loss:
            _end(run, step, loss)


def _end(run: Run, step: int, loss: float) -> NoReturn:
    skipped, allowed = run.facts["skipped"], run.plan.recipe.skips
    images = images_of(run, step)
    listed = run.folder / runs.NOT_FINITE / f"step-{step}.txt"
    if run.books:
        run.books.report.check_newest()
        for number in range(max(0, step - 1), step + 1):
            _list_images(listed.with_stem(f"step-{number}"), images_of(run, number))
        values = {"train/loss": loss, "warning/not_finite": 1.0}
        run.books.journal.append(step + 1, run.plan.epoch_at(step + 1), **values)
    folder = run.manifest.split("train").folder
    shown = ", ".join(str(path.relative_to(folder)) for path in images[:SHOWN])
    more = f" and {len(images) - SHOWN} more" if len(images) > SHOWN else ""
    whose = f"Its images, {shown}{more}, are in {listed}"
    if len(skipped) < allowed:
        if run.books:
            run.books.report.went_back(
                f"the loss of step {step} is {loss}; going back before it and leaving it out, with the step "
                f"before (time {len(skipped) + 1} of {allowed} allowed). {whose}"
            )
        raise GoBack([*skipped, step])
    newest = checkpoint.newest_step(run.folder / runs.CHECKPOINTS, before=step)
    went_back = f" It has gone back as often as the recipe allows ({allowed})." if allowed else ""
    raise NotFiniteError(
        f"the loss of step {step} is {loss}, so training stopped.{went_back} The newest checkpoint in "
        f"{run.folder} before it is of step {newest}. {whose}, those of the step before beside them. Lower "
        "the rate, or look at these images; with --set skips=N a run goes back and leaves out such steps.",
        step,
    )


def images_of(run: Run, step: int) -> list[Path]:
    """Return the images of a step in the order of the global batch.

    A file that did not decode was seen as the one it was replaced by (bad_files.jsonl).
    """
    plan, split = run.plan, run.manifest.split("train")
    order = epoch_order(plan.seed, step // plan.steps_per_epoch, len(split))
    indices = step_images(order, step % plan.steps_per_epoch, plan.batch_size)
    return [split.path(int(index)) for index in indices]


def _list_images(path: Path, images: Sequence[Path]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{image}\n" for image in images), encoding="utf-8")
