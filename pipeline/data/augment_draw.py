"""Draws of augmentations: from the counters of some images to what is done to each, as programs.

Pure functions of a Draw; numpy alone. The steps of a policy are few: they are tabulated once for a magnitude
and an image size, and a draw picks rows.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from pipeline.data import augment_policies as policies
from pipeline.data.augment_program import WIDTH, Code, Program, pil_rotation, step
from pipeline.data.operation import Draw
from pipeline.data.sampling import Stream
from recipes.schema import AutoAugment, ColorJitter, Data, Lighting, RandAugment, Rotation

Floats = NDArray[np.float64]

_INTERPOLATIONS = {"nearest": Code.NEAREST, "bilinear": Code.BILINEAR, "bicubic": Code.BICUBIC}


def randaugment(randaugment: RandAugment, data: Data, draw: Draw) -> Program:
    """Return `layers` steps, each any operation of the definition, at the stage's magnitude."""
    magnitude = randaugment.magnitude if draw.magnitude is None else draw.magnitude
    fill = tuple(min(255, round(mean)) for mean in data.normalize.mean)  # timm transforms_factory.py
    rows = _randaugment_rows(randaugment, data.geometry.interpolation, fill, magnitude, draw.image_size)
    u = draw.uniforms(Stream.RANDAUGMENT, 5 * randaugment.layers).reshape(-1, randaugment.layers, 5)
    program = rows[_integers(u[..., 0], len(rows)), _integers(u[..., 1], 2)]
    if randaugment.definition == "timm":
        program[u[..., 2] >= 0.5] = step(Code.KEEP)  # timm: each with probability 0.5
    return _placed(program, u[..., 3:5], draw.image_size)


@cache
def _randaugment_rows(
    randaugment: RandAugment, interpolation: str, fill: tuple[int, ...], magnitude: float, size: int
) -> Program:
    """Return the step of every operation and sign, (operations, 2, WIDTH)."""
    match randaugment.definition:
        case "google":
            names = policies.GOOGLE_OPERATIONS
            scale = policies.google(randaugment.translate, randaugment.cutout)
        case "timm":
            names, scale = policies.TIMM_OPERATIONS, policies.timm(_INTERPOLATIONS[interpolation], fill)
        case _:
            names = policies.TORCHVISION_OPERATIONS
            scale = policies.torchvision(policies.TORCHVISION_BINS)
    return np.array([[scale(name, magnitude, sign, size) for sign in (1, -1)] for name in names])


def autoaugment(autoaugment: AutoAugment, draw: Draw) -> Program:
    """Return the two steps of a random sub-policy, each with its own probability."""
    probabilities, rows = _autoaugment_rows(autoaugment.policy, draw.image_size)
    u = draw.uniforms(Stream.AUTOAUGMENT, 5)
    chosen = _integers(u[:, 0], len(rows))
    program = rows[chosen[:, None], np.arange(2), _integers(u[:, 1:3], 2)]
    program[u[:, 3:5] >= probabilities[chosen]] = step(Code.KEEP)
    return program


@cache
def _autoaugment_rows(policy: str, size: int) -> tuple[Floats, Program]:
    """Return the probability, (25, 2), and the step, (25, 2, 2 signs, WIDTH), of every entry of a policy."""
    if policy == "google_v0":
        entries, scale = policies.GOOGLE_V0, policies.google(translate=250, cutout=100)
    else:
        entries, scale = policies.ORIGINAL, policies.torchvision(policies.ORIGINAL_BINS)
    probabilities = [[probability for _, probability, _ in pair] for pair in entries]
    rows = [
        [[scale(name, level, sign, size) for sign in (1, -1)] for name, _, level in pair] for pair in entries
    ]
    return np.array(probabilities), np.array(rows)


def trivialaugment(data: Data, draw: Draw) -> Program:
    """Return one step: any operation, at any bin, by the crop's interpolation (torchvision's presets.py)."""
    rows = _trivialaugment_rows(data.geometry.interpolation, draw.image_size)
    u = draw.uniforms(Stream.TRIVIALAUGMENT, 3)
    return rows[tuple(_integers(u[:, i], rows.shape[i]) for i in range(3))][:, None]


@cache
def _trivialaugment_rows(interpolation: str, size: int) -> Program:
    """Return the step of every operation, bin and sign, (14, 31, 2, WIDTH)."""
    bins = policies.TORCHVISION_BINS
    scale = policies.torchvision(bins, wide=True, interpolation=_INTERPOLATIONS[interpolation])
    return np.array(
        [
            [[scale(name, level, sign, size) for sign in (1, -1)] for level in range(bins)]
            for name in policies.TORCHVISION_OPERATIONS
        ]
    )


def color_jitter(jitter: ColorJitter, draw: Draw) -> Program:
    """Return brightness, contrast, saturation and hue in a random order: torchvision.transforms.ColorJitter.

    What a recipe leaves at 0 is not done at all, as there.
    """
    u = draw.uniforms(Stream.COLOR, 8)
    program = np.stack(
        [
            _jittered(Code.BLEND, jitter.brightness, u[:, 0]),
            _jittered(Code.CONTRAST, jitter.contrast, u[:, 1]),
            _jittered(Code.SATURATION, jitter.saturation, u[:, 2]),
            step(Code.HUE, np.trunc(255 * jitter.hue * (2 * u[:, 3] - 1)) % 256),
        ],
        axis=1,
    )
    if jitter.hue == 0:
        program[:, 3] = step(Code.KEEP)
    order = np.argsort(u[:, 4:], axis=1)
    return np.take_along_axis(program, order[..., None], axis=1)


def _jittered(code: Code, amount: float, u: Floats) -> Program:
    """Return an enhancement by a factor in [max(0, 1 - amount), 1 + amount], (N, WIDTH)."""
    if amount == 0:
        return np.zeros((len(u), WIDTH))
    least = max(0.0, 1 - amount)
    return step(code, least + (1 + amount - least) * u)


def rotation(rotation: Rotation, data: Data, draw: Draw) -> Program:
    """Return one turn: torchvision.transforms.RandomRotation with the crop's interpolation, corners black."""
    degrees = rotation.degrees * (2 * draw.uniforms(Stream.ROTATION, 1) - 1)  # (N, 1)
    return step(_INTERPOLATIONS[data.geometry.interpolation], *pil_rotation(degrees, draw.image_size))


def lighting_shift(lighting: Lighting, draw: Draw) -> Floats:
    """Return what the shift adds to each channel, (N, 3) on 0..255; one draw per image and use."""
    alpha = lighting.std * _normals(draw.uniforms(Stream.LIGHTING, 6))
    return 255 * (alpha * np.array(lighting.eigenvalues)) @ np.array(lighting.eigenvectors).T


def _placed(program: Program, u: Floats, size: int) -> Program:
    """Move the boxes of `program` (Cutout) to centers drawn from all pixels, and cut them at the border."""
    boxes = program[..., 0] == Code.FILL
    centers = np.tile(_integers(u[boxes], size), 2)  # y, x, y, x
    program[boxes, 1:5] = np.clip(program[boxes, 1:5] + centers, 0, size)
    return program


def _integers(u: Floats, count: int) -> NDArray[np.int64]:
    """Return 0 .. count - 1, all equally likely, from uniforms."""
    return (u * count).astype(np.int64)


def _normals(u: Floats) -> Floats:
    """Return (N, K) standard normals from (N, 2 K) uniforms (Box and Muller 1958)."""
    radius, angle = np.split(u, 2, axis=1)
    return np.sqrt(-2 * np.log(1 - radius)) * np.cos(2 * np.pi * angle)
