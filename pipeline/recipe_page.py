"""`top1 show` as text: one page that a researcher can hold against the paper. Light."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.book_list import WIDTH
from pipeline.columns import table
from pipeline.plan import Plan
from pipeline.show import (
    ASSUMED_GMACS_PER_SECOND,
    PUBLISHED_GMACS_PER_SECOND,
    plan_summary,
)
from recipes.schema import Model, RandAugment, RandomResizedCrop, Recipe, Target
from recipes.serialize import field_paths

# Told elsewhere on the page, or no part of the science.
_TOLD = (
    "name", "family", "year", "sources.", "targets", "departures", "modified", "validation.",
    "model.constructor", "model.arguments", "model.parameters", "model.gmacs", "model.narrow",
    "model.least_size", "model.auxiliary.parameters",
)  # fmt: skip

_LIBRARIES = {
    "timm": "timm's {}",
    "torchvision": "torchvision's {}",
    "top1": "pipeline/networks: {}",
}


def page(plan: Plan, at: Sequence[float], citations: Mapping[str, str]) -> str:
    """Return the whole plan as one page. citations: of the recipe's fields (`recipes.citations`)."""
    recipe, facts = plan.recipe, plan_summary(plan, at)
    sections = {
        "sources": _sources(recipe),
        "targets": [line for target in recipe.targets for line in _target(target)] or ["  none published"],
        "network": _network(recipe.model, citations),
        "recipe": _fields(recipe, citations),
        "validation": [f"  {recipe.validation.protocol}, after each epoch; never judged"],
        "stages": _stages(facts["stages"]),
        "rate": _rate(facts["lr"]),
        "departures": _bullets(recipe.departures),
        "cost": _cost(plan, facts),
        "machine": _machine(plan, facts),
        "remarks": _bullets(facts["remarks"]),
    }
    title = f"{recipe.name}  ({recipe.family}, {recipe.year})"
    parts = [f"{name}\n" + "\n".join(lines) for name, lines in sections.items() if lines]
    return "\n\n".join([title, *parts])


def _sources(recipe: Recipe) -> list[str]:
    side = max(len(source.key) for source in recipe.sources) + 4
    return [
        line
        for source in recipe.sources
        for line in _filled(f"{source.title}. {source.where}", f"  {source.key}".ljust(side))
    ]


def _target(target: Target) -> Iterator[str]:
    numbers = [(name, value) for name, value in (("top-1", target.top1), ("top-5", target.top5)) if value]
    spread = f" +- {target.std:g}" if target.std else ""
    found = "  ".join(f"{name} {value:g}" for name, value in numbers) + spread
    yield f"  {found}  {target.evaluation.protocol}  {target.images:,} images"
    yield from _filled(f"{target.source.key} {target.where}", "    ")
    remarks = [
        f"average of {target.ensemble} networks" if target.ensemble > 1 else "",
        f"members: {', '.join(target.members)}" if target.members else "",
        f"extra data: {target.extra_data}" if target.extra_data != "none" else "",
        f"confidence: {target.confidence}" if target.confidence != "high" else "",
        target.note,
    ]
    for remark in filter(None, remarks):
        yield from _filled(remark, "    ")


def _network(model: Model, citations: Mapping[str, str]) -> list[str]:
    library, _, name = model.constructor.partition(":")
    built = _LIBRARIES[library].format(name) if library in _LIBRARIES else model.constructor
    arguments = ", ".join(f"{key} {_text(value)}" for key, value in model.arguments.items())
    shape = ("model.arguments", "model.num_classes")
    is_other = any(citations.get(path, "").startswith("changed:") for path in shape)
    of_which = " before it was changed" if is_other else ""
    rows = [
        ("built from", built, citations.get("model.constructor", "")),
        ("arguments", arguments, citations.get("model.arguments", "")),
        ("parameters", f"{model.parameters:,}{of_which}", citations.get("model.parameters", "")),
        (
            "multiply-adds",
            f"{model.gmacs:g}e9 at {model.gmacs_size} pixels{of_which}",
            citations.get("model.gmacs", ""),
        ),
    ]
    if model.auxiliary:
        heads = f"{model.auxiliary.parameters:,} in training only"
        rows.append(("extra heads", heads, citations.get("model.auxiliary.parameters", "")))
    return _cited([(f"  {label}", text, said) for label, text, said in rows if text])


def _fields(recipe: Recipe, citations: Mapping[str, str]) -> list[str]:
    """Return a line for each number and switch of the training, under the part it belongs to."""
    parts: dict[str, list[tuple[str, str, str]]] = {}
    for augment in recipe.data.augment:  # those without fields of their own too
        parts[f"data.augment.{type(augment).__name__}"] = []
    for path, value in field_paths(recipe).items():
        said = citations.get(path, "")
        if not (path.startswith(_TOLD) or path in _idle(recipe) or _is_off(path, value, said)):
            holder, _, name = path.rpartition(".")
            parts.setdefault(holder, []).append((f"    {name}", _text(value), said))
    rows: list[tuple[str, str, str]] = []
    for holder in sorted(parts, key=_place):
        rows.append((f"  {holder or 'recipe'}", _class_of(recipe, holder), citations.get(holder, "")))
        rows += parts[holder]
    return _cited(rows)


def _place(holder: str) -> int:
    """Return where a part stands on the page: in the order of the schema, parts of one thing together."""
    order = (
        "model",
        "data",
        "optimizer",
        "schedule",
        "regularization",
        "ema",
        "progressive",
        "starts_from",
        "",
    )
    return order.index(holder.partition(".")[0])


def _idle(recipe: Recipe) -> set[str]:
    """Return the fields that another field of the recipe puts out of use."""
    found = set()
    for augment in recipe.data.augment:
        path = f"data.augment.{type(augment).__name__}"
        if isinstance(augment, RandomResizedCrop) and augment.rule != "tensorflow":
            found |= {f"{path}.covered", f"{path}.fallback"}
        if isinstance(augment, RandAugment) and augment.definition != "google":
            found |= {f"{path}.translate", f"{path}.cutout"}
    return found


def _is_off(path: str, value: Any, said: str) -> bool:
    """Whether a field is something the recipe does not do: nothing, and left at that by default.

    Of what is optimized and how the network is held back, the absence is told as well.
    """
    is_default = said.startswith("default of") and not path.startswith(("optimizer.", "regularization."))
    return value is None or (not value and (is_default or not isinstance(value, int | float)))


def _class_of(recipe: Recipe, holder: str) -> str:
    """Return the class of a part where its path does not say it: `optimizer` is an SGD."""
    value: Any = recipe
    for name in filter(None, holder.split(".")):
        if isinstance(value, tuple):
            return ""
        value = getattr(value, name, None)
    kind = type(value).__name__
    return "" if kind.lower() == holder.rpartition(".")[2].replace("_", "") or value is recipe else kind


def _text(value: Any) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.6g}"
        case tuple():
            return f"({', '.join(map(_text, value))})"
        case dict():
            return ", ".join(f"{key}: {_text(item)}" for key, item in value.items())
    return str(value)


def _cited(rows: Sequence[tuple[str, str, str]]) -> list[str]:
    """Return name, value and citation in columns; what is longer goes on in the lines below."""
    left = max(len(name) for name, _, _ in rows) + 2
    middle = min(36, max(len(value) for _, value, _ in rows)) + 2
    lines = []
    for name, value, said in rows:
        values = textwrap.wrap(value, middle - 2) or [""]
        saids = textwrap.wrap(said, WIDTH - left - middle) or [""]
        for i in range(max(len(values), len(saids))):
            parts = (name if i == 0 else "", *(t[i] if i < len(t) else "" for t in (values, saids)))
            lines.append(f"{parts[0]:<{left}}{parts[1]:<{middle}}{parts[2]}".rstrip())
    return lines


def _stages(stages: Sequence[dict[str, Any]]) -> list[str]:
    names = ("first_epoch", "last_epoch", "image_size", "randaugment", "mixup", "cutmix", "dropout")
    rows: list[tuple[str, ...]] = [
        ("  from epoch", "to", "pixels", "RandAugment", "Mixup", "CutMix", "dropout")
    ]
    for stage in stages:
        values = [stage[name] for name in names]
        rows.append(tuple("-" if value is None else f"{value:.4g}" for value in values))
    return table(rows, right=range(7)).splitlines()


def _rate(rows: Sequence[dict[str, float]]) -> list[str]:
    return table([(f"  epoch {row['epoch']:g}", f"{row['lr']:.6g}") for row in rows], right=(1,)).splitlines()


def _cost(plan: Plan, facts: Mapping[str, Any]) -> list[str]:
    """Return the multiply-adds, and GPU-hours by what GPUs were published to do."""
    gmacs, rate = facts["training_gmacs"], ASSUMED_GMACS_PER_SECOND
    images = plan.total_steps * plan.batch_size
    lines = [
        f"  {gmacs * 1e9:.3g} multiply-adds: three forward passes' for each of {images:,} images",
        f"  about {_hours(facts['gpu_hours'])} GPU-hours, an estimate at {rate:,}e9 a second",
    ]
    for gpu, speeds in PUBLISHED_GMACS_PER_SECOND.items():
        found = [f"{_hours(gmacs / speed / 3600)} ({name}'s {speed:,}e9)" for name, speed in speeds.items()]
        lines.append(f"    {gpu}, at speeds of published trainings: {' to '.join(found)}")
    return lines


def _hours(hours: float) -> str:
    return f"{hours:,.0f}" if hours >= 100 else f"{hours:.3g}"


def _machine(plan: Plan, facts: Mapping[str, Any]) -> list[str]:
    """Return how the recipe runs on the machine of the plan; further facts of it belong here."""
    return [
        f"  batch {plan.batch_size} = micro-batch {plan.micro_batch} x accumulation "
        f"{plan.accumulation} x {plan.gpus} GPU{'s' if plan.gpus > 1 else ''}",
        f"  {plan.steps_per_epoch} steps an epoch, {plan.total_steps} in all",
        f"  {facts['checkpoint_gigabytes']:.2g} GB of checkpoints",
    ]


def _bullets(lines: Sequence[str]) -> list[str]:
    return [line for text in lines for line in _filled(text, "  - ")]


def _filled(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=" " * len(indent), break_on_hyphens=False
    )
