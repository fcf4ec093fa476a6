"""Preprocessing beside its references on photographs: docs/preprocessing.md holds what is measured here."""

import re

import numpy as np
import pytest
import torch
from test_pixels import central_crop, evaluated, half_pixel_bilinear, photographs, pil, write
from torchvision import transforms

from pipeline.data.geometry import evaluation_windows
from recipes.schema import Evaluation

MODES = transforms.InterpolationMode


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    return write(tmp_path_factory.mktemp("photos"), photographs()).split("val")


def window_of(evaluation, image):
    """The part of the source that a code resizes, as floats; its place is held by test_geometry."""
    pixels = np.asarray(image, np.float64)
    windows = evaluation_windows(evaluation, np.int32([pixels.shape[:2]]))
    (y, x), (height, width) = windows.start[0], windows.shape[0]
    return pixels[y : y + height, x : x + width]


def along_rows(weigh):
    """Apply a resize of one axis, (length, ...) and a size, to height, then width."""

    def resize(image, size):
        rows = weigh(image, size)
        return weigh(rows.transpose(1, 0, 2), size).transpose(1, 0, 2)

    return resize


@along_rows
def tf1_bilinear(image, size):
    """tensorflow/core/kernels/image/resize_bilinear_op.cc, half_pixel_centers=False: no half pixel."""
    place = np.arange(size) * (len(image) / size)
    low = np.floor(place).astype(int)
    share = (place - low)[:, None, None]
    return image[low] * (1 - share) + image[np.minimum(low + 1, len(image) - 1)] * share


def keys_cubic(x, a):
    """Keys' kernel at distances x (0..2)."""
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


@along_rows
def tf1_bicubic(image, size):
    """resize_bicubic_op.cc, half_pixel_centers=False: a = -0.75, shares in 1/1024, edges repeated."""
    place = np.arange(size) * (len(image) / size)
    low = np.floor(place).astype(int)
    share = np.rint((place - low) * 1024) / 1024
    out = 0
    for tap in range(-1, 3):
        weight = keys_cubic(np.abs(share - tap), -0.75)[:, None, None]
        out = out + image[np.clip(low + tap, 0, len(image) - 1)] * weight
    return out


@along_rows
def tf2_bicubic(image, size):
    """resize_bicubic_op.cc, half_pixel_centers=True: a = -0.5, taps beyond the edge left out."""
    place = (np.arange(size) + 0.5) * (len(image) / size) - 0.5
    low = np.floor(place).astype(int)
    share = np.rint((place - low) * 1024) / 1024
    out, total = 0, 0
    for tap in range(-1, 3):
        inside = (low + tap >= 0) & (low + tap < len(image))
        weight = (keys_cubic(np.abs(share - tap), -0.5) * inside)[:, None, None]
        out, total = out + image[np.clip(low + tap, 0, len(image) - 1)] * weight, total + weight
    return out / total


def torchvision(*steps):
    return lambda _, image: transforms.Compose(steps)(image)


def tensorflow(resize):
    return lambda evaluation, image: resize(window_of(evaluation, image), evaluation.crop)


def tf2_bilinear(image, size):
    return half_pixel_bilinear(image, size, size)


# What docs/preprocessing.md calls them: the protocol, and the reference of it.
ROWS = {
    "torchvision, 224 of 256": (
        Evaluation(224, (256,)),
        torchvision(transforms.Resize(256, MODES.BILINEAR), transforms.CenterCrop(224)),
    ),
    "torchvision, 224 of 232": (
        Evaluation(224, (232,)),
        torchvision(transforms.Resize(232, MODES.BILINEAR), transforms.CenterCrop(224)),
    ),
    "torchvision, 224 of 256, bicubic": (
        Evaluation(224, (256,), interpolation="bicubic"),
        torchvision(transforms.Resize(256, MODES.BICUBIC), transforms.CenterCrop(224)),
    ),
    "torchvision, squashed to 384, bicubic": (
        Evaluation(384, (384,), squash=True, interpolation="bicubic"),
        torchvision(transforms.Resize((384, 384), MODES.BICUBIC)),
    ),
    "Pillow, central 87.5 % to 299": (
        Evaluation(299, (299,), window="inception"),
        torchvision(central_crop, transforms.Resize((299, 299), MODES.BILINEAR)),
    ),
    "TensorFlow 1 bilinear, central 87.5 % to 299 (slim)": (
        Evaluation(299, (299,), window="inception", antialias=False),
        tensorflow(tf1_bilinear),
    ),
    "the same, with antialias here": (
        Evaluation(299, (299,), window="inception"),
        tensorflow(tf1_bilinear),
    ),
    "TensorFlow 1 bicubic, central square to 224 (EfficientNet)": (
        Evaluation(224, (224,), window="efficientnet", interpolation="bicubic", antialias=False),
        tensorflow(tf1_bicubic),
    ),
    "the same, with antialias here ": (
        Evaluation(224, (224,), window="efficientnet", interpolation="bicubic"),
        tensorflow(tf1_bicubic),
    ),
    "TensorFlow 2 bilinear, squashed to 384 (EfficientNetV2)": (
        Evaluation(384, (384,), squash=True, antialias=False),
        tensorflow(tf2_bilinear),
    ),
    "TensorFlow 2 bicubic, squashed to 384": (
        Evaluation(384, (384,), squash=True, interpolation="bicubic", antialias=False),
        tensorflow(tf2_bicubic),
    ),
}


def measured(split, name):
    """Return (mean, 99.9th percentile, greatest) difference in grey levels over all photographs."""
    evaluation, reference = ROWS[name]
    off = []
    for index, image in evaluated(split, evaluation):
        theirs = np.asarray(reference(evaluation, pil(split, index)), np.float64).transpose(2, 0, 1)
        off.append(np.abs(image.double().numpy() - theirs).ravel())
    together = np.concatenate(off)
    return together.mean(), np.quantile(together, 0.999), together.max()


def stated(config, name):
    """Return the same figures as docs/preprocessing.md has them."""
    text = (config.rootpath / "docs" / "preprocessing.md").read_text(encoding="utf-8")
    row = re.search(rf"^\| {re.escape(name.strip())} \|.*$", text, re.M)
    assert row, f"docs/preprocessing.md has no row {name!r}"
    number = 1 if name.endswith(" ") else 0  # the second of two alike
    rows = re.findall(
        rf"^\| {re.escape(name.strip())} \|.*\| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", text, re.M
    )
    return tuple(map(float, rows[number]))


@pytest.mark.parametrize("name", ROWS)
def test_the_difference_from_each_reference_is_what_the_page_says(name, split, request):
    found, told = measured(split, name), stated(request.config, name)
    assert found == pytest.approx(told, rel=0.02, abs=0.006)


def test_the_formulas_of_tensorflow_leave_an_image_of_the_same_size_alone():
    image = np.random.default_rng(0).integers(0, 256, (20, 20, 3)).astype(np.float64)
    for resize in (tf1_bilinear, tf1_bicubic, tf2_bilinear, tf2_bicubic):
        assert np.allclose(resize(image, 20), image)


def test_the_formulas_of_tensorflow_agree_with_values_worked_out_by_hand():
    # Two pixels 0 and 100 to four. TF1: places 0, .5, 1, 1.5: 0, 50, 100, 100. TF2: -.25, .25, .75, 1.25.
    image = np.tile(np.array([[0.0, 100.0]]), (2, 1))[:, :, None].repeat(3, 2)
    assert tf1_bilinear(image, 4)[0, :, 0] == pytest.approx([0, 50, 100, 100])
    assert tf2_bilinear(image, 4)[0, :, 0] == pytest.approx([0, 25, 75, 100])
    # Keys at .5: a = -.75 gives outer taps a/8 = -.09375, inner .59375, edges repeated: 50.
    assert tf1_bicubic(image, 4)[0, 1, 0] == pytest.approx(50)
    # a = -.5 at .25: taps at 1.25, .25, .75: -.0703125, .8671875, .2265625; the last is beyond: left out with
    # the first. 22.65625 / (.8671875 + .2265625).
    assert tf2_bicubic(image, 4)[0, 1, 0] == pytest.approx(22.65625 / 1.09375)


def test_torch_resizes_a_tensor_without_antialias_as_tensorflow_2_does():
    image = np.random.default_rng(1).integers(0, 256, (37, 53, 3)).astype(np.float64)
    theirs = torch.nn.functional.interpolate(
        torch.from_numpy(image.transpose(2, 0, 1))[None], size=(24, 24), mode="bilinear"
    )[0]
    assert np.allclose(tf2_bilinear(image, 24), theirs.numpy().transpose(1, 2, 0), atol=1e-9)


if __name__ == "__main__":  # prints the rows of the page
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        photos = write(Path(folder), photographs()).split("val")
        for row in ROWS:
            figures = " | ".join(f"{value:.3f}" for value in measured(photos, row))
            print(f"| {row.strip()} | {ROWS[row][0].protocol} | {figures} |", flush=True)
