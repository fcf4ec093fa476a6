"""Files that do not decode: what is told of one, how many a run may have, and the list in its folder.

The rule of training. A draw whose window does not decode is replaced by the draw of the next image in the
manifest, with that image's label, and so on until one decodes. Whether a window decodes is a property of
the file, so what replaces it is a function of (seed, epoch, index, repeat) alone: the same at any world
size, after a resume, and whether or not the file was met before. A file that is cut short may serve where
a window lies above the cut, and be replaced where it does not; on a GPU it is always replaced.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.errors import Top1Error
from pipeline.say import say

BAD_FILES = "bad_files.jsonl"  # in a run folder
UNREADABLE = "cannot be read as an image"  # it is gone, empty, or does not decode


@dataclass(frozen=True)
class BadFile:
    """An image that could not be used. path: as `Split.path` names it. epoch: in which it was met first."""

    index: int
    path: str
    reason: str
    epoch: int


def most_bad_files(images: int, share: float) -> int:
    """Return how many files may be bad: that share of the images, cut down, but at least one."""
    return max(1, int(images * share))


def too_many(found: int, images: int, share: float, last: BadFile) -> Top1Error:
    return Top1Error(
        f"{found} of {images} training images cannot be read, more than {share:.3%} of them; the last was "
        f"{last.path} ({last.reason}). Run `top1 prep verify` on the data, then mend or remove what it names."
    )


def list_in(folder: Path) -> Callable[[BadFile], int]:
    """Return what appends a file to the list of a run folder, and tells of it, unless it is there.

    It returns how many the list has then. One line of JSON each. Ranks share the list: a line is one append.
    """

    def append(bad: BadFile) -> int:
        if bad.index not in _listed(folder):
            with (folder / BAD_FILES).open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(bad)) + "\n")
            text = f"{bad.path} {UNREADABLE} ({bad.reason}); the next image takes its place ({BAD_FILES})"
            say(text)
        return replaced_images(folder)

    return append


def replaced_images(folder: Path) -> int:
    """Return how many images of a run were replaced at least once, over all its attempts and processes."""
    return len(_listed(folder))


def _listed(folder: Path) -> set[int]:
    path = folder / BAD_FILES
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    return {index for index in map(_index, lines) if index is not None}


def _index(line: str) -> int | None:
    """Return the index that a line of the list is of, None for a torn or foreign one."""
    try:
        return int(json.loads(line)["index"])
    except (KeyError, TypeError, ValueError):
        return None
