"""Checks of a recipe: values of other types, and nonsense that types alone cannot exclude."""

from __future__ import annotations

from recipes.kinds import wrong_types
from recipes.schema import Geometry, RandAugment, Recipe


def problems(recipe: Recipe) -> list[str]:
    """Return what is wrong with a recipe, one sentence each; an empty list is a sound recipe."""
    found = list(wrong_types(recipe)) or [
        *_data_problems(recipe),
        *_model_problems(recipe),
        *_target_problems(recipe),
        *_schedule_problems(recipe),
        *_watching_problems(recipe),
    ]
    return [f"{recipe.name}: {problem}" for problem in found]


def _data_problems(recipe: Recipe) -> list[str]:
    augment = recipe.data.augment
    found = []
    if not recipe.name or "/" in recipe.name:
        found.append("a name is a text without /, which is what folders of runs are called by")
    if any(isinstance(a, Geometry) and a.size < 1 for a in augment):
        found.append("data.augment crops images to less than a pixel")
    if not augment or not isinstance(augment[0], Geometry):
        found.append("data.augment must begin with a geometry (RandomResizedCrop, RandomCrop or CenterCrop)")
    if sum(isinstance(a, Geometry) for a in augment) > 1:
        found.append("data.augment has more than one geometry; only the first may be one")
    channels = 1 if recipe.data.color == "gray" else 3
    if not len(recipe.data.normalize.mean) == len(recipe.data.normalize.std) == channels:
        found.append(f"data.normalize needs {channels} means and deviations for {recipe.data.color} images")
    if any(std <= 0 for std in recipe.data.normalize.std):
        found.append("data.normalize.std must be positive")
    if recipe.data.batch_size < 1:
        found.append(f"data.batch_size is {recipe.data.batch_size}; it must be at least 1")
    ramp = recipe.progressive and recipe.progressive.randaugment
    if ramp and not any(isinstance(a, RandAugment) for a in augment):
        found.append("progressive.randaugment climbs, but data.augment has no RandAugment")
    return found


def _model_problems(recipe: Recipe) -> list[str]:
    norm, found = recipe.model.batch_norm, []
    if norm and norm.reestimated_over and recipe.ema:
        found.append("batch norm is re-estimated for the raw weights, and ema averages them: choose one")
    if norm and norm.frozen_epochs >= recipe.schedule.epochs:
        found.append(f"batch norm is frozen for {norm.frozen_epochs} epochs of {recipe.schedule.epochs}")
    start = recipe.starts_from
    if start and start.layers and start.new_head:
        found.append("starts_from.layers names what is taken over; new_head says nothing more, leave it out")
    return found


def _target_problems(recipe: Recipe) -> list[str]:
    found = []
    for target in recipe.targets:
        if target.top1 is None and target.top5 is None:
            found.append(f"the target of {target.where} has neither top1 nor top5")
        for value in (target.top1, target.top5):
            if value is not None and not 1 < value <= 100:
                found.append(f"a target of {value} is not a percentage (a fraction instead?)")
        if target.source not in recipe.sources:
            found.append(f"the target's source {target.source.key} is not among the recipe's sources")
    return found


def _schedule_problems(recipe: Recipe) -> list[str]:
    found = []
    if recipe.schedule.epochs <= 0:
        found.append(f"schedule.epochs is {recipe.schedule.epochs}; it must be positive")
    milestones = getattr(recipe.schedule, "milestones", ())
    if list(milestones) != sorted(milestones):
        found.append("schedule.milestones must climb")
    warmup = recipe.schedule.warmup
    if warmup and warmup.epochs >= recipe.schedule.epochs:
        found.append(f"a warm-up of {warmup.epochs} epochs does not end before {recipe.schedule.epochs}")
    if recipe.optimizer.lr <= 0:
        found.append(f"optimizer.lr is {recipe.optimizer.lr}; it must be positive")
    if recipe.progressive and recipe.progressive.stages < 2:
        found.append("progressive.stages must be at least 2")
    return found


def _watching_problems(recipe: Recipe) -> list[str]:
    found = []
    epochs = [epoch for epoch, _ in recipe.curve]
    if epochs != sorted(set(epochs)) or not all(0 <= epoch <= recipe.schedule.epochs for epoch in epochs):
        found.append(f"the epochs of curve must climb from 0 to {recipe.schedule.epochs:g} at most")
    if not all(0 <= top1 <= 100 for _, top1 in recipe.curve):
        found.append("curve is (epoch, top-1 in percent); a top-1 of it is not between 0 and 100")
    if recipe.skips < 0:
        found.append(f"skips is {recipe.skips}; it must be 0 or more")
    return found
