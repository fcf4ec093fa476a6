"""Whether what stands in a recipe is of the types that the schema says; nothing of its sense."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from recipes import schema


def wrong_types(value: Any, path: str = "") -> Iterator[str]:
    """Yield a sentence for each field of a dataclass, and of those in it, that is of another type."""
    hints = typing.get_type_hints(type(value), vars(schema))
    for field in dataclasses.fields(value):
        item, where = getattr(value, field.name), f"{path}{field.name}"
        if not is_of(item, hints[field.name]):
            yield f"{where} is {item!r}, not {type_name(hints[field.name])}"
            continue
        if not _is_finite(item):
            yield f"{where} is {item!r}, which is not finite"
        for part in item if isinstance(item, tuple) else (item,):
            if dataclasses.is_dataclass(part) and not isinstance(part, type):
                yield from wrong_types(part, f"{where}.")


def _is_finite(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def is_of(value: Any, wanted: Any) -> bool:
    """Whether a value is of an annotated type of the schema; a whole number passes for a float."""
    origin = typing.get_origin(wanted)
    if wanted is Any:
        return True
    if origin in (typing.Union, types.UnionType):
        return any(is_of(value, part) for part in typing.get_args(wanted))
    if origin is typing.Literal:
        return value in typing.get_args(wanted)
    if origin is tuple:
        return isinstance(value, tuple) and _are_of(value, typing.get_args(wanted))
    if origin is Mapping:
        return isinstance(value, Mapping)
    if wanted is type(None):
        return value is None
    if wanted in (int, float):
        return isinstance(value, int if wanted is int else int | float) and not isinstance(value, bool)
    return isinstance(wanted, type) and isinstance(value, wanted)


def _are_of(values: tuple[Any, ...], wanted: tuple[Any, ...]) -> bool:
    """Whether the items of a tuple are of `tuple[A, B]` or `tuple[A, ...]`."""
    if len(wanted) == 2 and wanted[1] is ...:
        return all(is_of(value, wanted[0]) for value in values)
    return len(values) == len(wanted) and all(map(is_of, values, wanted))


def type_name(wanted: Any) -> str:
    """Return what a value of a type is, for a refusal."""
    if typing.get_origin(wanted) is typing.Literal:
        return "one of " + ", ".join(map(str, typing.get_args(wanted)))
    if typing.get_origin(wanted) is tuple:
        return f"a value of type {wanted}"
    return f"a value of type {getattr(wanted, '__name__', wanted)}"
