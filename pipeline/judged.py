"""Which numbers a recipe's report rule judges, and what is measured for them. Pure and light.

"last" judges the last epoch. "median_of_last_five" judges the median over the validations of the last five
epochs (Goyal et al. 2017 §5.1), so every target is measured under its own protocol after each of those; the
figures travel in checkpoints, and a resumed run judges the same ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import Any, Protocol

from pipeline.plan import Plan
from recipes.schema import Evaluation, Recipe

LAST = 5
RULE = "median_of_last_five"


class Shares(Protocol):
    """What is kept of a score, percent."""

    @property
    def top1(self) -> float: ...

    @property
    def top5(self) -> float: ...


def evaluations_of(recipe: Recipe) -> list[tuple[int | None, Evaluation]]:
    """Return what is measured at the end of a run: (index of the target, protocol), else the validation.

    The Inception papers' blacklist is no part of any data set: a target without it is measured on all
    images, and its protocol says so. `top1 eval --blacklist` measures it without.
    """
    found: list[tuple[int | None, Evaluation]] = [
        (index, replace(target.evaluation, without_blacklist=False))
        for index, target in enumerate(recipe.targets)
    ]
    return found or [(None, recipe.validation)]


def is_judged(plan: Plan, done: int) -> bool:
    """Whether the validation after `done` steps is one of those that the median is over."""
    later = -(-(plan.total_steps - done) // plan.steps_per_epoch)
    return plan.recipe.report == RULE and later < LAST


def judged_record(epoch: float, scores: Mapping[str, Shares]) -> dict[str, Any]:
    """Return what a checkpoint keeps of one of those validations. scores: by protocol."""
    measured = {protocol: {"top1": s.top1, "top5": s.top5} for protocol, s in scores.items()}
    return {"epoch": epoch, "scores": measured}


def judged(records: Sequence[Mapping[str, Any]], protocol: str, images: int) -> dict[str, Any]:
    """Return the fields of a result that the median replaces or adds; none where the last epoch is judged."""
    of = [{"epoch": record["epoch"], **record["scores"][protocol]} for record in records]
    if not of:
        return {}
    top1, top5 = (median(one[metric] for one in of) for metric in ("top1", "top5"))
    stderr = 100 * math.sqrt(top1 / 100 * (1 - top1 / 100) / images)
    return {"top1": top1, "top5": top5, "stderr": stderr, "report": RULE, "of": of}
