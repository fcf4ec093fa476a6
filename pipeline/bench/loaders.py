"""The loaders that `top1 bench loader` compares, each as an endless stream of batches of the same kind.

Every one of them reads the same files in random order, cuts out a random window of 8 to 100 % of the area,
resizes it bilinearly with antialiasing, mirrors half of the images and normalizes: float32 (N, C, H, W) on
the device. Each is set up as its own documentation has it, with as many workers as the others have threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from recipes.schema import Data, HorizontalFlip, Normalize, RandAugment, RandomResizedCrop

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # torchvision's, of pixels in [0, 1]
LAYERS, MAGNITUDE = 2, 9  # of RandAugment

_STEPS = 2**40  # no bench takes as many


@dataclass(frozen=True)
class Setting:
    """What is loaded and how. folder: with a manifest; for all but our loader, also with train/<class>/*.

    network: of torchvision, where an evaluation is measured.
    """

    folder: Path
    size: int
    batch: int
    threads: int
    randaugment: bool = False
    network: str = ""
    device: str = "cpu"


Stream = Iterator[torch.Tensor]


def top1(setting: Setting) -> Stream:
    """Yield the batches of our loader, as a run gets them."""
    from pipeline.data.loader import Shard, TrainLoader
    from pipeline.data.manifest import Manifest
    from pipeline.progressive import Stage

    mean, std = (tuple(255 * value for value in values) for values in (MEAN, STD))
    randaugment = (RandAugment(MAGNITUDE, LAYERS, "timm"),) if setting.randaugment else ()
    augment = (RandomResizedCrop(setting.size), HorizontalFlip(), *randaugment)
    loader = TrainLoader(
        Manifest.load(setting.folder).split("train"),
        Data(setting.batch, augment, Normalize(mean, std)),
        [Stage(0, _STEPS, 0, 1, setting.size)],
        seed=0,
        batch_size=setting.batch,
        shard=Shard(0, 1, setting.batch),
        threads=setting.threads,
        device_id=None if setting.device == "cpu" else torch.device(setting.device).index or 0,
    )
    for batch in loader.batches(0, _STEPS):
        yield batch.images


def dali(setting: Setting) -> Stream:
    """Yield the batches of DALI's own file reader and random operators."""
    from nvidia.dali import fn, pipeline_def, types
    from nvidia.dali.plugin.pytorch import DALIGenericIterator

    gpu = None if setting.device == "cpu" else torch.device(setting.device).index or 0

    @pipeline_def(batch_size=setting.batch, num_threads=setting.threads, device_id=gpu, seed=0)
    def pipeline() -> tuple[Any, Any]:
        encoded, labels = fn.readers.file(file_root=str(setting.folder / "train"), random_shuffle=True)
        where = "cpu" if gpu is None else "mixed"
        images = fn.decoders.image_random_crop(encoded, device=where, output_type=types.DALIImageType.RGB)
        images = fn.resize(images, size=[setting.size, setting.size])
        images = fn.crop_mirror_normalize(
            images,
            mirror=fn.random.coin_flip(),
            mean=[255 * value for value in MEAN],
            std=[255 * value for value in STD],
            dtype=types.DALIDataType.FLOAT,
            output_layout="CHW",
        )
        return images, labels

    for (batch,) in DALIGenericIterator([pipeline()], ["images", "labels"]):
        yield batch["images"]


def imagefolder(setting: Setting) -> Stream:
    """Yield the batches of torchvision's ImageFolder, decoded and changed by Pillow."""
    from torchvision import transforms

    return _torch_batches(
        setting,
        transforms.Compose(
            [
                transforms.RandomResizedCrop(setting.size),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(MEAN, STD),
            ]
        ),
    )


def decode_jpeg(setting: Setting) -> Stream:
    """Yield the batches of torchvision's own JPEG decoder and its transforms of tensors."""
    from torchvision.io import ImageReadMode, decode_image
    from torchvision.transforms import v2

    changes = v2.Compose(
        [
            v2.RandomResizedCrop(setting.size, antialias=True),
            v2.RandomHorizontalFlip(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    )
    return _torch_batches(setting, changes, lambda path: decode_image(path, ImageReadMode.RGB))


def timm(setting: Setting) -> Stream:
    """Yield the batches of timm's create_loader."""
    from timm.data import create_dataset, create_loader

    batches = create_loader(
        create_dataset("", root=str(setting.folder / "train"), is_training=True),
        input_size=(3, setting.size, setting.size),
        batch_size=setting.batch,
        is_training=True,
        color_jitter=None,
        auto_augment=f"rand-m{MAGNITUDE}-n{LAYERS}" if setting.randaugment else None,
        interpolation="bilinear",
        mean=MEAN,
        std=STD,
        num_workers=setting.threads,
        device=torch.device(setting.device),
        use_multi_epochs_loader=True,  # its way of not starting workers anew for each epoch
    )
    while True:
        for images, _ in batches:
            yield images


LOADERS: dict[str, Callable[[Setting], Stream]] = {
    "top1": top1,
    "dali": dali,
    "imagefolder": imagefolder,
    "decode_jpeg": decode_jpeg,
    "timm": timm,
}


def _torch_batches(
    setting: Setting, changes: Callable[[Any], torch.Tensor], read: Callable[[str], Any] | None = None
) -> Stream:
    from torch.utils.data import DataLoader
    from torchvision.datasets import ImageFolder

    reading = {"loader": read} if read else {}
    images = ImageFolder(setting.folder / "train", changes, **reading)
    batches = DataLoader(
        images,
        sampler=_Endless(len(images)),
        batch_size=setting.batch,
        num_workers=setting.threads,
        drop_last=True,
        pin_memory=setting.device != "cpu",
    )
    for batch, _ in batches:
        yield batch.to(setting.device, non_blocking=True)


class _Endless(torch.utils.data.Sampler[int]):
    """Epoch after epoch in random order, so that workers and what they have fetched ahead are kept."""

    def __init__(self, images: int) -> None:
        self._images = images

    def __iter__(self) -> Iterator[int]:
        while True:
            yield from torch.randperm(self._images).tolist()
