"""What a recipe's numbers are cited with: the comments of its module, by the field's path.

A recipe is data, so its comments are not in it; they are read from the source text (standard library only).
Module constants are followed, also into another module of the book, and so are `replace(CONSTANT, field=...)`
and starred tuples.
"""

from __future__ import annotations

import ast
import dataclasses
import io
import sys
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import recipes
from recipes import schema
from recipes.schema import Recipe

_FIELDS = {
    name: [f.name for f in dataclasses.fields(kind)]
    for name, kind in vars(schema).items()
    if isinstance(kind, type) and dataclasses.is_dataclass(kind)
}


def citations(recipe: Recipe, path: Path | None = None) -> dict[str, str]:
    """Return the citation of each leaf of a recipe by its path in `field_paths`, and of parts that have one.

    path: the file that holds the recipe, for one that is not in the book.
    What its module leaves to the schema is "default of CLASS"; what --set or --tiny changed is
    "changed: OLD -> NEW". Missing is what the module has no comment on: names, and some switches.
    """
    name = recipe.name.split("+")[0]
    path = path or _module_of(name)
    changes = dict(change.split(": ", 1) for change in recipe.modified if ": " in change)
    return {
        **{leaf: f"default of {kind}" for leaf, kind in _defaults(recipe, "")},
        **(read_citations(path, name) if path else {}),
        **{leaf: f"changed: {change}" for leaf, change in changes.items()},
    }


def read_citations(path: Path, name: str) -> dict[str, str]:
    """Return what the comments of the module at `path` say of its recipe called `name`, by path.

    Empty when the module has no such call.
    """
    module = _read(path)
    for call in module.constants.values():
        if isinstance(call, ast.Call) and any(_is_name(keyword, name) for keyword in call.keywords):
            return dict(_walk(module, call, ""))
    return {}


@dataclasses.dataclass(frozen=True)
class _Module:
    """constants: what each name of the module stands for. imports: name -> the book's module it comes from.

    comments: line -> the comment at its end; lines that are nothing but a comment have none.
    """

    constants: dict[str, ast.expr]
    imports: dict[str, Path]
    comments: dict[int, str]


@cache
def _read(path: Path) -> _Module:
    text = path.read_text(encoding="utf-8")
    constants: dict[str, ast.expr] = {}
    imports: dict[str, Path] = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            constants[node.targets[0].id] = node.value
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("recipes."):
            file = getattr(sys.modules.get(node.module or ""), "__file__", None)
            imports |= {alias.asname or alias.name: Path(file) for alias in node.names if file}
    return _Module(constants, imports, dict(_comments(text)))


def _comments(text: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT and token.line[: token.start[1]].strip():
            yield token.start[0], token.string.lstrip("# ")


# A place is an expression and the module it is written in.
_Place = tuple[_Module, ast.expr]


def _walk(module: _Module, node: ast.expr, path: str) -> Iterator[tuple[str, str]]:
    """Yield (path, citation) of a value and of all inside it; of two for one path the later holds."""
    owner, value = _resolve(module, node)
    kind = _kind(owner, value)
    parts = list(_parts(owner, value))
    if kind and isinstance(value, ast.Call):
        if _called(value) == "replace":
            yield from _walk(*_resolve(owner, value.args[0]), path)
        said = _opening(owner, value) or (_said(module, node) if node is not value else "")
        if said and path:
            yield path, said
        names = _FIELDS[kind] if _called(value) == kind else []
        for name, argument in _arguments(value, names):
            yield from _walk(owner, argument, f"{path}.{name}" if path else name)
    elif parts:
        for within, part in parts:
            yield from _walk(within, part, f"{path}.{_kind(within, part)}")
    elif said := _said(module, node) or _said(owner, value) or _said_inside(owner, value):
        yield path, said


def _resolve(module: _Module, node: ast.expr) -> _Place:
    """Follow a name to what it stands for."""
    while isinstance(node, ast.Name):
        if node.id in module.imports:
            module = _read(module.imports[node.id])
        if node.id not in module.constants:
            break
        node = module.constants[node.id]
    return module, node


def _parts(module: _Module, node: ast.expr) -> Iterator[_Place]:
    """Yield the dataclasses of the schema in a tuple, stars unpacked."""
    for element in node.elts if isinstance(node, ast.Tuple) else ():
        if isinstance(element, ast.Starred):
            yield from _parts(*_resolve(module, element.value))
        elif _kind(module, element):
            yield module, element


def _kind(module: _Module, node: ast.expr) -> str:
    """Return the schema's class that an expression makes, "" for none."""
    owner, value = _resolve(module, node)
    if isinstance(value, ast.Call) and _called(value) == "replace":
        return _kind(owner, value.args[0])
    return _called(value) if _called(value) in _FIELDS else ""


def _called(node: ast.expr) -> str:
    return node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""


def _arguments(call: ast.Call, names: list[str]) -> list[tuple[str, ast.expr]]:
    by_position = list(zip(names, call.args, strict=False))
    return by_position + [(k.arg, k.value) for k in call.keywords if k.arg]


def _is_name(keyword: ast.keyword, name: str) -> bool:
    return keyword.arg == "name" and isinstance(keyword.value, ast.Constant) and keyword.value.value == name


def _opening(module: _Module, call: ast.Call) -> str:
    """Return what is said of a part as a whole: on the line that opens it, if its fields are on others."""
    alone = call.end_lineno != call.lineno or not (call.args or call.keywords)
    return module.comments.get(call.lineno, "") if alone else ""


def _said(module: _Module, node: ast.expr) -> str:
    """Return the comments at the ends of an expression's lines, each once."""
    lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
    return "; ".join(dict.fromkeys(module.comments[line] for line in lines if line in module.comments))


def _said_inside(module: _Module, node: ast.expr) -> str:
    """Return what is said of the constants that an expression is made of."""
    names = [n for n in ast.walk(node) if isinstance(n, ast.Name) and n.id in module.constants]
    return "; ".join(dict.fromkeys(filter(None, (_said(*_resolve(module, name)) for name in names))))


def _module_of(name: str) -> Path | None:
    """Return the file of the book's module that holds the recipe called `name`."""
    for module in recipes.families():
        if any(isinstance(value, Recipe) and value.name == name for value in vars(module).values()):
            return Path(module.__file__) if module.__file__ else None
    return None


def _defaults(value: Any, prefix: str) -> Iterator[tuple[str, str]]:
    """Yield the path of each leaf whose value is the default of its class, and the class's name."""
    for f in dataclasses.fields(value):
        item, path = getattr(value, f.name), f"{prefix}{f.name}"
        if dataclasses.is_dataclass(item):
            yield from _defaults(item, f"{path}.")
        elif isinstance(item, tuple) and item and dataclasses.is_dataclass(item[0]):
            for part in item:
                yield from _defaults(part, f"{path}.{type(part).__name__}.")
        elif f.default == item:
            yield path, type(value).__name__
