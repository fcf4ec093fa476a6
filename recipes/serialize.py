"""A recipe as plain JSON data and back: how plan.json carries the recipe that a job trains.

Every dataclass becomes {"kind": class name, field: value, ...}, so unions need no guessing.
Knows the schema's types and nothing else.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any

from recipes import schema

_KINDS = {
    name: kind
    for name, kind in vars(schema).items()
    if isinstance(kind, type) and dataclasses.is_dataclass(kind)
}


def to_dict(value: Any) -> Any:
    """Return `value`, a dataclass of the schema or what its fields hold, as JSON data."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: to_dict(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"kind": type(value).__name__, **fields}
    if isinstance(value, tuple):
        return [to_dict(item) for item in value]
    if isinstance(value, Mapping):
        return {key: to_dict(item) for key, item in value.items()}
    return value


def from_dict(data: Any) -> Any:
    """Rebuild what `to_dict` wrote. Raises ValueError for an unknown kind or field."""
    if isinstance(data, list):
        return tuple(from_dict(item) for item in data)
    if not isinstance(data, dict):
        return data
    if "kind" not in data:
        return {key: from_dict(item) for key, item in data.items()}
    kind = _KINDS.get(data["kind"])
    if kind is None:
        raise ValueError(f"{data['kind']!r} is not a kind of the recipe schema")
    names = {f.name for f in dataclasses.fields(kind)}
    unknown = set(data) - names - {"kind"}
    if unknown:
        raise ValueError(f"{data['kind']} has no field {sorted(unknown)[0]!r}")
    return kind(**{key: from_dict(item) for key, item in data.items() if key != "kind"})


def field_paths(value: Any, prefix: str = "") -> dict[str, Any]:
    """Return every settable leaf of a recipe by its dotted path, e.g. {"optimizer.lr": 0.1}.

    An element of a tuple of dataclasses is named by its class: "data.augment.RandAugment.magnitude".
    """
    paths: dict[str, Any] = {}
    for f in dataclasses.fields(value):
        item = getattr(value, f.name)
        path = f"{prefix}{f.name}"
        if dataclasses.is_dataclass(item):
            paths.update(field_paths(item, f"{path}."))
        elif isinstance(item, tuple) and item and dataclasses.is_dataclass(item[0]):
            for element in item:
                paths.update(field_paths(element, f"{path}.{type(element).__name__}."))
        else:
            paths[path] = item
    return paths


def with_value(value: Any, path: str, new: Any) -> Any:
    """Return a copy of a recipe with the leaf at a dotted path of `field_paths` replaced."""
    head, _, rest = path.partition(".")
    item = getattr(value, head)
    if not rest:
        return dataclasses.replace(value, **{head: new})
    if isinstance(item, tuple):
        name, _, inner = rest.partition(".")
        new_items = tuple(
            with_value(element, inner, new) if type(element).__name__ == name else element for element in item
        )
        return dataclasses.replace(value, **{head: new_items})
    return dataclasses.replace(value, **{head: with_value(item, rest, new)})


def leaf_type(root: type, path: str) -> Any:
    """Return the declared type of the leaf at a dotted path of `field_paths`, for reading it from text."""
    kind: Any = root
    parts = path.split(".")
    while parts:
        name = parts.pop(0)
        if name in _KINDS:
            kind = _KINDS[name]
            continue
        kind = typing.get_type_hints(_dataclass_with(kind, name), vars(schema))[name]
    return kind


def _dataclass_with(kind: Any, name: str) -> Any:
    """Return the dataclass among `kind` (a class, a union or a tuple of them) that has the field."""
    for candidate in _classes(kind):
        if any(f.name == name for f in dataclasses.fields(candidate)):
            return candidate
    raise ValueError(f"{kind} has no field {name!r}")


def _classes(kind: Any) -> list[Any]:
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return [kind]
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) in (typing.Union, tuple):
        return [c for arg in typing.get_args(kind) for c in _classes(arg)]
    return []
