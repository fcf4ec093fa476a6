"""Whether a number may stand beside the paper's, and how it compares when it may. Pure and light."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from pipeline.ensemble import is_of
from pipeline.result import Measurement, Run
from pipeline.tiny import TINY
from pipeline.versions import mixed
from recipes.schema import Recipe, Target

Verdict = Literal["reproduced", "above", "short"]

TOLERANCE = 0.3  # points, where the paper gives no standard deviation
_ROUNDING = 1e-9  # 76.1 - 75.8 is 0.29999999999999716

# The fields that say how to train; the others say what is claimed of it and where it is written.
_TRAINING = (
    "model",
    "data",
    "optimizer",
    "schedule",
    "regularization",
    "ema",
    "progressive",
    "starts_from",
    "report",
)


@dataclass(frozen=True)
class Standing:
    """One run against one target.

    measured: what `measurement_for` found. reasons: why it may not be compared; none when it may.
    gap: reached minus published, in points, where both were measured alike on the recipe as published.
    """

    run: Run
    target: Target
    measured: Measurement | None
    reasons: tuple[str, ...]

    @property
    def comparable(self) -> bool:
        return not self.reasons

    @property
    def reached(self) -> float | None:
        return self.measured.value(self.target.metric) if self.measured else None

    @property
    def gap(self) -> float | None:
        if self.measured is None or self.reached is None or self.run.recipe.modified:
            return None
        return self.reached - self.target.value if _measured_alike(self.measured, self.target) else None


def standings(run: Run, book: Mapping[str, Recipe]) -> list[Standing]:
    """Return how a run stands against each target of its recipe, in the recipe's order.

    An ensemble stands against the targets that average such networks only.
    """
    targets = targets_of(run, book)
    shared = [
        *_state_reasons(run),
        *_recipe_reasons(run.recipe, book),
        *_data_reasons(run),
        *mixed(run.versions),
    ]
    found = []
    for index, target in enumerate(targets):
        if run.members and not is_of(run.recipe, target, run.members):
            continue
        measured = measurement_for(run, index, target)
        reasons = (*shared, *_target_reasons(run, target, measured))
        found.append(Standing(run, target, measured, reasons))
    return found


def targets_of(run: Run, book: Mapping[str, Recipe]) -> tuple[Target, ...]:
    """Return the targets a run is held against: the book's where it has the recipe.

    A published number that was copied wrongly and mended in the book is mended for old runs as well.
    """
    published = book.get(run.recipe.name)
    return published.targets if published and not run.recipe.modified else run.recipe.targets


def measurement_for(run: Run, index: int, target: Target) -> Measurement | None:
    """Return the measurement under the target's protocol; else what is nearest to it, to be shown only.

    Nearest is the one made for this target (on another set), then one made for no target.
    """
    measurements = run.result.measurements if run.result else ()
    alike = [m for m in measurements if _measured_alike(m, target)]
    made_for_it = [m for m in measurements if m.target == index]
    made_for_none = [m for m in measurements if m.target is None]
    return next(iter([*alike, *made_for_it, *made_for_none]), None)


def tolerance(target: Target) -> float:
    """Return how many points off still count as reproduced: two published deviations, else 0.3."""
    return TOLERANCE if target.std is None else 2 * target.std


def verdict(target: Target, reached: float) -> Verdict:
    """Judge a number that is comparable with the target's."""
    gap, allowed = reached - target.value, tolerance(target) + _ROUNDING
    if abs(gap) <= allowed:
        return "reproduced"
    return "above" if gap > 0 else "short"


def _measured_alike(measured: Measurement, target: Target) -> bool:
    return measured.protocol == target.evaluation.protocol and measured.images == target.images


def _state_reasons(run: Run) -> Iterable[str]:
    if run.result is None:
        at = run.progress
        if at.state == "finished":
            yield "result.json is missing; the same `top1 train` writes it again"
            return
        where = f" at step {at.step} of {at.total_steps}" if at.step is not None else ""
        yield f"not finished: {at.state}{where}"


def _recipe_reasons(recipe: Recipe, book: Mapping[str, Recipe]) -> Iterable[str]:
    if recipe.modified and TINY in recipe.name:
        yield f"the recipe's small form ({len(recipe.modified)} changes)"
    elif recipe.modified:
        more = len(recipe.modified) - 1
        yield f"modified recipe ({recipe.modified[0]}{f' and {more} more' if more else ''})"
    elif recipe.name in book and (changed := _changed_since(recipe, book[recipe.name])):
        yield f"the recipe has changed since ({', '.join(changed)})"


def _changed_since(recipe: Recipe, published: Recipe) -> list[str]:
    old, new = _as_trained(recipe), _as_trained(published)
    return [name for name in _TRAINING if getattr(old, name) != getattr(new, name)]


def _as_trained(recipe: Recipe) -> Recipe:
    """Leave out what a model only states: its counts, and the arguments that `--tiny` would use."""
    return replace(
        recipe, model=replace(recipe.model, parameters=0, gmacs=0.0, gmacs_size=0, narrow={}, least_size=0)
    )


def _data_reasons(run: Run) -> Iterable[str]:
    data, wanted = run.data, run.recipe.data.dataset
    if not _is_wanted_data(run):
        yield f"data set {data.name!r} instead of {wanted}"
    elif data.official is None:
        yield f"unverified data: not proven to be the official {wanted}"
    if data.changes:
        yield f"changed images ({data.changes[0]})"


def _is_wanted_data(run: Run) -> bool:
    return run.data.name == run.recipe.data.dataset


def _target_reasons(run: Run, target: Target, measured: Measurement | None) -> Iterable[str]:
    if target.ensemble > 1 and not run.members:
        yield f"the target averages {target.ensemble} networks, this is one"
    if target.extra_data != "none" and run.recipe.starts_from is None:
        yield f"the target's networks saw more data: {target.extra_data}"
    if run.result is None:
        return
    if measured is None or measured.value(target.metric) is None:
        yield "not measured under the target's protocol"
        return
    if measured.protocol != target.evaluation.protocol:
        yield f"measured as {measured.protocol}, the target is {target.evaluation.protocol}"
    if measured.images != target.images and _is_wanted_data(run):
        yield f"{measured.images:,} images, the target is over {target.images:,}"
