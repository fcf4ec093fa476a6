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
from pipeline.weight_file import check_weight_file
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
    started = recipe.starts_from
    if started and not (options.new_head or options.train_only):
        if options.init.is_dir():
            if name != started.recipe:
                raise UsageError(
                    f"{options.init} is of {name}, and {recipe.name} begins with {started.recipe}. Give a "
                    "run of that, or a weight file."
                )
            _check_ended(options)
            return recipe
        start = replace(started, recipe=name)  # weights like those, from elsewhere
    else:
        start = StartFrom(name, new_head=options.new_head, trained=tuple(options.train_only))
        _refuse_other_network(recipe, options.init)
    _check_ended(options)
    how = " ".join(["starts_from:", name, *(["new head"] if start.new_head else []), *start.trained])
    return replace(recipe, name=f"{recipe.name}+init", starts_from=start, modified=(*recipe.modified, how))


def _init_name(path: Path) -> str:
    """Return the recipe whose weights a run folder holds, or the name of a weight file."""
    if not path.exists():
        raise UsageError(f"there is no {path} to begin with; --init wants a run folder or a weight file.")
    if path.is_dir():
        return runs.read_plan(path).recipe.name
    check_weight_file(path)
    return path.name


def _check_ended(options: argparse.Namespace) -> None:
    """Raise UsageError where --init is a run that has not ended, and is not waited for."""
    init = options.init
    if init.is_dir() and not (init / runs.WEIGHTS).exists() and not getattr(options, "after", None):
        raise UsageError(
            f"{init} has not ended: it has no {runs.WEIGHTS}. Train it to its end, `submit --after` it, or "
            f"give --init one of its {runs.CHECKPOINTS}/."
        )


def _refuse_other_network(recipe: Recipe, init: Path) -> None:
    """Raise UsageError where the weights, a run's or a file's in its folder, are of another network."""
    places = [init] if init.is_dir() else [init.resolve().parent, init.resolve().parent.parent]
    home = next((place for place in places if (place / runs.PLAN).is_file()), None)
    if home is None:
        return
    theirs, ours = portable(runs.read_plan(home).recipe), portable(recipe)
    other = theirs.model.constructor
    if other != ours.model.constructor:
        raise UsageError(
            f"{init} holds the weights of {other}, and {recipe.name} is {recipe.model.constructor}. Give "
            "--init those of the same network."
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
