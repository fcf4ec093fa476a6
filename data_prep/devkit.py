"""The development kit of ILSVRC2012: which classes there are, and of which each validation image is."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.tars import Digest
from pipeline.errors import Top1Error

_META = "data/meta.mat"
_VAL_NAME = re.compile(r"ILSVRC2012_val_(\d{8})\.JPEG")
_TRUTH = "data/ILSVRC2012_validation_ground_truth.txt"


@dataclass(frozen=True)
class Devkit:
    """What the kit says.

    wnids: of the classes that images are labelled with (synsets without children), sorted. val: the wnid of
    each validation image, in the order of their file names. train_images: how many each class has.
    """

    wnids: tuple[str, ...]
    val: tuple[str, ...]
    train_images: Mapping[str, int]
    md5: str

    @property
    def val_images(self) -> dict[str, int]:
        counts = dict.fromkeys(self.wnids, 0)
        for wnid in self.val:
            counts[wnid] += 1
        return counts

    def wnid_of(self, name: str) -> str:
        """Return the class of a validation file by the number in its name: the line of the ground truth.

        Raises Top1Error for a name without one.
        """
        number = _VAL_NAME.fullmatch(name)
        if number is None or not 1 <= int(number[1]) <= len(self.val):
            raise Top1Error(
                f"{name!r} is no validation image of this devkit, which labels ILSVRC2012_val_00000001.JPEG "
                f"to ILSVRC2012_val_{len(self.val):08d}.JPEG; give the devkit and images that belong together"
            )
        return self.val[int(number[1]) - 1]


def read_devkit(path: Path) -> Devkit:
    """Read the kit's archive. Raises Top1Error where it is none, or does not fit together."""
    try:
        content = path.read_bytes()
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            meta, truth = _member(tar, _META), _member(tar, _TRUTH)
    except OSError as error:
        raise Top1Error(f"the devkit {path} cannot be read ({error.strerror or error})") from error
    except (tarfile.TarError, EOFError, KeyError) as error:
        raise Top1Error(
            f"{path} is not the devkit: {error}; give ILSVRC2012_devkit_t12.tar.gz as it was downloaded"
        ) from error
    digest = Digest()
    digest.update(content)
    synsets = _leaves(meta, path)
    try:
        val = tuple(synsets[int(line)][0] for line in truth.decode("ascii").split())
    except (KeyError, ValueError) as error:
        raise Top1Error(
            f"{path} does not fit together: its ground truth names {error}, which is no class of its meta.mat"
        ) from error
    return Devkit(
        wnids=tuple(sorted(wnid for wnid, _ in synsets.values())),
        val=val,
        train_images=dict(synsets.values()),
        md5=digest.text,
    )


def _member(tar: tarfile.TarFile, ending: str) -> bytes:
    for member in tar:
        if member.isfile() and member.name.endswith(ending):
            file = tar.extractfile(member)
            assert file is not None
            return file.read()
    raise KeyError(f"it has no {ending}")


def _leaves(meta: bytes, path: Path) -> dict[int, tuple[str, int]]:
    """Return (wnid, training images) of every synset without children, by its number."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        synsets: Any = loadmat(io.BytesIO(meta), squeeze_me=True)["synsets"]
        fields = ("ILSVRC2012_ID", "WNID", "num_children", "num_train_images")
        rows = zip(*(synsets[field].ravel().tolist() for field in fields), strict=True)
        return {
            int(number): (str(wnid), int(images)) for number, wnid, children, images in rows if not children
        }
    except (MatReadError, KeyError, ValueError, TypeError) as error:
        raise Top1Error(f"the meta.mat of {path} is not that of ILSVRC2012 ({error!r})") from error
