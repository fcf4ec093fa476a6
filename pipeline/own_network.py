"""Networks of a user's own: a constructor `path/to/file.py:NAME`. Light; the file is run by `models`.

A run keeps a copy of the file and works with that from then on: training that goes on, evaluation and the
registered model see the network that was trained, whatever becomes of the file.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from pipeline.errors import UsageError
from recipes.schema import Recipe

NETWORK = "network.py"  # in a run folder


def file_of(constructor: str) -> Path | None:
    """Return the file of a constructor, None for a library's."""
    path, _, name = constructor.rpartition(":")
    return Path(path) if path.endswith(".py") and name else None


def located(recipe: Recipe, beside: Path) -> Recipe:
    """Return the recipe with the whole path of its network's file, which is meant from the folder `beside`.

    Raises UsageError where there is no such file.
    """
    file = file_of(recipe.model.constructor)
    if file is None:
        return recipe
    file = (beside / file).resolve()
    if not file.is_file():
        raise UsageError(f"there is no file {file}, from which {recipe.name} takes its network.")
    return _from(recipe, file)


def keep(recipe: Recipe, folder: Path) -> None:
    """Copy the file of a recipe's network, if it has one, into a new run folder."""
    file = file_of(recipe.model.constructor)
    if file and file != folder.absolute() / NETWORK:
        shutil.copyfile(file, folder / NETWORK)


def kept(recipe: Recipe, folder: Path) -> Recipe:
    """Return the recipe with its network from a run folder, where it is not a library's."""
    return _from(recipe, (folder / NETWORK).absolute()) if file_of(recipe.model.constructor) else recipe


def portable(recipe: Recipe) -> Recipe:
    """Return the recipe without the path of its network's file, which differs from place to place."""
    return _from(recipe, Path(NETWORK)) if file_of(recipe.model.constructor) else recipe


def _from(recipe: Recipe, file: Path) -> Recipe:
    name = recipe.model.constructor.rpartition(":")[2]
    return replace(recipe, model=replace(recipe.model, constructor=f"{file}:{name}"))
