"""The GPU's loader beside the CPU's: the same images, nearly the same pixels, none used again too soon."""

import os

import pytest
import torch

from pipeline.data.loader import EvalLoader, Shard, TrainLoader
from pipeline.data.manifest import Manifest
from pipeline.progressive import Stage
from recipes.schema import (
    ColorJitter,
    Data,
    Evaluation,
    HorizontalFlip,
    Lighting,
    Normalize,
    RandAugment,
    RandomErasing,
    RandomResizedCrop,
)

PLAIN = Normalize((0.0,) * 3, (1.0,) * 3)  # pixels come out as they are, 0..255
GPU = None if os.environ.get("TOP1_TEST_DEVICE") == "cpu" else 0
STEPS = 12
CROP = (RandomResizedCrop(160), HorizontalFlip())


def batches_of(folder, augment, device_id, **options):
    data = Data(32, augment, PLAIN)
    loader = TrainLoader(
        Manifest.load(folder).split("train"),
        data,
        [Stage(0, 4, 0, 1, 128, randaugment=5.0), Stage(4, 1000, 1, 2, 160, randaugment=9.0)],
        seed=3,
        batch_size=32,
        shard=Shard(0, 1, 16, 2),
        device_id=device_id,
        **options,
    )
    return loader.batches(0, STEPS)


def off(one, other):
    """Return how far two lists of batches' pixels are apart, in grey levels."""
    return torch.cat(
        [(a.images.cpu() - b.images.cpu()).abs().flatten() for a, b in zip(one, other, strict=True)]
    )


def test_crops_and_flips_are_the_cpus_to_a_few_levels(photographs):
    own, cpu = (list(batches_of(photographs, CROP, where, threads=2)) for where in (GPU, None))
    for one, other in zip(own, cpu, strict=True):
        assert one.step == other.step
        assert one.indices.tolist() == other.indices.tolist()
        assert one.labels.tolist() == other.labels.tolist()
        assert one.images.shape == other.images.shape
        assert GPU is None or one.images.is_contiguous(memory_format=torch.channels_last)
    apart = off(own, cpu)
    print(f"mean {apart.mean():.4f}, at most {apart.max():.1f} grey levels")
    assert apart.mean() < 0.05
    assert apart.max() <= 4


def test_programs_are_the_cpus_but_where_a_level_turns_a_table(photographs):
    augment = (*CROP, RandAugment(9.0, 2, "google"), ColorJitter(0.4, 0.4, 0.4, 0.1), Lighting(0.1))
    own, cpu = (list(batches_of(photographs, augment, where)) for where in (GPU, None))
    apart = off(own, cpu)
    share = (apart > 3).float().mean().item()
    print(f"mean {apart.mean():.4f}, {share:.5f} of values more than 3 grey levels apart")
    assert share < 0.005


@pytest.mark.parametrize(
    "augment",
    [CROP, (*CROP, RandAugment(9.0, 2, "timm")), (*CROP, RandomErasing(probability=0.7, fill="noise"))],
)
def test_batches_are_the_same_again_and_stay_while_later_ones_are_made(photographs, augment):
    held, copies = [], []
    for batch in batches_of(photographs, augment, GPU, threads=4, prefetch=3):
        held.append(batch.images)
        copies.append(batch.images.cpu())
    again = [batch.images.cpu() for batch in batches_of(photographs, augment, GPU, threads=1, prefetch=1)]
    assert len(held) == 2 * STEPS
    assert all(torch.equal(one.cpu(), copy) for one, copy in zip(held, copies, strict=True))
    assert all(map(torch.equal, copies, again))


@pytest.mark.parametrize(
    "evaluation",
    [
        Evaluation(resize=(256,), crop=224),
        Evaluation(resize=(235,), crop=224, interpolation="bicubic"),
        Evaluation(resize=(256,), crop=224, antialias=False),
    ],
    ids=["bilinear", "bicubic", "no antialias"],
)
def test_evaluation_sees_every_image_once_and_as_the_cpu_does(photographs, evaluation):
    split = Manifest.load(photographs).split("train")
    seen = []
    for where in (GPU, None):
        images = {}
        for areas in EvalLoader(split, "rgb", evaluation, batch=20, device_id=where, threads=2):
            for index, image in zip(areas.indices.tolist(), areas.scales[0], strict=True):
                assert index not in images
                images[index] = image.cpu().float()
        assert images.keys() == set(range(len(split)))
        seen.append(images)
    apart = torch.cat([(seen[0][i] - seen[1][i]).abs().flatten() for i in seen[0]])
    print(f"mean {apart.mean():.4f}, at most {apart.max():.1f} grey levels")
    assert apart.mean() < 0.3
    assert apart.max() <= 8
