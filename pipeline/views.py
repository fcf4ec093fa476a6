"""What a protocol looks at of a resized image: crops, squares, the whole of it, and mirrors.

Pure functions of tensors. Knows no network and no loader; resizing a square is `data.resize`'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from pipeline.data.resize import resized
from pipeline.protocols import GRID
from recipes.schema import Evaluation

Areas = Sequence[Sequence[Tensor]]  # per scale, per image: (C, h, w), each of its own size


def views_of(evaluation: Evaluation, area: Tensor) -> list[Tensor]:
    """Return what is seen of one resized image (C, h, w), mirrors left out; slices wherever possible.

    Raises ValueError where the image is smaller than a crop.
    """
    match evaluation.views:
        case "single_crop" | "dense":
            return [area]
        case "ten_crop":
            return _cut(area, _corners_and_center(*area.shape[1:], evaluation.crop), evaluation.crop)
        case "crops_150":
            return _cut(area, _grid(*area.shape[1:], evaluation.crop), evaluation.crop)
        case "crops_144":
            return [view for square in _squares(area) for view in _six(square, evaluation)]


def is_mirrored(evaluation: Evaluation) -> bool:
    """Whether a protocol sees every image a second time, left and right exchanged."""
    return evaluation.views != "single_crop"


def passes(evaluation: Evaluation, areas: Areas, most_pixels: int) -> Iterator[tuple[Tensor, list[int]]]:
    """Yield the views of a batch in stacks of one shape: (V, C, h, w) and the image of each view.

    most_pixels: how many a stack holds; one view always fits.
    """
    waiting: dict[tuple[int, ...], list[tuple[int, Tensor]]] = {}
    for owner, view in _all_views(evaluation, areas):
        group = waiting.setdefault(tuple(view.shape), [])
        group.append((owner, view))
        if (len(group) + 1) * view[0].numel() > most_pixels:
            yield _stacked(group)
            group.clear()
    yield from map(_stacked, filter(None, waiting.values()))


def _all_views(evaluation: Evaluation, areas: Areas) -> Iterator[tuple[int, Tensor]]:
    """Yield (number of the image, view).

    Mirrors are the views of the mirrored image, as torchvision's TenCrop and fb.resnet.torch have it: where a
    centre is rounded, they are not the mirrored views.
    """
    for images in areas:
        for owner, area in enumerate(images):
            for side in (area, area.flip(2)) if is_mirrored(evaluation) else (area,):
                yield from ((owner, view) for view in views_of(evaluation, side))


def _stacked(group: Sequence[tuple[int, Tensor]]) -> tuple[Tensor, list[int]]:
    return torch.stack([view for _, view in group]), [owner for owner, _ in group]


def _cut(area: Tensor, starts: Sequence[tuple[int, int]], size: int) -> list[Tensor]:
    if min(area.shape[1:]) < size:
        raise ValueError(f"crops of {size} pixels do not fit into {tuple(area.shape[1:])}")
    return [area[:, top : top + size, left : left + size] for top, left in starts]


def _corners_and_center(height: int, width: int, size: int) -> list[tuple[int, int]]:
    """Return the starts of four corners and the centre (Krizhevsky et al. 2012 §4.1).

    The centre rounds half to even, like torchvision's CenterCrop.
    """
    bottom, right = height - size, width - size
    return [(0, 0), (0, right), (bottom, 0), (bottom, right), (round(bottom / 2), round(right / 2))]


def _grid(height: int, width: int, size: int) -> list[tuple[int, int]]:
    """Return the starts of a regular grid whose outermost crops touch the borders, half to even.

    The paper says "regular" and no more; touching the borders is our reading.
    """
    rows, columns = ([round(i * (side - size) / (GRID - 1)) for i in range(GRID)] for side in (height, width))
    return [(row, column) for row in rows for column in columns]


def _squares(area: Tensor) -> list[Tensor]:
    """Return left, central and right square; of an upright image top, centre, bottom (GoogLeNet §7)."""
    height, width = area.shape[1:]
    short = min(height, width)
    rooms = (height - short, width - short)
    starts = [(0, 0), (round(rooms[0] / 2), round(rooms[1] / 2)), rooms]
    return [area[:, top : top + short, left : left + short] for top, left in starts]


def _six(square: Tensor, evaluation: Evaluation) -> list[Tensor]:
    """Return corners, centre and the whole square made as small as a crop (GoogLeNet §7)."""
    size = evaluation.crop
    whole = resized(square, [size, size], evaluation.interpolation, evaluation.antialias)
    return [*_cut(square, _corners_and_center(*square.shape[1:], size), size), whole]
