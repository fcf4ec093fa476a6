"""What each author's operations are at each strength, as rows of `augment_program`, and learned policies.

Scales differ silently between implementations, so each is written out against its own source and tested
against it. Nothing here is random: a sign is an argument, and where Cutout's box lies is left to the draw.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from pipeline.data.augment_program import Code, Program, pil_rotation, step, tf_rotation
from pipeline.errors import Top1Error

# (operation, strength in the scale's own unit, sign, image size) -> one row of a program
Scale = Callable[[str, float, int, int], Program]
SubPolicy = tuple[tuple[str, float, float], ...]  # (operation, probability, strength), one after the other

TORCHVISION_BINS = 31  # torchvision transforms/autoaugment.py: RandAugment and TrivialAugmentWide

GOOGLE_OPERATIONS = (  # google/automl:efficientnetv2/autoaugment.py, in the order of its RandAugment
    "AutoContrast", "Equalize", "Invert", "Rotate", "Posterize", "Solarize", "Color", "Contrast",
    "Brightness", "Sharpness", "ShearX", "ShearY", "TranslateX", "TranslateY", "Cutout", "SolarizeAdd",
)  # fmt: skip
TIMM_OPERATIONS = tuple(name for name in GOOGLE_OPERATIONS if name != "Cutout")  # timm data/auto_augment.py
TORCHVISION_OPERATIONS = (  # torchvision transforms/autoaugment.py: RandAugment and TrivialAugmentWide
    "Identity", "ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate", "Brightness", "Color", "Contrast",
    "Sharpness", "Posterize", "Solarize", "AutoContrast", "Equalize",
)  # fmt: skip

_GREY = (128, 128, 128)
_BLACK = (0, 0, 0)


# ---------------------------------------------------------------- Google


def google(translate: float, cutout: float) -> Scale:
    """Return the scale of google/automl:efficientnetv2/autoaugment.py: strength / 10, without an upper end.

    translate: pixels at strength 10, cutout: half the side of the box there, whatever the image size; 100 and
    40 in its RandAugment, 250 and 100 in its AutoAugment.
    """
    return partial(_google, translate, cutout)


def _google(translate: float, cutout: float, name: str, level: float, sign: int, size: int) -> Program:
    share = level / 10.0
    if name == "Rotate":
        return step(Code.TF_NEAREST, *tf_rotation(sign * share * 30.0, size), *_GREY)
    if name in _MOVES:
        return step(Code.TF_NEAREST, *_moved(name, sign * share * 0.3, sign * share * translate), *_GREY)
    match name:
        case "Cutout":
            half = int(share * cutout)
            return step(Code.FILL, -half, -half, half, half, *_GREY)  # about its center
        case "AutoContrast":
            return step(Code.AUTOCONTRAST, 1)
        case "Posterize":
            # TF cuts a shift by more than 7 bits to 7, so that one bit is left where int() gives 0, or 9.
            bits = int(share * 4)
            return step(Code.POSTERIZE, bits if 1 <= bits <= 8 else 1)
        case "Solarize":
            # The threshold becomes an 8-bit constant: at strength 10 it is 256, hence 0, and inverts.
            return step(Code.SOLARIZE, int(share * 256) % 256)
        case "SolarizeAdd":
            return step(Code.SOLARIZE_ADD, int(share * 110))
        case "Contrast":
            # Not about the mean: what the code takes for it is the number of pixels / 256.
            return step(Code.BLEND, share * 1.8 + 0.1, min(size * size // 256, 255))
    return _color(name, share * 1.8 + 0.1, tf=True)


# ---------------------------------------------------------------- timm


def timm(interpolation: Code, fill: Sequence[float]) -> Scale:
    """Return the scale of timm data/auto_augment.py: Google's cut at 10, shifts relative to the size, PIL."""
    return partial(_timm, interpolation, fill)


def _timm(
    interpolation: Code, fill: Sequence[float], name: str, level: float, sign: int, size: int
) -> Program:
    share = min(level, 10.0) / 10.0
    if name == "Rotate":
        return step(interpolation, *pil_rotation(sign * share * 30.0, size), *fill)
    if name in _MOVES:
        return step(interpolation, *_moved(name, sign * share * 0.3, sign * share * 0.45 * size), *fill)
    match name:
        case "Posterize":
            return step(Code.POSTERIZE, int(share * 4))
        case "Solarize":
            return step(Code.SOLARIZE, min(int(share * 256), 256))
        case "SolarizeAdd":
            return step(Code.SOLARIZE_ADD, min(int(share * 110), 128))
    return _color(name, share * 1.8 + 0.1)


# ---------------------------------------------------------------- torchvision


def torchvision(bins: int, wide: bool = False, interpolation: Code = Code.NEAREST) -> Scale:
    """Return the scale of torchvision transforms/autoaugment.py: from bin 0, nothing, to bin `bins` - 1.

    wide: TrivialAugmentWide's. interpolation: of what is turned, sheared and moved.
    """
    return partial(_torchvision, bins, wide, interpolation)


def _torchvision(
    bins: int, wide: bool, interpolation: Code, name: str, level: float, sign: int, size: int
) -> Program:
    if not 0 <= level <= bins - 1:
        raise Top1Error(
            f"magnitude {level:g} is not on torchvision's scale: expected 0 to {bins - 1}. "
            'Use a smaller one, or definition="google", whose magnitude 10 is torchvision\'s 30.'
        )
    if name == "Rotate":
        degrees = _bin(0, 135 if wide else 30, level, bins)
        return step(interpolation, *pil_rotation(sign * degrees, size), *_BLACK)
    if name in _MOVES:
        shear = _bin(0, 0.99 if wide else 0.3, level, bins)
        pixels = int(_bin(0, 32 if wide else 150.0 / 331.0 * size, level, bins))
        return step(interpolation, *_moved(name, sign * shear, -sign * pixels), *_BLACK)
    match name:
        case "Posterize":
            dropped = np.rint(np.float32(level) / np.float32((bins - 1) / (6 if wide else 4)))
            return step(Code.POSTERIZE, 8 - dropped)
        case "Solarize":
            return step(Code.SOLARIZE, _bin(255, 0, level, bins))
    return _color(name, 1.0 + sign * _bin(0, 0.99 if wide else 0.9, level, bins))


def _bin(first: float, last: float, level: float, bins: int) -> float:
    """Return entry `level` of torch.linspace(first, last, bins): float32, counted from the nearer end.

    torch's vector form differs in the last bit, by processor: it may make 15 pixels of the wide scale's 16.
    """
    start, end = np.float32(first), np.float32(last)
    width = (end - start) / np.float32(bins - 1)
    if level < bins // 2:
        return float(start + width * np.float32(level))
    return float(end - width * np.float32(bins - 1 - level))


# ---------------------------------------------------------------- what they share


_MOVES = ("ShearX", "ShearY", "TranslateX", "TranslateY")


def _moved(name: str, shear: float, pixels: float) -> tuple[float, ...]:
    """Return a b c d e f: from where output (x, y) is taken, (ax + by + c, dx + ey + f)."""
    match name:
        case "ShearX":
            return (1, shear, 0, 0, 1, 0)
        case "ShearY":
            return (1, 0, 0, shear, 1, 0)
        case "TranslateX":
            return (1, 0, pixels, 0, 1, 0)
    return (1, 0, 0, 0, 1, pixels)


def _color(name: str, factor: float, tf: bool = False) -> Program:
    """Return an operation that all define alike; an enhancement of `factor` 1 changes nothing."""
    match name:
        case "Identity":
            return step(Code.KEEP)
        case "AutoContrast":
            return step(Code.AUTOCONTRAST, 0)
        case "Equalize":
            return step(Code.EQUALIZE)
        case "Invert":
            return step(Code.SOLARIZE, 0)
        case "Color":
            return step(Code.SATURATION, factor, tf)
        case "Contrast":
            return step(Code.CONTRAST, factor)
        case "Brightness":
            return step(Code.BLEND, factor, 0)
        case "Sharpness":
            return step(Code.SHARPNESS, factor, tf)
    raise ValueError(f"{name} is no operation")


# ---------------------------------------------------------------- AutoAugment's policies


# google/automl:efficientnetv2/autoaugment.py policy_v0 (tensorflow/tpu has the same), on Google's scale.
GOOGLE_V0: tuple[SubPolicy, ...] = (
    (("Equalize", 0.8, 1), ("ShearY", 0.8, 4)),
    (("Color", 0.4, 9), ("Equalize", 0.6, 3)),
    (("Color", 0.4, 1), ("Rotate", 0.6, 8)),
    (("Solarize", 0.8, 3), ("Equalize", 0.4, 7)),
    (("Solarize", 0.4, 2), ("Solarize", 0.6, 2)),
    (("Color", 0.2, 0), ("Equalize", 0.8, 8)),
    (("Equalize", 0.4, 8), ("SolarizeAdd", 0.8, 3)),
    (("ShearX", 0.2, 9), ("Rotate", 0.6, 8)),
    (("Color", 0.6, 1), ("Equalize", 1.0, 2)),
    (("Invert", 0.4, 9), ("Rotate", 0.6, 0)),
    (("Equalize", 1.0, 9), ("ShearY", 0.6, 3)),
    (("Color", 0.4, 7), ("Equalize", 0.6, 0)),
    (("Posterize", 0.4, 6), ("AutoContrast", 0.4, 7)),
    (("Solarize", 0.6, 8), ("Color", 0.6, 9)),
    (("Solarize", 0.2, 4), ("Rotate", 0.8, 9)),
    (("Rotate", 1.0, 7), ("TranslateY", 0.8, 9)),
    (("ShearX", 0.0, 0), ("Solarize", 0.8, 4)),
    (("ShearY", 0.8, 0), ("Color", 0.6, 4)),
    (("Color", 1.0, 0), ("Rotate", 0.6, 2)),
    (("Equalize", 0.8, 4), ("Equalize", 0.0, 8)),
    (("Equalize", 1.0, 4), ("AutoContrast", 0.6, 2)),
    (("ShearY", 0.4, 7), ("SolarizeAdd", 0.6, 7)),
    (("Posterize", 0.8, 2), ("Solarize", 0.6, 10)),
    (("Solarize", 0.6, 8), ("Equalize", 0.6, 1)),
    (("Color", 0.8, 6), ("Rotate", 0.4, 5)),
)

# torchvision transforms/autoaugment.py AutoAugmentPolicy.IMAGENET, on its scale of 10 bins.
ORIGINAL_BINS = 10
ORIGINAL: tuple[SubPolicy, ...] = (
    (("Posterize", 0.4, 8), ("Rotate", 0.6, 9)),
    (("Solarize", 0.6, 5), ("AutoContrast", 0.6, 5)),
    (("Equalize", 0.8, 8), ("Equalize", 0.6, 3)),
    (("Posterize", 0.6, 7), ("Posterize", 0.6, 6)),
    (("Equalize", 0.4, 7), ("Solarize", 0.2, 4)),
    (("Equalize", 0.4, 4), ("Rotate", 0.8, 8)),
    (("Solarize", 0.6, 3), ("Equalize", 0.6, 7)),
    (("Posterize", 0.8, 5), ("Equalize", 1.0, 2)),
    (("Rotate", 0.2, 3), ("Solarize", 0.6, 8)),
    (("Equalize", 0.6, 8), ("Posterize", 0.4, 6)),
    (("Rotate", 0.8, 8), ("Color", 0.4, 0)),
    (("Rotate", 0.4, 9), ("Equalize", 0.6, 2)),
    (("Equalize", 0.0, 7), ("Equalize", 0.8, 8)),
    (("Invert", 0.6, 4), ("Equalize", 1.0, 8)),
    (("Color", 0.6, 4), ("Contrast", 1.0, 8)),
    (("Rotate", 0.8, 8), ("Color", 1.0, 2)),
    (("Color", 0.8, 8), ("Solarize", 0.8, 7)),
    (("Sharpness", 0.4, 7), ("Invert", 0.6, 8)),
    (("ShearX", 0.6, 5), ("Equalize", 1.0, 9)),
    (("Color", 0.4, 0), ("Equalize", 0.6, 3)),
    (("Equalize", 0.4, 7), ("Solarize", 0.2, 4)),
    (("Solarize", 0.6, 5), ("AutoContrast", 0.6, 5)),
    (("Invert", 0.6, 4), ("Equalize", 1.0, 8)),
    (("Color", 0.6, 4), ("Contrast", 1.0, 8)),
    (("Equalize", 0.8, 8), ("Equalize", 0.6, 3)),
)
