"""MNIST and sets of its form from IDX files: `top1 prep mnist IDX_FOLDER OUT`.

Each picture becomes a grey PNG, which keeps every pixel. As JPEG of quality 100 none of 2,000 pictures of
Fashion-MNIST came back exactly (off by up to 2 grey levels, 0.06 in the mean; quality 95: up to 10), the
files were twice as large, and the loader took as long.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data_prep.asked import finished
from data_prep.collect import collect
from data_prep.extract import Extraction, Found, move_into_place, refuse_foreign
from data_prep.progress import Quiet
from data_prep.published import FASHION_MNIST, MNIST, Published
from data_prep.work import forget, only_one, run
from pipeline.data.header import Header
from pipeline.data.manifest import write_manifest
from pipeline.errors import Top1Error

SETS = (MNIST, FASHION_MNIST)
_SPLITS = {"train": "train", "val": "t10k"}  # how the files name them
_UNSIGNED_BYTES = 8  # the type of an IDX file's values
_TOGETHER = 1000  # pictures a part


@dataclass(frozen=True)
class Pictures:
    """Some pictures of a split. pixels: (N, H, W). labels: (N,). first: the number of the first."""

    split: str
    first: int
    pixels: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    @property
    def held(self) -> int:
        return self.pixels.nbytes

    def images(self) -> Iterator[Found]:
        pairs = zip(self.pixels, self.labels.tolist(), strict=True)
        for number, (pixels, label) in enumerate(pairs, self.first):
            encoded = io.BytesIO()
            Image.fromarray(pixels).save(encoded, "PNG")
            path = f"{self.split}/{label}/{number:05d}.png"
            yield Found(self.split, path, str(label), encoded.getvalue())


def prepare_mnist(
    source: str | Path,
    out: str | Path,
    *,
    name: str | None = None,
    sets: tuple[Published, ...] = SETS,
    command: str | None = None,
    processes: int | None = None,
    progress: Quiet | None = None,
) -> Header:
    """Write the pictures of four IDX files, gzipped or not, as train/<digit>/*.png and val/<digit>/*.png.

    name: of the set; by default that of the published one whose sums the files have, else the folder's.
    The set is official when its four files are a published one's, as they are downloaded. Raises Top1Error
    for a file that is missing, no IDX file, or does not fit its labels, and where `out` holds another set.
    """
    source, out = Path(source).resolve(), Path(out).resolve()
    arrays, md5 = _read_all(source)
    known = next((one for one in sets if md5 == dict(one.md5)), None)
    called = name or (known.name if known else source.name)
    with only_one(out) as state:
        if made := finished(out, state, called, md5):
            return made
        refuse_foreign(out, list(_SPLITS))
        origin = " ".join(md5.values())
        parts = [part for split in _SPLITS for part in _parts(split, *arrays[split], out, origin)]
        with (progress or Quiet()).stage("writing", sum(part.bytes for part in parts)) as stage:
            run(parts, state / "records", stage, processes)
        found = collect(state / "records", [part.key for part in parts])
        move_into_place(out, list(_SPLITS))
        header = write_manifest(
            out,
            found.table,
            name=called,
            classes=found.classes,
            command=command or f"top1 prep mnist {source} {out}",
            official=_proof(md5) if known and known.name == called else None,
            archives=md5,
        )
        forget(state)
    return header


def read_idx(content: bytes, name: str) -> NDArray[np.uint8]:
    """Return the array of an IDX file of bytes. Raises Top1Error where it is none, or of another length."""
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != _UNSIGNED_BYTES:
        raise Top1Error(
            f"{name} is no IDX file of bytes (it begins with {content[:4].hex(' ')}, expected 00 00 08); "
            "give the files as they were downloaded"
        )
    begin = 4 + 4 * content[3]
    shape = tuple(int.from_bytes(content[at : at + 4], "big") for at in range(4, begin, 4))
    if len(content) - begin != np.prod(shape):
        raise Top1Error(
            f"{name} holds {max(0, len(content) - begin):,} values where its header says "
            f"{' x '.join(map(str, shape))}: it was cut short. Download it again."
        )
    return np.frombuffer(content, np.uint8, offset=begin).reshape(shape)


def _read_all(source: Path) -> tuple[dict[str, tuple[NDArray[np.uint8], NDArray[np.uint8]]], dict[str, str]]:
    """Return (pixels, labels) of each split, and the md5 of each file."""
    arrays, md5 = {}, {}
    for split, named in _SPLITS.items():
        both = []
        for kind in ("images-idx3", "labels-idx1"):
            path = _find(source, f"{named}-{kind}-ubyte")
            content = path.read_bytes()
            md5[f"{named}-{kind}-ubyte"] = hashlib.md5(content, usedforsecurity=False).hexdigest()
            both.append(read_idx(_inflated(content, path), str(path)))
        pixels, labels = both
        if pixels.ndim != 3 or labels.shape != pixels.shape[:1]:
            raise Top1Error(
                f"the {named} files of {source} do not belong together: pictures {pixels.shape}, labels "
                f"{labels.shape}; give the four files of one download"
            )
        arrays[split] = (pixels, labels)
    return arrays, md5


def _find(source: Path, name: str) -> Path:
    """Return a file as published, inflated, or renamed as some programs do (train-images.idx3-ubyte)."""
    dotted = name.replace("-idx", ".idx")
    candidates = [source / f"{stem}{end}" for stem in (name, dotted) for end in (".gz", "")]
    for path in candidates:
        if path.is_file():
            return path
    raise Top1Error(f"{source} has no {name}.gz and no {name}; give the folder with the four files")


def _inflated(content: bytes, path: Path) -> bytes:
    if path.suffix != ".gz":
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise Top1Error(f"{path} is damaged ({error}); download it again") from error


def _parts(
    split: str, pixels: NDArray[np.uint8], labels: NDArray[np.uint8], out: Path, origin: str
) -> Iterator[Extraction]:
    for first in range(0, len(labels), _TOGETHER):
        some = slice(first, first + _TOGETHER)
        source = Pictures(split, first, pixels[some], labels[some])
        yield Extraction(f"{split}-{first:06d}", pixels[some].nbytes, source, out, origin)


def _proof(md5: Mapping[str, str]) -> str:
    return "; ".join(f"{name}.gz md5 {md5[name]}" for name in sorted(md5) if name.startswith("t10k"))
