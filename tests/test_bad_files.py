"""Odd files decode as Pillow's RGB; files that do not decode neither end nor shorten nor blur a run."""

import functools
import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from data_prep.folder import prepare_folder
from pipeline.data.bad_files import list_in, replaced_images
from pipeline.data.feed import lacks_its_end
from pipeline.data.loader import EvalLoader, Shard, TrainLoader
from pipeline.data.manifest import Manifest
from pipeline.data.sampling import epoch_order
from pipeline.errors import Top1Error
from pipeline.progressive import Stage
from recipes.schema import (
    Data,
    Evaluation,
    HorizontalFlip,
    Lighting,
    Normalize,
    RandomCrop,
    RandomResizedCrop,
)

PLAIN = Normalize((0.0,) * 3, (1.0,) * 3)  # pixels come out as they are, 0..255
IMAGES, SIDE, BATCH = 48, 64, 16
STEPS = IMAGES // BATCH  # of an epoch
CROPS = RandomResizedCrop(32)
SMALL_CROPS = RandomResizedCrop(32, area=(0.05, 0.2))
WHOLE = RandomResizedCrop(SIDE, area=(1.0, 1.0), ratio=(1.0, 1.0))


@functools.cache
def photographs():
    return load_sample_images().images


def picture(number):
    """A piece of a photograph, SIDE x SIDE."""
    photo = photographs()[number % 2]
    y, x = number * 7 % 300, number * 11 % 500
    return Image.fromarray(photo[y : y + SIDE, x : x + SIDE])


def encoded(image, kind, **options):
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def deep_gray(image):
    """A PNG of 16 bits a sample, over their whole range."""
    return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)


def turned(image):
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(image, "JPEG", exif=exif)


ODD = {
    "CMYK": lambda image: encoded(image.convert("CMYK"), "JPEG"),
    "PNG": lambda image: encoded(image, "PNG"),
    "PNG with transparency": lambda image: encoded(image.convert("RGBA").rotate(30), "PNG"),
    "palette": lambda image: encoded(image.convert("P"), "PNG"),
    "16 bits": lambda image: encoded(deep_gray(image), "PNG"),
    "WebP": lambda image: encoded(image, "WEBP"),
    "greyscale": lambda image: encoded(image.convert("L"), "JPEG"),
    "progressive": lambda image: encoded(image, "JPEG", progressive=True),
    "EXIF-rotated": turned,
    "GIF": lambda image: encoded(image.convert("P"), "GIF"),
    "TIFF": lambda image: encoded(image, "TIFF"),
    "BMP": lambda image: encoded(image, "BMP"),
}
BAD = {
    "truncated": lambda file: file.write_bytes(file.read_bytes()[:700]),
    "truncated in the header": lambda file: file.write_bytes(file.read_bytes()[:100]),
    "garbage": lambda file: file.write_bytes(bytes(range(256)) * 8),
    "empty": lambda file: file.write_bytes(b""),
    "vanished": lambda file: file.unlink(),
    "a folder": lambda file: (file.unlink(), file.mkdir()),
    "another image's size": lambda file: file.write_bytes(encoded(Image.new("RGB", (20, 10)), "JPEG")),
}


def write_tree(folder, contents):
    for number, content in enumerate(contents):
        for split in ("train", "val") if number < IMAGES else ("train",):
            path = folder / split / f"n{number % 2}" / f"{number:04d}.JPEG"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    prepare_folder(folder)
    return folder


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A tree of sound JPEGs."""
    contents = [encoded(picture(number), "JPEG", quality=95) for number in range(IMAGES)]
    return write_tree(tmp_path_factory.mktemp("sound"), contents)


@pytest.fixture
def tree(sound, tmp_path):
    """A copy of it, to be damaged."""
    return shutil.copytree(sound, tmp_path / "tree")


def train_split(folder):
    return Manifest.load(folder).split("train")


def damage(folder, how, *indices):
    split = train_split(folder)
    for index in indices:
        how(split.path(index))


def loader(folder, geometry=CROPS, *, rank=0, world=1, batch_size=BATCH, augment=(), **options):
    options.setdefault("max_bad_share", 1.0)
    data = Data(batch_size, (geometry, HorizontalFlip(), *augment), PLAIN)
    return TrainLoader(
        train_split(folder),
        data,
        [Stage(0, 1000, 0, 1, geometry.size)],
        seed=2,
        batch_size=batch_size,
        shard=Shard(rank, world, batch_size // world),
        **options,
    )


def seen(run, first=0, end=2 * STEPS):
    """For each step the (index, label, pixels) of each slot."""
    steps = {}
    for batch in run.batches(first, end):
        rows = zip(batch.indices.tolist(), batch.labels.tolist(), batch.images.numpy(), strict=True)
        steps.setdefault(batch.step, []).extend((i, label, pixels.tobytes()) for i, label, pixels in rows)
    return steps


def joined(parts):
    """The steps of all ranks together, slots in order."""
    return {step: [row for part in parts for row in part[step]] for step in parts[0]}


def expected(folder, sound, bad):
    """What a loader that has known the bad images from the beginning shows: the next sound one for each."""
    split = train_split(sound)
    made = {}
    for step, rows in seen(loader(sound, batch_size=IMAGES), 0, 2).items():
        made |= {(step, index): (index, label, pixels) for index, label, pixels in rows}
    steps = {}
    for step in range(2 * STEPS):
        epoch, within = divmod(step, STEPS)
        order = epoch_order(2, epoch, len(split))[within * BATCH : (within + 1) * BATCH].tolist()
        for slot in range(BATCH):
            while order[slot] in bad:
                order[slot] = (order[slot] + 1) % len(split)
        steps[step] = [made[epoch, index] for index in order]
    return steps


# ---------------------------------------------------------------- what decodes


@pytest.mark.parametrize("indexed", [True, False], ids=["indexed so", "replaced later"])
@pytest.mark.parametrize("kind", ODD)
def test_what_decodes_equals_pils_rgb(kind, indexed, tmp_path):
    odd = [ODD[kind](picture(number)) for number in range(2)]
    contents = odd if indexed else [encoded(picture(number), "JPEG") for number in range(2)]
    folder = write_tree(tmp_path, contents)
    for split in ("train", "val"):
        for number, content in enumerate(odd):
            (folder / split / f"n{number}" / f"{number:04d}.JPEG").write_bytes(content)
    (trained,) = loader(folder, WHOLE, batch_size=2).batches(0, 1)
    split = Manifest.load(folder).split("val")
    evaluated = next(iter(EvalLoader(split, "rgb", Evaluation(SIDE, (SIDE,)), batch=2)))
    for indices, images in ((trained.indices, trained.images), (evaluated.indices, evaluated.scales[0])):
        for index, pixels in zip(indices.tolist(), images, strict=True):
            theirs = np.asarray(Image.open(io.BytesIO(odd[index])).convert("RGB"), np.float32)
            ours = pixels.numpy().transpose(1, 2, 0)
            assert np.array_equal(ours, theirs) or np.array_equal(ours[:, ::-1], theirs)  # or mirrored


# ---------------------------------------------------------------- what does not: training


@pytest.mark.parametrize("kind", BAD)
def test_the_next_image_takes_the_place_of_one_that_does_not_decode(kind, tree, sound):
    damage(tree, BAD[kind], 5, 20, 21, IMAGES - 1)
    run = loader(tree)
    assert seen(run) == expected(tree, sound, {5, 20, 21, IMAGES - 1})
    assert set(run.bad_files) == {5, 20, 21, IMAGES - 1}
    assert all(bad.path == str(train_split(tree).path(index)) for index, bad in run.bad_files.items())


@pytest.mark.parametrize(
    ("world", "options"), [(2, {}), (4, {"prefetch": 1}), (1, {"threads": 2, "prefetch": 3})]
)
def test_substitutes_are_the_same_at_any_world_size_thread_count_and_depth(world, options, tree):
    damage(tree, BAD["garbage"], 5, 20, 21)
    damage(tree, BAD["truncated"], 7, 30)
    reference = seen(loader(tree))
    assert (
        joined([seen(loader(tree, rank=rank, world=world, **options)) for rank in range(world)]) == reference
    )


@pytest.mark.parametrize("step", [1, 3, 5])
def test_a_run_resumed_among_bad_files_sees_the_same_pixels(step, tree):
    damage(tree, BAD["vanished"], 5, 20, 21)
    damage(tree, BAD["truncated"], 7, 30)
    run = loader(tree)
    unbroken = seen(run)
    rest = {number: rows for number, rows in unbroken.items() if number >= step}
    assert seen(loader(tree), step) == rest  # knows of no bad file
    assert seen(run, step) == rest  # has met them all


def test_a_truncated_file_serves_above_the_cut_and_is_replaced_below_in_every_run_alike(tree, sound):
    split, cut = train_split(tree), set(range(0, IMAGES, 3))
    for index in cut:
        content = split.path(index).read_bytes()
        split.path(index).write_bytes(content[: len(content) * 9 // 10])
    mine, intact = (seen(loader(folder, SMALL_CROPS)) for folder in (tree, sound))
    pairs = [pair for step in intact for pair in zip(mine[step], intact[step], strict=True)]
    served = [got == its for got, its in pairs if its[0] in cut]
    assert any(served)
    assert not all(served)
    assert all(got == its or (its[0] in cut and got[0] == its[0] + 1) for got, its in pairs)


def test_a_file_that_is_cut_short_never_serves_where_a_gpu_would_make_grey_of_the_rest(tree, sound):
    split, cut = train_split(tree), set(range(0, IMAGES, 3))
    for index in cut:
        content = split.path(index).read_bytes()
        split.path(index).write_bytes(content[: len(content) * 9 // 10])
    run = loader(tree, SMALL_CROPS)
    run._feed._on_gpu = True  # as far as this is concerned
    mine, intact = (seen(one) for one in (run, loader(sound, SMALL_CROPS)))
    pairs = [pair for step in intact for pair in zip(mine[step], intact[step], strict=True)]
    assert all((got[0] == its[0] + 1) if its[0] in cut else got == its for got, its in pairs)
    assert set(run.bad_files) == cut


def test_only_a_jpeg_without_its_last_marker_may_be_cut_short():
    whole = encoded(picture(0), "JPEG")
    for content, lacks in (
        (whole, False),
        (whole + bytes(500), False),
        (whole[:-2], True),
        (whole[: len(whole) // 2], True),
        (encoded(picture(0), "PNG"), False),
        (b"", False),
    ):
        assert lacks_its_end(np.frombuffer(content, np.uint8)) is lacks


@pytest.mark.parametrize(
    ("geometry", "augment"),
    [(RandomCrop(32, (40, 48)), ()), (CROPS, (Lighting(0.1),))],
    ids=["whole images decoded", "lighting"],
)
def test_other_graphs_mend_their_batches_too(geometry, augment, tree, sound):
    damage(tree, BAD["truncated"], 5)
    mine, intact = (seen(loader(folder, geometry, augment=augment), 0, 3) for folder in (tree, sound))
    rows = [row for step in mine.values() for row in step]
    whole = {row[0]: row for step in intact.values() for row in step}
    assert sorted(row[0] for row in rows) == sorted([*range(5), 6, *range(6, IMAGES)])
    assert all(row == whole[row[0]] for row in rows)


def test_each_bad_file_is_told_of_once_and_listed_with_its_reason(tree, tmp_path, capsys):
    damage(tree, BAD["empty"], 3)
    damage(tree, BAD["vanished"], 9)
    told = []
    seen(loader(tree, on_bad_file=lambda bad: told.append(bad) or len(told)))
    assert sorted((bad.index, bad.reason) for bad in told) == [
        (3, "it is empty"),
        (9, "No such file or directory"),
    ]
    (tmp_path / "bad_files.jsonl").write_bytes(b"\xff{torn\n")  # an attempt that was killed
    for _ in range(2):  # a second attempt, or another rank, adds nothing
        for bad in told:
            list_in(tmp_path)(bad)
    assert capsys.readouterr().err.count("cannot be read as an image (") == 2
    lines = [json.loads(line) for line in (tmp_path / "bad_files.jsonl").read_bytes().splitlines()[1:]]
    assert sorted(line["index"] for line in lines) == [3, 9]
    assert replaced_images(tmp_path) == 2
    assert {line["path"] for line in lines} == {str(train_split(tree).path(index)) for index in (3, 9)}


def test_one_bad_file_is_always_allowed_and_more_than_the_share_stop_the_run(tree):
    damage(tree, BAD["garbage"], 5)
    assert len(seen(loader(tree, max_bad_share=0.001), 0, STEPS)) == STEPS
    damage(tree, BAD["garbage"], 6, 7)
    assert len(seen(loader(tree, max_bad_share=0.063), 0, STEPS)) == STEPS  # 0.063 x 48 = 3.02
    with pytest.raises(Top1Error, match=r"2 of 48 training images .* more than 0\.100%.*\.JPEG \("):
        seen(loader(tree, max_bad_share=0.001), 0, STEPS)


def test_the_share_is_that_of_all_processes_and_attempts(tree, tmp_path):
    damage(tree, BAD["garbage"], *range(0, IMAGES, 6))  # 8
    ranks = [
        loader(tree, rank=r, world=2, max_bad_share=0.15, on_bad_file=list_in(tmp_path)) for r in range(2)
    ]
    met = len(seen(ranks[0], 0, STEPS)) and len(ranks[0].bad_files)
    assert 0 < met < 7 < 0.15 * IMAGES < 8
    with pytest.raises(Top1Error, match=r"8 of 48 training images cannot be read, more than 15\.000%"):
        seen(ranks[1], 0, STEPS)


def test_a_set_in_which_nothing_decodes_is_an_error(tree):
    damage(tree, BAD["empty"], *range(IMAGES))
    with pytest.raises(Top1Error, match="none of the 48 images"):
        seen(loader(tree))


def test_a_thousand_mutated_jpegs_neither_end_nor_shorten_an_epoch(tmp_path):
    rng = np.random.default_rng(0)
    originals = [encoded(picture(number).resize((32, 24)), "JPEG", quality=80) for number in range(1000)]
    folder = write_tree(tmp_path, originals)
    split = train_split(folder)
    for index in range(1000):
        content = bytearray(split.path(index).read_bytes())
        for _ in range(rng.integers(1, 3)):
            place = int(rng.integers(2, len(content)))
            match rng.integers(0, 20):
                case 0:
                    del content[place : place + 10]
                case 1:
                    content[place:place] = rng.bytes(5)
                case _:
                    content[place] = int(rng.integers(256))
        split.path(index).write_bytes(content)
    run = loader(folder, RandomResizedCrop(16), batch_size=50)
    rows = [row for step in seen(run, 0, 20).values() for row in step]
    assert len(rows) == 1000
    assert 50 < len(run.bad_files) < 500  # mutated enough, and not beyond sense
    order = epoch_order(2, 0, 1000).tolist()
    kept = [index == row[0] for index, row in zip(order, rows, strict=True)]
    assert all(same or index in run.bad_files for same, index in zip(kept, order, strict=True))


# ---------------------------------------------------------------- what does not: evaluation


@pytest.mark.parametrize("kind", BAD)
def test_evaluation_is_refused_with_the_name_of_the_file(kind, tree):
    split = Manifest.load(tree).split("val")
    BAD[kind](split.path(17))
    with pytest.raises(Top1Error, match=rf"{split.path(17)} cannot be read as an image"):
        list(EvalLoader(split, "rgb", Evaluation(32, (32,)), batch=8))
