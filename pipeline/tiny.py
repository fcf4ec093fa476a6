"""The small form of a recipe, for trying the whole pipeline on a laptop: `--tiny`.

A pure function of a recipe. Every stage and mechanism stays; sizes, widths and lengths shrink together,
and what changed is written down, because a tiny run is never comparable with the paper.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from recipes.schema import (
    SGD,
    Augment,
    CenterCrop,
    Evaluation,
    He,
    Initialization,
    InverseDecay,
    Normal,
    Normalize,
    Piecewise,
    RandAugment,
    RandomCrop,
    RandomResizedCrop,
    Recipe,
    Schedule,
    Steps,
)
from recipes.serialize import field_paths

TINY = "+tiny"  # in the name of a small form
IMAGE_SIZE = 64  # pixels: what the largest training size of a recipe becomes
LEAST_AREA = 0.6  # of the image, in a random crop: a twentieth of an 8x8 digit shows nothing
BATCH_SIZE = 32
STEPS = 450  # optimizer steps of a tiny run
TRAIN_IMAGES = 1437  # what the demo data holds; lengths are scaled for a set of this size
IMAGENET_IMAGES = 1_281_167


def tiny(recipe: Recipe, classes: int) -> Recipe:
    """Return the small form of `recipe` for data of `classes` classes, named `NAME+tiny`."""
    small = recipe
    for shrink in (_sizes, _lengths, _batch, _widths, _start):
        small = shrink(small)
    small = replace(small, model=replace(small.model, num_classes=classes))
    if small.starts_from:
        parent = f"{small.starts_from.recipe}{TINY}"
        small = replace(small, starts_from=replace(small.starts_from, recipe=parent))
    return replace(small, name=f"{recipe.name}{TINY}", modified=(*recipe.modified, *_changes(recipe, small)))


def epochs_of(recipe: Recipe) -> int:
    """Return the length of a tiny run in epochs of the demo data, at least one per stage."""
    stages = recipe.progressive.stages if recipe.progressive else 1
    return max(stages, round(STEPS * min(recipe.data.batch_size, BATCH_SIZE) / TRAIN_IMAGES))


def _sizes(recipe: Recipe) -> Recipe:
    """Scale every image size, and what counts in pixels, by one factor; the largest trained is IMAGE_SIZE,
    or the least that the network takes.

    Measured is at the trained size at most: networks this small gain nothing from a larger one.
    """
    ramp = recipe.progressive.image_size if recipe.progressive else None
    largest = max(recipe.data.geometry.size, ramp.end if ramp else 0)
    least = recipe.model.least_size
    most = max(IMAGE_SIZE, least)
    factor = min(1.0, most / largest)

    def pixels(size: float) -> int:
        return round(max(8, min(least, largest), size * factor))

    def shrink(evaluation: Evaluation) -> Evaluation:
        part = min(factor, most / evaluation.crop)
        return replace(
            evaluation,
            crop=round(evaluation.crop * part),
            resize=tuple(round(side * part) for side in evaluation.resize),
        )

    progressive = recipe.progressive
    if progressive and ramp:
        small = replace(ramp, start=pixels(ramp.start), end=pixels(ramp.end))
        progressive = replace(progressive, image_size=small)
    augment = tuple(_smaller(a, pixels, factor) for a in recipe.data.augment)
    return replace(
        recipe,
        data=replace(recipe.data, augment=augment),
        progressive=progressive,
        validation=shrink(recipe.validation),
        targets=tuple(replace(t, evaluation=shrink(t.evaluation)) for t in recipe.targets),
    )


def _smaller(augment: Augment, pixels: Callable[[float], int], factor: float) -> Augment:
    match augment:
        case RandomCrop(resize=(low, high)):
            return replace(augment, size=pixels(augment.size), resize=(pixels(low), pixels(high)))
        case CenterCrop():
            return replace(augment, size=pixels(augment.size), resize=pixels(augment.resize))
        case RandomResizedCrop(area=(low, high)):
            return replace(augment, size=pixels(augment.size), area=(max(low, LEAST_AREA), high))
        case RandAugment():
            # Two operations of these strengths leave nothing of a digit to learn in so few steps.
            small = replace(augment, translate=augment.translate * factor, cutout=augment.cutout * factor)
            return replace(small, layers=1)
    return augment


def _batch(recipe: Recipe) -> Recipe:
    """Shrink the global batch, and with it the rate (linearly) and batch norm's group of images."""
    batch = min(recipe.data.batch_size, BATCH_SIZE)
    factor = batch / recipe.data.batch_size
    norm = recipe.model.batch_norm
    if norm and norm.reestimated_over:
        norm = replace(norm, reestimated_over=min(norm.reestimated_over, TRAIN_IMAGES))
    if norm:
        # The horizon of the running statistics, like that of the average: a few steps of a few hundred.
        norm = replace(norm, momentum=min(norm.momentum, 0.9))
    if norm and norm.images:
        # Statistics over fewer than 16 images would be another network's: noise, not batch norm.
        norm = replace(norm, images=min(batch, max(16, round(norm.images * factor))))
    schedule = recipe.schedule
    if isinstance(schedule, Piecewise):
        schedule = replace(schedule, periods=tuple((length, lr * factor) for length, lr in schedule.periods))
    return replace(
        recipe,
        data=replace(recipe.data, batch_size=batch),
        optimizer=replace(recipe.optimizer, lr=recipe.optimizer.lr * factor),
        schedule=schedule,
        model=replace(recipe.model, batch_norm=norm),
    )


def _lengths(recipe: Recipe) -> Recipe:
    """Shrink the schedule, its warm-up and the horizon of the weight average by one factor."""
    epochs = epochs_of(recipe)
    factor = epochs / recipe.schedule.epochs
    model = recipe.model
    if model.batch_norm:
        frozen = model.batch_norm.frozen_epochs * factor
        model = replace(model, batch_norm=replace(model.batch_norm, frozen_epochs=frozen))
    return replace(
        recipe, model=model, schedule=_shorter(recipe.schedule, factor), ema=_shorter_ema(recipe, epochs)
    )


def _shorter(schedule: Schedule, factor: float) -> Schedule:
    changes: dict[str, Any] = {}
    for name in ("epochs", "every"):
        if name in schedule.__dataclass_fields__:
            changes[name] = getattr(schedule, name) * factor
    if isinstance(schedule, Steps):
        changes["milestones"] = tuple(m * factor for m in schedule.milestones)
    if isinstance(schedule, Piecewise):
        changes = {"periods": tuple((length * factor, lr) for length, lr in schedule.periods)}
    if isinstance(schedule, InverseDecay):
        changes["gamma"] = schedule.gamma / factor
    if schedule.warmup:
        changes["warmup"] = replace(schedule.warmup, epochs=schedule.warmup.epochs * factor)
    return replace(schedule, **changes)


def _shorter_ema(recipe: Recipe, epochs: int) -> Any:
    """Keep the average's horizon, 1 / (1 - decay) steps, at the same share of the whole run."""
    if recipe.ema is None:
        return None
    full = recipe.schedule.epochs * IMAGENET_IMAGES / recipe.data.batch_size
    short = epochs * TRAIN_IMAGES / min(recipe.data.batch_size, BATCH_SIZE)
    return replace(recipe.ema, decay=1 - min(0.5, (1 - recipe.ema.decay) * full / short))


def _widths(recipe: Recipe) -> Recipe:
    """Take the recipe's own arguments for a narrow network; the counts then no longer hold."""
    model = recipe.model
    if not model.narrow:
        return recipe
    return replace(recipe, model=replace(model, arguments={**model.arguments, **model.narrow}))


def _start(recipe: Recipe) -> Recipe:
    """Give a network without normalization a start it can leave within a few hundred steps.

    With the paper's N(0, 0.01) AlexNet stays at chance for hundreds of steps at this size. He
    initialization wants inputs of unit variance, and then bears a rate of 0.01 at this batch.
    """
    model = recipe.model
    if model.initialization is None or model.batch_norm or not isinstance(recipe.optimizer, SGD):
        return recipe
    if not isinstance(model.initialization.weights, Normal):
        return recipe
    return replace(
        recipe,
        model=replace(model, initialization=Initialization(He())),
        data=replace(recipe.data, normalize=Normalize(recipe.data.normalize.mean, (58.0, 58.0, 58.0))),
        optimizer=replace(recipe.optimizer, lr=0.01),
    )


def _changes(before: Recipe, after: Recipe) -> list[str]:
    """Return `path: old -> new` for every field that differs."""
    old, new = field_paths(before), field_paths(after)
    return [f"{path}: {old.get(path)} -> {value}" for path, value in new.items() if old.get(path) != value]
