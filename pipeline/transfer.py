"""Beginning with the weights of another run: the whole network, all but its head, or named layers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from pipeline import runs
from pipeline.errors import Top1Error
from pipeline.models import classifier_of
from pipeline.weights import differs_in_classes, is_auxiliary, may_be_missing, read_weights
from recipes.schema import StartFrom


def load_start(network: nn.Module, start: StartFrom, weights: Path) -> None:
    """Copy into `network` what `start` says from a run folder or a weight file, one of another library too.

    Auxiliary heads may be missing in either. Raises Top1Error when the file is missing or damaged, or when a
    layer is not there or has another shape.
    """
    path = weights / runs.WEIGHTS if weights.is_dir() else weights
    if not path.exists():
        raise Top1Error(
            f"there is no {path} to begin with. Train {start.recipe} to its end first, or give --init "
            "another run folder or weights file."
        )
    source = read_weights(path)
    own = network.state_dict()
    with torch.no_grad():
        for name, other in _pairs(network, start, own, source, path):
            found = source.get(other)
            if found is None or found.shape != own[name].shape:
                raise Top1Error(_mismatch(name, own[name], other, found, path))
            own[name].copy_(found)


def _pairs(
    network: nn.Module, start: StartFrom, own: dict[str, Tensor], source: dict[str, Tensor], path: Path
) -> Iterator[tuple[str, str]]:
    """Yield (name here, name there) of each tensor that is taken over."""
    if start.layers:
        for name in own:
            for here, there in start.layers.items():
                if name == here or name.startswith(f"{here}."):
                    yield name, there + name.removeprefix(here)
        return
    foreign = [name for name in source if name not in own and not is_auxiliary(name)]
    if foreign:
        raise Top1Error(
            f"{path} has a tensor {foreign[0]!r} that this network has not; they are the weights of another "
            "network. Give --init those of the same one."
        )
    head = classifier_of(network) if start.new_head else None
    for name, tensor in own.items():
        if head is not None and name.startswith(f"{head}."):
            continue
        found = source.get(name)
        if found is None and may_be_missing(name):
            continue
        if start.new_head and found is not None and is_auxiliary(name) and differs_in_classes(tensor, found):
            continue
        yield name, name


def _mismatch(name: str, own: Tensor, other: str, found: Tensor | None, path: Path) -> str:
    if found is None:
        return f"{path} has no tensor {other!r}, which {name!r} begins with; it is of another network."
    return (
        f"{path} has {other!r} of shape {tuple(found.shape)}, the network {name!r} of {tuple(own.shape)}. "
        "With another number of classes, ask for a new head (--new-head)."
    )
