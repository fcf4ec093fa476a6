"""Progressive learning: which image size and how much regularization at which step.

Pure functions of a recipe; nothing here counts steps or keeps state, so a resumed run restores nothing.
Tan & Le 2021 (EfficientNetV2), Algorithm 1: N steps in M stages of N / M steps each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recipes.schema import CutMix, Mixup, MixupCutMixHalves, Ramp, RandAugment, Recipe


@dataclass(frozen=True)
class Stage:
    """Steps first_step <= step < end_step of a run, and what holds in them.

    randaugment (magnitude), mixup and cutmix (alphas) and dropout are None where the recipe has none.
    """

    first_step: int
    end_step: int
    first_epoch: float
    last_epoch: float
    image_size: int
    randaugment: float | None = None
    mixup: float | None = None
    cutmix: float | None = None
    dropout: float | None = None


def make_stages(recipe: Recipe, total_steps: int, steps_per_epoch: int) -> tuple[Stage, ...]:
    """Return the stages of a run of `total_steps`; a recipe without progressive learning has one."""
    count = recipe.progressive.stages if recipe.progressive else 1
    bounds = [round(total_steps * i / count) for i in range(count + 1)]
    return tuple(
        Stage(
            first_step=bounds[i],
            end_step=bounds[i + 1],
            first_epoch=bounds[i] / steps_per_epoch,
            last_epoch=bounds[i + 1] / steps_per_epoch,
            image_size=_image_size(recipe, i),
            randaugment=_climb(recipe, "randaugment", i, _randaugment(recipe)),
            mixup=_climb(recipe, "mixup", i, _mixing_alpha(recipe)[0]),
            cutmix=_climb(recipe, "cutmix", i, _mixing_alpha(recipe)[1]),
            dropout=_climb(recipe, "dropout", i, recipe.regularization.dropout),
        )
        for i in range(count)
    )


def stage_at(stages: Sequence[Stage], step: int) -> Stage:
    """Return the stage that holds at a step. Raises StopIteration past the last one."""
    return next(stage for stage in stages if step < stage.end_step)


def ramp_at(ramp: Ramp, stage: int, stages: int) -> float:
    """Return a ramp's value in stage `stage` of 0..stages-1."""
    share = stage / (stages - 1) if ramp.includes_start else (stage + 1) / stages
    return ramp.start + (ramp.end - ramp.start) * share


def _image_size(recipe: Recipe, stage: int) -> int:
    if recipe.progressive is None:
        return recipe.data.geometry.size
    ramp = recipe.progressive.image_size
    value = ramp_at(ramp, stage, recipe.progressive.stages)
    # The paper's sizes are the nearest integers (128, 185, 243, 300); the code cuts with int().
    return round(value) if ramp.includes_start else int(value + 1e-9)


def _climb(recipe: Recipe, field: str, stage: int, constant: float | None) -> float | None:
    ramp: Ramp | None = getattr(recipe.progressive, field, None)
    if recipe.progressive is None or ramp is None:
        return constant
    return ramp_at(ramp, stage, recipe.progressive.stages)


def _randaugment(recipe: Recipe) -> float | None:
    return next((a.magnitude for a in recipe.data.augment if isinstance(a, RandAugment)), None)


def _mixing_alpha(recipe: Recipe) -> tuple[float | None, float | None]:
    match recipe.data.mixing:
        case Mixup(alpha=alpha):
            return alpha, None
        case CutMix(alpha=alpha):
            return None, alpha
        case MixupCutMixHalves(mixup_alpha=mixup, cutmix_alpha=cutmix):
            return mixup, cutmix
    return None, None
