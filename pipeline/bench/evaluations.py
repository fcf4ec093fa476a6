"""The evaluations that `top1 bench eval` compares, each as an endless stream of class probabilities.

Both read the same files, resize the short side to 256 with antialias, take the central 224 x 224 or ten
crops, normalize, and run the same network. torchvision's is the loop of its references: ImageFolder, Pillow
transforms, DataLoader with as many workers as ours has threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.bench.loaders import MEAN, STD, Setting, Stream
from recipes.schema import Evaluation, Normalize, Views

_RESIZE = (256, 224)  # short side of a crop, and the crop; other crops in proportion
_WHITE = 255


def _short_side(setting: Setting) -> int:
    return setting.size * _RESIZE[0] // _RESIZE[1]


def top1_evaluation(setting: Setting, views: Views) -> Stream:
    """Yield what our evaluation makes of batch after batch."""
    from pipeline.data.loader import EvalLoader
    from pipeline.data.manifest import Manifest
    from pipeline.evaluate import pixel_scale, view_probabilities

    evaluation = Evaluation(setting.size, (_short_side(setting),), views)
    loader = EvalLoader(
        Manifest.load(setting.folder).split("train"),
        "rgb",
        evaluation,
        batch=setting.batch,
        threads=setting.threads,
    )
    mean, std = (tuple(_WHITE * value for value in values) for values in (MEAN, STD))
    scale = pixel_scale(Normalize(mean, std), torch.device("cpu"))
    network, most = _network(setting), setting.batch * setting.size**2
    while True:
        for areas in loader:
            with torch.inference_mode():
                yield view_probabilities(network, areas, evaluation, scale, most)


def imagefolder_evaluation(setting: Setting, views: Views) -> Stream:
    """Yield what a plain torchvision loop makes of batch after batch."""
    from torch.utils.data import DataLoader
    from torchvision import transforms
    from torchvision.datasets import ImageFolder

    finish = transforms.Compose([transforms.ToTensor(), transforms.Normalize(MEAN, STD)])
    crop: list[Any] = [transforms.CenterCrop(setting.size), finish]
    if views == "ten_crop":
        crop = [transforms.TenCrop(setting.size), partial(_each, finish)]
    changes = transforms.Compose([transforms.Resize(_short_side(setting)), *crop])
    images = ImageFolder(setting.folder / "train", changes)
    batches = DataLoader(
        images, sampler=_InOrder(len(images)), batch_size=setting.batch, num_workers=setting.threads
    )
    network = _network(setting)
    for batch, _ in batches:
        with torch.inference_mode():
            if batch.dim() == 4:
                yield network(batch).softmax(1)
            else:
                yield network(batch.flatten(0, 1)).softmax(1).unflatten(0, batch.shape[:2]).mean(1)


EVALUATIONS: dict[str, Callable[[Setting], Stream]] = {
    "eval top1": partial(top1_evaluation, views="single_crop"),
    "eval imagefolder": partial(imagefolder_evaluation, views="single_crop"),
    "eval top1 ten_crop": partial(top1_evaluation, views="ten_crop"),
    "eval imagefolder ten_crop": partial(imagefolder_evaluation, views="ten_crop"),
}


def _network(setting: Setting) -> nn.Module:
    import torchvision

    torch.manual_seed(0)
    network: nn.Module = torchvision.models.get_model(setting.network, weights=None).eval()
    return network


def _each(finish: Callable[[Any], Tensor], crops: Any) -> Tensor:
    return torch.stack([finish(crop) for crop in crops])


class _InOrder(torch.utils.data.Sampler[int]):
    """Every image in turn, again and again, so that workers and what they have fetched ahead are kept."""

    def __init__(self, images: int) -> None:
        self._images = images

    def __iter__(self) -> Iterator[int]:
        while True:
            yield from range(self._images)
