"""The first page of a prepared data set: what it is, without opening what is in it.

A prepared folder has `manifest.json` (this header) and `manifest.parquet` (one row an image, `manifest.py`).
Light: standard library only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeVar

from pipeline.errors import Top1Error

T = TypeVar("T")

VERSION = 1
HEADER_NAME = "manifest.json"
BODY_NAME = "manifest.parquet"


@dataclass(frozen=True)
class SplitCount:
    """How many images, of how many classes."""

    images: int
    classes: int


@dataclass(frozen=True)
class Header:
    """What a data set is.

    classes: the folder names (wnids), in the order of the labels. fingerprint: sha256 over the sorted
    (basename, sha256, wnid) of all images; the same for any layout of the same images.
    official: how it was proven to be the published set, else None. command: what made it.
    changes: what was done to the images, one sentence each (a short side that was capped, ...).
    repairs: files that were odd or broken and what was done, one sentence each; such a file's checksum is
    that of the mended one. archives: md5 of each published archive that was read, by what it holds.
    """

    version: int
    name: str
    classes: tuple[str, ...]
    splits: Mapping[str, SplitCount]
    fingerprint: str
    official: str | None
    command: str
    changes: tuple[str, ...] = ()
    repairs: tuple[str, ...] = ()
    archives: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1) + "\n"


def read_header(folder: str | Path) -> Header:
    """Read the header of a prepared folder. Raises Top1Error where there is none, or a damaged one."""
    folder = Path(folder)
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise Top1Error(
            f"data folder {folder} {what}; give the folder of a prepared set (see `top1 prep --help`)"
        )
    path = folder / HEADER_NAME
    if not path.exists():
        raise Top1Error(_no_manifest(folder))
    try:
        return _parse(json.loads(path.read_text(encoding="utf-8")))
    except (
        ValueError,
        KeyError,
        TypeError,
    ) as error:  # not JSON, not UTF-8, a field missing or of another kind
        raise Top1Error(
            f"{path} is damaged ({error!r}); it is written in one piece, so it was changed afterwards. "
            f"Write it again with `top1 prep folder {folder}`."
        ) from error


def _no_manifest(folder: Path) -> str:
    if any((folder / "train").glob("*/*")):
        return f"{folder} has images but no {HEADER_NAME}; index it once with `top1 prep folder {folder}`"
    return (
        f"{folder} has no {HEADER_NAME} and no train/<class>/ folders, so it is no data set. "
        f"Give the folder of a prepared set, or make a small one with `top1 prep demo {folder}`."
    )


def _parse(document: Mapping[str, object]) -> Header:
    version = document["version"]
    if version != VERSION:
        raise ValueError(f"version {version}, and this program reads version {VERSION}")
    splits = _typed(document, "splits", dict)
    official = document["official"]
    return Header(
        version=VERSION,
        name=_typed(document, "name", str),
        classes=tuple(_typed(document, "classes", list)),
        splits={
            name: SplitCount(int(count["images"]), int(count["classes"])) for name, count in splits.items()
        },
        fingerprint=_typed(document, "fingerprint", str),
        official=None if official is None else str(official),
        command=_typed(document, "command", str),
        changes=tuple(_typed(document, "changes", list)),
        repairs=tuple(_typed(document, "repairs", list)) if "repairs" in document else (),
        archives=_typed(document, "archives", dict) if "archives" in document else {},
    )


def _typed(document: Mapping[str, object], key: str, kind: type[T]) -> T:
    value = document[key]
    if not isinstance(value, kind):
        raise TypeError(f"{key} is a {type(value).__name__}, not a {kind.__name__}")
    return value
