"""What a warning of a run is, and what rules look at to find one (`warning_rules`). Pure and light."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.errors import Top1Error
from pipeline.journal import Record
from pipeline.plan import Plan
from pipeline.progressive import stage_at

SKIPPED = "train/skipped"  # 1 in the record of a step that was left out


class NotFiniteError(Top1Error):
    """The loss of `step` is not finite, and the run may not go back."""

    def __init__(self, message: str, step: int) -> None:
        super().__init__(message)
        self.step = step


@dataclass(frozen=True)
class EarlyWarning:
    """One thing that goes wrong, since which step (steps done), in one sentence with figures and advice."""

    kind: str
    step: int
    text: str


@dataclass(frozen=True)
class Onset:
    """Where a warning began, and the value that ends it."""

    step: int
    limit: float


@dataclass(frozen=True)
class Finding:
    """What a rule finds now. limit: the value that ends it."""

    limit: float
    text: str


@dataclass(frozen=True)
class Log:
    """What the rules look at.

    records: of training, in order. validation: the last one. starts: the steps that attempts went on from.
    moved: the first step on the present hardware. hosts: of each process, as far as they are known.
    """

    plan: Plan
    records: Sequence[Record]
    validation: Record | None = None
    starts: Sequence[int] = ()
    moved: int = 0
    hosts: Sequence[str] = ()

    @property
    def stage_start(self) -> int:
        """The first step of the stage that the last record is of."""
        return stage_at(self.plan.stages, int(self.records[-1]["step"]) - 1).first_step if self.records else 0

    @property
    def start(self) -> int:
        """From which step the newest attempt, or its stage, went on."""
        return max(self.stage_start, self.moved, *self.starts, 0)
