"""Images to measure with: generated ones of ImageNet's sizes and weight, or some of a prepared set.

Either way they become a folder of files that every loader reads; the same images can be packed. Nothing is
measured here.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pipeline.data.header import BODY_NAME, HEADER_NAME
from pipeline.data.manifest import Entry, Manifest, read_entry, write_manifest, write_whole
from pipeline.data.sampling import epoch_order
from pipeline.data.split import Split
from pipeline.data.storage import Storage
from pipeline.errors import Top1Error

# ImageNet's commonest sizes (height, width) and how many of 16 images have them.
_SIZES = (
    ((375, 500), 6),
    ((500, 375), 3),
    ((333, 500), 3),
    ((400, 500), 1),
    ((480, 640), 1),
    ((300, 400), 1),
    ((500, 333), 1),
)
_CLASSES = 8
_SHARD = "images.tar"
_QUALITY, _SUBSAMPLING = 90, "4:2:0"
_EXPONENT = 0.9  # amplitudes of photographs fall about as 1/f (Field 1987)
# Grey levels; chosen so that the files weigh what ImageNet's do, 110 kB in the mean.
_LUMINANCE, _CHROMINANCE = 46.0, 16.0
_ELLIPSES = 12


def bench_files(
    data: Path | None, images: int, cache: Path, folder: Path, processes: int, tell: Callable[[str], None]
) -> Path:
    """Put the images of a bench into `folder`, of a prepared set or generated ones; return it."""
    tell(f"images      {images} {'from ' + str(data) if data else 'generated'}")
    return stage(data or generate(cache, images, processes), images, folder)


def generate(folder: Path, images: int, processes: int) -> Path:
    """Write the first `images` generated files into `folder`/<images>, unless they are there; return it.

    Image number i is a function of i alone.
    """
    target = folder / str(images)
    if (target / HEADER_NAME).exists():
        return target
    paths = [f"train/c{number % _CLASSES}/{number:06d}.JPEG" for number in range(images)]
    _make_folders(target, paths)
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        made = pool.map(_write_image, [target / path for path in paths], range(images), chunksize=8)
        for _ in made:
            pass
    _index(target, paths, "generated")
    return target


def stage(data: Path, images: int, folder: Path) -> Path:
    """Make `images` images of a prepared train split, chosen evenly at random, a set of files of its own.

    Files are linked, packed images written out.
    """
    split = Manifest.load(data).split("train")
    if len(split) < images:
        raise Top1Error(
            f"{data} has {len(split)} training images where {images} are asked for; "
            f"use --images {len(split)} or fewer, or leave out --data to measure with generated images"
        )
    chosen = np.sort(epoch_order(0, 0, len(split))[:images])
    _index(folder, list(_place(split, chosen, folder)), str(data))
    return folder


def repeat(files: Path, entries: int, folder: Path) -> Path:
    """Index the training images of a set of files over and over, up to so many entries, in a new folder."""
    folder.mkdir()
    (folder / "train").symlink_to(files.resolve() / "train")
    manifest = Manifest.load(files)
    table = pq.read_table(files / BODY_NAME).filter(pc.field("split") == "train")
    many = table.take(np.arange(entries) % len(table))
    write_manifest(folder, many, name="bench", classes=manifest.header.classes, command="bench startup")
    return folder


def pack(files: Path, folder: Path) -> Path:
    """Make the images of a set of files one tar, in a folder of its own with an index of it."""
    folder.mkdir()
    with tarfile.open(folder / _SHARD, "w", dereference=True) as tar:
        tar.add(files / "train", "train")
    with tarfile.open(folder / _SHARD) as tar:
        offsets = {member.name: member.offset_data for member in tar}
    manifest = Manifest.load(files)
    entries = [
        Entry(**{**row, "sha256": row["sha256"].hex(), "shard": _SHARD, "offset": offsets[row["path"]]})
        for row in manifest.entries()
    ]
    _write(folder, entries, manifest.header.classes, manifest.header.name)
    return folder


def image(number: int) -> bytes:
    """Return generated image `number` as a JPEG: noise with the spectrum of photographs, and ellipses."""
    rng = np.random.Generator(np.random.Philox(key=np.array([0, number], np.uint64)))
    sizes = [size for size, count in _SIZES for _ in range(count)]
    height, width = sizes[number % len(sizes)]
    luminance = _noise(rng, height, width) * _LUMINANCE
    chrominance = [_noise(rng, height, width) * _CHROMINANCE for _ in range(2)]
    pixels = np.stack([128 + luminance, *(128 + plane for plane in chrominance)], axis=-1)
    picture = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8), "YCbCr").convert("RGB")
    _draw_ellipses(picture, rng)
    encoded = io.BytesIO()
    picture.save(encoded, "JPEG", quality=_QUALITY, subsampling=_SUBSAMPLING)
    return encoded.getvalue()


def _noise(rng: np.random.Generator, height: int, width: int) -> NDArray[np.floating[Any]]:
    """Return (height, width) noise of standard deviation 1 whose amplitudes fall as f^-_EXPONENT."""
    spectrum = np.fft.rfft2(rng.standard_normal((height, width), dtype=np.float32))
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    frequency[0, 0] = np.inf
    plane = np.fft.irfft2(spectrum * frequency**-_EXPONENT, s=(height, width))
    scaled: NDArray[np.floating[Any]] = plane / plane.std()
    return scaled


def _draw_ellipses(picture: Image.Image, rng: np.random.Generator) -> None:
    """Lay half-transparent ellipses over a picture: edges, which noise has not."""
    for _ in range(_ELLIPSES):
        middle, radius = rng.random(2) * picture.size, (0.03 + 0.2 * rng.random(2)) * picture.size
        box = np.concatenate([middle - radius, middle + radius]).tolist()
        mask = Image.new("L", picture.size)
        ImageDraw.Draw(mask).ellipse(box, fill=int(rng.integers(60, 200)))
        picture.paste(tuple(rng.integers(0, 256, 3).tolist()), mask=mask)


def _write_image(path: Path, number: int) -> None:
    content = image(number)
    write_whole(path, lambda file: file.write(content))


def _make_folders(folder: Path, paths: Sequence[str]) -> None:
    for parent in {(folder / path).parent for path in paths}:
        parent.mkdir(parents=True, exist_ok=True)


def _place(split: Split, indices: NDArray[np.int64], target: Path) -> Iterator[str]:
    """Make some images of a split files of another folder; yield their paths in it."""
    storage = Storage(split)
    for index in indices.tolist():
        path = f"train/{split.classes[split.labels[index]]}/{index:08d}.JPEG"
        _make_folders(target, [path])
        if split.pack is None:
            (target / path).symlink_to(split.path(index))
        else:
            (target / path).write_bytes(storage.read(index).tobytes())
        yield path


def _index(folder: Path, paths: Sequence[str], name: str) -> None:
    classes = sorted({Path(path).parent.name for path in paths})
    entries = [read_entry(folder, "train", path, classes.index(Path(path).parent.name)) for path in paths]
    _write(folder, entries, classes, name)


def _write(folder: Path, entries: Sequence[Entry], classes: Sequence[str], name: str) -> None:
    write_manifest(folder, entries, name=name, classes=classes, command="top1 bench loader")
