"""Windows against torchvision's own rules, TensorFlow's sampler by its formulas, and hand-worked values."""

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats
from torchvision import transforms

from pipeline.data.geometry import center, evaluation_windows, short_side_to, train_windows
from pipeline.data.operation import Draw
from recipes.schema import CenterCrop, Evaluation, RandomCrop, RandomResizedCrop

# (height, width): common ImageNet sizes, halves that round either way, panoramas, and large ones.
SIZES = [
    (375, 500), (500, 375), (333, 500), (500, 333), (332, 500), (500, 336), (343, 500), (400, 300),
    (480, 640), (256, 256), (257, 300), (100, 100), (60, 500), (500, 60), (667, 1000), (1000, 667),
    (2848, 4288), (64, 64),
]  # fmt: skip


def drawn(count, image_size=224, seed=1, epoch=0):
    return Draw(seed, epoch, np.arange(count), np.zeros(count, np.int64), image_size)


def windows_of(geometry, size, count=20_000, image_size=224):
    return train_windows(geometry, np.tile(np.int32([size]), (count, 1)), drawn(count, image_size))


def distance(one, other):
    return stats.ks_2samp(one, other).statistic


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("short", [224, 256, 232])
def test_the_long_side_is_torchvisions(size, short):
    resized = transforms.Resize(short)(Image.new("L", size[::-1]))
    assert short_side_to(np.int32([size]), short)[0].tolist() == [resized.height, resized.width]


@pytest.mark.parametrize("size", [*SIZES, (225, 227), (10, 11), (11, 300)])
@pytest.mark.parametrize("crop", [224, 225])
def test_the_center_is_torchvisions_even_where_it_pads(size, crop):
    # A gradient image tells where every pixel of the crop came from; what was padded is 0.
    ramp = (np.arange(size[0])[:, None] * 5000 + np.arange(size[1])[None] + 1).astype(np.int32)
    cropped = transforms.CenterCrop(crop)(torch.from_numpy(ramp)[None])[0].numpy()
    y, x = center(np.int32([size]), crop)[0]
    rows, columns = np.arange(y, y + crop), np.arange(x, x + crop)
    inside = ((rows >= 0) & (rows < size[0]))[:, None] & ((columns >= 0) & (columns < size[1]))[None]
    expected = np.where(inside, rows[:, None] * 5000 + columns[None] + 1, 0)
    assert np.array_equal(cropped, expected)


IMAGENET = ((0.08, 1.0), (3 / 4, 4 / 3))
OTHER = ((0.35, 0.8), (0.5, 1.5))


@pytest.mark.parametrize(
    ("size", "area", "ratio"),
    [
        ((375, 500), *IMAGENET),
        ((500, 375), *IMAGENET),
        ((333, 500), *IMAGENET),
        ((150, 500), *IMAGENET),
        ((600, 600), *IMAGENET),
        ((375, 500), *OTHER),
        ((150, 500), *OTHER),
    ],
)
def test_random_resized_crops_are_distributed_as_torchvisions(size, area, ratio):
    torch.manual_seed(0)
    image = torch.zeros(1, *size)
    theirs = np.array([transforms.RandomResizedCrop.get_params(image, area, ratio) for _ in range(20_000)])
    windows = windows_of(RandomResizedCrop(224, area, ratio), size)
    ours = np.concatenate([windows.start, windows.shape], 1)
    assert distance(ours[:, 2] * ours[:, 3], theirs[:, 2] * theirs[:, 3]) < 0.02
    assert distance(ours[:, 3] / ours[:, 2], theirs[:, 3] / theirs[:, 2]) < 0.02
    room = np.array(size) - ours[:, 2:], np.array(size) - theirs[:, 2:]
    for axis in (0, 1):
        assert (
            distance(ours[:, axis] / (room[0][:, axis] + 1), theirs[:, axis] / (room[1][:, axis] + 1)) < 0.02
        )


@pytest.mark.parametrize(("size", "expected"), [((60, 500), (60, 80)), ((500, 60), (80, 60))])
def test_where_no_attempt_fits_the_window_is_the_widest_within_the_ratio(size, expected):
    # No window of 90% of these fits at a ratio within 3/4..4/3; 60 * 4/3 = 80, in the middle of 500: 210.
    windows = windows_of(RandomResizedCrop(224, area=(0.9, 1.0)), size, 100)
    assert np.unique(windows.shape, axis=0).tolist() == [list(expected)]
    assert np.unique(windows.start, axis=0).tolist() == [[0, 210] if size[1] == 500 else [210, 0]]


def test_a_crop_of_the_whole_image_is_the_whole_image():
    windows = windows_of(RandomResizedCrop(224, area=(1.0, 1.0), ratio=(1.0, 1.0)), (300, 300), 10)
    assert np.unique(windows.start).tolist() == [0]
    assert np.unique(windows.shape).tolist() == [300]


def test_the_linear_rule_draws_a_uniform_ratio_and_swaps_half_of_the_sides():
    # A small window always fits, so nothing is rejected; large sides make rounding negligible.
    windows = windows_of(RandomResizedCrop(224, area=(0.1, 0.2), rule="linear"), (4000, 4000))
    ratio = windows.shape[:, 1] / windows.shape[:, 0]
    u = np.random.default_rng(0).uniform(3 / 4, 4 / 3, 20_000)
    expected = np.where(np.random.default_rng(1).random(20_000) < 0.5, u, 1 / u)
    assert distance(ratio, expected) < 0.02
    share = windows.shape.prod(1) / 4000**2
    assert stats.kstest(share, stats.uniform(0.1, 0.1).cdf).statistic < 0.02


def tensorflow_window(rng, height, width, area_range, ratio_range, attempts, covered=0.1):
    """One window of sample_distorted_bounding_box_op.cc for one box that is the image, by its own steps."""
    low, high = np.float32(ratio_range[0]), np.float32(ratio_range[1])
    for _ in range(attempts):
        ratio = np.float32(rng.random()) * (high - low) + low
        least, most = (np.float32(share) * width * height for share in area_range)
        h, h_most = round(float(np.sqrt(least / ratio))), round(float(np.sqrt(most / ratio)))
        if round(float(h_most * ratio)) > width:
            h_most = int(np.float32(width + 0.5 - 1e-7) / ratio)
            h_most -= round(float(h_most * ratio)) > width
        h_most = min(h_most, height)
        h = min(h, h_most)
        if h < h_most:
            h += int(rng.integers(0, h_most - h + 1))
        w = round(float(h * ratio))
        if w * h < least:
            h += 1
            w = round(float(h * ratio))
        if w * h > most:
            h -= 1
            w = round(float(h * ratio))
        if not (
            least <= w * h <= most
            and 0 < w <= width
            and 0 < h <= height
            and w * h >= covered * width * height
        ):
            continue
        y = int(rng.integers(0, height - h)) if h < height else 0
        x = int(rng.integers(0, width - w)) if w < width else 0
        return y, x, h, w
    return 0, 0, height, width


@pytest.mark.parametrize("size", [(375, 500), (500, 333), (150, 500), (600, 600)])
def test_the_tensorflow_rule_follows_its_sampler(size):
    rng = np.random.default_rng(0)
    theirs = np.array([tensorflow_window(rng, *size, (0.08, 1.0), (3 / 4, 4 / 3), 10) for _ in range(10_000)])
    whole = (theirs[:, 2:] == size).all(1)  # google/automl: replaced by the padded central square
    windows = windows_of(RandomResizedCrop(224, rule="tensorflow"), size)
    side = int(np.float32(224 / 256) * min(size))
    fallback = (windows.shape == side).all(1) & (windows.start == [(s - side + 1) // 2 for s in size]).all(1)
    assert abs(fallback.mean() - whole.mean()) < 0.01
    ours, theirs = np.concatenate([windows.start, windows.shape], 1)[~fallback], theirs[~whole]
    for value in (lambda w: w[:, 2], lambda w: w[:, 3] / w[:, 2], lambda w: w[:, 0], lambda w: w[:, 1]):
        assert distance(value(ours), value(theirs)) < 0.025


@pytest.mark.parametrize("size", [(375, 500), (150, 500), (60, 500)])
def test_efficientnetv2s_sampler_has_no_least_cover_and_falls_back_on_the_whole_image(size):
    # google/automl:efficientnetv2/preprocessing.py; ratio and attempts are TensorFlow's defaults.
    geometry = RandomResizedCrop(
        224, (0.05, 1.0), (0.75, 1.33), attempts=100, rule="tensorflow", covered=0.0, fallback="whole"
    )
    rng = np.random.default_rng(0)
    theirs = np.array(
        [tensorflow_window(rng, *size, (0.05, 1.0), (0.75, 1.33), 100, covered=0.0) for _ in range(5_000)]
    )
    windows = windows_of(geometry, size, 5_000)
    ours = np.concatenate([windows.start, windows.shape], 1)
    for value in (lambda w: w[:, 2], lambda w: w[:, 3] / w[:, 2], lambda w: w[:, 0], lambda w: w[:, 1]):
        assert distance(value(ours), value(theirs)) < 0.035
    share = ours[:, 2] * ours[:, 3] / (size[0] * size[1])
    assert share.min() < 0.1  # V1's sampler refuses such windows


def test_where_no_attempt_fits_efficientnetv2_takes_the_whole_image():
    geometry = RandomResizedCrop(224, area=(0.9, 1.0), rule="tensorflow", covered=0.0, fallback="whole")
    windows = windows_of(geometry, (60, 500), 100)
    assert np.unique(windows.start, axis=0).tolist() == [[0, 0]]
    assert np.unique(windows.shape, axis=0).tolist() == [[60, 500]]


def test_more_attempts_never_change_a_window_that_an_earlier_one_found():
    sizes = np.random.default_rng(0).integers(40, 500, (5000, 2)).astype(np.int32)
    for rule in ("torchvision", "linear", "tensorflow"):
        few, many = (
            train_windows(RandomResizedCrop(224, (0.6, 1.0), attempts=n, rule=rule), sizes, drawn(5000))
            for n in (10, 40)
        )
        same = (few.start == many.start).all(1) & (few.shape == many.shape).all(1)
        assert 0.5 < same.mean() < 1
        everything = train_windows(
            RandomResizedCrop(224, (0.6, 1.0), attempts=41, rule=rule), sizes, drawn(5000)
        )
        assert ((everything.shape == many.shape).all(1)).mean() > same.mean()


def test_windows_never_leave_the_image():
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 700, (5000, 2)).astype(np.int32)
    for rule in ("torchvision", "linear", "tensorflow"):
        windows = train_windows(RandomResizedCrop(224, rule=rule), sizes, drawn(5000))
        assert (windows.start >= 0).all()
        assert (windows.start + windows.shape <= sizes).all()
        assert (windows.shape >= 1).all()


def test_alexnets_crops_come_from_the_central_256_square_and_reach_all_of_it():
    # 375 x 500 -> 256 x 341; the square starts at round((341 - 256) / 2) = 42 (half to even).
    windows = windows_of(RandomCrop(224, (256, 256), central_square=True), (375, 500))
    assert windows.resize[0].tolist() == [256, 341]
    assert windows.crop_start[:, 0].min() == 0
    assert windows.crop_start[:, 0].max() == 32
    assert windows.crop_start[:, 1].min() == 42
    assert windows.crop_start[:, 1].max() == 74
    counts = np.bincount(windows.crop_start[:, 0], minlength=33)
    assert stats.chisquare(counts).pvalue > 0.001


def test_vggs_scale_jitter_draws_every_short_side_from_256_to_512_alike():
    windows = windows_of(RandomCrop(224, (256, 512)), (375, 500), 50_000)
    short = windows.resize.min(1)
    assert (short.min(), short.max()) == (256, 512)
    assert stats.chisquare(np.bincount(short - 256, minlength=257)).pvalue > 0.001
    assert (windows.crop_start >= 0).all()
    assert (windows.crop_start + 224 <= windows.resize).all()
    assert (windows.crop_start[:, 1] + 224 == windows.resize[:, 1]).any()


def test_lenets_digits_are_padded_to_32_with_two_black_pixels_on_each_side():
    windows = windows_of(CenterCrop(32, 28), (28, 28), 1, image_size=32)
    assert windows.resize.tolist() == [[28, 28]]
    assert windows.crop_start.tolist() == [[-2, -2]]
    assert windows.crop_shape.tolist() == [[32, 32]]


def test_a_smaller_stage_has_its_resize_in_proportion():
    # 256 / 224 of 112 is 128; 512 / 224 of 112 is 256.
    assert windows_of(CenterCrop(224, 256), (300, 300), 1, 112).resize.tolist() == [[128, 128]]
    assert windows_of(RandomCrop(224, (256, 512)), (300, 300), 20_000, 112).resize.min() == 128
    assert windows_of(RandomCrop(224, (256, 512)), (300, 300), 20_000, 112).resize.max() == 256
    assert windows_of(RandomResizedCrop(224), (300, 300), 1, 112).resize.tolist() == [[112, 112]]


def test_an_images_window_does_not_depend_on_its_neighbors():
    sizes = np.random.default_rng(0).integers(50, 600, (64, 2)).astype(np.int32)
    for geometry in (
        RandomResizedCrop(224),
        RandomResizedCrop(224, rule="tensorflow"),
        RandomCrop(32, (40, 60)),
    ):
        together = train_windows(geometry, sizes, drawn(64, 32))
        alone = Draw(1, 0, np.array([17]), np.zeros(1, np.int64), 32)
        one = train_windows(geometry, sizes[17:18], alone)
        assert np.array_equal(one.start[0], together.start[17])
        assert np.array_equal(one.shape[0], together.shape[17])
        assert np.array_equal(one.crop_start[0], together.crop_start[17])


def test_evaluation_geometry_of_each_kind():
    sizes = np.int32([(375, 500)])
    single = evaluation_windows(Evaluation(224, (256,)), sizes)
    # 500 * 256 / 375 = 341.33; (256 - 224) / 2 = 16; (341 - 224) / 2 = 58.5, half to even: 58.
    assert (single.resize.tolist(), single.crop_start.tolist()) == ([[256, 341]], [[16, 58]])
    squashed = evaluation_windows(Evaluation(224, (256,), squash=True), sizes)
    assert (squashed.resize.tolist(), squashed.crop_start.tolist()) == ([[256, 256]], [[16, 16]])
    square = evaluation_windows(Evaluation(224, (256,), "ten_crop", central_square=True), sizes)
    assert (square.crop_start.tolist(), square.crop_shape.tolist()) == ([[0, 42]], [[256, 256]])
    whole = evaluation_windows(Evaluation(224, (256,), "ten_crop"), sizes)
    assert (whole.crop_start.tolist(), whole.crop_shape.tolist()) == ([[0, 0]], [[256, 341]])


def efficientnet_window(size, crop, margin):
    """tensorflow/tpu:models/official/efficientnet/preprocessing.py, _decode_and_center_crop."""
    side = int(np.float32(crop / (crop + margin)) * np.float32(min(size)))
    return [((length - side) + 1) // 2 for length in size], [side, side]


def efficientnet_v2_window(size, crop, margin):
    """google/automl:efficientnetv2/preprocessing.py, preprocess_for_eval."""
    side = int(np.float32(crop / (crop + margin)) * np.float32(min(size)))
    return [(length - side) // 2 for length in size], [side, side]


def inception_window(size, crop, margin):
    """tf.image.central_crop(image, 0.875)."""
    start = [int((length - length * 0.875) / 2) for length in size]
    return start, [length - 2 * first for length, first in zip(size, start, strict=True)]


@pytest.mark.parametrize(("crop", "margin"), [(224, 32), (299, 32), (240, 34), (128, 32)])
@pytest.mark.parametrize(
    ("window", "formula"),
    [
        ("efficientnet", efficientnet_window),
        ("efficientnet_v2", efficientnet_v2_window),
        ("inception", inception_window),
    ],
)
def test_windows_of_the_source_follow_the_codes_they_are_named_after(window, formula, crop, margin):
    evaluation = Evaluation(crop, (crop,), window=window, margin=margin)
    windows = evaluation_windows(evaluation, np.int32(SIZES))
    for row, size in enumerate(SIZES):
        start, shape = formula(size, crop, margin)
        assert (windows.start[row].tolist(), windows.shape[row].tolist()) == (start, shape)
    assert np.unique(windows.resize).tolist() == [crop]  # straight to the square
    assert np.unique(windows.crop_start).tolist() == [0]
    assert np.unique(windows.crop_shape).tolist() == [crop]


def test_windows_of_the_source_worked_out_by_hand():
    # 375 * 224 / 256 = 328.1; (375 - 328) / 2 = 23.5, (500 - 328) / 2 = 86; 375 / 16 = 23.4, 500 / 16 = 31.2.
    expected = {
        "efficientnet": ([24, 86], [328, 328]),
        "efficientnet_v2": ([23, 86], [328, 328]),
        "inception": ([23, 31], [329, 438]),
    }
    for window, (start, shape) in expected.items():
        windows = evaluation_windows(Evaluation(224, (224,), window=window), np.int32([(375, 500)]))
        assert (windows.start[0].tolist(), windows.shape[0].tolist()) == (start, shape)


def test_protocols_with_and_without_a_window_are_told_apart():
    evaluations = [
        Evaluation(224, (224,)),
        Evaluation(224, (224,), squash=True),
        Evaluation(224, (224,), window="efficientnet"),
        Evaluation(224, (224,), window="efficientnet", margin=34),
        Evaluation(224, (224,), window="efficientnet_v2"),
        Evaluation(224, (224,), window="inception"),
    ]
    protocols = [evaluation.protocol for evaluation in evaluations]
    assert len(set(protocols)) == len(protocols)
    assert protocols[2] == "single_crop 224/224 bilinear efficientnet_window+32"
