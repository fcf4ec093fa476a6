"""When to stop, answered alike on every process at the same step. Heavy: opens torch.

A process learns from its launcher that it is to stop; signals come to processes at different lines of
different steps. They agree between steps and between the batches of an evaluation, by the greatest answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from enum import IntEnum
from itertools import count
from typing import TypeVar

import torch

ASK_SECONDS = 0.5  # between two questions; where one step takes longer, every step asks
GROWTH = 4  # the number of steps between two questions at most grows by this factor

T = TypeVar("T")


class Stop(IntEnum):
    """Why to stop. LATER: to go on in another attempt (a time limit nears). NOW: somebody else decides."""

    NO = 0
    LATER = 1
    NOW = 2

    @property
    def why(self) -> str:
        return ("", "told to go on later", "told to end")[self]


class Interrupted(Exception):  # noqa: N818 (nothing went wrong)
    """An evaluation was left because the processes agreed to stop."""


class Agreement:
    """The common answer. asked: this process's own. Every process must ask equally often."""

    def __init__(
        self,
        asked: Callable[[], int] = lambda: Stop.NO,
        world: int = 1,
        device: torch.device | str = "cpu",
    ) -> None:
        self.reason = Stop.NO
        self._asked, self._world, self._device = asked, world, device
        self._every = self._left = 1
        self._since = time.monotonic()

    def reached(self) -> bool:
        """Whether to stop here. Once so, always so."""
        self._left -= 1
        if self.reason == Stop.NO and (self._world == 1 or self._left <= 0):
            self._ask()
        return self.reason != Stop.NO

    def watched(self, batches: Iterable[T], common: int) -> Iterator[T]:
        """Yield the batches of an evaluation; raise Interrupted between two when it is time.

        common: how many every process has, after which it may not ask any more.
        """
        for number, batch in zip(count(1), batches, strict=False):
            yield batch
            if number <= common and self.reached():
                raise Interrupted

    def _ask(self) -> None:
        """Agree on the answer, and on after how many steps to ask again, from the time they take."""
        if self._world == 1:
            self.reason = Stop(self._asked())
            return
        now = time.monotonic()
        wanted = int(ASK_SECONDS * self._every / max(now - self._since, 1e-6))
        every = max(1, min(wanted, GROWTH * self._every))
        answers = torch.tensor([self._asked(), every], device=self._device)
        torch.distributed.all_reduce(answers, torch.distributed.ReduceOp.MAX)
        reason, self._every = answers.tolist()
        self.reason, self._left, self._since = Stop(reason), self._every, time.monotonic()
