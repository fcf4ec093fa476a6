"""What a run leaves beside its figures, so that it can be done again: its recipe's source, its environment.

Light. Written when the first attempt begins; the environment again when an attempt finds another one.
"""

from __future__ import annotations

import platform
import re
import sys
from importlib import metadata
from pathlib import Path
from pprint import pformat

import recipes
from recipes.schema import Recipe

RECIPE = "recipe.py"
ENVIRONMENT = "environment.txt"

_WIDTH = 110


def keep_snapshot(folder: Path, recipe: Recipe, changed: int | None = None) -> None:
    """Write both files into a run folder that has none yet.

    changed: the attempt that is the first with another version of the code or its libraries; environment.txt
    stays as it is, and the new one is beside it, as environment.<attempt>.txt.
    """
    name = f"environment.{changed}.txt" if changed else ENVIRONMENT
    for path, text in ((folder / RECIPE, recipe_source), (folder / name, lambda _: environment())):
        if not path.exists():
            path.write_text(text(recipe), encoding="utf-8")


def environments(folder: Path) -> list[Path]:
    """Return the environments that a run was trained in, in order."""
    later = {
        int(match[1]): path
        for path in folder.glob("environment.*.txt")
        if (match := re.fullmatch(r"environment\.(\d+)\.txt", path.name))
    }
    return [path for path in (folder / ENVIRONMENT, *(later[n] for n in sorted(later))) if path.exists()]


def recipe_source(recipe: Recipe) -> str:
    """Return a recipe as Python: its module of the book, citations and all, else the values it has.

    What `--set` and `--tiny` changed is not in the book's module and stands below it.
    """
    values = f"{pformat(recipe, width=_WIDTH)}\n"
    name = recipe.name.partition("+")[0]
    for path in sorted(Path(recipes.__file__).parent.glob("*.py")):
        text = path.read_text(encoding="utf-8")
        if re.search(rf'\bname="{re.escape(name)}"', text):
            return f"{text}\n\n# As trained:\n{values}" if recipe.modified else text
    return values


def environment() -> str:
    """Return the interpreter, the system, and each installed distribution as `name==version`, no address."""
    found = {one.metadata["Name"]: one.version for one in metadata.distributions()}
    lines = [f"{name}=={found[name]}" for name in sorted(found, key=str.lower)]
    head = f"# Python {platform.python_version()} ({sys.implementation.name}), {platform.platform()}"
    return "\n".join([head, *lines]) + "\n"
