"""`top1 list`: the book of recipes at a glance, and the headline numbers. Light and quick to import."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING, Any

from pipeline.columns import at_point, table
from pipeline.errors import UsageError, nearest
from recipes.schema import Evaluation, Recipe, Target

if TYPE_CHECKING:
    from recipes.headlines import Headline

WIDTH = 120  # columns of a terminal that no line is longer than

_HEAD = ("recipe", "year", "params", "GMACs", "batch", "epochs", "target", "protocol")


def of_family(found: Sequence[Recipe], family: str | None) -> list[Recipe]:
    """Return the recipes of a family, whose name may be typed in any case; all of them for None.

    Raises UsageError, with the nearest names, when there is no such family.
    """
    if family is None:
        return list(found)
    chosen = [recipe for recipe in found if recipe.family.lower() == family.lower()]
    if not chosen:
        names = {recipe.family.lower(): recipe.family for recipe in found}
        raise UsageError(
            f"there is no family {family!r}{nearest(family.lower(), names)} `top1 list` shows all."
        )
    return chosen


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


def list_text(found: Sequence[Recipe]) -> str:
    """Return the table of recipes, one a line, family by family."""
    columns = list(zip(*map(_row, found), strict=True))
    for pointed in (3, 5, 6):
        columns[pointed] = tuple(at_point(columns[pointed]))
    lines = table([_HEAD, *zip(*columns, strict=True)], right=(1, 2, 4)).splitlines()
    parts, start = [lines[0]], 1
    for family, members in groupby(found, key=lambda recipe: recipe.family):
        end = start + len(list(members))
        parts += ["", family, *lines[start:end]]
        start = end
    return "\n".join(parts)


def _row(recipe: Recipe) -> tuple[str, ...]:
    target = recipe.targets[0] if recipe.targets else None
    return (
        f"  {recipe.name}",
        str(recipe.year),
        _count(recipe.model.parameters),
        f"{recipe.model.gmacs:.3g}",
        str(recipe.data.batch_size),
        f"{recipe.schedule.epochs:.4g}",
        _decimals(target.value) if target else "-",
        short_protocol(target) if target else "-",
    )


def _decimals(percent: float) -> str:
    """Return a percentage with one decimal at least, more where it was published with more."""
    return str(round(percent, 3))


def _count(parameters: int) -> str:
    return f"{parameters / 1e6:.2f}M" if parameters >= 1e6 else f"{parameters / 1e3:.1f}k"


def short_protocol(target: Target) -> str:
    """Return a few words for how a number is measured; `Evaluation.protocol` has all of it."""
    evaluation = target.evaluation
    extra = [
        "top-5" if target.metric == "top5" else "",
        "mean-max" if evaluation.pooling == "mean_max" else "",
        f"{target.images:,} images" if evaluation.without_blacklist else "",
        f"{target.ensemble} networks" if target.ensemble > 1 else "",
        "more data" if target.extra_data != "none" else "",
    ]
    return ", ".join([_views(evaluation), *filter(None, extra)])


def _views(evaluation: Evaluation) -> str:
    crop, sides = evaluation.crop, evaluation.resize
    scales = f"{sides[0]}" if len(sides) == 1 else f"{len(sides)} scales {min(sides)}..{max(sides)}"
    match evaluation.views:
        case "single_crop" if crop > sides[0]:
            return f"{sides[0]} padded to {crop}"
        case "single_crop" if evaluation.squash and crop == sides[0]:
            return f"squashed to {crop}"
        case "single_crop" if evaluation.window == "inception":
            return f"{crop} from central 87.5%"
        case "single_crop" if evaluation.window:
            return f"crop {crop} of {crop + evaluation.margin}"
        case "single_crop":
            return f"crop {crop} of {scales}"
        case "dense":
            return f"dense {scales}"
    count = {"ten_crop": 10, "crops_144": 144, "crops_150": 150}[evaluation.views]
    return f"{count} crops {crop} of {scales}"


# ---------------------------------------------------------------- headlines


def headlines_json(headlines: Iterable[Headline]) -> dict[str, Any]:
    return {"headlines": [asdict(headline) for headline in headlines]}


def headlines_text(headlines: Sequence[Headline]) -> str:
    """Return a few lines for each headline: what it is, where it stands, which recipe leads to it."""
    return "\n\n".join(map(_headline, headlines))


def _headline(headline: Headline) -> str:
    import textwrap  # the list itself, which must be quick, does without

    facts = [
        ("it is", f"{_decimals(headline.published)}, {headline.network}"),
        ("protocol", headline.protocol),
        ("source", headline.where),
        ("extra data", headline.extra_data),
        ("recipe", ", then ".join(headline.recipes)),
        ("note", headline.remark),
    ]
    indent = " " * 14
    lines = [
        textwrap.fill(text, WIDTH, initial_indent=f"  {label:<12}", subsequent_indent=indent)
        for label, text in facts
    ]
    return "\n".join([f"{headline.family} {headline.top1}", *lines])
