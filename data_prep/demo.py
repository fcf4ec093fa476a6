"""A small real data set that ships with a dependency: scikit-learn's handwritten digits as JPEG files.

1,797 digits of 8 x 8 pixels (UCI "Optical Recognition of Handwritten Digits"), 10 classes. With it everything
can be tried with no download; its accuracies are compared with nobody's.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from data_prep.folder import prepare_folder
from pipeline.data.header import HEADER_NAME, Header, read_header
from pipeline.errors import Top1Error

NAME = "demo-digits"
IMAGE_SIZE = 64
VAL_EVERY = 5  # every fifth digit is a validation image: 1,437 to learn from, 360 to be measured on
_GREATEST = 16  # ink of a pixel is counted from 0 to 16


def prepare_demo(folder: str | Path) -> Header:
    """Write the demo set and its manifest; a finished set is left alone, a half-written one is completed.

    Files are the same at every call with one version of Pillow: white ink on black, as MNIST has it.
    """
    folder = Path(folder)
    if (folder / HEADER_NAME).exists():
        header = read_header(folder)
        if header.name != NAME:
            raise Top1Error(f"{folder} holds the data set {header.name!r}, not {NAME!r}; give another folder")
        return header
    digits = load_digits()
    for number, (image, digit) in enumerate(zip(digits.images, digits.target, strict=True)):
        split = "val" if number % VAL_EVERY == 0 else "train"
        path = folder / split / f"n9000000{digit}" / f"digit_{number:04d}.JPEG"
        if not path.exists():
            _write_digit(path, image)
    return prepare_folder(folder, name=NAME, command=f"top1 prep demo {folder}")


def _write_digit(path: Path, ink: np.ndarray) -> None:
    """Write one digit, (8, 8) counts of ink, as a grey JPEG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.rint(ink * (255 / _GREATEST)).astype(np.uint8)
    image = Image.fromarray(pixels).resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BICUBIC)
    unfinished = path.with_suffix(".unfinished")  # no image to the index, should this be interrupted here
    image.save(unfinished, "JPEG", quality=95)
    unfinished.replace(path)
