"""Whether a file can hold weights, as far as its outside tells: asked before a job waits for it. Light.

Nothing in the file is run. `weights.py` reads it.
"""

from __future__ import annotations

import json
import pickletools
import zipfile
from pathlib import Path
from typing import IO

from pipeline.errors import Top1Error

# What torch.save wrote before 1.6 begins with, its magic number pickled, and how many pickles come one after
# another up to the tensors' names (torch/serialization.py).
_LEGACY, _LEGACY_PICKLES = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e"), 4
_LONGEST_HEADER = 100_000_000  # that safetensors reads
_OF_TENSORS = ("torch", "collections", "numpy", "_codecs", "builtins", "__builtin__")


def check_weight_file(path: Path) -> None:
    """Raise Top1Error where a file is cut short, of another kind, or holds more than tensors."""
    if path.suffix == ".safetensors":
        return _check_safetensors(path)
    with path.open("rb") as file:
        begins = file.read(len(_LEGACY))
    if begins == _LEGACY:
        with path.open("rb") as file:
            return _check_pickles(path, file, _LEGACY_PICKLES)
    try:
        with zipfile.ZipFile(path) as archive:
            name = next((name for name in archive.namelist() if name.endswith("/data.pkl")), None)
            if name is None:
                raise not_whole(path, "no file of torch.save")
            with archive.open(name) as file:
                _check_pickles(path, file, 1)
    except zipfile.BadZipFile as error:
        raise not_whole(path, "no file of torch.save, or cut short") from error


def not_whole(path: Path, reason: Exception | str) -> Top1Error:
    what = (str(reason).splitlines() or [type(reason).__name__])[0].rstrip(".")
    return Top1Error(
        f"{path} is no whole weight file ({what}); expected .safetensors, or what torch.save wrote. "
        "Get it again."
    )


def holds_code(path: Path) -> Top1Error:
    return Top1Error(
        f"{path} holds program code beside tensors, which is not run. Save its state_dict alone: "
        "torch.save(network.state_dict(), FILE)."
    )


def _check_safetensors(path: Path) -> None:
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        whole = path.stat().st_size - 8 - size
        if whole < 0 or size > _LONGEST_HEADER:
            raise not_whole(path, "no safetensors file, or cut short")
        try:
            header = json.loads(file.read(size))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        except (ValueError, AttributeError, KeyError, TypeError, IndexError) as error:
            raise not_whole(path, "no safetensors file") from error
    if not ends or max(ends) != whole:
        raise not_whole(path, "no tensors" if not ends else "cut short")


def _check_pickles(path: Path, file: IO[bytes], count: int) -> None:
    """Look through pickles for names of code, without making anything of them."""
    try:
        for _ in range(count):
            for operation, argument, _ in pickletools.genops(file):
                if operation.name == "GLOBAL" and str(argument).split(".")[0].split()[0] not in _OF_TENSORS:
                    raise holds_code(path)
    except ValueError as error:
        raise not_whole(path, "no file of torch.save, or cut short") from error
