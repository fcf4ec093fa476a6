"""Order and draws: pinned to an implementation in plain integers, equal at every world size, uniform."""

import numpy as np
import pytest
from scipy import stats

from pipeline.data.sampling import (
    Shard,
    Stream,
    epoch_order,
    minival_split,
    repeat_numbers,
    step_images,
    steps_per_epoch,
    uniforms,
)
from pipeline.errors import Top1Error

MASK = 2**64 - 1


def philox_block(counter, key):
    """Philox4x64-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3")."""
    k0, k1 = key
    for _ in range(10):
        first, second = 0xD2E7470EE14C6C93 * counter[0], 0xCA5A826395121157 * counter[2]
        counter = [
            (second >> 64) ^ counter[1] ^ k0,
            second & MASK,
            (first >> 64) ^ counter[3] ^ k1,
            first & MASK,
        ]
        k0, k1 = (k0 + 0x9E3779B97F4A7C15) & MASK, (k1 + 0xBB67AE8584CAA73B) & MASK
    return counter


def philox_words(key, count):
    """The first words of numpy's stream, which counts blocks from one."""
    blocks = [philox_block([block, 0, 0, 0], key) for block in range(1, count // 4 + 2)]
    return [word for block in blocks for word in block][:count]


def splitmix(word):
    """SplitMix64, in plain integers."""
    word = (word + 0x9E3779B97F4A7C15) & MASK
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & MASK
    return word ^ (word >> 31)


def plain_uniform(seed, epoch, stream, index, repeat, column):
    key = 0
    for part in (seed, epoch, stream, index, repeat):
        key = splitmix(key ^ part)
    return (splitmix(key ^ splitmix(column)) >> 11) / 2**53


def test_splitmix_gives_the_published_first_outputs_of_seed_zero():
    # The reference C program (prng.di.unimi.it/splitmix64.c) started at 0.
    assert [splitmix(0), splitmix(0x9E3779B97F4A7C15)] == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4]


@pytest.mark.parametrize(("seed", "epoch"), [(0, 0), (3, 7), (2**31, 349)])
def test_order_is_the_stable_argsort_of_philox_words(seed, epoch):
    words = philox_words((seed, epoch), 1003)
    assert epoch_order(seed, epoch, 1003).tolist() == sorted(range(1003), key=words.__getitem__)


def test_philox_gives_the_published_known_answer():
    # Random123's kat_vectors: philox4x64, 10 rounds, counter and key zero.
    assert philox_block([0, 0, 0, 0], (0, 0)) == [
        0x16554D9ECA36314C,
        0xDB20FE9D672D0FDC,
        0xD7E772CEE186176B,
        0x7E68B68AEC7BA23B,
    ]


def test_order_and_draws_are_pinned():
    # Worked out with the plain integers above: a change of these numbers would orphan every run in progress.
    assert epoch_order(0, 0, 12).tolist() == [0, 2, 11, 9, 1, 8, 5, 4, 3, 10, 6, 7]
    assert epoch_order(3, 7, 12).tolist() == [5, 0, 11, 6, 9, 10, 8, 7, 4, 2, 3, 1]
    assert uniforms(0, 0, np.arange(3), Stream.CROP, 1)[:, 0].tolist() == [
        0.19571431199320133,
        0.8637905618418127,
        0.499849377529065,
    ]


def test_uniforms_equal_the_hash_in_plain_integers():
    indices, repeats = np.array([0, 1, 5, 1_281_166]), np.array([0, 0, 2, 1])
    drawn = uniforms(7, 12, indices, Stream.FLIP, 5, repeats)
    expected = [
        [plain_uniform(7, 12, Stream.FLIP, int(i), int(r), column) for column in range(5)]
        for i, r in zip(indices, repeats, strict=True)
    ]
    assert drawn.tolist() == expected


def test_stream_numbers_never_change():
    assert {stream.name: stream.value for stream in Stream} == {
        "CROP": 1,
        "FLIP": 2,
        "RANDAUGMENT": 3,
        "ERASING": 4,
        "COLOR": 5,
        "LIGHTING": 6,
        "AUTOAUGMENT": 7,
        "TRIVIALAUGMENT": 8,
        "ROTATION": 9,
        "NOISE": 10,
        "MIXING": 11,
        "JITTER": 12,
    }


def test_a_draw_depends_on_its_image_alone():
    several = uniforms(1, 2, np.arange(100), Stream.CROP, 4)
    assert np.array_equal(uniforms(1, 2, np.array([42]), Stream.CROP, 4)[0], several[42])
    assert np.array_equal(uniforms(1, 2, np.arange(100), Stream.CROP, 9)[:, :4], several)


@pytest.mark.parametrize("changed", ["seed", "epoch", "stream", "repeat", "column"])
def test_draws_are_uniform_and_independent_of_what_they_are_keyed_by(changed):
    n = 20_000
    key = {"seed": 1, "epoch": 1, "stream": 1, "repeat": 0}
    one = uniforms(key["seed"], key["epoch"], np.arange(n), key["stream"], 2, key["repeat"])
    assert stats.kstest(one[:, 0], "uniform").statistic < 0.012  # 1.63 / sqrt(n): one in a hundred exceeds it
    if changed == "column":
        other = one[:, 1]
    else:
        key[changed] += 1
        other = uniforms(key["seed"], key["epoch"], np.arange(n), key["stream"], 1, key["repeat"])[:, 0]
    assert abs(np.corrcoef(one[:, 0], other)[0, 1]) < 0.025  # 3.5 / sqrt(n)


def test_every_epoch_shows_every_image_once_in_another_order():
    orders = [epoch_order(5, epoch, 997) for epoch in range(3)]
    assert all(np.array_equal(np.sort(order), np.arange(997)) for order in orders)
    assert not np.array_equal(orders[0], orders[1])
    assert not np.array_equal(orders[0], epoch_order(6, 0, 997))


@pytest.mark.parametrize("world", [1, 2, 3, 4, 8, 16, 24])
@pytest.mark.parametrize("accumulation", [1, 2])
def test_ranks_cut_the_global_batch_into_the_same_contiguous_pieces(world, accumulation):
    batch_size = 96
    micro_batch = batch_size // world // accumulation
    order = epoch_order(0, 0, 1000)
    batch = step_images(order, 3, batch_size)
    shards = [Shard(rank, world, micro_batch, accumulation) for rank in range(world)]
    pieces = [batch[shard.piece(a)] for a in range(accumulation) for shard in shards]
    assert np.concatenate(pieces).tolist() == order[288:384].tolist()
    assert all(shard.batch_size == batch_size for shard in shards)


def test_micro_batches_of_one_size_are_the_same_at_any_world_size():
    batch = np.arange(64)
    by_world = [
        {
            tuple(batch[Shard(rank, world, 8, 8 // world).piece(a)])
            for rank in range(world)
            for a in range(8 // world)
        }
        for world in (1, 2, 4, 8)
    ]
    assert by_world[0] == by_world[1] == by_world[2] == by_world[3]


def test_the_incomplete_last_global_batch_is_dropped():
    assert steps_per_epoch(1003, 100) == 10
    assert steps_per_epoch(1000, 100) == 10
    dropped = [set(epoch_order(0, epoch, 1003)[1000:].tolist()) for epoch in range(2)]
    assert dropped[0] != dropped[1]


def test_a_batch_larger_than_the_data_is_refused_with_both_numbers():
    with pytest.raises(Top1Error, match=r"4096 .* 1437"):
        steps_per_epoch(1437, 4096)


def test_repeated_augmentation_shows_each_image_in_a_row_with_its_own_draws():
    order, repeats = epoch_order(0, 1, 10, repeats=3), repeat_numbers(10, 3)
    once = epoch_order(0, 1, 10)
    assert order.tolist() == [once[0]] * 3 + [once[1]] * 3 + [once[2]] * 3 + [once[3]]
    assert repeats.tolist() == [0, 1, 2, 0, 1, 2, 0, 1, 2, 0]
    draws = uniforms(0, 1, order, Stream.CROP, 1, repeats)
    assert len(np.unique(draws)) == 10


def test_minival_and_train_split_the_images_without_overlap():
    train, minival = minival_split(1000, 100)
    assert len(minival) == 100
    assert np.array_equal(np.sort(np.concatenate([train, minival])), np.arange(1000))
    assert np.array_equal(minival_split(1000, 100)[1], minival)
