"""Checkpoints that survive whatever happens while they are written or after.

One safetensors file each (nothing pickled is ever read), written to a temporary name, synced, renamed,
and carrying a checksum of its own tensors. The last two and the best are kept. Knows tensors and files,
not networks or plans.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from pipeline.errors import Top1Error

KEPT = 2
BEST = "best.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """What a file held: the optimizer steps done, named tensors, and JSON facts beside them."""

    step: int
    tensors: dict[str, Tensor]
    facts: dict[str, Any]

    def part(self, prefix: str) -> dict[str, Tensor]:
        """Return the tensors called `prefix/...`, without the prefix."""
        start = len(prefix) + 1
        return {name[start:]: t for name, t in self.tensors.items() if name.startswith(f"{prefix}/")}


class CheckpointWriter:
    """Writes checkpoints off the training thread, one at a time, and keeps the last two and the best.

    fence: called before a file gets its name; raises Top1Error where another writer has taken over.
    """

    def __init__(self, folder: Path, fence: Callable[[], None] = lambda: None) -> None:
        self.folder, self._fence = folder, fence
        self._copies = _Copies()
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        folder.mkdir(parents=True, exist_ok=True)
        for torn in folder.glob(".*.tmp"):  # of a writer that was killed; the caller holds the folder
            torn.unlink()

    def write(self, step: int, tensors: Mapping[str, Tensor], facts: dict[str, Any], best: bool) -> None:
        """Copy the tensors now and write them in the background; `best` also keeps them as the best.

        Waits for the previous write. Raises Top1Error when that one failed (a full disk, say).
        """
        self.wait()
        self._copies.take(tensors)
        self._thread = threading.Thread(target=self._write, args=(step, facts, best), daemon=False)
        self._thread.start()

    def wait(self) -> None:
        """Return once all that was handed over is durable. Raises what prevented it, Top1Error for a disk."""
        if self._thread:
            self._thread.join()
            self._thread = None
        if self._error:
            error, self._error = self._error, None
            if not isinstance(error, OSError):
                raise error
            raise Top1Error(
                f"the checkpoint could not be written to {self.folder}: {error}. "
                "The one before it is intact; free some space and start the same command again."
            ) from error

    def _write(self, step: int, facts: dict[str, Any], best: bool) -> None:
        try:
            path = write_tensors(
                self.folder / _file_name(step),
                self._copies.on_cpu(),
                {"step": step, **facts},
                fence=self._fence,
            )
            if best:
                _replace_link(path, self.folder / BEST)
            for old in list_checkpoints(self.folder)[KEPT:]:
                old.unlink()
        except BaseException as error:  # noqa: BLE001 (the training thread raises it)
            self._error = error


class _Copies:
    """Tensors as they were when they were taken, on their own device; the writer's thread moves them on.

    A GPU copies its memory in a millisecond, and between two steps what the passes needed is free for it. On
    the CPU the memory is kept from one time to the next: getting it anew takes longer than to fill it.
    """

    def __init__(self) -> None:
        self._tensors: dict[str, Tensor] = {}
        self._taken: torch.cuda.Event | None = None

    def take(self, tensors: Mapping[str, Tensor]) -> None:
        """Copy the tensors as they are now."""
        before, self._tensors = self._tensors, {}
        for name, tensor in tensors.items():
            own = before.get(name)
            if own is not None and own.shape == tensor.shape and own.dtype == tensor.dtype:
                self._tensors[name] = own.copy_(tensor.detach())
            else:
                self._tensors[name] = tensor.detach().clone()
        if any(tensor.is_cuda for tensor in self._tensors.values()):
            self._taken = torch.cuda.Event()
            self._taken.record()

    def on_cpu(self) -> dict[str, Tensor]:
        """Return them on the CPU, without holding up what a GPU does meanwhile."""
        if self._taken is None:
            return {name: tensor.contiguous() for name, tensor in self._tensors.items()}
        stream = torch.cuda.Stream()
        stream.wait_event(self._taken)
        with torch.cuda.stream(stream):
            found = {name: tensor.to("cpu").contiguous() for name, tensor in self._tensors.items()}
        self._tensors = {}  # a GPU's memory is for training
        return found


def list_checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoint files of a run, newest first."""
    return sorted(folder.glob("step-*.safetensors"), reverse=True)


def newest_step(folder: Path, before: int | None = None) -> int:
    """Return the step of the newest durable checkpoint by its name, 0 when there is none.

    before: only those of fewer steps.
    """
    steps = map(_step_of, list_checkpoints(folder))
    return next((step for step in steps if before is None or step < before), 0)


def load_newest(folder: Path, before: int | None = None) -> Checkpoint | None:
    """Return the newest whole checkpoint, skipping damaged ones with a warning; None when there is none.

    before: only those of fewer steps.
    """
    for path in list_checkpoints(folder):
        if before is not None and _step_of(path) >= before:
            continue
        try:
            return load(path)
        except Top1Error as error:
            warnings.warn(f"{error} Using the checkpoint before it.", stacklevel=2)
    return None


def drop_later(folder: Path, step: int) -> None:
    """Remove the checkpoints after a step: training goes on from there along another way."""
    for path in list_checkpoints(folder):
        if _step_of(path) > step:
            path.unlink()


def load(path: Path) -> Checkpoint:
    """Read and verify one checkpoint. Raises Top1Error when it is missing, truncated or altered."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {}).get("top1", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no iterator)
    except (OSError, safetensors.SafetensorError, ValueError) as error:
        raise Top1Error(f"{path} is not a whole checkpoint: {error}.") from error
    if facts.pop("sha256", None) != checksum(tensors, facts):
        raise Top1Error(f"{path} is damaged: it does not have the checksum written with it.")
    return Checkpoint(facts.pop("step", 0), tensors, facts)


def write_tensors(
    path: Path, tensors: dict[str, Tensor], facts: dict[str, Any], fence: Callable[[], None] = lambda: None
) -> Path:
    """Write tensors with facts and a checksum so that `path` is always the old file or the new one."""
    metadata = {"top1": json.dumps({**facts, "sha256": checksum(tensors, facts)})}
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        safetensors.torch.save_file(tensors, temporary, metadata)
        _sync(temporary)
        fence()
        temporary.replace(path)
    except safetensors.SafetensorError as error:  # how save_file reports a failed write
        raise OSError(str(error)) from error
    finally:
        temporary.unlink(missing_ok=True)
    _sync(path.parent)
    return path


def checksum(tensors: Mapping[str, Tensor], facts: Mapping[str, Any] | None = None) -> str:
    """Return the sha256 over names, types, shapes and bytes of CPU tensors, in the order of names.

    facts: covered too where given.
    """
    digest = hashlib.sha256(json.dumps(facts or {}, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _file_name(step: int) -> str:
    return f"step-{step:09d}.safetensors"


def _step_of(path: Path) -> int:
    return int(path.stem.removeprefix("step-"))


def _replace_link(path: Path, link: Path) -> None:
    """Point `link` at the file by a hard link, atomically; the file then outlives its own name."""
    temporary = link.with_name(f".{link.name}.tmp")  # as the next writer removes them
    temporary.unlink(missing_ok=True)
    os.link(path, temporary)
    temporary.replace(link)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
