"""`top1 list` and `top1 show`: the recipes and what a run of one would do."""

from __future__ import annotations

import argparse
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.commands.options import (
    add_command,
    add_machine,
    add_runs,
    add_science,
    kept_paths,
    positive,
    print_json,
    recipe_of,
)
from pipeline.errors import Top1Error, UsageError
from pipeline.say import say

if TYPE_CHECKING:
    from pipeline.forecast import Forecast
    from pipeline.plan import Plan
    from pipeline.scale import Scale


def add(commands: Any) -> None:
    listing = add_command(commands, "list", _list, "every recipe: network, batch, epochs, published target")
    listing.add_argument("--family", metavar="NAME", help="only this family, e.g. --family resnet")
    listing.add_argument(
        "--headlines", action="store_true", help="the best-known number of each family, and what it really is"
    )

    show = add_command(commands, "show", _show, "everything a run would do, before anything runs")
    show.add_argument("recipe", metavar="RECIPE", help="a name from `top1 list`, or path/to/file.py:NAME")
    show.add_argument("--data", type=Path, help="prepared data; without it the official set is supposed")
    show.add_argument("--at", type=float, nargs="+", metavar="EPOCH", help="also the rate at these epochs")
    add_science(show)
    add_machine(show)
    show.add_argument(
        "--probe", action="store_true", help="and take one step of the largest stage here: memory and time"
    )
    show.add_argument(
        "--measured", type=Path, nargs="+", default=[], metavar="PATH",
        help="what `top1 bench stages RECIPE` kept, to forecast from (default .top1/bench)",
    )  # fmt: skip
    add_runs(show, "whose finished runs stand beside the forecast")
    show.add_argument(
        "--nodes", type=positive, default=1, help="nodes; --gpus then counts per node (default 1)"
    )


def _list(options: argparse.Namespace) -> int:
    import recipes
    from pipeline import book_list

    if options.headlines:
        from recipes.headlines import HEADLINES

        if options.family:
            raise UsageError(
                "--headlines has one number a family and takes no --family; leave one of them out."
            )
        if options.json:
            return print_json(book_list.headlines_json(HEADLINES))
        print(book_list.headlines_text(HEADLINES))
        return 0
    found = book_list.of_family(list(recipes.all_recipes().values()), options.family)
    if options.json:
        return print_json({"recipes": [book_list.summary(recipe) for recipe in found]})
    print(book_list.list_text(found))
    return 0


def _show(options: argparse.Namespace) -> int:
    from pipeline import show
    from pipeline.forecast import forecast_text, held_against, held_text
    from pipeline.planning import data_facts, plan_for
    from pipeline.probe import probe, probe_text
    from pipeline.recipe_page import page
    from pipeline.scale import scale_of_show, scale_text
    from recipes.citations import citations

    facts = data_facts(options.data) if options.data else None
    recipe = recipe_of(options, facts.classes if facts else 10)
    plan = plan_for(recipe, facts or show.supposed_data(recipe), options)
    at, scale = tuple(options.at or ()), scale_of_show(plan, options.nodes)
    file = options.recipe.rpartition(":")[0]
    cited = citations(recipe, Path(file) if file.endswith(".py") else None)
    if plan.deterministic:  # for the probe's process; torch refuses cuBLAS without
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    probed = probe(plan) if options.probe else None
    answers = _kept(options.measured)
    expected = _forecast(plan, options.data, scale, answers)
    held = held_against(plan.recipe.name, options.runs, answers)
    if options.json:
        found: dict[str, Any] = {"probe": probed} if probed else {}
        found |= {"forecast": expected and asdict(expected), "finished": [asdict(one) for one in held]}
        return print_json({**show.show_json(plan, at, cited), "scale": asdict(scale), **found})
    print(f"{page(plan, at, cited)}\n\n{scale_text(scale)}")
    if expected:
        print("\n" + "\n".join(filter(None, [forecast_text(plan, expected), held_text(held)])))
    if probed:
        print(f"\n{probe_text(plan, probed)}")
    return 0


def _kept(given: list[Path]) -> list[Any]:
    """Return the answers of benches. Raises Top1Error for a file that is none, where it was asked for."""
    from pipeline.bench.kept import kept

    try:
        return kept(kept_paths(given))
    except Top1Error as error:
        if given:
            raise
        say(f"no forecast: {error}")
        return []


def _forecast(plan: Plan, data: Path | None, scale: Scale, answers: list[Any]) -> Forecast | None:
    from pipeline.forecast import forecast, newest_for
    from pipeline.scale import BYTES_AN_IMAGE

    measured = newest_for(plan, answers)
    if measured is None:
        return None
    image_bytes = BYTES_AN_IMAGE
    if data:
        from pipeline.data.manifest import mean_bytes

        image_bytes = mean_bytes(data)
    return forecast(plan, measured, image_bytes, scale.checkpoint_bytes)
