"""The early warnings of one attempt: kept up with its log, told when they begin and end. Light."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pipeline.attempts import read_attempts
from pipeline.early_warning import SKIPPED, EarlyWarning, Finding, Log, Onset
from pipeline.journal import Record, read
from pipeline.plan import Plan
from pipeline.runs import plan_attempt
from pipeline.warning_rules import find, onsets_in

KEPT = 1000  # records; days of a large run, and looking through them takes a millisecond or two
LOOK_SECONDS = 1.0  # between two looks, so that those milliseconds are nothing


class Watch:
    """Sees every record of the log and knows which warnings are on.

    records: the log so far. starts, moved, hosts: as in `Log`.
    """

    def __init__(
        self,
        plan: Plan,
        records: Iterable[Record],
        starts: Sequence[int],
        moved: int,
        hosts: Sequence[str] = (),
    ) -> None:
        self._plan, self._starts, self._moved, self._hosts = plan, starts, moved, hosts
        self._records: deque[Record] = deque(maxlen=KEPT)
        self._validation: Record | None = None
        self._skipped: list[int] = []
        self._onsets: dict[str, Onset] = {}
        self._found: dict[str, Finding] = {}
        self._looked = 0.0
        records = list(records)
        for record in records:
            self._keep(record)
        self._onsets = onsets_in(records)
        self._found = {kind: found for kind, found in self._find().items() if kind in self._onsets}

    def see(self, step: int, epoch: float, values: Mapping[str, float]) -> dict[str, float]:
        """Take a record that is about to be logged; return what to log with it of warnings, see `Log`."""
        self._keep({"step": step, "epoch": epoch, "time": time.time(), **values})
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS and "val/top1" not in values:
            return {}
        self._looked, self._found = now, self._find()
        begun = {kind: found.limit for kind, found in self._found.items() if self._limit(kind) != found.limit}
        over = [kind for kind in self._onsets if kind not in self._found]
        for kind, limit in begun.items():
            self._onsets[kind] = Onset(step, limit)
        for kind in over:
            del self._onsets[kind]
        return {f"warning/{kind}": limit for kind, limit in {**begun, **dict.fromkeys(over, 0.0)}.items()}

    @property
    def warnings(self) -> list[EarlyWarning]:
        """What is on, in the order of its beginning."""
        on = [EarlyWarning(k, self._onsets[k].step, found.text) for k, found in self._found.items()]
        return sorted([*self._left_out(), *on], key=lambda warning: warning.step)

    def _keep(self, record: Record) -> None:
        if "train/loss" in record:
            self._records.append(record)
        if "val/top1" in record:
            self._validation = record
        if SKIPPED in record:
            self._skipped.append(int(record["step"]) - 1)

    def _find(self) -> dict[str, Finding]:
        records = list(self._records)
        log = Log(self._plan, records, self._validation, self._starts, self._moved, self._hosts)
        return find(log, self._onsets)

    def _limit(self, kind: str) -> float | None:
        return self._onsets[kind].limit if kind in self._onsets else None

    def _left_out(self) -> Iterable[EarlyWarning]:
        """A run that left steps out says so to its end: it is not quite the recipe's."""
        if self._skipped:
            steps = ", ".join(map(str, self._skipped))
            text = f"the loss was not finite, and these steps are left out: {steps}; their images are listed"
            yield EarlyWarning("not_finite", self._skipped[0], f"{text} in not_finite/")


def watch_of(plan: Plan, folder: Path, done: int, hosts: Sequence[str] = ()) -> Watch:
    """Return the watch over a run folder whose newest attempt goes on from `done` steps. hosts: its own."""
    known = [attempt for attempt in read_attempts(folder) if attempt.step is not None]
    first = plan_attempt(folder)
    moved = next((attempt.step or 0 for attempt in known if attempt.number >= first), 0) if first else 0
    starts = {done, *(attempt.step or 0 for attempt in known)}
    return Watch(plan, read(folder)[0], sorted(starts), min(moved, done), hosts)
