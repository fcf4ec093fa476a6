"""The Inception papers' blacklist: validation images that they left out, by their number.

The list comes with the ILSVRC-2014 development kit and with no package; whoever has it gives its file. One
number a line, counted from 1 as in ILSVRC2012_val_00000001.JPEG.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.data.split import Split
from pipeline.errors import Top1Error

_NUMBERED = re.compile(r"ILSVRC2012_val_0*(\d+)\.")


@dataclass(frozen=True)
class Blacklist:
    """Numbers of validation images, and the file they were read from."""

    path: Path
    numbers: frozenset[int]
    sha256: str

    def to_json(self) -> dict[str, object]:
        return {"file": self.path.name, "entries": len(self.numbers), "sha256": self.sha256}


def read_blacklist(path: Path) -> Blacklist:
    """Read a list. Raises Top1Error where the file is missing or holds something else than numbers."""
    try:
        content = path.read_bytes()
        numbers = [int(line) for line in content.decode().split()]
    except OSError as error:
        raise Top1Error(
            f"the blacklist {path} cannot be read ({error.strerror}); give the list of the ILSVRC-2014 "
            "development kit, ILSVRC2014_clsloc_validation_blacklist.txt."
        ) from error
    except ValueError as error:
        raise Top1Error(
            f"{path} is no blacklist ({error}); expected one number of a validation image a line."
        ) from error
    if not numbers:
        raise Top1Error(f"the blacklist {path} is empty; expected one number of a validation image a line.")
    return Blacklist(path, frozenset(numbers), hashlib.sha256(content).hexdigest())


def without(split: Split, blacklist: Blacklist) -> Split:
    """Return the split without the listed images. Raises Top1Error unless it has every one of them."""
    numbers = np.array([_number(split, index) for index in range(len(split))])
    listed = np.isin(numbers, list(blacklist.numbers))
    missing = blacklist.numbers - set(numbers[listed].tolist())
    if missing:
        raise Top1Error(
            f"{blacklist.path} lists validation image {min(missing)}, which {split.folder} does not have; "
            "the list and the data must be of the same set, ILSVRC-2012's 50,000 images."
        )
    return split.take(np.flatnonzero(~listed))


def _number(split: Split, index: int) -> int:
    found = _NUMBERED.search(split.paths[index])
    if not found:
        raise Top1Error(
            f"{split.path(index)} is not named ILSVRC2012_val_000NNNNN.JPEG, so a blacklist of numbers does "
            "not say whether it is listed. Measure data whose files have their original names."
        )
    return int(found[1])
