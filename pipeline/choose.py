"""From what a person typed to a recipe: a name, `--set` changes, `--tiny`, `--init`. Light."""

from __future__ import annotations

import argparse
import ast
import typing
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import recipes
from pipeline import runs
from pipeline.errors import RAISED_BY_CODE, UsageError, nearest
from pipeline.own_network import located, portable
from pipeline.tiny import TINY, tiny
from recipes.checks import problems
from recipes.kinds import is_of, type_name
from recipes.schema import Recipe, StartFrom
from recipes.serialize import field_paths, leaf_type, with_value


def choose_recipe(name: str, changes: Sequence[str], small: bool, classes: int) -> Recipe:
    """Return the recipe `name` (or path/to/file.py:NAME) with changes, which come after shrinking.

    small: its small form, which the name `NAME+tiny` asks for too. classes: what the data hold, for that.

    Raises UsageError, with the nearest names, when there is no such recipe or field.
    """
    recipe = named_recipe(name.removesuffix(TINY))
    _refuse_borrowed_name(recipe)
    if small or name.endswith(TINY):
        recipe = tiny(recipe, classes)
    for change in changes:
        recipe = set_field(recipe, change)
    found = problems(recipe)
    if found:
        raise UsageError(f"{found[0]}. Correct the recipe or the --set.")
    file = Path(name.rpartition(":")[0])
    return located(recipe, file.parent if file.suffix == ".py" else Path())


def _refuse_borrowed_name(recipe: Recipe) -> None:
    """Raise UsageError for a recipe of one's own that would be taken for the book's."""
    if recipes.all_recipes().get(recipe.name, recipe) != recipe:
        raise UsageError(
            f"this recipe has the name of the book's {recipe.name} and is another. Give it one of its own, "
            f"e.g. name='my-{recipe.name}'."
        )


def named_recipe(name: str) -> Recipe:
    """Return a recipe by name or file, unchanged."""
    if name.endswith(".py"):
        raise UsageError(f"which recipe of {name}? Name its variable: {name}:NAME.")
    try:
        return recipes.get(name)
    except recipes.UnknownRecipeError as error:
        raise UsageError(f"{error}{nearest(error.name, error.names)} `top1 list` shows all.") from error
    except FileNotFoundError as error:
        raise UsageError(
            f"there is no file {error}; a recipe of one's own is path/to/file.py:NAME."
        ) from error
    except RAISED_BY_CODE as error:
        what = f"{type(error).__name__}: {error}".rstrip(": ")
        raise UsageError(f"{Path(name).name} is not a recipe file: {what}. Correct it there.") from error


def with_start(recipe: Recipe, options: argparse.Namespace) -> Recipe:
    """Return the recipe with what --init, --new-head and --train-only say; that is then a changed recipe.

    Raises UsageError when weights that the recipe begins with are not given, or are of another recipe.
    """
    if options.init is None:
        if options.new_head or options.train_only:
            raise UsageError("--new-head and --train-only say how to use other weights: add --init RUN.")
        if recipe.starts_from:
            parent = recipe.starts_from.recipe
            raise UsageError(
                f"{recipe.name} begins with the weights of {parent}. Train that first, then add --init and "
                f"its run folder, e.g. --init {options.runs}/{parent}/..."
            )
        return recipe
    name = _init_name(options.init)
    if recipe.starts_from and not (options.new_head or options.train_only):
        if name == recipe.starts_from.recipe:
            return recipe
        raise UsageError(
            f"{options.init} is of {name}, and {recipe.name} begins with {recipe.starts_from.recipe}. Give a "
            "run of that."
        )
    _refuse_other_network(recipe, options.init)
    start = StartFrom(name, new_head=options.new_head, trained=tuple(options.train_only))
    how = " ".join(["starts_from:", name, *(["new head"] if start.new_head else []), *start.trained])
    return replace(recipe, name=f"{recipe.name}+init", starts_from=start, modified=(*recipe.modified, how))


def _init_name(path: Path) -> str:
    """Return the recipe whose weights a run folder holds, or the name of a weights file."""
    if not path.exists():
        raise UsageError(f"there is no {path} to begin with; --init wants a run folder or a weights file.")
    return runs.read_plan(path).recipe.name if path.is_dir() else path.name


def _refuse_other_network(recipe: Recipe, init: Path) -> None:
    if not init.is_dir():
        return
    theirs, ours = portable(runs.read_plan(init).recipe), portable(recipe)
    other = theirs.model.constructor
    if other != ours.model.constructor:
        raise UsageError(
            f"{init} holds the weights of {other}, and {recipe.name} is {recipe.model.constructor}. Give "
            "--init a run of the same network."
        )


def set_field(recipe: Recipe, change: str) -> Recipe:
    """Return the recipe derived by `path.of.field=value`; its name and `modified` say so."""
    path, equals, text = change.partition("=")
    if not equals:
        raise UsageError(f"--set {change!r} has no value; write --set optimizer.lr=0.05.")
    paths = {p: v for p, v in field_paths(recipe).items() if p not in ("name", "modified")}
    if path not in paths:
        raise UsageError(
            f"{recipe.name} has no field {path!r}{nearest(path, paths)} `top1 show {recipe.name} --json` "
            "has every field."
        )
    value = _read(text, path)
    changed: Recipe = replace(
        with_value(recipe, path, value),
        name=f"{recipe.name}+{path}={text}".replace("/", "_"),
        modified=(*recipe.modified, f"{path}: {paths[path]} -> {value}"),
    )
    return changed


def _read(text: str, path: str) -> Any:
    """Read a value as the field's type has it. Raises UsageError."""
    wanted = leaf_type(Recipe, path)
    try:
        value = ast.literal_eval(text)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):  # it may be a text
        value = {"true": True, "false": False, "none": None}.get(text.lower(), text)
    if isinstance(value, int) and not isinstance(value, bool) and _accepts(wanted, float):
        value = value if _accepts(wanted, int) else float(value)
    if not is_of(value, wanted):
        raise UsageError(f"--set {path}={text}: {value!r} is not {type_name(wanted)}.")
    return value


def _accepts(wanted: Any, kind: type) -> bool:
    return wanted is kind or kind in typing.get_args(wanted)
