"""A lock on a file, held by one process at a time and let go by the kernel when it dies. Light."""

from __future__ import annotations

import errno
import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# A file system that cannot lock (Lustre mounted without `flock`) says one of these.
_CANNOT_LOCK = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK)


@contextmanager
def locked(path: Path, patience: float) -> Iterator[None]:
    """Hold the lock of `path`, a file made for it, waiting up to `patience` seconds.

    Where the file system has no locks the caller goes on without. Raises TimeoutError.
    """
    with path.open("a") as file:
        gives_up = time.monotonic() + patience
        while not _try_lock(file.fileno()):
            if time.monotonic() >= gives_up:
                raise TimeoutError(f"another process has held {path} for {patience:g} s")
            time.sleep(0.05)
        yield


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _CANNOT_LOCK:
            raise
    return True
