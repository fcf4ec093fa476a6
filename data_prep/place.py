"""Files of one folder in another: as hard links where the file system can, else as copies."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_THREADS = 8
_NO_LINK = (errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS)


def place_files(pairs: Iterable[tuple[Path, Path]], copy: bool = False) -> None:
    """Put each (source, target) in its place; what is there already stays, half a copy never is.

    copy: never link, so that the new files may be changed without the old.
    """
    pairs = list(pairs)
    for folder in {target.parent for _, target in pairs}:
        folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(_THREADS) as pool:
        for _ in pool.map(lambda pair: _place(*pair, copy), pairs):
            pass


def _place(source: Path, target: Path, copy: bool) -> None:
    if target.exists():
        return
    if not copy:
        try:
            os.link(source.resolve(), target)
            return
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        shutil.copyfile(source, unfinished)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
