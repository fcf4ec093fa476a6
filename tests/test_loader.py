"""The loader on real DALI: the same pixels at any world size, resumed or staged; every image evaluated."""

import gc
import hashlib
import os
import threading
import time

import numpy as np
import pytest
import torch

from pipeline.data.loader import EvalLoader, Shard, TrainLoader
from pipeline.data.manifest import Manifest
from pipeline.data.sampling import epoch_order
from pipeline.errors import Top1Error
from pipeline.progressive import Stage
from recipes.schema import (
    Data,
    Evaluation,
    HorizontalFlip,
    Normalize,
    RandomResizedCrop,
)

PLAIN = Normalize((0.0,) * 3, (1.0,) * 3)  # pixels come out as they are, 0..255


@pytest.fixture(scope="module")
def digits(demo_data):
    return Manifest.load(demo_data)


@pytest.fixture(scope="module")
def train(digits):
    """358 images: 22 steps of 16 and an incomplete one."""
    return digits.split("train").take(np.arange(358))


def stages(*sizes, steps=10_000):
    """Stages of `steps` steps each."""
    return [Stage(i * steps, (i + 1) * steps, i, i + 1, size) for i, size in enumerate(sizes)]


def random_data(size=32):
    return Data(16, (RandomResizedCrop(size), HorizontalFlip()), Normalize((120.0,) * 3, (60.0,) * 3))


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


# ---------------------------------------------------------------- the same at any shape


@pytest.mark.parametrize(("world", "accumulation"), [(2, 1), (4, 1), (1, 4), (2, 2)])
def test_global_batches_have_the_same_pixels_at_any_world_size_and_accumulation(train, world, accumulation):
    reference = by_step(loader(train).batches(0, 45))  # 22 steps an epoch: two epochs and a step
    ranks = [
        by_step(loader(train, world=world, rank=rank, accumulation=accumulation).batches(0, 45))
        for rank in range(world)
    ]
    for step, images in reference.items():
        assert sorted(pair for rank in ranks for pair in rank[step]) == sorted(images)


def test_a_rank_sees_the_global_batch_in_order(train):
    order = epoch_order(3, 1, len(train))
    batches = list(loader(train, accumulation=4).batches(22, 24))
    assert [batch.step for batch in batches] == [22] * 4 + [23] * 4
    assert torch.cat([batch.indices for batch in batches]).tolist() == order[:32].tolist()
    labels = torch.cat([batch.labels for batch in batches])
    assert labels.dtype == torch.int64
    assert labels.tolist() == train.labels[order[:32]].tolist()


@pytest.mark.parametrize("step", [0, 13, 21, 22, 30])
@pytest.mark.parametrize("change", [{}, {"threads": 2, "prefetch": 1}, {"accumulation": 2, "prefetch": 3}])
def test_a_run_resumed_at_any_step_sees_the_same_pixels(train, step, change):
    unbroken = by_step(loader(train).batches(0, 34))
    resumed = by_step(loader(train, **change).batches(step, 34))
    assert resumed == {number: images for number, images in unbroken.items() if number >= step}


def test_another_seed_draws_another_order_and_other_crops(train):
    one, other = by_step(loader(train).batches(0, 22)), by_step(loader(train, seed=4).batches(0, 22))
    pixels = [dict(pair for step in run.values() for pair in step) for run in (one, other)]
    common = pixels[0].keys() & pixels[1].keys()
    assert one[0] != other[0]
    assert sum(pixels[0][index] == pixels[1][index] for index in common) < len(common) * 0.02


def test_every_epoch_draws_its_crops_anew(train):
    run = by_step(loader(train).batches(0, 44))
    first = dict(pair for step in range(22) for pair in run[step])
    second = dict(pair for step in range(22, 44) for pair in run[step])
    common = first.keys() & second.keys()
    assert sum(first[index] == second[index] for index in common) < len(common) * 0.02


@pytest.mark.parametrize("micro_batch", [1, 5, 16])
def test_a_stage_begins_on_exactly_its_first_step(train, micro_batch):
    data = Data(micro_batch, random_data().augment, PLAIN)
    run = loader(train, data, (16, 24, 40), steps=7)
    sizes = {batch.step: batch.images.shape[-1] for batch in run.batches(0, 21)}
    assert list(sizes.values()) == [16] * 7 + [24] * 7 + [40] * 7
    assert {batch.images.shape[-1] for batch in run.batches(13, 14)} == {24}


def test_a_step_beyond_the_last_stage_is_an_error(train):
    with pytest.raises(ValueError, match="step 7"):
        list(loader(train, steps=7).batches(6, 8))


def test_small_batches_are_the_pieces_of_large_ones(train):
    ones = Data(1, random_data().augment, random_data().normalize)
    small = list(loader(train, ones).batches(0, 40))
    assert [batch.step for batch in small] == list(range(40))
    assert all(batch.images.shape == (1, 3, 32, 32) for batch in small)
    large = by_step(loader(train).batches(0, 2))
    assert [pair for step in by_step(small).values() for pair in step][:32] == large[0] + large[1]


def test_an_epoch_abandoned_midway_leaves_nothing_behind(train):
    run = loader(train)
    expected = by_step(run.batches(22, 30))
    left = run.batches(0, 22)
    next(left), next(left)
    left.close()
    assert by_step(run.batches(22, 30)) == expected
    half = run.batches(0, 22)  # still open while another one runs
    next(half)
    assert by_step(run.batches(22, 30)) == expected
    assert next(half).step == 1


def test_batches_stay_as_they_were_while_later_ones_are_made(train):
    held = list(loader(train, prefetch=1).batches(0, 8))
    again = loader(train, prefetch=1).batches(0, 8)
    assert all(torch.equal(one.images, other.images) for one, other in zip(held, again, strict=True))


def test_a_shard_that_does_not_make_the_global_batch_is_an_error(train):
    with pytest.raises(ValueError, match="not 16"):
        TrainLoader(train, random_data(), stages(32), seed=0, batch_size=16, shard=Shard(0, 2, 4))


def test_a_batch_larger_than_the_data_is_told_with_both_numbers(train):
    with pytest.raises(Top1Error, match=r"4096 .* 358"):
        loader(train, Data(4096, random_data().augment, PLAIN))


# ---------------------------------------------------------------- evaluation


@pytest.mark.parametrize(
    ("images", "world", "batch"), [(97, 1, 8), (97, 4, 8), (97, 3, 32), (5, 8, 4), (64, 2, 32)]
)
def test_every_image_is_evaluated_exactly_once(digits, images, world, batch):
    split = digits.split("val").take(np.arange(images))
    for evaluation in (Evaluation(32, (32,)), Evaluation(32, (32, 48), "dense")):
        seen = []
        for rank in range(world):
            ours = EvalLoader(split, "rgb", evaluation, batch=batch, rank=rank, world=world)
            parts = list(ours)
            assert len(parts) == len(ours)
            for part in parts:
                assert 0 < len(part.indices) <= batch
                assert [len(scale) for scale in part.scales] == [len(part.indices)] * len(evaluation.resize)
                seen += part.indices.tolist()
        assert sorted(seen) == list(range(images))


def test_a_second_evaluation_equals_the_first_and_an_abandoned_one_does_no_harm(digits):
    ours = EvalLoader(digits.split("val"), "rgb", Evaluation(32, (32,)), batch=100)
    first = [torch.stack(areas.scales[0]) for areas in ours]
    next(iter(ours))
    assert all(torch.equal(a, torch.stack(b.scales[0])) for a, b in zip(first, ours, strict=True))


def test_an_evaluation_that_is_done_with_leaves_no_thread_and_no_open_file(digits):
    def files_when_threads_are_gone():
        gives_up = time.monotonic() + 30
        while any(t.name.startswith("read-images") for t in threading.enumerate()):
            assert time.monotonic() < gives_up
            time.sleep(0.01)  # they are told to end, and do so soon
        return len(os.listdir("/proc/self/fd"))

    def evaluate():
        for _ in EvalLoader(digits.split("val"), "rgb", Evaluation(32, (32,)), batch=100):
            pass

    evaluate()  # opens what a process opens once
    gc.collect()
    gc.disable()  # what only the collector would find stays, perhaps for the whole run
    try:
        before = files_when_threads_are_gone()
        evaluate()
        assert files_when_threads_are_gone() == before
    finally:
        gc.enable()
