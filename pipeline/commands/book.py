"""`top1 list` and `top1 show`: the recipes and what a run of one would do."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline.commands.options import add_command, add_machine, add_science, print_json, recipe_of


def add(commands: Any) -> None:
    add_command(commands, "list", _list, "every recipe: network, batch, epochs, published target")

    show = add_command(commands, "show", _show, "everything a run would do, before anything runs")
    show.add_argument("recipe", metavar="RECIPE", help="a name from `top1 list`, or path/to/file.py:NAME")
    show.add_argument("--data", type=Path, help="prepared data; without it the official set is supposed")
    show.add_argument("--at", type=float, nargs="+", metavar="EPOCH", help="also the rate at these epochs")
    add_science(show)
    add_machine(show)
    show.add_argument("--nodes", type=int, default=1, help="nodes; --gpus then counts per node (default 1)")


def _list(options: argparse.Namespace) -> int:
    import recipes
    from pipeline import show

    found = list(recipes.all_recipes().values())
    if options.json:
        return print_json({"recipes": [show.summary(recipe) for recipe in found]})
    print(show.list_text(found))
    return 0


def _show(options: argparse.Namespace) -> int:
    from pipeline import show
    from pipeline.planning import data_facts, plan_for
    from pipeline.scale import scale_of_show, scale_text

    facts = data_facts(options.data) if options.data else None
    recipe = recipe_of(options, facts.classes if facts else 10)
    plan = plan_for(recipe, facts or show.supposed_data(recipe), options)
    at, scale = tuple(options.at or ()), scale_of_show(plan, options.nodes)
    if options.json:
        return print_json({**show.show_json(plan, at), "scale": asdict(scale)})
    print(f"{show.show_text(plan, at)}\n\n{scale_text(scale)}")
    return 0
