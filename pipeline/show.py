"""What a run of a recipe would do: stages, rates, batch, cost. Light; `recipe_page` makes it a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.book_list import summary
from pipeline.plan import DataFacts, Plan
from pipeline.progressive import Stage
from pipeline.schedule import lr_at
from pipeline.tiny import TRAIN_IMAGES
from recipes.schema import SGD, Model, Optimizer, Recipe, RMSProp
from recipes.serialize import to_dict

# What `show` supposes of the data until it is told where they are; counts of the official sets.
IMAGENET = DataFacts("ImageNet", "imagenet", 1000, 1_281_167, 50_000, "")
# Of the fall 2011 release; Google's split of it (google/automl:efficientnetv2/datasets.py).
IMAGENET_21K = DataFacts("ImageNet-21k", "imagenet21k", 21_841, 12_720_275, 100_357, "")
DEMO = DataFacts("the demo data", "demo-digits", 10, TRAIN_IMAGES, 360, "")
MNIST = DataFacts("MNIST", "mnist", 10, 60_000, 10_000, "")

# An assumption, not a measurement: 1e9 multiply-adds a GPU does in a second of training, mixed precision.
# Published EfficientNetV2-S and SE-ResNeXt-101 trainings on A100 come to 13,000 to 17,000.
ASSUMED_GMACS_PER_SECOND = 10_000

# The same from published speeds, of the fastest and the slowest network found: depthwise convolutions stay
# far below what their multiply-adds suggest. A100: NVIDIA's 8-GPU trainings (NVIDIA/DeepLearningExamples);
# RTX 3090: timm's training benchmark (huggingface/pytorch-image-models:results).
PUBLISHED_GMACS_PER_SECOND = {
    "A100": {"SE-ResNeXt-101": 17_300, "EfficientNet-B0": 2_400},
    "RTX 3090": {"DLA-102": 14_800, "EfficientNet-B0": 2_100},
}

FULL_SIZE = (
    "parameters, multiply-adds and checkpoints are counted of the full network; the small form has fewer"
)


def supposed_data(recipe: Recipe) -> DataFacts:
    """Return the official set a recipe is for; for its small form, the demo data."""
    if recipe.name.endswith("+tiny"):
        return DEMO
    return {"mnist": MNIST, "imagenet21k": IMAGENET_21K}.get(recipe.data.dataset, IMAGENET)


def plan_summary(plan: Plan, at: Sequence[float] = ()) -> dict[str, Any]:
    """Return the `plan` object of `show --json`; `at` adds rates at fractional epochs."""
    stage_keys = ("first_epoch", "last_epoch", "image_size", "randaugment", "mixup", "cutmix", "dropout")
    return {
        "gpus": plan.gpus,
        "micro_batch": plan.micro_batch,
        "accumulation": plan.accumulation,
        "batch_size": plan.batch_size,
        "steps_per_epoch": plan.steps_per_epoch,
        "total_steps": plan.total_steps,
        "stages": [{key: getattr(stage, key) for key in stage_keys} for stage in plan.stages],
        "lr": [{"epoch": e, "lr": _lr(plan.recipe, e)} for e in at or boundaries(plan.recipe)],
        "training_gmacs": training_gmacs(plan.recipe.model, plan.stages, plan.batch_size),
        "gpu_hours": gpu_hours(plan),
        "checkpoint_gigabytes": kept_gigabytes(plan.recipe),
        "remarks": [
            *plan.remarks,
            "GPU-hours are an estimate from multiply-adds, not a measurement",
            *([FULL_SIZE] if plan.recipe.model.narrow and plan.recipe.name.endswith("+tiny") else []),
        ],
    }


def boundaries(recipe: Recipe) -> list[float]:
    """Return the epochs worth naming: the start, the warm-up's end, each change of the rate, the end."""
    schedule = recipe.schedule
    epochs = {0.0, float(schedule.epochs)}
    if schedule.warmup:
        epochs.add(float(schedule.warmup.epochs))
    epochs.update(getattr(schedule, "milestones", ()))
    end = 0.0
    for length, _ in getattr(schedule, "periods", ()):
        end += length
        epochs.add(end)
    if len(epochs) == 2 + bool(schedule.warmup):
        epochs.update(schedule.epochs * i / 4 for i in (1, 2, 3))
    return sorted(epochs)


def _lr(recipe: Recipe, epoch: float) -> float:
    return lr_at(recipe.optimizer.lr, recipe.schedule, epoch)


def gpu_hours(plan: Plan) -> float:
    """Return an estimate from the multiply-adds; no measurement."""
    gmacs = training_gmacs(plan.recipe.model, plan.stages, plan.batch_size)
    return gmacs / ASSUMED_GMACS_PER_SECOND / 3600


def training_gmacs(model: Model, stages: Sequence[Stage], batch_size: int) -> float:
    """Return 1e9 multiply-adds: three forward passes' for every image, each stage at its size."""
    images = [(stage.end_step - stage.first_step) * batch_size for stage in stages]
    scales = [(stage.image_size / model.gmacs_size) ** 2 for stage in stages]
    return 3 * model.gmacs * sum(n * scale for n, scale in zip(images, scales, strict=True))


def checkpoint_bytes(recipe: Recipe) -> int:
    """Return what a checkpoint takes: weights, average and optimizer state in float32."""
    copies = 1 + (recipe.ema is not None) + _state_tensors(recipe.optimizer)
    return 4 * copies * recipe.model.parameters


def kept_gigabytes(recipe: Recipe) -> float:
    """Return what the three checkpoints that a run keeps take."""
    return 3 * checkpoint_bytes(recipe) / 1e9


def _state_tensors(optimizer: Optimizer) -> int:
    match optimizer:
        case SGD(momentum=momentum):
            return int(momentum > 0)
        case RMSProp(momentum=momentum):
            return 1 + int(momentum > 0)
    return 2


def show_json(plan: Plan, at: Sequence[float], citations: dict[str, str]) -> dict[str, Any]:
    """Return the object of `show --json`; citations: of the recipe's fields (`recipes.citations`)."""
    recipe = plan.recipe
    return {
        "recipe": {**summary(recipe), "fields": to_dict(recipe), "citations": citations},
        "plan": plan_summary(plan, at),
    }
