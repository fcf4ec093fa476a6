"""The loader on real DALI: pixels equal PIL's, and each other at any world size, resumed or staged."""

import hashlib

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from torchvision import transforms
from torchvision.transforms import functional

from data_prep.folder import prepare_folder
from pipeline.data.geometry import train_windows
from pipeline.data.loader import EvalLoader, Shard, TrainLoader
from pipeline.data.manifest import Manifest
from pipeline.data.operation import Draw
from pipeline.data.sampling import epoch_order
from pipeline.errors import Top1Error
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


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Real photographs (scikit-learn's) in 18 sizes."""
    folder = tmp_path_factory.mktemp("photos")
    pictures = [Image.fromarray(image) for image in load_sample_images().images]
    for number, (height, width) in enumerate(SIZES):
        for split in ("train", "val"):
            path = folder / split / f"n{number % 2}" / f"{number:02d}.JPEG"
            path.parent.mkdir(parents=True, exist_ok=True)
            pictures[number % 2].resize((width, height), Image.Resampling.LANCZOS).save(path, quality=95)
    prepare_folder(folder)
    return Manifest.load(folder)


@pytest.fixture(scope="module")
def digits(demo_data):
    return Manifest.load(demo_data)


def stages(*sizes, steps=10_000):
    """Stages of `steps` steps each."""
    return [Stage(i * steps, (i + 1) * steps, i, i + 1, size) for i, size in enumerate(sizes)]


def random_data(size=32):
    return Data(64, (RandomResizedCrop(size), HorizontalFlip()), Normalize((120.0,) * 3, (60.0,) * 3))


def loader(
    split, data=None, sizes=(32,), *, seed=3, world=1, rank=0, accumulation=1, steps=10_000, **options
):
    data = data or random_data()
    shard = Shard(rank, world, data.batch_size // world // accumulation, accumulation)
    where = stages(*sizes, steps=steps)
    return TrainLoader(split, data, where, seed=seed, batch_size=data.batch_size, shard=shard, **options)


def fingerprint(image):
    return hashlib.sha256(image.numpy().tobytes()).hexdigest()


def by_step(batches):
    """For each step the pixels of each image, in the order of the global batch of one rank."""
    steps = {}
    for batch in batches:
        pairs = zip(batch.indices.tolist(), map(fingerprint, batch.images), strict=True)
        steps.setdefault(batch.step, []).extend(pairs)
    return steps


def pil(split, index):
    with Image.open(split.path(index)) as image:
        return image.convert("RGB")


def difference(ours, theirs):
    """Absolute difference in grey levels; ours (C, H, W) float, theirs a PIL image."""
    return np.abs(ours.numpy() - np.asarray(theirs, np.float64).transpose(2, 0, 1))


# ---------------------------------------------------------------- pixels


@pytest.mark.parametrize(("interpolation", "most"), [("bilinear", 1), ("bicubic", 5)])
def test_evaluation_equals_pil_at_18_sizes(photos, interpolation, most):
    split = photos.split("val")
    data = Data(1, (CenterCrop(224, 256),), PLAIN)
    theirs = transforms.Compose([transforms.Resize(256, MODES[interpolation]), transforms.CenterCrop(224)])
    evaluation = Evaluation(224, (256,), interpolation=interpolation)
    for batch in EvalLoader(split, data, evaluation, batch=7):
        for index, image in zip(batch.indices.tolist(), batch.images, strict=True):
            off = difference(image, theirs(pil(split, index)))
            inside = off[:, 2:-2, 2:-2]
            assert (inside > most).mean() <= 1e-4, split.paths[index]
            assert off.mean() < 0.25, split.paths[index]


def test_a_squashed_evaluation_equals_pil(photos):
    split = photos.split("val")
    evaluation = Evaluation(224, (256,), squash=True)
    theirs = transforms.Compose([transforms.Resize((256, 256)), transforms.CenterCrop(224)])
    (batch,) = EvalLoader(split, Data(1, (CenterCrop(224, 256),), PLAIN), evaluation, batch=18)
    for index, image in enumerate(batch.images):
        assert difference(image, theirs(pil(split, index)))[:, 2:-2, 2:-2].max() <= 1


def test_without_antialias_evaluation_equals_torchs_plain_interpolation(photos):
    split = photos.split("val")
    evaluation = Evaluation(256, (256,), squash=True, antialias=False)
    (batch,) = EvalLoader(split, Data(1, (CenterCrop(224, 256),), PLAIN), evaluation, batch=18)
    for index, image in enumerate(batch.images):
        source = functional.pil_to_tensor(pil(split, index)).float()[None]
        theirs = torch.nn.functional.interpolate(source, (256, 256), mode="bilinear", align_corners=False)[0]
        assert (image - theirs).abs().max() <= 0.51  # rounding to whole levels


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_a_random_resized_crop_equals_torchvisions_of_the_same_window(photos, interpolation):
    split = photos.split("train")
    data = Data(18, (RandomResizedCrop(96, interpolation=interpolation),), PLAIN)
    (batch,) = loader(split, data, (96,)).batches(0, 1)
    draw = Draw(3, 0, batch.indices.numpy(), np.zeros(18, np.int64), 96)
    windows = train_windows(data.geometry, split.sizes[draw.indices], draw)
    for row, (index, image) in enumerate(zip(draw.indices, batch.images, strict=True)):
        box = (*windows.start[row].tolist(), *windows.shape[row].tolist())
        theirs = functional.resized_crop(pil(split, index), *box, [96, 96], MODES[interpolation])
        off = difference(image, theirs)
        assert off.mean() < 0.3
        assert (off[:, 2:-2, 2:-2] > (1 if interpolation == "bilinear" else 5)).mean() <= 1e-4


def test_a_crop_larger_than_the_image_is_padded_with_black_as_torchvision_does(photos):
    split = photos.split("train")
    data = Data(18, (CenterCrop(80, 64),), PLAIN)
    (batch,) = loader(split, data, (80,)).batches(0, 1)
    theirs = transforms.Compose([transforms.Resize(64), transforms.CenterCrop(80)])
    for index, image in zip(batch.indices.tolist(), batch.images, strict=True):
        off = difference(image, theirs(pil(split, index)))
        assert off.mean() < 0.3
        assert off[:, :8].max() == 0 or split.sizes[index, 0] > split.sizes[index, 1]
    black = batch.images[:, :, :8].abs().amax((1, 2, 3))
    assert (black == 0).any()


def test_a_random_crop_is_cut_from_the_resized_image(photos):
    split = photos.split("train")
    data = Data(18, (RandomCrop(56, (64, 64)),), PLAIN)
    (batch,) = loader(split, data, (56,)).batches(0, 1)
    for index, image in zip(batch.indices.tolist(), batch.images, strict=True):
        resized = transforms.Resize(64)(pil(split, index))
        patches = np.lib.stride_tricks.sliding_window_view(np.asarray(resized, np.float64), (56, 56), (0, 1))
        off = np.abs(patches - image.numpy()).mean((2, 3, 4))
        assert off.min() < 0.35  # there is a place it was cut from


def test_normalization_subtracts_the_mean_and_divides_by_the_deviation(digits):
    split = digits.split("val")
    evaluation = Evaluation(64, (64,))
    plain = next(iter(EvalLoader(split, Data(1, (CenterCrop(64, 64),), PLAIN), evaluation, batch=4)))
    normalize = Normalize((10.0, 20.0, 30.0), (2.0, 4.0, 5.0))
    other = next(iter(EvalLoader(split, Data(1, (CenterCrop(64, 64),), normalize), evaluation, batch=4)))
    expected = (plain.images - torch.tensor([10.0, 20, 30])[:, None, None]) / torch.tensor([2.0, 4, 5])[
        :, None, None
    ]
    assert torch.allclose(other.images, expected, atol=1e-5)


def test_gray_images_have_one_channel_and_pils_values(digits):
    split = digits.split("val")
    data = Data(1, (CenterCrop(64, 64),), Normalize((0.0,), (1.0,)), color="gray")
    batch = next(iter(EvalLoader(split, data, Evaluation(64, (64,)), batch=5)))
    assert batch.images.shape == (5, 1, 64, 64)
    with Image.open(split.path(3)) as image:
        assert np.array_equal(batch.images[3, 0].numpy(), np.asarray(image, np.float32))


def test_flips_mirror_half_of_the_images_and_nothing_else(digits):
    split = digits.split("train")
    still = Data(128, (CenterCrop(32, 32),), PLAIN)
    flipped = Data(128, (CenterCrop(32, 32), HorizontalFlip()), PLAIN)
    (plain,), (mixed,) = loader(split, still).batches(0, 1), loader(split, flipped).batches(0, 1)
    mirrored = [
        torch.equal(a, b.flip(-1)) and not torch.equal(a, b)
        for a, b in zip(mixed.images, plain.images, strict=True)
    ]
    same = [torch.equal(a, b) for a, b in zip(mixed.images, plain.images, strict=True)]
    assert all(a or b for a, b in zip(mirrored, same, strict=True))
    assert 40 < sum(mirrored) < 88


# ---------------------------------------------------------------- the same at any shape


@pytest.mark.parametrize(("world", "accumulation"), [(2, 1), (4, 1), (1, 4), (2, 2)])
def test_global_batches_have_the_same_pixels_at_any_world_size_and_accumulation(digits, world, accumulation):
    split = digits.split("train")
    reference = by_step(loader(split).batches(0, 45))  # 22 steps an epoch: two epochs and a step
    ranks = [
        by_step(loader(split, world=world, rank=rank, accumulation=accumulation).batches(0, 45))
        for rank in range(world)
    ]
    for step, images in reference.items():
        assert sorted(pair for rank in ranks for pair in rank[step]) == sorted(images)


def test_a_rank_sees_the_global_batch_in_order(digits):
    split = digits.split("train")
    order = epoch_order(3, 1, len(split))
    batches = list(loader(split, accumulation=4).batches(22, 24))
    assert [batch.step for batch in batches] == [22] * 4 + [23] * 4
    assert torch.cat([batch.indices for batch in batches]).tolist() == order[:128].tolist()
    labels = torch.cat([batch.labels for batch in batches])
    assert labels.dtype == torch.int64
    assert labels.tolist() == split.labels[order[:128]].tolist()


@pytest.mark.parametrize("step", [0, 13, 21, 22, 30])
@pytest.mark.parametrize("change", [{}, {"threads": 2, "prefetch": 1}, {"accumulation": 2, "prefetch": 3}])
def test_a_run_resumed_at_any_step_sees_the_same_pixels(digits, step, change):
    split = digits.split("train")
    unbroken = by_step(loader(split).batches(0, 34))
    resumed = by_step(loader(split, **change).batches(step, 34))
    assert resumed == {number: images for number, images in unbroken.items() if number >= step}


def test_another_seed_draws_another_order_and_other_crops(digits):
    split = digits.split("train")
    one, other = by_step(loader(split).batches(0, 22)), by_step(loader(split, seed=4).batches(0, 22))
    pixels = [dict(pair for step in run.values() for pair in step) for run in (one, other)]
    common = pixels[0].keys() & pixels[1].keys()
    assert one[0] != other[0]
    assert sum(pixels[0][index] == pixels[1][index] for index in common) < len(common) * 0.02


def test_every_epoch_draws_its_crops_anew(digits):
    split = digits.split("train")
    run = by_step(loader(split).batches(0, 44))
    first = dict(pair for step in range(22) for pair in run[step])
    second = dict(pair for step in range(22, 44) for pair in run[step])
    common = first.keys() & second.keys()
    assert sum(first[index] == second[index] for index in common) < len(common) * 0.02


@pytest.mark.parametrize("micro_batch", [1, 5, 64])
def test_a_stage_begins_on_exactly_its_first_step(digits, micro_batch):
    split = digits.split("train")
    data = Data(micro_batch, random_data().augment, PLAIN)
    run = loader(split, data, (16, 24, 40), steps=7)
    sizes = {batch.step: batch.images.shape[-1] for batch in run.batches(0, 21)}
    assert list(sizes.values()) == [16] * 7 + [24] * 7 + [40] * 7
    assert {batch.images.shape[-1] for batch in run.batches(13, 14)} == {24}


def test_a_step_beyond_the_last_stage_is_an_error(digits):
    with pytest.raises(ValueError, match="step 7"):
        list(loader(digits.split("train"), steps=7).batches(6, 8))


def test_small_batches_are_the_pieces_of_large_ones(digits):
    split = digits.split("train")
    ones = Data(1, random_data().augment, random_data().normalize)
    small = list(loader(split, ones).batches(0, 130))
    assert [batch.step for batch in small] == list(range(130))
    assert all(batch.images.shape == (1, 3, 32, 32) for batch in small)
    large = by_step(loader(split).batches(0, 2))
    assert [pair for step in by_step(small).values() for pair in step][:128] == large[0] + large[1]


def test_an_epoch_abandoned_midway_leaves_nothing_behind(digits):
    split = digits.split("train")
    run = loader(split)
    expected = by_step(run.batches(22, 30))
    left = run.batches(0, 22)
    next(left), next(left)
    left.close()
    assert by_step(run.batches(22, 30)) == expected
    half = run.batches(0, 22)  # still open while another one runs
    next(half)
    assert by_step(run.batches(22, 30)) == expected
    assert next(half).step == 1


def test_batches_stay_as_they_were_while_later_ones_are_made(digits):
    held = list(loader(digits.split("train"), prefetch=1).batches(0, 8))
    again = loader(digits.split("train"), prefetch=1).batches(0, 8)
    assert all(torch.equal(one.images, other.images) for one, other in zip(held, again, strict=True))


def test_a_shard_that_does_not_make_the_global_batch_is_an_error(digits):
    with pytest.raises(ValueError, match="not 64"):
        TrainLoader(
            digits.split("train"), random_data(), stages(32), seed=0, batch_size=64, shard=Shard(0, 2, 16)
        )


def test_a_batch_larger_than_the_data_is_told_with_both_numbers(digits):
    with pytest.raises(Top1Error, match=r"4096 .* 1437"):
        loader(digits.split("train"), Data(4096, random_data().augment, PLAIN))


# ---------------------------------------------------------------- evaluation


@pytest.mark.parametrize(
    ("images", "world", "batch"), [(97, 1, 8), (97, 4, 8), (97, 3, 32), (5, 8, 4), (64, 2, 32)]
)
def test_every_image_is_evaluated_exactly_once(digits, images, world, batch):
    split = digits.split("val").take(np.arange(images))
    evaluation = Evaluation(32, (32,))
    seen = []
    for rank in range(world):
        ours = EvalLoader(split, random_data(), evaluation, batch=batch, rank=rank, world=world)
        parts = list(ours)
        assert len(parts) == len(ours)
        assert all(0 < len(part.images) <= batch for part in parts)
        for part in parts:
            assert len(part.images) == len(part.labels) == len(part.indices)
            assert part.labels.tolist() == split.labels[part.indices.numpy()].tolist()
            seen += part.indices.tolist()
    assert sorted(seen) == list(range(images))


def test_a_second_evaluation_equals_the_first_and_an_abandoned_one_does_no_harm(digits):
    ours = EvalLoader(digits.split("val"), random_data(), Evaluation(32, (32,)), batch=100)
    first = [batch.images for batch in ours]
    next(iter(ours))
    assert all(torch.equal(a, b.images) for a, b in zip(first, ours, strict=True))


def test_ten_crops_of_the_central_square_get_that_square(photos):
    split = photos.split("val")
    evaluation = Evaluation(56, (64,), "ten_crop", central_square=True)
    (batch,) = EvalLoader(split, Data(1, (CenterCrop(56, 64),), PLAIN), evaluation, batch=18)
    assert batch.images.shape == (18, 3, 64, 64)
    theirs = transforms.Compose([transforms.Resize(64), transforms.CenterCrop(64)])
    assert difference(batch.images[4], theirs(pil(split, 4))).mean() < 0.5


def test_ten_crops_of_the_whole_image_get_all_of_it_with_its_size(photos):
    split = photos.split("val")
    evaluation = Evaluation(56, (64,), "ten_crop")
    (batch,) = EvalLoader(split, Data(1, (CenterCrop(56, 64),), PLAIN), evaluation, batch=18)
    for index, (image, (height, width)) in enumerate(zip(batch.images, batch.sizes.tolist(), strict=True)):
        theirs = transforms.Resize(64)(pil(split, index))
        assert (width, height) == theirs.size
        assert difference(image[:, :height, :width], theirs).mean() < 0.5
        assert image[:, height:].abs().sum() == 0
        assert image[:, :, width:].abs().sum() == 0
