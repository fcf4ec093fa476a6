"""Mixup and CutMix: what is mixed with what, by how much, and that it does not depend on who asks."""

import numpy as np
import pytest
import torch
from scipy import stats

from pipeline.mixing import mix
from recipes.schema import CutMix, Mixup, MixupCutMixHalves

CLASSES = 10
EVERY_KIND = [Mixup(0.2), CutMix(1.0), MixupCutMixHalves(0.5, 0.5)]


def batch(images=64, size=24, seed=0):
    """Random images, and labels that tell neighbors apart."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.rand(images, 3, size, size, generator=generator)
    return pixels, torch.arange(images) % CLASSES


def mixed(mixing, images=None, labels=None, **options):
    if images is None:
        images, labels = batch()
    options = {"seed": 1, "step": 7, "first_slot": 0, "block": 16, "num_classes": CLASSES} | options
    return mix(images.clone(), labels, mixing, **options)


@pytest.mark.parametrize("mixing", EVERY_KIND, ids=lambda m: type(m).__name__)
def test_targets_sum_to_one_with_and_without_smoothing(mixing):
    for smoothing in (0.0, 0.1):
        _, targets = mixed(mixing, label_smoothing=smoothing)
        assert targets.shape == (64, CLASSES)
        assert targets.dtype == torch.float32
        assert torch.allclose(targets.sum(1), torch.ones(64), atol=1e-6)
        assert (targets >= smoothing / CLASSES - 1e-6).all()


@pytest.mark.parametrize("mixing", EVERY_KIND, ids=lambda m: type(m).__name__)
def test_a_micro_batch_is_mixed_the_same_alone_and_within_the_global_batch(mixing):
    images, labels = batch()
    whole, whole_targets = mixed(mixing, images, labels)
    for first in range(0, 64, 16):
        piece = slice(first, first + 16)
        part, targets = mixed(mixing, images[piece], labels[piece], first_slot=first)
        assert torch.equal(part, whole[piece])
        assert torch.equal(targets, whole_targets[piece])


@pytest.mark.parametrize("mixing", EVERY_KIND, ids=lambda m: type(m).__name__)
def test_another_step_or_seed_mixes_otherwise(mixing):
    usual, _ = mixed(mixing)
    assert not torch.equal(usual, mixed(mixing, step=8)[0])
    assert not torch.equal(usual, mixed(mixing, seed=2)[0])


@pytest.mark.parametrize("mixing", EVERY_KIND, ids=lambda m: type(m).__name__)
def test_images_are_changed_in_place(mixing):
    images, labels = batch()
    before = images.clone()
    options = {"seed": 1, "step": 7, "first_slot": 0, "block": 16, "num_classes": CLASSES}
    made, _ = mix(images, labels, mixing, **options)
    assert made is images
    assert not torch.equal(images, before)


@pytest.mark.parametrize("mixing", EVERY_KIND, ids=lambda m: type(m).__name__)
def test_an_alpha_of_zero_leaves_images_untouched(mixing):
    images, labels = batch()
    made, targets = mixed(mixing, images, labels, mixup_alpha=0.0, cutmix_alpha=0.0, label_smoothing=0.1)
    assert torch.equal(made, images)
    assert targets[3, 3] == pytest.approx(0.9 + 0.1 / CLASSES)
    assert targets[3, 4] == pytest.approx(0.1 / CLASSES)


def test_mixup_blends_each_image_with_its_blocks_mirror_image_and_keeps_the_greater_share():
    images, labels = batch()
    made, targets = mixed(Mixup(0.5), images, labels)
    for slot in range(64):
        partner = slot // 16 * 16 + 15 - slot % 16
        share = float(targets[slot, labels[slot]])
        if labels[slot] == labels[partner]:
            continue
        assert 0.5 <= share <= 1
        assert float(targets[slot, labels[partner]]) == pytest.approx(1 - share, abs=1e-6)
        expected = share * images[slot] + (1 - share) * images[partner]
        assert torch.allclose(made[slot], expected, atol=1e-6)


@pytest.mark.parametrize("alpha", [0.2, 0.5, 1.0, 4.0])
def test_mixups_share_is_the_folded_beta_distribution(alpha):
    labels = torch.zeros(20_000, dtype=torch.long)
    labels[10_000:] = 1  # with one block, every partner has the other label
    _, targets = mixed(Mixup(alpha), torch.zeros(20_000, 1, 1, 1), labels, block=20_000)
    lesser = targets[torch.arange(20_000), 1 - labels].numpy()
    assert stats.kstest(lesser, lambda x: 2 * stats.beta(alpha, alpha).cdf(x)).statistic < 0.015


def test_cutmix_pastes_one_box_and_labels_by_its_area():
    images = torch.arange(64.0).view(64, 1, 1, 1).expand(64, 3, 24, 30).clone()  # an image is its number
    labels = torch.arange(64)
    made, targets = mixed(CutMix(1.0), images, labels, num_classes=64)
    boxes = 0
    for slot in range(64):
        partner = slot // 16 * 16 + 15 - slot % 16
        pasted = (made[slot] == partner)[0]
        assert ((made[slot] == partner) | (made[slot] == slot)).all()
        assert (made[slot] == made[slot, :1]).all()  # the same box in every channel
        share = float(pasted.float().mean())
        assert float(targets[slot, partner]) == pytest.approx(share, abs=1e-6)
        assert float(targets[slot, slot]) == pytest.approx(1 - share, abs=1e-6)
        if pasted.any():
            rows, columns = pasted.any(1).nonzero(), pasted.any(0).nonzero()
            area = (rows.max() - rows.min() + 1) * (columns.max() - columns.min() + 1)
            assert area == pasted.sum()
            boxes += 1
    assert boxes > 40


def test_cutmixs_boxes_have_the_distribution_of_googles():
    """automl datasets.py cutmix_mask: any center, a share sqrt(1 - Beta) of each side, cut at the edge."""
    count, size = 10_000, 24
    labels = torch.zeros(count, dtype=torch.long)
    labels[count // 2 :] = 1
    _, targets = mixed(CutMix(1.0), torch.zeros(count, 1, size, size), labels, block=count)
    ours = np.rint(targets[torch.arange(count), 1 - labels].numpy() * size**2)  # pixels
    random = np.random.default_rng(0)
    half = (np.sqrt(1 - random.beta(1, 1, count)) * size).astype(int) // 2
    sides = [
        np.clip(center + half, 0, size) - np.clip(center - half, 0, size)
        for center in random.integers(0, size, (2, count))
    ]
    assert stats.ks_2samp(ours, sides[0] * sides[1]).statistic < 0.03


def test_halves_mix_up_the_first_half_of_a_block_and_cut_the_second():
    images = torch.arange(64.0).view(64, 1, 1, 1).expand(64, 3, 24, 24).clone()
    made, _ = mixed(MixupCutMixHalves(0.5, 0.5), images, torch.arange(64), num_classes=64)
    for slot in range(64):
        within = slot % 16
        first = slot - within + (0 if within < 8 else 8)
        partner = first + 7 - (slot - first)
        if within < 8:
            assert (made[slot] == made[slot, 0, 0, 0]).all()  # a blend of two flat images is flat
            assert min(slot, partner) <= made[slot].mean() <= max(slot, partner)
        else:
            assert set(made[slot].unique().tolist()) <= {slot, partner}


def test_halves_with_one_alpha_at_zero_do_the_other_to_the_whole_block():
    """automl datasets.py mixing: the halves only exist where both alphas are above 0."""
    halves = MixupCutMixHalves(0.5, 0.5)
    for ours, theirs in (
        (mixed(halves, cutmix_alpha=0.0), mixed(Mixup(0.5))),
        (mixed(halves, mixup_alpha=0.0), mixed(CutMix(0.5))),
    ):
        assert torch.equal(ours[0], theirs[0])
        assert torch.equal(ours[1], theirs[1])


def test_a_stages_alpha_takes_the_place_of_the_recipes():
    assert torch.equal(mixed(Mixup(0.5), mixup_alpha=0.1)[0], mixed(Mixup(0.1))[0])
    assert torch.equal(mixed(CutMix(0.5), cutmix_alpha=0.1)[0], mixed(CutMix(0.1))[0])


def test_labels_may_be_rows_that_sum_to_one():
    images, labels = batch()
    rows = torch.nn.functional.one_hot(labels, CLASSES).float()
    kept = rows.clone()
    ours = mixed(Mixup(0.5), images, rows, label_smoothing=0.1)
    theirs = mixed(Mixup(0.5), images, labels, label_smoothing=0.1)
    assert torch.equal(ours[1], theirs[1])
    assert torch.equal(rows, kept)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_half_precision_and_channels_last_stay_what_they_are(dtype, memory_format):
    images, labels = batch()
    made, _ = mixed(MixupCutMixHalves(0.5, 0.5), images.to(dtype).to(memory_format=memory_format), labels)
    expected, _ = mixed(MixupCutMixHalves(0.5, 0.5), images, labels)
    assert made.dtype == dtype
    assert made.is_contiguous(memory_format=memory_format)
    assert torch.allclose(made.float(), expected, atol=0.01)


@pytest.mark.parametrize(("images", "first_slot", "block"), [(60, 0, 16), (64, 8, 16), (64, 0, 1)])
def test_a_block_that_straddles_micro_batches_or_has_no_partner_is_refused(images, first_slot, block):
    with pytest.raises(ValueError, match=f"do not fall into blocks of {block}"):
        mixed(Mixup(0.5), *batch(images), first_slot=first_slot, block=block)
