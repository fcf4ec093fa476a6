"""What people and programs read of a run: status.json, attempts.jsonl, result.json, a line an epoch.

Written by the main process only. Light: plain files and text; a progress bar on a terminal.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from pipeline import attempts, machine, runs
from pipeline.data.bad_files import replaced_images
from pipeline.early_warning import EarlyWarning, NotFiniteError
from pipeline.errors import Top1Error, in_short
from pipeline.journal import read_json_or_none, write_json, write_sealed
from pipeline.judged import judged
from pipeline.plan import Plan
from pipeline.progressive import Stage
from pipeline.say import duration, say
from pipeline.snapshot import keep_snapshot
from pipeline.versions import Version, changed, marked, version_now
from pipeline.waited import UNKNOWN, Waiting, longest
from pipeline.watch import Watch, watch_of
from recipes.schema import Evaluation

STATUS_SECONDS = 5.0  # between two writes of status.json


class Counts(Protocol):
    """What a report needs of an evaluation (pipeline.evaluate.Score)."""

    top1: float
    top5: float
    stderr: float
    images: int
    seconds: float


class Report:
    """The reporting side of one process's attempt at a run.

    attempt: its number where it has begun already, which fences off whoever holds the folder still; else it
    begins when the folder is held. job, restart: the scheduler's, noted with the attempt.
    """

    def __init__(
        self, plan: Plan, folder: Path, attempt: int | None = None, job: str | None = None, restart: int = 0
    ) -> None:
        self.plan, self.folder, self.attempt = plan, folder, attempt
        self.takes_over = attempt is not None
        self._job, self._restart = job, restart
        self._bar = _Bar(plan.total_steps)
        self._since = self._asked = time.monotonic()
        self._counted = 0  # steps done when the rate was last taken
        self._rate = 0.0
        self._top1: float | None = None
        self._written = 0.0
        self._saved = 0
        self._watch: Watch | None = None
        self._end_warning: list[EarlyWarning] = []
        self._version: Version | None = None

    def started(self, done: int, top1: float | None = None, hosts: Sequence[str] = ()) -> None:
        """Note the attempt, and from where it goes on.

        top1: the last measured until there, if one was. hosts: of each process.
        """
        self._counted = self._saved = done
        self._top1 = top1
        self._since = self._asked = time.monotonic()
        if self.attempt is None:
            self.attempt = attempts.begin(self.folder, self._job, self._restart)
        attempts.note(self.folder, self.attempt, step=done, hardware=machine.hardware(), hosts=hosts)
        self._watch = watch_of(self.plan, self.folder, done, hosts)
        where = f"from step {done}" if done else "from the start"
        say(f"{self.plan.recipe.name}: attempt {self.attempt}, {where}, {self.plan.total_steps} steps")
        if self._version is None:  # what runs was read when the process began, whatever is there by now
            self._note_version(self.attempt)
        self._write_status("running", done)

    def _note_version(self, attempt: int) -> None:
        plan = self.plan
        self._version = version_now(Version(marked(plan.commit, plan.dirty), plan.code))
        attempts.note(self.folder, attempt, version=self._version.to_json())
        *before, _ = attempts.trained_by(attempts.read_attempts(self.folder))
        known = before[-1].version if before else None
        differences = changed(known, self._version) if known else []
        keep_snapshot(self.folder, plan.recipe, attempt if differences else None)
        if differences:
            self._tell(f"warning  not as in attempt {before[-1].number}: {'; '.join(differences)}")

    def progress(
        self, done: int, loss: float, lr: float, stage: Stage, everyones: Sequence[Waiting]
    ) -> dict[str, float]:
        """Return the values of one journal record and show them. Raises SupersededError.

        everyones: how each process has waited for batches since the last record.
        """
        self.check_newest()
        now = time.monotonic()
        rank = longest(everyones)
        waiting = {"share": min(1.0, everyones[rank].seconds / max(now - self._since, 1e-9))}
        if len(everyones) > 1:
            waiting["process"] = rank
        if everyones[rank].gpu_percent != UNKNOWN:
            waiting["gpu_percent"] = everyones[rank].gpu_percent
        if done > self._counted:
            self._rate = (done - self._counted) * self.plan.batch_size / max(now - self._since, 1e-9)
        self._counted, self._since = done, now
        self._bar.show(done, loss, self._rate, self._eta(done))
        if now - self._written > STATUS_SECONDS:
            self._write_status("running", done)
        return {
            "train/loss": loss,
            "train/lr": lr,
            "train/image_size": stage.image_size,
            "train/images_per_second": self._rate,
            **{f"train/data_wait_{name}": value for name, value in waiting.items()},
        }

    def validated(self, done: int, score: Counts) -> None:
        """Print the line of an epoch; the time of an evaluation does not count as training."""
        self.check_newest()
        self._top1 = score.top1
        self._since = time.monotonic()
        self._bar.clear()
        epochs = self.plan.recipe.schedule.epochs
        say(
            f"epoch {self.plan.epoch_at(done):.4g}/{epochs:.4g}  step {done}  top-1 {score.top1:.2f}  "
            f"top-5 {score.top5:.2f}  {self._rate:.0f} img/s  {duration(self._eta(done))} left"
        )
        self._write_status("running", done)

    def watched(self, done: int, values: Mapping[str, float]) -> dict[str, float]:
        """Return what the record of `values` is to say of early warnings; tell of those that begin or end."""
        assert self._watch is not None  # the attempt has started
        changes = self._watch.see(done, self.plan.epoch_at(done), values)
        for warning in self._watch.warnings:
            if changes.get(f"warning/{warning.kind}"):
                self._tell(f"warning  step {done}  {warning.kind}: {warning.text}")
        for name in (name for name, limit in changes.items() if not limit):
            self._tell(f"over     step {done}  {name.removeprefix('warning/')}")
        if changes:
            self._write_status("running", done)
        return changes

    def went_back(self, message: str) -> None:
        self._tell(f"warning  {message}")

    def _tell(self, text: str) -> None:
        self._bar.clear()
        say(text)

    def seconds_since_last_call(self) -> float:
        """Return the seconds of this attempt that no call has returned yet."""
        now = time.monotonic()
        seconds, self._asked = now - self._asked, now
        return seconds

    def saved(self, done: int) -> None:
        self._saved = done

    def check_newest(self) -> None:
        """Raise SupersededError when a newer attempt has begun: the folder is no longer ours to write."""
        if self.attempt is not None:
            attempts.check_newest(self.folder, self.attempt)

    def stopped(self, done: int, reason: str) -> None:
        self._bar.clear()
        self._saved = done
        self._end(done, reason)
        self._write_status("stopped", done)
        how = "" if self._job else "; start the same command again to go on"  # a job says itself what follows
        say(f"stopped at step {done}, saved{how}")

    def failed(self, error: Exception) -> None:
        """Note that the attempt failed; one that never held the folder, or holds it no more, says nothing."""
        self._bar.clear()
        if isinstance(error, NotFiniteError):
            self._end_warning = [EarlyWarning("not_finite", error.step, str(error))]
        if self.attempt is None or isinstance(error, attempts.SupersededError):
            return
        reason = in_short(error)[:500]
        with contextlib.suppress(OSError):  # a full disk, a folder that is gone: the error itself is told
            if self._watch is None:
                self._failed_before_it_started(reason)
            else:
                self._end(self._counted, reason)
                self._write_status("failed", self._counted)

    def _failed_before_it_started(self, reason: str) -> None:
        """Note so of an attempt that did not come to train: the run stands where it stood."""
        assert self.attempt is not None  # it has begun
        attempts.note(self.folder, self.attempt, reason=reason)
        with contextlib.suppress(Top1Error):  # damaged: nobody knows where it stood
            if known := read_json_or_none(self.folder / runs.STATUS):
                now = {"state": "failed", "attempt": self.attempt, "eta_seconds": None, "time": time.time()}
                write_json(self.folder / runs.STATUS, known | now, durable=False)
                return
        self._write_status("failed", 0)

    def _end(self, done: int, reason: str) -> None:
        assert self.attempt is not None  # it has begun
        attempts.note(self.folder, self.attempt, end_step=done, reason=reason)

    def finished(
        self, facts: dict[str, Any], scores: list[tuple[int | None, Evaluation, Any]], sha256: str
    ) -> None:
        """Write result.json: what every target measured, and at what cost."""
        self.check_newest()
        last = self.seconds_since_last_call()
        seconds = facts["seconds"] + last
        trained = self.plan.total_steps * self.plan.batch_size
        result: dict[str, Any] = {
            "recipe": self.plan.recipe.name,
            "run": str(self.folder),
            "seed": self.plan.seed,
            "commit": self.plan.commit,
            "epochs": self.plan.recipe.schedule.epochs,
            "gpu_hours": (facts["gpu_seconds"] + last * self.plan.gpus) / 3600,
            "images_per_second": trained / seconds,
            "last": facts["last"],
            "best": facts["best"],
            "not_finite": facts["skipped"],
            "replaced_images": replaced_images(self.folder),
            "results": [
                result_of(index, evaluation, score)
                | judged(facts["judged"], evaluation.protocol, score.images)
                for index, evaluation, score in scores
            ],
            "weights_sha256": sha256,
            "versions": [one.to_json() for one in attempts.versions_of(attempts.read_attempts(self.folder))],
        }
        write_sealed(self.folder / runs.RESULT, result)
        self._saved = self.plan.total_steps
        self._end(self.plan.total_steps, "finished")
        self._write_status("finished", self.plan.total_steps)
        # Several targets may have one protocol.
        for measured in {(r["protocol"], "report" in r): r for r in result["results"]}.values():
            rule = "  median of the last five epochs" if "report" in measured else ""
            say(
                f"result  top-1 {measured['top1']:.2f}  top-5 {measured['top5']:.2f}  "
                f"+-{measured['stderr']:.2f}  {measured['images']} images  {measured['protocol']}{rule}"
            )

    def _eta(self, done: int) -> float | None:
        left = (self.plan.total_steps - done) * self.plan.batch_size
        return left / self._rate if self._rate else None

    def _write_status(self, state: str, done: int) -> None:
        self._written = time.monotonic()
        watched = self._watch.warnings if self._watch else []
        status = {
            "state": state,
            "attempt": self.attempt,
            "epoch": self.plan.epoch_at(done),
            "step": done,
            "total_steps": self.plan.total_steps,
            "images_per_second": self._rate,
            "eta_seconds": self._eta(done),
            "top1": self._top1,
            "durable_step": self._saved,
            "warnings": [asdict(warning) for warning in (*watched, *self._end_warning)],
            "time": time.time(),
        }
        write_json(self.folder / runs.STATUS, status, durable=False)


def result_of(index: int | None, evaluation: Evaluation, score: Any) -> dict[str, Any]:
    """Return one measured protocol as result.json has it; `target` is the index in recipe.targets."""
    return {
        "target": index,
        "protocol": evaluation.protocol,
        "top1": score.top1,
        "top5": score.top5,
        "stderr": score.stderr,
        "images": score.images,
        "seconds": score.seconds,
    }


class _Bar:
    """A progress bar on a terminal; nothing in a log file, which gets its line per epoch."""

    def __init__(self, total: int) -> None:
        self._total, self._progress = total, None
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn

            columns = (BarColumn(), TextColumn("{task.description}"))
            self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
            self._task = self._progress.add_task("", total=total)

    def show(self, done: int, loss: float, rate: float, eta: float | None) -> None:
        if self._progress:
            text = f"{done}/{self._total}  loss {loss:.3f}  {rate:.0f} img/s  {duration(eta)} left"
            self._progress.start()
            self._progress.update(self._task, completed=done, description=text)

    def clear(self) -> None:
        if self._progress:
            self._progress.stop()
