"""Augmentations, operator by operator, against the implementations they claim to equal, on photographs."""

import json
import random
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from nvidia.dali import fn, pipeline_def
from PIL import Image
from scipy import stats
from sklearn.datasets import load_sample_images
from timm.data.auto_augment import AugmentOp, auto_augment_policy_v0, rand_augment_choices
from torchvision.transforms import AutoAugment as TorchvisionAutoAugment
from torchvision.transforms import RandAugment as TorchvisionRandAugment
from torchvision.transforms import RandomErasing as TorchvisionRandomErasing
from torchvision.transforms import TrivialAugmentWide, functional
from torchvision.transforms.autoaugment import _apply_op

from pipeline.data import augment_cpu, augment_torch
from pipeline.data import augment_policies as policies
from pipeline.data.augment import operation
from pipeline.data.augment_erasing import erasing_boxes, fill_with_noise
from pipeline.data.augment_program import WIDTH, Code, pil_rotation, step, tf_rotation
from pipeline.data.loader import Shard, TrainLoader
from pipeline.data.manifest import Manifest
from pipeline.data.operation import Draw
from pipeline.errors import Top1Error
from pipeline.progressive import Stage
from recipes import schema
from recipes.schema import (
    AutoAugment,
    ColorJitter,
    Data,
    HorizontalFlip,
    Lighting,
    Normalize,
    RandAugment,
    RandomErasing,
    RandomResizedCrop,
    Rotation,
    TrivialAugment,
)

GOOGLE = json.loads((Path(__file__).parent / "google_randaugment.json").read_text())
SIZE = 120
INFINITY = torch.tensor(float("inf"))
CODES = {"nearest": Code.NEAREST, "bilinear": Code.BILINEAR, "bicubic": Code.BICUBIC}


@pytest.fixture(scope="module")
def photos():
    """Two crops of photographs, and a dark, nearly flat one: (3, SIZE, SIZE, 3) uint8."""
    china, flower = load_sample_images().images
    flat = china[:SIZE, :SIZE] // 8 + 20
    return np.stack(
        [china[150 : 150 + SIZE, 250 : 250 + SIZE], flower[100 : 100 + SIZE, 200 : 200 + SIZE], flat]
    )


def run(image, *steps):
    """Run a program of some steps on one image."""
    out = np.empty_like(image)
    augment_cpu.run(out, np.ascontiguousarray(image), np.stack(steps))
    return out


def data(interpolation="bilinear", mean=(123.675, 116.28, 103.53)):
    return Data(
        batch_size=8,
        augment=(RandomResizedCrop(SIZE, interpolation=interpolation), HorizontalFlip()),
        normalize=Normalize(mean=mean, std=(58.395, 57.12, 57.375)),
    )


def draw(images=64, *, seed=1, epoch=2, size=SIZE, magnitude=None, first=0):
    indices = np.arange(first, first + images)
    return Draw(seed, epoch, indices, np.zeros(images, np.int64), size, magnitude)


def drawn(augment, images, **options):
    """Return the one array an augmentation draws."""
    (array,) = operation(augment, data()).draw(draw(images, **options))
    return array


def assert_equal(ours, theirs):
    """Not one pixel differs."""
    difference = np.abs(ours.astype(int) - np.asarray(theirs).astype(int))
    assert difference.max() == 0, (
        f"{(difference > 0).mean():.4%} of values differ, by up to {difference.max()}"
    )


# ---------------------------------------------------------------- Google


@pytest.mark.parametrize("name", policies.GOOGLE_OPERATIONS)
def test_an_operation_makes_the_pixels_that_googles_own_code_makes(name):
    photo = load_sample_images().images[0]
    scale = policies.google(translate=100, cutout=40)
    for crop, level, sign, crc in GOOGLE["made"].get(name, []):
        top, left, size = map(int, crop.split(","))
        image = photo[top : top + size, left : left + size]
        if zlib.crc32(np.ascontiguousarray(image)) != GOOGLE["crops"][crop]:
            pytest.skip("this JPEG decoder makes another photograph")
        made = run(image, scale(name, level, sign, size))
        assert zlib.crc32(made) == crc, f"{name} at level {level:g}, sign {sign}, {size} pixels"
    assert name in GOOGLE["made"] or name == "Cutout"


def test_googles_scale_has_the_published_values():
    """Levels on the /10 scale, worked out by hand from autoaugment.py."""
    row = policies.google(translate=100, cutout=40)
    assert row("Rotate", 15, 1, 224)[1] == pytest.approx(np.cos(np.radians(45)))
    assert row("ShearX", 15, -1, 224)[2] == pytest.approx(-0.45)
    assert row("TranslateX", 15, 1, 224)[3] == pytest.approx(150)  # pixels, whatever the size
    assert row("TranslateY", 15, 1, 300)[6] == pytest.approx(150)
    assert list(row("Cutout", 15, 1, 224)[1:5]) == [-60, -60, 60, 60]  # a side of 120 pixels
    assert row("Posterize", 15, 1, 224)[1] == 6
    assert row("SolarizeAdd", 15, 1, 224)[1] == 165
    assert row("Solarize", 5, 1, 224)[1] == 128
    assert row("Color", 15, 1, 224)[1] == pytest.approx(2.8)
    assert row("Color", 8.33, 1, 224)[1] == pytest.approx(1.5994)
    assert row("Rotate", 8.33, 1, 224)[1] == pytest.approx(np.cos(np.radians(24.99)))


@pytest.mark.parametrize("name", ["Color", "Contrast", "Brightness", "Sharpness"])
def test_an_enhancement_of_level_5_changes_nothing(photos, name):
    for photo in photos:
        assert_equal(run(photo, policies.google(100, 40)(name, 5, 1, SIZE)), photo)


def test_solarize_inverts_at_level_10_because_its_threshold_is_8_bits_wide(photos):
    assert_equal(run(photos[0], policies.google(100, 40)("Solarize", 10, 1, SIZE)), 255 - photos[0])


def test_cutout_fills_a_grey_box_about_any_pixel_cut_at_the_border(photos):
    program = drawn(RandAugment(magnitude=5), 4000, size=SIZE)
    boxes = program[program[..., 0] == Code.FILL]
    top, left, bottom, right = boxes[:, 1:5].T
    assert top.min() == 0
    assert bottom.max() == SIZE
    assert {*(bottom - top)} <= set(range(20, 41))  # level 5: 20 pixels to each side of the center
    expected = np.mean([min(SIZE, c + 20) - max(0, c - 20) for c in range(SIZE)])
    assert np.mean(right - left) == pytest.approx(expected, rel=0.03)
    made = run(photos[0], boxes[0])
    inside = np.zeros((SIZE, SIZE), bool)
    inside[int(top[0]) : int(bottom[0]), int(left[0]) : int(right[0])] = True
    assert (made[inside] == 128).all()
    assert_equal(made[~inside], photos[0][~inside])


# ---------------------------------------------------------------- timm and PIL


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("name", policies.TIMM_OPERATIONS)
def test_an_operation_equals_timms(photos, monkeypatch, name, interpolation):
    timm_name = name + "Rel" if name.startswith("Translate") else name
    fill = (124, 116, 104)
    mode = getattr(Image.Resampling, interpolation.upper())
    scale = policies.timm(CODES[interpolation], fill)
    for level in (2.5, 5, 7.3, 9, 10, 15):
        for sign, uniform in ((1, 0.4), (-1, 0.6)):
            monkeypatch.setattr(random, "random", lambda value=uniform: value)
            theirs = AugmentOp(timm_name, 1.0, level, {"img_mean": fill, "interpolation": mode})
            for photo in photos:
                ours = run(photo, scale(name, level, sign, SIZE))
                assert_equal(ours, theirs(Image.fromarray(photo)))


def test_timms_operations_are_the_ones_it_draws_from():
    names = [name.removesuffix("Rel") for name in rand_augment_choices("", increasing=False)]
    assert sorted(names) == sorted(policies.TIMM_OPERATIONS)


def test_a_turn_equals_pils_at_any_angle(photos):
    for code, mode in zip(CODES.values(), (0, 2, 3), strict=True):
        for degrees in (0, 0.5, -10, 33.3, 45, 90, -90, 135, 180):
            ours = run(photos[0], step(code, *pil_rotation(degrees, SIZE), 1, 2, 3))
            assert_equal(ours, Image.fromarray(photos[0]).rotate(degrees, mode, fillcolor=(1, 2, 3)))


# ---------------------------------------------------------------- torchvision


def torchvision_operation(image, name, magnitude, interpolation="NEAREST"):
    mode = functional.InterpolationMode[interpolation]
    return _apply_op(Image.fromarray(image), name, magnitude, mode, None)


@pytest.mark.parametrize("name", policies.TORCHVISION_OPERATIONS)
@pytest.mark.parametrize("theirs", [TorchvisionRandAugment(), TrivialAugmentWide()], ids=["rand", "trivial"])
def test_an_operation_equals_torchvisions(photos, name, theirs):
    wide = isinstance(theirs, TrivialAugmentWide)
    space = theirs._augmentation_space(31) if wide else theirs._augmentation_space(31, (SIZE, SIZE))
    magnitudes, signed = space[name]
    # Their reference trains with the crop's interpolation (references/classification/presets.py).
    interpolation = "BILINEAR" if wide else "NEAREST"
    scale = policies.torchvision(31, wide, Code[interpolation])
    for level in (0, 1, 5, 9, 14, 15, 20, 29, 30):
        magnitude = magnitudes[level] if magnitudes.ndim else torch.tensor(0.0)
        for sign in (1, -1):
            ours = run(photos[level % 3], scale(name, level, sign, SIZE))
            # torch.linspace's last bit depends on the processor
            near = [torch.nextafter(magnitude.float(), to) for to in (magnitude.float(), INFINITY, -INFINITY)]
            theirs = [
                np.asarray(
                    torchvision_operation(
                        photos[level % 3], name, float(m) * (sign if signed else 1), interpolation
                    )
                )
                for m in near
            ]
            # A turn by 135 degrees has ties: one value in 4,000 is rounded the other way.
            assert any(is_alike(ours, one, ties=20 if wide else 0) for one in theirs), (name, level, sign)


def is_alike(one, other, ties):
    off = np.abs(one.astype(int) - other)
    return off.max() <= 1 and np.count_nonzero(off) <= ties


def test_torchvisions_scale_ends_at_30_and_says_so():
    with pytest.raises(Top1Error, match="magnitude 31 is not on torchvision's scale: expected 0 to 30"):
        drawn(RandAugment(magnitude=31, definition="torchvision"), 8)


def test_the_original_policy_is_torchvisions(photos):
    theirs = TorchvisionAutoAugment()
    assert [tuple((name, probability) for name, probability, _ in pair) for pair in policies.ORIGINAL] == [
        tuple((name, probability) for name, probability, _ in pair) for pair in theirs.policies
    ]
    space = theirs._augmentation_space(10, (SIZE, SIZE))
    scale = policies.torchvision(policies.ORIGINAL_BINS)
    for pair, their_pair in zip(policies.ORIGINAL, theirs.policies, strict=True):
        for (name, _, level), (_, _, bin_number) in zip(pair, their_pair, strict=True):
            magnitude = 0.0 if bin_number is None else float(space[name][0][bin_number])
            assert_equal(
                run(photos[1], scale(name, level, 1, SIZE)), torchvision_operation(photos[1], name, magnitude)
            )


def test_googles_policy_is_the_one_timm_calls_v0():
    theirs = [
        tuple((op.name.removesuffix("Rel"), op.prob, op.magnitude) for op in pair)
        for pair in auto_augment_policy_v0({})
    ]
    assert list(policies.GOOGLE_V0) == theirs


def test_color_jitter_equals_torchvisions_operations_in_the_drawn_order(photos):
    names = {
        Code.BLEND: lambda pil, row: functional.adjust_brightness(pil, row[1]),
        Code.CONTRAST: lambda pil, row: functional.adjust_contrast(pil, row[1]),
        Code.SATURATION: lambda pil, row: functional.adjust_saturation(pil, row[1]),
        # torchvision adds int(hue * 255) to PIL's hue; 254 stands for -2
        Code.HUE: lambda pil, row: functional.adjust_hue(pil, (row[1] - 256 * (row[1] > 127) + 0.0) / 255),
    }
    for program in drawn(ColorJitter(0.4, 0.4, 0.4, 0.1), 20):
        pil = Image.fromarray(photos[0])
        for row in program:
            pil = names[Code(int(row[0]))](pil, row)
        assert_equal(run(photos[0], *program), pil)


def test_hue_equals_pils_for_every_color():
    every = np.arange(0, 256, 5, dtype=np.uint8)
    colors = np.stack(np.meshgrid(every, every, every), -1).reshape(52, -1, 3)
    for hue in (-0.5, -0.1, 0.004, 0.0, 0.3):
        shift = int(hue * 255) % 256
        theirs = functional.adjust_hue(Image.fromarray(colors), hue)
        assert_equal(run(colors, step(Code.HUE, shift)), theirs)


def test_rotation_is_torchvisions_with_the_interpolation_of_the_crop(photos):
    (program,) = operation(Rotation(10), data("bicubic")).draw(draw(2000))
    degrees = np.degrees(np.arctan2(-program[:, 0, 2], program[:, 0, 1]))
    assert stats.kstest(degrees, stats.uniform(-10, 20).cdf).statistic < 0.04
    mode = functional.InterpolationMode.BICUBIC
    theirs = functional.rotate(Image.fromarray(photos[0]), float(degrees[0]), mode)
    assert (
        np.abs(run(photos[0], *program[0]).astype(int) - np.asarray(theirs)).max() <= 1
    )  # the angle is rounded


# ---------------------------------------------------------------- what is drawn


def test_every_operation_is_as_likely_as_any_other():
    program = drawn(RandAugment(magnitude=15), 8000)
    assert program.shape == (8000, 2, WIDTH)
    counts = {}
    for row in program.reshape(-1, WIDTH):
        what = (row[0], *row[1:7]) if row[0] != Code.FILL else (row[0],)
        counts[what] = counts.get(what, 0) + 1
    # 16 operations, of which Rotate, ShearX, ShearY, TranslateX and TranslateY come with two signs
    assert len(counts) == 21
    signed = [count for what, count in counts.items() if what[0] == Code.TF_NEAREST]
    others = [count for what, count in counts.items() if what[0] != Code.TF_NEAREST]
    assert len(signed) == 10
    assert max(abs(count - 500) for count in signed) < 100  # 16,000 / 32, standard deviation 22
    assert max(abs(count - 1000) for count in others) < 130  # 16,000 / 16, standard deviation 31


def test_layers_are_drawn_independently():
    first, second = drawn(RandAugment(magnitude=15), 8000)[..., 0].T
    together = np.mean((first == Code.EQUALIZE) & (second == Code.EQUALIZE))
    assert together == pytest.approx(1 / 256, abs=0.0025)


def test_timm_leaves_half_of_its_operations_out_and_google_none():
    assert np.mean(drawn(RandAugment(9, definition="timm"), 4000)[..., 0] == Code.KEEP) == pytest.approx(
        0.5, abs=0.03
    )
    assert (drawn(RandAugment(9), 4000)[..., 0] != Code.KEEP).all()


def test_timm_fills_with_the_mean_of_the_normalization_and_resamples_like_the_crop():
    (program,) = operation(RandAugment(9, definition="timm"), data("bicubic")).draw(draw(500))
    moved = program[program[..., 0] >= Code.TF_NEAREST]
    assert {*moved[:, 0]} == {Code.BICUBIC}
    assert np.unique(moved[:, 7:10], axis=0).tolist() == [[124, 116, 104]]


def test_autoaugment_applies_an_entry_as_often_as_its_policy_says():
    program = drawn(AutoAugment("google_v0"), 20_000)
    expected = np.mean([[probability for _, probability, _ in pair] for pair in policies.GOOGLE_V0], axis=0)
    assert np.mean(program[..., 0] != Code.KEEP, axis=0) == pytest.approx(expected, abs=0.015)
    # SolarizeAdd is in sub-policies 7 (0.8) and 22 (0.6) of 25, second both times
    assert np.mean(program[:, 1, 0] == Code.SOLARIZE_ADD) == pytest.approx(1.4 / 25, abs=0.008)
    assert not (program[:, 0, 0] == Code.SOLARIZE_ADD).any()


def test_trivialaugment_draws_operation_bin_and_sign_evenly():
    program = drawn(TrivialAugment(), 20_000)
    assert program.shape == (20_000, 1, WIDTH)
    blends = program[program[..., 0] == Code.BLEND]  # brightness
    assert len(blends) == pytest.approx(20_000 / 14, rel=0.1)
    assert len(np.unique(blends[:, 1])) == 61  # 31 bins, two signs, bin 0 once
    assert np.mean(blends[:, 1]) == pytest.approx(1.0, abs=0.05)


def test_color_jitter_draws_all_24_orders_evenly_and_factors_uniformly():
    program = drawn(ColorJitter(0.4, 0.4, 0.4, 0.1), 12_000)
    _, counts = np.unique(program[..., 0], axis=0, return_counts=True)
    assert len(counts) == 24
    assert np.abs(counts - 500).max() < 100
    factors = program[program[..., 0] == Code.SATURATION][:, 1]
    assert stats.kstest(factors, stats.uniform(0.6, 0.8).cdf).statistic < 0.015


def test_color_jitter_does_not_do_what_the_recipe_leaves_out():
    codes = drawn(ColorJitter(brightness=0.4), 50)[..., 0]
    assert (np.sort(codes, axis=1) == [0, 0, 0, Code.BLEND]).all()


@pytest.mark.parametrize(
    "augment",
    [
        RandAugment(8.33), RandAugment(9, definition="timm"), AutoAugment("google_v0"),
        AutoAugment("original"), TrivialAugment(), ColorJitter(0.4, 0.4, 0.4, 0.1), Rotation(10),
        Lighting(0.1), RandomErasing(0.5),
    ],
    ids=lambda augment: type(augment).__name__,
)  # fmt: skip
def test_an_image_is_drawn_the_same_in_any_batch(augment):
    op = operation(augment, data())
    whole = op.draw(draw(40))
    order = np.random.default_rng(0).permutation(40)[:13]
    part = op.draw(Draw(1, 2, order, np.zeros(13, np.int64), SIZE, None))
    for all_rows, rows in zip(whole, part, strict=True):
        assert (all_rows[order] == rows).all()
    for other in (
        draw(40, seed=2),
        draw(40, epoch=3),
        Draw(1, 2, np.arange(40), np.ones(40, np.int64), SIZE),
    ):
        assert any((a != b).any() for a, b in zip(whole, op.draw(other), strict=True))


def test_geometry_and_flip_are_no_operations():
    for augment in data().augment:
        with pytest.raises(TypeError, match="is not an operation"):
            operation(augment, data())


# ---------------------------------------------------------------- pixels in DALI


def through_dali(op, batches, draws, threads=1, most=64):
    """Yield the images that a graph with `op` alone makes of each batch of images and its draw."""
    count = len(op.draw(draws[0]))
    rows = iter([(images, *op.draw(draw)) for images, draw in zip(batches, draws, strict=True)])

    @pipeline_def(batch_size=most, num_threads=threads, device_id=None, prefetch_queue_depth=2)
    def pipeline():
        layout = "HWC" if op.where == "pixels" else "CHW"
        images, *inputs = fn.external_source(lambda: next(rows), num_outputs=1 + count, batch=True)
        return op.graph(fn.reinterpret(images, layout=layout), inputs)

    built = pipeline()
    built.build()
    for _ in batches:
        yield np.array(built.run()[0].as_tensor())


def test_the_graph_makes_what_the_program_says_in_any_batch_order_and_thread_count(photos):
    op = operation(RandAugment(8.33), data())
    images = photos[np.arange(60) % 3]
    (programs,) = op.draw(draw(60))
    expected = np.stack([run(image, *program) for image, program in zip(images, programs, strict=True)])
    (whole,) = through_dali(op, [images], [draw(60)])
    assert_equal(whole, expected)
    order = np.random.default_rng(0).permutation(60)
    parts = [order[:7], order[7:8], order[8:]]
    draws = [Draw(1, 2, part, np.zeros(len(part), np.int64), SIZE, None) for part in parts]
    made = list(through_dali(op, [images[part] for part in parts], draws, threads=2))
    assert_equal(np.concatenate(made), expected[order])


def test_magnitude_and_image_size_change_between_batches_and_nothing_is_rebuilt(photos):
    op = operation(RandAugment(magnitude=99), data())
    draws = [draw(12, magnitude=5), draw(12, magnitude=15.0), draw(12, size=80, magnitude=8.33)]
    batches = [photos[np.arange(12) % 3][:, : d.image_size, : d.image_size].copy() for d in draws]
    for images, one, made in zip(batches, draws, through_dali(op, batches, draws), strict=True):
        (programs,) = operation(RandAugment(one.magnitude), data()).draw(one)
        expected = np.stack([run(image, *program) for image, program in zip(images, programs, strict=True)])
        assert_equal(made, expected)


def one_of_each_step():
    """Return rows of every kind of step, with ordinary and extreme parameters."""
    factors = (0.0, 0.1, 0.333, 1.0, 1.7, 2.8)
    rows = [step(Code.KEEP), step(Code.AUTOCONTRAST, 0), step(Code.AUTOCONTRAST, 1), step(Code.EQUALIZE)]
    rows += [step(Code.POSTERIZE, bits) for bits in range(9)]
    rows += [step(Code.SOLARIZE, threshold) for threshold in (0, 3.5, 128, 256)]
    rows += [step(Code.SOLARIZE_ADD, addition) for addition in (0, 50, 200)]
    for factor in factors:
        rows += [step(Code.BLEND, factor, level) for level in (0, 196)] + [step(Code.CONTRAST, factor)]
        rows += [step(code, factor, tf) for code in (Code.SATURATION, Code.SHARPNESS) for tf in (0, 1)]
    rows += [step(Code.HUE, shift) for shift in (0, 3, 100, 255)]
    rows += [step(Code.FILL, 5, 10, SIZE, 90, 1, 128, 255), step(Code.FILL, 10, 10, 10, 12, 1, 2, 3)]
    for code in (*CODES.values(), Code.TF_NEAREST):
        turn = tf_rotation if code == Code.TF_NEAREST else pil_rotation
        rows += [step(code, *turn(degrees, SIZE), 1, 128, 255) for degrees in (0, 3.3, 45, 90, -33)]
        rows += [step(code, 1, shear, 0, 0, 1, 0, 1, 128, 255) for shear in (0.45, -0.99)]
        rows += [step(code, 1, 0, 0, 0, 1, pixels, 1, 128, 255) for pixels in (12.5, -33.3, 500)]
    return np.stack(rows)


def test_torch_runs_every_step_as_the_compiled_code_does(photos):
    rows = one_of_each_step()
    for photo in (*photos, np.full_like(photos[0], 77)):
        images = torch.from_numpy(np.stack([photo] * len(rows)))
        made = augment_torch.run(images, rows[:, None]).numpy()
        for row, ours in zip(rows, made, strict=True):
            assert_equal(ours, run(photo, row))


def test_torch_runs_programs_of_several_steps_and_leaves_its_input(photos):
    (programs,) = operation(RandAugment(15, layers=3), data()).draw(draw(48))
    images = torch.from_numpy(photos[np.arange(48) % 3])
    before = images.clone()
    made = augment_torch.run(images, programs).numpy()
    assert torch.equal(images, before)
    for image, program, ours in zip(before.numpy(), programs, made, strict=True):
        assert_equal(ours, run(image, *program))


# ---------------------------------------------------------------- lighting and erasing


def test_lighting_is_the_principal_components_times_normal_draws():
    """Krizhevsky et al. 2012, 4.1: [p1, p2, p3] [a1 l1, a2 l2, a3 l3], a from N(0, 0.1), pixels in [0, 1]."""
    lighting = Lighting(0.1)
    shift = -drawn(lighting, 50_000)
    vectors, values = np.array(lighting.eigenvectors), np.array(lighting.eigenvalues)
    alpha = shift @ np.linalg.inv(vectors).T / values / 255
    assert alpha.mean(0) == pytest.approx(np.zeros(3), abs=0.002)
    assert np.cov(alpha.T) == pytest.approx(0.01 * np.eye(3), abs=0.0003)
    assert stats.kstest(alpha[:, 0] / 0.1, stats.norm.cdf).statistic < 0.01
    assert np.abs(shift[:, 0].std() - 255 * 0.1 * np.linalg.norm(vectors[0] * values)) < 0.1


def test_erased_boxes_are_distributed_as_torchvisions():
    erasing = RandomErasing(probability=1.0)
    boxes = erasing_boxes(erasing, draw(4000, size=224))
    torch.manual_seed(0)
    image = torch.zeros(3, 224, 224)
    theirs = [
        TorchvisionRandomErasing.get_params(image, erasing.area, erasing.ratio, [0.0])[:4]
        for _ in range(4000)
    ]
    top, left, height, width = np.array(theirs).T
    ours = (boxes[:, 0], boxes[:, 1], boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
    for mine, other in zip(ours, (top, left, height, width), strict=True):
        assert stats.ks_2samp(mine, other).statistic < 0.04
    assert np.mean(erasing_boxes(RandomErasing(0.25), draw(4000))[:, 2] > 0) == pytest.approx(0.25, abs=0.03)


def test_erasing_zeroes_the_box_and_nothing_else():
    erasing = RandomErasing(probability=0.5)
    images = np.random.default_rng(0).normal(size=(40, 3, SIZE, SIZE)).astype(np.float32)
    (made,) = through_dali(operation(erasing, data()), [images], [draw(40)])
    for image, (top, left, bottom, right) in zip(images, erasing_boxes(erasing, draw(40)), strict=True):
        image[:, top:bottom, left:right] = 0
    assert (made == images).all()


def test_noise_fills_the_same_box_with_standard_normals_in_any_batch():
    erasing = RandomErasing(probability=0.5, fill="noise")
    zeros = torch.zeros(40, 3, SIZE, SIZE)
    made = fill_with_noise(zeros.clone(), erasing, draw(40))
    inside = torch.zeros(40, SIZE, SIZE, dtype=bool)
    for number, (top, left, bottom, right) in enumerate(erasing_boxes(erasing, draw(40))):
        inside[number, top:bottom, left:right] = True
    noise = made.movedim(1, -1)[inside]
    assert (made.movedim(1, -1)[~inside] == 0).all()
    assert stats.kstest(noise.flatten().numpy(), stats.norm.cdf).statistic < 0.01
    later = fill_with_noise(zeros[:9].clone(), erasing, draw(9, first=31))
    assert torch.equal(later, made[31:])


def made_by_loader(folder, augment, steps=2):
    """Return the images of some steps of 8 at 32 pixels with one augmentation after the squash."""
    geometry = schema.CenterCrop(size=32, resize=32, squash=True)
    data = schema.Data(
        batch_size=8,
        augment=(geometry, *augment),
        normalize=schema.Normalize(mean=(0.0,) * 3, std=(1.0,) * 3),
    )
    loader = TrainLoader(
        Manifest.load(folder).split("train"),
        data,
        [Stage(0, steps, 0.0, 1.0, 32)],
        seed=4,
        batch_size=8,
        shard=Shard(0, 1, 8),
    )
    return torch.cat([batch.images.clone() for batch in loader.batches(0, steps)])


def test_pixel_jitter_adds_one_number_within_its_range_to_each_image(demo_data):
    moved = made_by_loader(demo_data, (schema.PixelJitter(shift=20),)) - made_by_loader(demo_data, ())
    shifts = moved.mean((1, 2, 3))
    assert torch.allclose(moved, shifts[:, None, None, None].expand_as(moved), atol=1e-4)
    assert shifts.abs().max() <= 20
    assert shifts.unique().numel() == len(shifts)
    assert shifts.min() < 0 < shifts.max()


def test_erased_boxes_are_filled_with_noise_by_the_loader_where_the_recipe_says_so(demo_data):
    plain = made_by_loader(demo_data, ())
    zeros = made_by_loader(demo_data, (schema.RandomErasing(probability=1.0),))
    noise = made_by_loader(demo_data, (schema.RandomErasing(probability=1.0, fill="noise"),))
    erased = (noise != plain) & (noise != 0)
    assert torch.equal(noise[~erased], zeros[~erased])
    inside = noise[erased]
    assert inside.numel() > 1000
    assert abs(inside.mean()) < 0.1
    assert abs(inside.std() - 1) < 0.1
