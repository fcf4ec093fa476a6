"""Waiting for storage that does not answer: an error of a file system is no property of the image it meets.

A server that fails over, a client that was evicted, a full table of open files: the bytes are there, and a
run that went on without them would be another run. Only that there is no such file is the file's own.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pipeline.errors import PassingError

T = TypeVar("T")

# Seconds between tries, a minute in all. The other processes wait for this one's step meanwhile, as long as
# `step_seconds` lets them, ten minutes by default.
PAUSES = (1, 2, 4, 8, 15, 30)

_GONE = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG}


class Patience:
    """Reads again what could not be read, for one folder of data. Its threads tell of it once together."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._waiting = 0

    def read(self, path: Path, read: Callable[[], T]) -> T:
        """Return what `read` gives, once it does.

        Raises its OSError where the file is gone, PassingError where storage does not answer for a minute.
        """
        try:
            return read()
        except OSError as error:
            if self._is_gone(error):
                raise
            failed = error
        with self._told(path, failed):
            for pause in PAUSES:
                time.sleep(pause)
                try:
                    return read()
                except OSError as error:
                    if self._is_gone(error):
                        raise
                    failed = error
            raise PassingError(
                f"{path} could not be read for {sum(PAUSES):g} s ({failed.strerror or failed}), which is no "
                "fault of the image. Start again once it can be read; a SLURM job does so by itself, for an "
                "hour."
            )

    def _is_gone(self, error: OSError) -> bool:
        """Whether the file itself is not there, its folder being where it should be."""
        return error.errno in _GONE and os.path.isdir(self._folder)

    @contextmanager
    def _told(self, path: Path, error: OSError) -> Generator[None, None, None]:
        with self._lock:
            self._waiting += 1
            if self._waiting == 1:
                _say(f"{path} cannot be read ({error.strerror or error}); trying again for {sum(PAUSES):g} s")
        answered = False
        try:
            yield
            answered = True
        finally:
            with self._lock:
                self._waiting -= 1
                if answered and not self._waiting:
                    _say(f"{self._folder} answers again")


def _say(text: str) -> None:
    print(f"storage: {text}", file=sys.stderr, flush=True)
