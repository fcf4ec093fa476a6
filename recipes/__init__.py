"""The book of recipes: one module per family, pure data, standard library only."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from recipes.schema import Recipe

# In the order of the lineage, which is the order of `top1 list`.
_FAMILIES = (
    "lenet", "alexnet", "vgg", "googlenet", "inception", "resnet", "densenet", "resnext", "res2net", "senet",
    "dpn", "dla", "mobilenet", "shufflenet", "efficientnet", "efficientnet_v2",
)  # fmt: skip


class UnknownRecipeError(LookupError):
    """There is no recipe of this name; `names` are those there are."""

    def __init__(self, name: str, names: list[str]) -> None:
        super().__init__(f"there is no recipe {name!r}")
        self.name, self.names = name, names


@cache
def all_recipes() -> dict[str, Recipe]:
    """Return every recipe of the book by its name, in the order of the lineage."""
    found = [recipe for module in families() for recipe in _recipes_of(module)]
    return {recipe.name: recipe for recipe in found}


def families() -> list[ModuleType]:
    """Return the modules of the book, in the order of the lineage."""
    return [importlib.import_module(f"recipes.{name}") for name in _FAMILIES]


def get(name: str) -> Recipe:
    """Return the recipe called `name`, or that of `path/to/file.py:NAME`. Raises UnknownRecipeError."""
    path, colon, variable = name.rpartition(":")
    if colon and path.endswith(".py"):
        return load_file(Path(path), variable)
    book = all_recipes()
    if name not in book:
        raise UnknownRecipeError(name, list(book))
    return book[name]


def load_file(path: Path, variable: str) -> Recipe:
    """Return the Recipe called `variable` in a Python file of one's own.

    Raises FileNotFoundError when there is no such file, UnknownRecipeError when it has no such recipe.
    """
    if not path.is_file():
        raise FileNotFoundError(path)
    found = run_file(path)
    recipe = found.get(variable)
    if not isinstance(recipe, Recipe):
        names = [key for key, value in found.items() if isinstance(value, Recipe)]
        raise UnknownRecipeError(variable, names)
    return recipe


def run_file(path: Path) -> dict[str, Any]:
    """Run a Python file of one's own; return what it names. Raises whatever it raises."""
    spec = importlib.util.spec_from_file_location(f"own_{path.stem}", path)
    assert spec is not None  # a .py file has a spec and a loader
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # where a dataclass, or torch.compile, looks it up
    spec.loader.exec_module(module)
    return vars(module)


def _recipes_of(module: ModuleType) -> list[Recipe]:
    return [value for value in vars(module).values() if isinstance(value, Recipe)]
