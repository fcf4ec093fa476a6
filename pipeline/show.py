"""`top1 list` and `top1 show`: recipes and plans for people and programs. Light: standard library only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pipeline.plan import DataFacts, Plan
from pipeline.progressive import Stage
from pipeline.schedule import lr_at
from pipeline.tiny import TRAIN_IMAGES
from recipes.schema import SGD, Model, Optimizer, Recipe, RMSProp, Target
from recipes.serialize import field_paths, to_dict

# What `show` supposes of the data until it is told where they are; counts of the official sets.
IMAGENET = DataFacts("ImageNet", "imagenet", 1000, 1_281_167, 50_000, "")
DEMO = DataFacts("the demo data", "demo-digits", 10, TRAIN_IMAGES, 360, "")
MNIST = DataFacts("MNIST", "mnist", 10, 60_000, 10_000, "")

# An assumption, not a measurement: 1e9 multiply-adds a GPU does in a second of training, mixed precision.
# Published EfficientNetV2-S and SE-ResNeXt-101 trainings on A100 come to 13,000 to 17,000.
ASSUMED_GMACS_PER_SECOND = 10_000


def supposed_data(recipe: Recipe) -> DataFacts:
    """Return the official set a recipe is for; for its small form, the demo data."""
    if recipe.name.endswith("+tiny"):
        return DEMO
    return MNIST if recipe.data.dataset == "mnist" else IMAGENET


def summary(recipe: Recipe) -> dict[str, Any]:
    """Return one entry of `list --json`."""
    return {
        "name": recipe.name,
        "family": recipe.family,
        "year": recipe.year,
        "params_millions": recipe.model.parameters / 1e6,
        "gmacs": recipe.model.gmacs,
        "batch_size": recipe.data.batch_size,
        "epochs": recipe.schedule.epochs,
        "targets": [_target(target) for target in recipe.targets],
        "departures": list(recipe.departures),
    }


def _target(target: Target) -> dict[str, Any]:
    return {
        "top1": target.top1,
        "top5": target.top5,
        "protocol": target.evaluation.protocol,
        "image_size": target.evaluation.crop,
        "source": target.source.title,
        "where": target.where,
        "extra_data": target.extra_data,
    }


def list_text(found: Iterable[Recipe]) -> str:
    """Return the table of recipes, one a line."""
    head = ("recipe", "year", "params", "GMACs", "batch", "epochs", "target", "protocol")
    lines = [head, *(_list_row(recipe) for recipe in found)]
    return table(lines, right=(1, 2, 3, 4, 5, 6))


def _list_row(recipe: Recipe) -> tuple[str, ...]:
    target = recipe.targets[0] if recipe.targets else None
    return (
        recipe.name,
        str(recipe.year),
        _count(recipe.model.parameters),
        f"{recipe.model.gmacs:.3g}",
        str(recipe.data.batch_size),
        f"{recipe.schedule.epochs:g}",
        f"{target.value:g}" + ("" if target.metric == "top1" else " top-5") if target else "-",
        target.evaluation.protocol if target else "-",
    )


def _count(parameters: int) -> str:
    return f"{parameters / 1e6:.2f}M" if parameters >= 1e6 else f"{parameters / 1e3:.1f}k"


def table(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Return rows of text in lined-up columns; those numbered in `right` are flush right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(r, widths, strict=True))
        ).rstrip()
        for r in rows
    )


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
        "gpu_hours": gpu_hours(plan),
        "checkpoint_gigabytes": checkpoint_gigabytes(plan.recipe),
        "remarks": [*plan.remarks, "GPU-hours are an estimate from multiply-adds, not a measurement"],
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


def checkpoint_gigabytes(recipe: Recipe) -> float:
    """Return what a run's three checkpoints take: weights, average and optimizer state in float32."""
    copies = 1 + (recipe.ema is not None) + _state_tensors(recipe.optimizer)
    return 3 * 4 * copies * recipe.model.parameters / 1e9


def _state_tensors(optimizer: Optimizer) -> int:
    match optimizer:
        case SGD(momentum=momentum):
            return int(momentum > 0)
        case RMSProp(momentum=momentum):
            return 1 + int(momentum > 0)
    return 2


def show_json(plan: Plan, at: Sequence[float]) -> dict[str, Any]:
    recipe = plan.recipe
    return {
        "recipe": {**summary(recipe), "fields": to_dict(recipe)},
        "plan": plan_summary(plan, at),
    }


def show_text(plan: Plan, at: Sequence[float]) -> str:
    """Return the whole plan as one page, to be held against the paper."""
    recipe, facts = plan.recipe, plan_summary(plan, at)
    parts = [
        f"{recipe.name}  ({recipe.family}, {recipe.year})",
        "\n".join(f"  {source.key}: {source.title}. {source.where}" for source in recipe.sources),
        "targets\n" + "\n".join(f"  {_target_text(target)}" for target in recipe.targets),
        "recipe\n" + table([(f"  {path}", str(value)) for path, value in _science(recipe)]),
        "stages\n" + table(_stage_rows(facts["stages"]), right=range(6)),
        "rate\n"
        + table([(f"  epoch {row['epoch']:g}", f"{row['lr']:.6g}") for row in facts["lr"]], right=(1,)),
        f"machine\n  batch {plan.batch_size} = micro-batch {plan.micro_batch} x accumulation "
        f"{plan.accumulation} x {plan.gpus} GPU{'s' if plan.gpus > 1 else ''}\n"
        f"  {plan.steps_per_epoch} steps an epoch, {plan.total_steps} in all\n"
        f"  about {facts['gpu_hours']:.3g} GPU-hours, {facts['checkpoint_gigabytes']:.2g} GB of checkpoints",
    ]
    for title, lines in (("departures", recipe.departures), ("remarks", facts["remarks"])):
        if lines:
            parts.append(f"{title}\n" + "\n".join(f"  - {line}" for line in lines))
    return "\n\n".join(parts)


def _science(recipe: Recipe) -> list[tuple[str, Any]]:
    hidden = ("name", "family", "year", "sources.", "targets.", "departures", "modified", "model.narrow")
    paths = field_paths(recipe)
    return [(path, value) for path, value in paths.items() if not path.startswith(hidden)]


def _target_text(target: Target) -> str:
    numbers = [
        f"top-1 {target.top1:g}" if target.top1 else "",
        f"top-5 {target.top5:g}" if target.top5 else "",
    ]
    return (
        f"{'  '.join(filter(None, numbers))}  {target.evaluation.protocol}  {target.images} images  "
        f"{target.source.key} {target.where}"
    )


def _stage_rows(stages: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    names = ("first_epoch", "last_epoch", "image_size", "randaugment", "mixup", "cutmix", "dropout")
    rows: list[tuple[str, ...]] = [
        ("  from epoch", "to", "pixels", "RandAugment", "Mixup", "CutMix", "dropout")
    ]
    for stage in stages:
        values = [stage[name] for name in names]
        rows.append(tuple("-" if value is None else f"{value:.4g}" for value in values))
    return rows
