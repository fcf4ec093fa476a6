"""Copies of a pack's shards on a disk of this node, made beside the training that reads them.

A shard's images are read where the data is until its copy is whole, and from the copy from then on: its file
descriptor becomes the copy's, and nobody who reads notices. Of the processes of a node one copies. What is
whole stays, for the next job on this node.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from pipeline.say import say

LOOK_SECONDS = 5.0  # between two looks at what another process has copied
SPARED = 0.05  # of the disk, which is left to others
_NICENESS = 10  # of the copying thread: the decoder's go first
_AT_ONCE = 8 << 20  # bytes


def copies_folder(root: Path, layout: str) -> Path:
    """Return where on a disk of this node the copies of a pack are; `layout` tells packs apart."""
    return root / f"top1-{os.geteuid()}-{layout[:16]}"


class Copies:
    """The copies of some files, as far as they are there, and a thread that makes them.

    folder: of the copies, made in a folder that is there. sources: the files, of different names. files: a
    descriptor of each, which becomes its copy's. `close` must be called before they are closed.
    """

    def __init__(self, folder: Path, sources: Sequence[Path], files: Sequence[int]) -> None:
        self._folder, self._sources, self._files = folder, sources, files
        self._sizes = [os.fstat(file).st_size for file in files]
        self._left = list(range(len(files)))  # to be read from a copy yet
        self._read_here: set[int] = set()  # from a copy
        self._closed = threading.Event()
        self._swapping = threading.Lock()
        self._turn: int | None = None  # the descriptor of the lock, where this process copies
        threading.Thread(target=self._work, name="copy-shards", daemon=True).start()

    def close(self) -> None:
        """Leave the descriptors alone from now on."""
        with self._swapping:
            self._closed.set()

    def give_up(self, number: int) -> None:
        """Read a file where the data is again, and throw its copy away, which cannot be read.

        Nothing happens where it is read there. Raises OSError where it cannot be opened there.
        """
        with self._swapping:
            if self._closed.is_set() or number not in self._read_here:
                return
            _become(self._files[number], self._sources[number])
            self._read_here.remove(number)
        with contextlib.suppress(OSError):
            self._copy_of(number).unlink()
        _say(f"{self._copy_of(number)} cannot be read; {self._sources[number]} is, instead")

    def _copy_of(self, number: int) -> Path:
        return self._folder / self._sources[number].name

    def _work(self) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        begun, copied = time.monotonic(), 0
        try:
            _make_own(self._folder)
            while not self._closed.is_set():
                self._left = [number for number in self._left if not self._read_from_copy(number)]
                if not self._left:
                    break
                if self._has_turn():
                    copied += self._copy(self._left[0])
                else:
                    self._closed.wait(LOOK_SECONDS)
        except OSError as error:
            # The turn is kept: no other process of this node is to try the same.
            where = f" ({error.filename})" if error.filename else ""
            left = f"{len(self._left)} of {len(self._files)} shards are read where the data is"
            _say(f"no more is copied to {self._folder}, {error.strerror}{where}; {left}")
            return
        if copied:
            _say(f"{copied / 1e9:.3g} GB copied to {self._folder} in {time.monotonic() - begun:.0f} s")
        if self._turn is not None:
            os.close(self._turn)

    def _read_from_copy(self, number: int) -> bool:
        """Have a file's descriptor be its copy's, where that is whole; return whether it is."""
        copy = self._copy_of(number)
        if not (copy.exists() and copy.stat().st_size == self._sizes[number]):
            return False
        with self._swapping:
            if not self._closed.is_set():
                _become(self._files[number], copy)
                self._read_here.add(number)
        return True

    def _has_turn(self) -> bool:
        """Whether this process copies; the lock is its until it ends, in whatever way."""
        if self._turn is None:
            turn = os.open(self._folder / ".turn", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(turn)
                return False
            self._turn = turn
            missing = sum(self._sizes[number] for number in self._left)
            _say(f"copying {len(self._left)} shards, {missing / 1e9:.3g} GB, to {self._folder}")
        return True

    def _copy(self, number: int) -> int:
        """Copy a file whole, or not at all where it is to end; return its bytes. Raises OSError."""
        disk, size = shutil.disk_usage(self._folder), self._sizes[number]
        if disk.free - size < SPARED * disk.total:
            raise OSError(None, f"no room for {size / 1e9:.3g} GB more", str(self._folder))
        copy = self._copy_of(number)
        part, buffer, left = copy.with_name(f".{copy.name}.part"), memoryview(bytearray(_AT_ONCE)), size
        try:
            with open(self._sources[number], "rb", 0) as source, open(part, "wb") as target:
                while left and not self._closed.is_set():
                    got = source.readinto(buffer)
                    if not got:
                        raise OSError(None, "it ends too early", str(self._sources[number]))
                    target.write(buffer[:got])
                    left -= got
                target.flush()
                os.fsync(target)  # or a crash of the node would leave a file of that size with holes
            if left == 0:
                part.rename(copy)
        finally:
            part.unlink(missing_ok=True)
        return size - left


def _make_own(folder: Path) -> None:
    """Make a folder. Raises PermissionError where somebody else has made it: it holds what we read."""
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.geteuid():
        raise PermissionError(None, "another user's folder", str(folder))


def _become(file: int, path: Path) -> None:
    """Have a descriptor be that of another file; what is being read from it is read to the end."""
    opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.dup2(opened, file, inheritable=False)
    finally:
        os.close(opened)


def _say(text: str) -> None:
    say(f"copies: {text}")
