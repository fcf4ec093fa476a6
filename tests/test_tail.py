"""What a GPU's loader does beside the CPU's: operations in torch after DALI, batches made in a thread."""

import threading
from dataclasses import dataclass
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch
from fake_gpu import GPU, fake_gpu

from pipeline.data import augment_torch
from pipeline.data.ahead import made_ahead
from pipeline.data.augment_erasing import fill_with_noise
from pipeline.data.augment_program import WIDTH, Code
from pipeline.data.feed import Feed
from pipeline.data.graph import Decoding, Device, _window, training_graph
from pipeline.data.loader import Shard, TrainLoader
from pipeline.data.manifest import Manifest
from pipeline.data.operation import Draw
from pipeline.data.tail import cut
from pipeline.progressive import Stage
from recipes.schema import (
    ColorJitter,
    Data,
    HorizontalFlip,
    Lighting,
    Normalize,
    RandAugment,
    RandomErasing,
    RandomResizedCrop,
    Rotation,
)

NORMALIZE = Normalize((120.0, 110.0, 100.0), (60.0, 61.0, 62.0))
CROP = RandomResizedCrop(48)
LIGHTING = Lighting(0.1)
BOX = RandomErasing(probability=0.7, fill="zero")


def loader(folder, data):
    split = Manifest.load(folder).split("train")
    return split, TrainLoader(
        split, data, [Stage(0, 100, 0, 1, 48)], seed=3, batch_size=16, shard=Shard(0, 1, 16)
    )


@pytest.mark.parametrize(
    "augment",
    [
        (HorizontalFlip(), RandAugment(9.0, 2, "torchvision")),
        (HorizontalFlip(), LIGHTING, RandAugment(9.0, 2, "google"), BOX),
        (RandAugment(5.0, 1, "timm"), HorizontalFlip(), ColorJitter(0.4, 0.4, 0.4, 0.1), LIGHTING),
        (BOX, Rotation(10.0), HorizontalFlip()),
    ],
)
def test_the_cut_graph_and_its_tail_make_what_the_whole_graph_makes(small_data, augment):
    data = Data(16, (CROP, *augment), NORMALIZE)
    split, whole = loader(small_data, data)
    head, tail = cut(training_graph(data))
    feed = Feed(split, head, whole._windows, pytest.fail, Device(), most_images=64)
    batches = whole.batches(0, 4)
    for chunk, images in feed.run(whole._chunks(0, 4)):
        assert images.dtype == torch.uint8
        made = tail.images(images, chunk.draw).permute(0, 3, 1, 2)
        expected = torch.cat([next(batches).images for _ in chunk.steps])
        torch.testing.assert_close(made, expected, rtol=0, atol=2e-6)


def test_nothing_after_dali_waits_for_the_gpu():
    draw = Draw(0, 0, np.arange(8), np.zeros(8, np.int64), 48)
    graph = training_graph(
        Data(16, (CROP, HorizontalFlip(), LIGHTING, RandAugment(9.0, 2, "google"), BOX), NORMALIZE)
    )
    _, tail = cut(graph)
    with fake_gpu() as waits:
        images = torch.empty(8, 48, 48, 3, dtype=torch.uint8, device=GPU)
        made = tail.images(images, draw)
        assert (made.shape, made.device, made.dtype) == (images.shape, GPU, torch.float32)
        fill_with_noise(made.permute(0, 3, 1, 2), RandomErasing(1.0, fill="noise"), draw)
        for code in Code:  # the draw above has not all of them
            program = np.zeros((8, 1, WIDTH))
            program[..., 0] = code
            assert augment_torch.run(images, program).device == GPU
        assert waits == []


def test_a_graph_without_programs_is_not_cut():
    graph = training_graph(Data(16, (CROP, HorizontalFlip(), LIGHTING, BOX), NORMALIZE))
    assert cut(graph) == (graph, None)


@dataclass(frozen=True)
class WholeDecoding(Decoding):
    """Decodes as on a GPU, but on the CPU."""

    def images(self, nodes, device):
        return _window(nodes, {"jpeg_fancy_upsampling": True}, whole=True)


def test_a_window_of_a_whole_decoded_image_is_the_window_decoded_alone(small_data):
    split, whole = loader(small_data, Data(16, (CROP,), NORMALIZE))
    made = []
    for decoding in (Decoding("window", "rgb"), WholeDecoding("window", "rgb")):
        feed = Feed(split, decoding, whole._windows, pytest.fail, Device(), most_images=64)
        made.append([image for _, images in feed.run(whole._chunks(0, 8)) for image in images])
    assert len(made[0]) == 8 * 16
    assert all(map(torch.equal, *made))


def counted(count, closed, fails=False):
    try:
        for number in range(count):
            yield number, torch.tensor(number)
        if fails:
            raise ValueError("the sixth")
    finally:
        closed.append(threading.current_thread())


def test_items_come_in_order_and_the_generator_is_closed():
    closed = []
    assert [(n, int(t)) for n, t in made_ahead(counted(5, closed), None)] == [(n, n) for n in range(5)]
    assert len(closed) == 1


def test_what_the_generator_raises_comes_after_the_items_before_it():
    items = made_ahead(counted(5, [], fails=True), None)
    assert [next(items)[0] for _ in range(5)] == list(range(5))
    with pytest.raises(ValueError, match="the sixth"):
        next(items)


def test_leaving_early_closes_the_generator_and_ends_its_thread():
    closed, before = [], threading.active_count()
    items = made_ahead(counted(100, closed), None)
    assert next(items)[0] == 0
    items.close()
    assert len(closed) == 1
    assert threading.active_count() == before


def test_the_thread_is_on_the_gpu_of_its_process_before_it_sets_a_stream(monkeypatch):
    called = []

    def noted(name):
        return lambda *_: called.append((name, threading.current_thread().name)) or MagicMock()

    for name in ("set_device", "stream", "Stream", "current_stream"):
        monkeypatch.setattr(torch.cuda, name, noted(name))
    list(made_ahead(((n, MagicMock()) for n in range(3)), 5))
    in_thread = [name for name, thread in called if thread.startswith("make-batches")]
    assert in_thread[0] == "set_device"
    assert set(in_thread[1:]) == {"stream"}
