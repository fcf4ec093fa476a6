"""Beginning with the weights of another run: the whole network, all but its head, or named layers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from pipeline import checkpoint, runs
from pipeline.errors import Top1Error
from pipeline.models import classifier_of
from recipes.schema import StartFrom


def load_start(network: nn.Module, start: StartFrom, weights: Path) -> None:
    """Copy into `network` what `start` says from a run folder or a weights file that a run wrote.

    Raises Top1Error when the file is missing or damaged, or when a layer is not there or has another shape.
    """
    path = weights / runs.WEIGHTS if weights.is_dir() else weights
    if not path.exists():
        raise Top1Error(
            f"there is no {path} to begin with. Train {start.recipe} to its end first, or give --init "
            "another run folder or weights file."
        )
    source = checkpoint.load(path).tensors
    own = network.state_dict()
    with torch.no_grad():
        for name, other in _pairs(network, start, own, source):
            found = source.get(other)
            if found is None or found.shape != own[name].shape:
                raise Top1Error(_mismatch(name, own[name], other, found, path))
            own[name].copy_(found)


def _pairs(
    network: nn.Module, start: StartFrom, own: dict[str, Tensor], source: dict[str, Tensor]
) -> Iterator[tuple[str, str]]:
    """Yield (name here, name there) of each tensor that is taken over."""
    if start.layers:
        for name in own:
            for here, there in start.layers.items():
                if name == here or name.startswith(f"{here}."):
                    yield name, there + name.removeprefix(here)
        return
    head = classifier_of(network) if start.new_head else None
    kept = [name for name in own if head is None or not name.startswith(f"{head}.")]
    foreign = [name for name in source if name not in own]
    if foreign:
        raise Top1Error(
            f"the weights to begin with have a tensor {foreign[0]!r} that this network has not; they are of "
            "another network. Give --init a run of the same network."
        )
    yield from ((name, name) for name in kept)


def _mismatch(name: str, own: Tensor, other: str, found: Tensor | None, path: Path) -> str:
    if found is None:
        return f"{path} has no tensor {other!r}, which {name!r} begins with; it is of another network."
    return (
        f"{path} has {other!r} of shape {tuple(found.shape)}, the network {name!r} of {tuple(own.shape)}. "
        "With another number of classes, ask for a new head (--new-head)."
    )
