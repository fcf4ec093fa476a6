"""Weight files into networks: which file, what is in it, and whether it fits. Nothing is ever downloaded.

A file is safetensors, or what torch.save wrote; of the latter only tensors are read, never code.
"""

from __future__ import annotations

import hashlib
import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from pipeline import checkpoint
from pipeline.errors import Top1Error
from pipeline.weight_file import holds_code, not_whole

_WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model")  # keys under which others keep weights
_PREFIXES = ("module.", "_orig_mod.")  # of DataParallel and torch.compile
_HASHED = re.compile(r"-([0-9a-f]{8,})\.\w+$")  # the convention of torch.hub: name-<sha256 begins with>.pth


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a weight file by name, on the CPU.

    Of a training checkpoint of other libraries the averaged weights are taken where it has some. Raises
    Top1Error where the file is missing, cut short, or holds something else.
    """
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise Top1Error(f"the weights {path} {what}; give a .pth or .safetensors file, torchvision or timm.")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    _check_hash(path)
    return _plain_names(_state_dict(path, _read_pickle(path)))


def load_weights(
    network: nn.Module, tensors: Mapping[str, Tensor], path: Path | str, new_head: bool = False
) -> bool:
    """Load tensors into a network, in place; return whether its classifier was left as it was.

    path: of the file, for messages. Auxiliary heads may be missing in either. new_head: the classifier keeps
    its start where the file's is of another number of classes. Raises Top1Error where file and network are
    not of one another; the network is then as it was.
    """
    own = network.state_dict()
    given = {name: tensor for name, tensor in tensors.items() if name in own or not is_auxiliary(name)}
    head = [name for name in own if name in given and differs_in_classes(own[name], given[name])]
    misshaped = [name for name in own if name in given and given[name].shape != own[name].shape]
    missing = [name for name in own if name not in given and not may_be_missing(name)]
    unknown = [name for name in given if name not in own]
    if missing or unknown or set(misshaped) - set(head):
        raise Top1Error(_another_network(network, path, missing, unknown, misshaped, own, given))
    if head and not new_head:
        classes, wanted = given[head[0]].shape[0], own[head[0]].shape[0]
        raise Top1Error(
            f"{path} has {classes} classes and the network has {wanted} ({head[0]}). Give data and weights "
            "of the same classes, or ask for a new head (--new-head), which begins untrained."
        )
    network.load_state_dict({name: t for name, t in given.items() if name not in head}, strict=False)
    return bool(head)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            ours = "top1" in (file.metadata() or {})
        if ours:  # with a checksum of its own
            found = checkpoint.load(path)
            return found.part("average") or found.part("model") or found.tensors
        return _plain_names(safetensors.torch.load_file(path))
    except (OSError, safetensors.SafetensorError) as error:
        raise not_whole(path, error) from error


def _read_pickle(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "Weights only load failed" in str(error) and "GLOBAL" in str(error):
            raise holds_code(path) from error
        raise not_whole(path, "no file of torch.save") from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise not_whole(path, error) from error


def _state_dict(path: Path, found: Any) -> dict[str, Tensor]:
    """Return the dictionary of tensors in what torch.load returned."""
    for key in _WRAPPERS:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
            break
    if not isinstance(found, Mapping) or not found or not all(isinstance(t, Tensor) for t in found.values()):
        raise Top1Error(
            f"{path} holds no tensors by name; expected a state_dict, or one under "
            f"{', '.join(_WRAPPERS)}. Save it with torch.save(network.state_dict(), FILE)."
        )
    return dict(found)


def _plain_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    found = dict(tensors)
    for prefix in _PREFIXES:
        if all(name.startswith(prefix) for name in found):
            found = {name.removeprefix(prefix): tensor for name, tensor in found.items()}
    return found


def _check_hash(path: Path) -> None:
    """Raise Top1Error where a file does not have the sha256 its name says."""
    named = _HASHED.search(path.name)
    if not named:
        return
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not digest.startswith(named[1]):
        raise Top1Error(
            f"{path} is not whole: its sha256 begins with {digest[:8]}, its name says {named[1]}. "
            "Get it again."
        )


def is_auxiliary(name: str) -> bool:
    """Whether a tensor is of a classifier on the way (aux1, AuxLogits, ...), which serves training only."""
    return name.lower().startswith("aux")


def may_be_missing(name: str) -> bool:
    return is_auxiliary(name) or name.endswith("num_batches_tracked")


def differs_in_classes(own: Tensor, given: Tensor) -> bool:
    """Whether two tensors differ in their first dimension alone."""
    same_kind = own.dim() == given.dim() > 0 and own.shape[1:] == given.shape[1:]
    return same_kind and own.shape[0] != given.shape[0]


def _another_network(
    network: nn.Module,
    path: Path | str,
    missing: list[str],
    unknown: list[str],
    misshaped: list[str],
    own: Mapping[str, Tensor],
    given: Mapping[str, Tensor],
) -> str:
    if missing:
        what = f"it has no {missing[0]} ({len(missing)} tensors are missing)"
    elif unknown:
        what = f"it has {unknown[0]} ({len(unknown)} tensors are unknown)"
    else:
        name = misshaped[0]
        what = f"its {name} is {tuple(given[name].shape)} instead of {tuple(own[name].shape)}"
    return (
        f"{path} holds the weights of another network than {type(network).__name__}: {what}. "
        "Give the file of this very network."
    )
