"""Pixels equal Pillow's: at 18 image sizes, on photographs, under every protocol, borders included."""

import functools
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image
from scipy import ndimage
from sklearn.datasets import load_sample_images
from torchvision import transforms
from torchvision.transforms import functional

from data_prep.folder import prepare_folder
from pipeline.data import resize
from pipeline.data.geometry import evaluation_windows, train_windows
from pipeline.data.loader import EvalLoader, Shard, TrainLoader
from pipeline.data.manifest import Manifest
from pipeline.data.operation import Draw
from pipeline.progressive import Stage
from recipes.schema import (
    CenterCrop,
    Data,
    Evaluation,
    HorizontalFlip,
    Normalize,
    RandomCrop,
    RandomResizedCrop,
)

RESIZED = resize.resized
PLAIN = Normalize((0.0,) * 3, (1.0,) * 3)  # pixels come out as they are, 0..255
MODES = {
    "bilinear": transforms.InterpolationMode.BILINEAR,
    "bicubic": transforms.InterpolationMode.BICUBIC,
    "nearest": transforms.InterpolationMode.NEAREST,
}
SIZES = [
    (375, 500), (500, 375), (333, 500), (500, 333), (332, 500), (500, 336), (343, 500), (400, 300),
    (480, 640), (256, 256), (257, 300), (100, 100), (60, 500), (500, 60), (667, 1000), (1000, 667),
    (285, 428), (64, 64),
]  # fmt: skip
SKIMAGE_PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket", "hubble_deep_field")


def photographs():
    yield from map(Image.fromarray, load_sample_images().images)
    yield Image.open(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg").convert("RGB")
    for name in SKIMAGE_PHOTOGRAPHS:
        yield Image.fromarray(getattr(skimage.data, name)())


def write(folder, images):
    for number, image in enumerate(images):
        for split in ("train", "val"):
            path = folder / split / f"n{number % 2}" / f"{number:02d}.JPEG"
            path.parent.mkdir(parents=True, exist_ok=True)
            image.save(path, quality=95)
    prepare_folder(folder)
    return Manifest.load(folder)


@pytest.fixture(scope="module")
def sized(tmp_path_factory):
    """scikit-learn's photographs in 18 sizes."""
    images = [Image.fromarray(image) for image in load_sample_images().images]
    resized = (
        images[number % 2].resize((width, height), Image.Resampling.LANCZOS)
        for number, (height, width) in enumerate(SIZES)
    )
    return write(tmp_path_factory.mktemp("sized"), resized)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Photographs as they were taken."""
    return write(tmp_path_factory.mktemp("photos"), photographs())


def pil(split, index):
    return opened(split.path(index))


@functools.cache
def opened(path):
    with Image.open(path) as image:
        return image.convert("RGB")


def evaluated(split, evaluation, color="rgb"):
    """Every image of a split under a protocol, with its number."""
    for areas in EvalLoader(split, color, evaluation, batch=6):
        (images,) = areas.scales
        yield from zip(areas.indices.tolist(), images, strict=True)


def trained(split, geometry, size):
    """Every image of a split once, with the draw that made them."""
    data = Data(len(split), (geometry,), PLAIN)
    stage = Stage(0, 1, 0, 1, size)
    shard = Shard(0, 1, len(split))
    (batch,) = TrainLoader(split, data, [stage], seed=3, batch_size=len(split), shard=shard).batches(0, 1)
    return Draw(3, 0, batch.indices.numpy(), np.zeros(len(split), np.int64), size), batch.images


def difference(ours, theirs):
    """Absolute difference in grey levels; ours (C, H, W), theirs a PIL image or (H, W, C)."""
    return np.abs(ours.double().numpy() - np.asarray(theirs, np.float64).transpose(2, 0, 1))


# ---------------------------------------------------------------- evaluation


def central_crop(image):
    """tf.image.central_crop(image, 0.875)."""
    x, y = image.width // 16, image.height // 16
    return image.crop((x, y, image.width - x, image.height - y))


PROTOCOLS = {
    "224 of 256": (
        Evaluation(224, (256,)),
        lambda mode: [transforms.Resize(256, mode), transforms.CenterCrop(224)],
    ),
    "320 of 320": (
        Evaluation(320, (320,)),
        lambda mode: [transforms.Resize(320, mode), transforms.CenterCrop(320)],
    ),
    "squashed to 384": (
        Evaluation(384, (384,), squash=True),
        lambda mode: [transforms.Resize((384, 384), mode)],
    ),
    "224 of a squashed 256": (
        Evaluation(224, (256,), squash=True),
        lambda mode: [transforms.Resize((256, 256), mode), transforms.CenterCrop(224)],
    ),
    "central square of 256": (
        Evaluation(224, (256,), "ten_crop", central_square=True),
        lambda mode: [transforms.Resize(256, mode), transforms.CenterCrop(256)],
    ),
    "central 87.5% of both sides": (
        Evaluation(299, (299,), window="inception"),
        lambda mode: [central_crop, transforms.Resize((299, 299), mode)],
    ),
    "all of 256": (Evaluation(224, (256,), "ten_crop"), lambda mode: [transforms.Resize(256, mode)]),
}


@pytest.mark.parametrize(("interpolation", "most", "ever"), [("bilinear", 1, 2), ("bicubic", 5, 9)])
@pytest.mark.parametrize("images", ["sized", "photos"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_evaluation_equals_pil_to_the_last_row(protocol, images, interpolation, most, ever, request):
    split = request.getfixturevalue(images).split("val")
    evaluation, theirs = PROTOCOLS[protocol]
    reference = transforms.Compose(theirs(MODES[interpolation]))
    for index, image in evaluated(split, replace(evaluation, interpolation=interpolation)):
        off = difference(image, reference(pil(split, index)))
        assert (off > most).mean() <= 2e-4, split.paths[index]
        assert off.max() <= ever
        assert off.mean() < 0.15


def test_nearest_pixels_are_pils_own(sized):
    split = sized.split("val")
    evaluation = Evaluation(224, (224,), squash=True, interpolation="nearest")
    for index, image in evaluated(split, evaluation):
        theirs = pil(split, index).resize((224, 224), Image.Resampling.NEAREST)
        assert difference(image, theirs).max() == 0


def half_pixel_bilinear(image, height, width):
    """Bilinear interpolation between pixel centres, edges going on: (H, W, C) to (height, width, C)."""
    h, w, _ = image.shape
    y = (np.arange(height) + 0.5) * h / height - 0.5
    x = (np.arange(width) + 0.5) * w / width - 0.5
    places = np.meshgrid(y, x, indexing="ij")
    channels = [ndimage.map_coordinates(c, places, order=1, mode="nearest") for c in np.moveaxis(image, 2, 0)]
    return np.stack(channels, 2)


def test_without_antialias_evaluation_interpolates_between_pixel_centers(sized):
    split = sized.split("val")
    evaluation = Evaluation(256, (256,), squash=True, antialias=False)
    for index, image in evaluated(split, evaluation):
        theirs = half_pixel_bilinear(np.asarray(pil(split, index), np.float64), 256, 256)
        assert difference(image, theirs).max() < 0.01


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("interpolation", MODES)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_images_of_one_size_are_resized_together_on_a_gpu_as_alone(
    protocol, interpolation, antialias, monkeypatch
):
    evaluation, how = PROTOCOLS[protocol][0], (interpolation, antialias)
    sizes = np.array([(37, 50), (50, 37), (37, 50), (512, 300), (37, 50), (37, 50), (50, 37)], np.int32)
    draw = np.random.default_rng(0)
    images = [torch.from_numpy(draw.integers(0, 256, (*size, 3), np.uint8)) for size in sizes]
    calls = []
    monkeypatch.setattr(resize, "_TOGETHER", 3)
    monkeypatch.setattr(torch.Tensor, "is_cuda", True)  # takes the same way on the CPU
    monkeypatch.setattr(
        resize, "resized", lambda window, *rest: calls.append(len(window)) or RESIZED(window, *rest)
    )
    together = resize.resized_crops(images, evaluation_windows(evaluation, sizes), *how)
    assert calls == [3, 1, 2, 1]  # four of the first size, in two goes
    for image, size, crop in zip(images, sizes, together, strict=True):
        (alone,) = resize.resized_crops([image], evaluation_windows(evaluation, size[None]), *how)
        assert torch.equal(crop, alone)


def test_an_evaluation_larger_than_the_image_is_padded_with_black(sized):
    split = sized.split("val")
    reference = transforms.Compose([transforms.Resize(64), transforms.CenterCrop(80)])
    for index, image in evaluated(split, Evaluation(80, (64,))):
        assert difference(image, reference(pil(split, index))).max() <= 1


# ---------------------------------------------------------------- training


def continued(window, size, mode):
    """Pillow's resize of a window whose outermost pixels go on beyond it."""
    height, width = window.shape[:2]
    beyond = 2 * max(height, width) // size + 4  # more than a bicubic filter reaches
    wide = Image.fromarray(np.pad(window, ((beyond, beyond), (beyond, beyond), (0, 0)), "edge"))
    kind = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}[mode]
    return wide.resize((size, size), kind, box=(beyond, beyond, beyond + width, beyond + height))


@pytest.mark.parametrize(("interpolation", "most"), [("bilinear", 1), ("bicubic", 5)])
@pytest.mark.parametrize("images", ["sized", "photos"])
@pytest.mark.parametrize("size", [96, 224])
def test_a_random_resized_crop_equals_pils_of_the_same_window_but_for_its_border(
    size, images, interpolation, most, request
):
    split = request.getfixturevalue(images).split("train")
    geometry = RandomResizedCrop(size, interpolation=interpolation)
    draw, crops = trained(split, geometry, size)
    windows = train_windows(geometry, split.sizes[draw.indices], draw)
    for row, (index, image) in enumerate(zip(draw.indices, crops, strict=True)):
        (y, x), (height, width) = windows.start[row], windows.shape[row]
        picture, box = pil(split, index), (y, x, height, width)
        theirs = functional.resized_crop(picture, *box, [size, size], MODES[interpolation])
        off = difference(image, theirs)
        assert (off[:, 2:-2, 2:-2] > most).mean() <= 2e-4
        assert off.mean() < 0.3
        assert off.max() <= 16  # measured: 13, in the outermost row
        window = np.asarray(picture)[y : y + height, x : x + width]
        off = difference(image, continued(window, size, interpolation))
        assert (off > most).mean() <= 2e-4  # that is all there is to the border


def test_a_crop_larger_than_the_image_is_padded_with_black_as_torchvision_does(sized):
    split = sized.split("train")
    draw, crops = trained(split, CenterCrop(80, 64), 80)
    reference = transforms.Compose([transforms.Resize(64), transforms.CenterCrop(80)])
    for index, image in zip(draw.indices, crops, strict=True):
        off = difference(image, reference(pil(split, index)))
        assert off.mean() < 0.3
        assert off[:, :8].max() == 0 or split.sizes[index, 0] > split.sizes[index, 1]
    assert (crops[:, :, :8].amax((1, 2, 3)) == 0).any()


def test_a_random_crop_is_cut_from_the_resized_image(sized):
    split = sized.split("train")
    geometry = RandomCrop(56, (64, 64))
    draw, crops = trained(split, geometry, 56)
    windows = train_windows(geometry, split.sizes[draw.indices], draw)
    for row, (index, image) in enumerate(zip(draw.indices, crops, strict=True)):
        y, x = windows.crop_start[row]
        resized = np.asarray(transforms.Resize(64)(pil(split, index)))
        assert difference(image, resized[y : y + 56, x : x + 56]).mean() < 0.35


def test_gray_images_have_one_channel_and_pils_values(demo_data):
    split = Manifest.load(demo_data).split("val").take(np.arange(5))
    for index, pixels in evaluated(split, Evaluation(64, (64,)), "gray"):
        with Image.open(split.path(index)) as image:
            assert np.array_equal(pixels.numpy(), np.asarray(image, np.float32)[None])


def test_flips_mirror_half_of_the_images_and_nothing_else(demo_data):
    split = Manifest.load(demo_data).split("train").take(np.arange(128))
    both = []
    for augment in ((), (HorizontalFlip(),)):
        data = Data(128, (CenterCrop(32, 32), *augment), PLAIN)
        stage = Stage(0, 1, 0, 1, 32)
        both += TrainLoader(split, data, [stage], seed=3, batch_size=128, shard=Shard(0, 1, 128)).batches(
            0, 1
        )
    plain, mixed = (batch.images for batch in both)
    same = [torch.equal(a, b) for a, b in zip(mixed, plain, strict=True)]
    mirrored = [torch.equal(a, b.flip(-1)) for a, b in zip(mixed, plain, strict=True)]
    assert all(a != b for a, b in zip(same, mirrored, strict=True))
    assert 40 < sum(mirrored) < 88
