"""A protocol as people write it, `ten_crop 224/256 bicubic`, and what it comes to. Pure and light."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from pipeline.errors import UsageError, nearest
from recipes.schema import Evaluation, Interpolation, Views

_SIZES = re.compile(r"(\d+)/(\d+(?:,\d+)*)")
_WINDOW = re.compile(r"(efficientnet|efficientnet_v2)_window\+(\d+)")
_LARGEST = 10_000  # pixels a side
GRID = 5  # crops_150: positions a side (Simonyan & Zisserman 2014 §4.3)
_WORDS: dict[str, dict[str, Any]] = {
    **{views: {"views": views} for views in typing.get_args(Views)},
    **{kind: {"interpolation": kind} for kind in typing.get_args(Interpolation)},
    "squash": {"squash": True},
    "central_square": {"central_square": True},
    "inception_window": {"window": "inception"},
    "no_antialias": {"antialias": False},
    "mean_of_scores": {"average": "scores"},
    "mean_max_pooling": {"pooling": "mean_max"},
    "without_blacklist": {"without_blacklist": True},
    "raw_weights": {"ema": False},
}


def count_views(evaluation: Evaluation) -> int:
    """Return how many views of an image a protocol averages."""
    a_scale = {"single_crop": 1, "ten_crop": 10, "dense": 2, "crops_144": 36, "crops_150": 2 * GRID**2}
    return a_scale[evaluation.views] * len(evaluation.resize)


def protocol_of(text: str) -> Evaluation:
    """Read a protocol in the words of `Evaluation.protocol`, in any order; what is left out is the default.

    Raises UsageError, naming the word, for one that is none.
    """
    words = text.split()
    sizes = [match for match in map(_SIZES.fullmatch, words) if match]
    if len(sizes) != 1:
        raise UsageError(
            f"--protocol {text!r} has {len(sizes)} sizes; write one CROP/SHORT_SIDE, as in "
            "'ten_crop 224/256 bicubic', or several short sides as in 'dense 224/256,384,512'."
        )
    evaluation = Evaluation(int(sizes[0][1]), tuple(map(int, sizes[0][2].split(","))))
    for word in words:
        evaluation = replace(evaluation, **_fields(word, text))
    return checked(evaluation)


def checked(evaluation: Evaluation) -> Evaluation:
    """Return a protocol that can be measured. Raises UsageError for one that says nonsense."""
    name, crop, least = evaluation.protocol, evaluation.crop, min(evaluation.resize)
    if min(crop, least) < 1:
        raise UsageError(f"--protocol {name!r} has an image of no pixels.")
    if max(crop, *evaluation.resize) > _LARGEST:
        raise UsageError(f"--protocol {name!r} has an image of more than {_LARGEST} pixels a side.")
    if evaluation.views in ("ten_crop", "crops_144", "crops_150") and least < crop:
        raise UsageError(
            f"--protocol {name!r} cuts crops of {crop} pixels from images of {least}; "
            "give short sides that are at least the crop."
        )
    if evaluation.central_square and evaluation.views == "dense":
        raise UsageError(f"--protocol {name!r}: dense sees whole images; leave central_square out.")
    return evaluation


def nearest_protocol(evaluation: Evaluation, others: Iterable[Evaluation]) -> int | None:
    """Return which of some protocols, by number, is this very one; None where there is none."""
    return next((i for i, other in enumerate(others) if other.protocol == evaluation.protocol), None)


def _fields(word: str, text: str) -> dict[str, Any]:
    if _SIZES.fullmatch(word):
        return {}
    if window := _WINDOW.fullmatch(word):
        return {"window": window[1], "margin": int(window[2])}
    if word not in _WORDS:
        known = [*_WORDS, "efficientnet_window+32", "efficientnet_v2_window+32"]
        raise UsageError(f"--protocol {text!r}: {word!r} is no word of a protocol{nearest(word, known)}")
    return _WORDS[word]
