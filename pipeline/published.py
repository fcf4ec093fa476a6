"""Weights that torchvision and timm publish: where their file is kept, under what protocol, with what figure.

Everything comes from the libraries' own metadata; their files are looked for in the libraries' usual caches.
Heavy.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal
from urllib.parse import urlsplit

import timm
import torch
import torchvision
from huggingface_hub import try_to_load_from_cache
from torch import nn
from torchvision.transforms import InterpolationMode

from pipeline.errors import Top1Error, nearest
from pipeline.timm_figures import TIMM_FIGURES
from pipeline.weights import load_weights, read_weights
from recipes.schema import Evaluation, Interpolation, Normalize

Library = Literal["torchvision", "timm"]
LIBRARIES: tuple[Library, ...] = ("torchvision", "timm")

_WHITE = 255.0  # the libraries count pixels in [0, 1]
_HUB_FILES = ("model.safetensors", "pytorch_model.bin")
# torchvision's families of this lineage, by the module that defines them.
_LINEAGE = (
    "alexnet", "vgg", "googlenet", "inception", "resnet", "densenet", "mobilenetv2", "mobilenetv3",
    "shufflenetv2", "efficientnet",
)  # fmt: skip
# Their weights were ported from TensorFlow's and want its scale of pixels; the constructors make it.
_PORTED = {
    "googlenet": {"transform_input": True, "init_weights": False, "aux_logits": False},
    "inception_v3": {"transform_input": True, "init_weights": False, "aux_logits": False},
}


@dataclass(frozen=True)
class Published:
    """One set of published weights. network: the constructor's name; tag: of the weights.

    where: the address its library would get it from. top1, top5: published, None where the library does not
    say. evaluation, normalize: the protocol the library documents.
    """

    library: Library
    network: str
    tag: str
    where: str
    evaluation: Evaluation
    normalize: Normalize
    classes: int
    top1: float | None
    top5: float | None

    @property
    def name(self) -> str:
        return f"{self.network}.{self.tag}"


def published(library: Library, network: str, tag: str | None = None) -> Published:
    """Return the weights a library publishes of a network; its default ones where no tag is given.

    Raises Top1Error, with the nearest names, where there are none.
    """
    return _of_torchvision(network, tag) if library == "torchvision" else _of_timm(network, tag)


def all_published() -> Iterator[Published]:
    """Yield the weights whose figure is known: torchvision's of this lineage, and timm's ports."""
    for name in torchvision.models.list_models():
        module = torchvision.models.get_model_builder(name).__module__
        if module in {f"torchvision.models.{family}" for family in _LINEAGE}:
            kinds = torchvision.models.get_model_weights(name)
            # VGG has some without a classifier.
            yield from (_described(name, weights) for weights in kinds if weights.meta["categories"])
    for full in TIMM_FIGURES:
        yield _of_timm(*full.split(".", 1))


def file_of(found: Published) -> Path:
    """Return where its library keeps the file. Raises Top1Error, saying how to get it, where it does not."""
    places = _places(found)
    for place in places:
        if place.is_file():
            return place
    raise Top1Error(
        f"the weights {found.name} of {found.library} are not on this machine: there is no {places[0]}. "
        f"Nothing is downloaded here; on a machine with access get {found.where} and put it "
        "there, or give the file with --weights FILE."
    )


def network_of(found: Published, path: Path | None = None) -> nn.Module:
    """Return the library's network with its published weights. path: another file than the cache's.

    Raises Top1Error where the file is missing, cut short or of another network.
    """
    path = path or file_of(found)
    tensors = read_weights(path)
    if found.library == "torchvision":
        network: nn.Module = torchvision.models.get_model(
            found.network, weights=None, **_PORTED.get(found.network, {})
        )
    else:
        network = timm.create_model(found.name, pretrained=False, num_classes=found.classes)
        tensors = _as_timm_loads(found, tensors)
    load_weights(network, tensors, path)
    return network


def _as_timm_loads(found: Published, tensors: dict[str, Any]) -> dict[str, Any]:
    """Leave out the background class of ported weights, as timm does."""
    config = timm.models.get_pretrained_cfg(found.name)
    offset = config.label_offset or 0
    for name in [f"{config.classifier}.{kind}" for kind in ("weight", "bias")] if offset else []:
        if name in tensors and len(tensors[name]) == found.classes + offset:
            tensors[name] = tensors[name][offset:]
    return tensors


def _of_torchvision(network: str, tag: str | None) -> Published:
    names = torchvision.models.list_models()
    if network not in names:
        raise Top1Error(
            f"torchvision has no network {network!r}{nearest(network, names)} Give another name, or a file."
        )
    kinds = torchvision.models.get_model_weights(network)
    if tag and tag not in kinds.__members__:
        raise Top1Error(
            f"torchvision publishes no weights {tag!r} of {network}; it has {', '.join(kinds.__members__)}."
        )
    if not len(kinds):
        raise Top1Error(f"torchvision publishes no weights of {network}; give a file with --weights FILE.")
    return _described(network, kinds[tag] if tag else kinds.DEFAULT)


def _described(network: str, weights: Any) -> Published:
    """Return what a member of torchvision's weights says of itself."""
    if not weights.meta["categories"]:
        raise Top1Error(
            f"torchvision's {network}.{weights.name} has no classifier, so there is nothing to measure."
        )
    how = weights.transforms()
    metrics = weights.meta["_metrics"].get("ImageNet-1K", {})
    return Published(
        "torchvision",
        network,
        weights.name,
        weights.url,
        Evaluation(
            how.crop_size[0],
            (how.resize_size[0],),
            interpolation=_interpolation(how.interpolation, weights.name),
            antialias=bool(how.antialias),
        ),
        _normalize(how.mean, how.std),
        len(weights.meta["categories"]),
        metrics.get("acc@1"),
        metrics.get("acc@5"),
    )


def _of_timm(network: str, tag: str | None) -> Published:
    full = f"{network}.{tag}" if tag else network
    if not timm.is_model(network):
        raise Top1Error(
            f"timm has no network {network!r}{nearest(network, timm.list_models())} "
            "Give another name, or a file."
        )
    tags = [name.split(".", 1)[1] for name in timm.list_pretrained(f"{network}.*")]
    if not tags or (tag and tag not in tags):
        raise Top1Error(
            f"timm publishes no weights {full}; it has {', '.join(tags) or 'none of this network'}."
        )
    config = timm.models.get_pretrained_cfg(full)
    top1, top5 = TIMM_FIGURES.get(f"{network}.{config.tag}", (None, None))
    return Published(
        "timm",
        network,
        config.tag,
        config.hf_hub_id or config.url,
        _timm_evaluation(config),
        _normalize(config.mean, config.std),
        config.num_classes,
        top1,
        top5,
    )


def _timm_evaluation(config: Any) -> Evaluation:
    """Return what timm's resolve_data_config(use_test_size=True) and transforms_imagenet_eval do."""
    size = (config.test_input_size or config.input_size)[-1]
    share = config.test_crop_pct or config.crop_pct
    if config.crop_mode not in ("center", "squash"):
        raise Top1Error(
            f"{config.architecture}.{config.tag} is measured with timm's crop mode {config.crop_mode!r}, "
            "which is not here; give another --protocol with the file."
        )
    return Evaluation(
        size,
        (math.floor(size / share),),
        squash=config.crop_mode == "squash",
        interpolation=_interpolation(config.interpolation, config.tag),
    )


def _interpolation(kind: Any, of: str) -> Interpolation:
    name = kind.value if isinstance(kind, InterpolationMode) else str(kind)
    match name:
        case "bilinear" | "bicubic" | "nearest":
            return name
    raise Top1Error(
        f"{of} is measured with {name} interpolation, which is not here; give another --protocol."
    )


def _normalize(mean: Any, std: Any) -> Normalize:
    return Normalize(tuple(_WHITE * value for value in mean), tuple(_WHITE * value for value in std))


def _places(found: Published) -> list[Path]:
    """Return where the library keeps the file, first where it would put it."""
    hub = Path(torch.hub.get_dir()) / "checkpoints"
    if found.library == "torchvision":
        return [hub / PurePosixPath(urlsplit(found.where).path).name]
    config = timm.models.get_pretrained_cfg(found.name)
    places = []
    if config.hf_hub_id:
        from huggingface_hub import constants

        for name in (config.hf_hub_filename,) if config.hf_hub_filename else _HUB_FILES:
            cached = try_to_load_from_cache(config.hf_hub_id, name)
            if isinstance(cached, str):
                places.append(Path(cached))
        folder = f"models--{config.hf_hub_id.replace('/', '--')}"
        places.append(Path(constants.HF_HUB_CACHE) / folder / "snapshots" / "main" / _HUB_FILES[0])
    if config.url:
        places.append(hub / PurePosixPath(urlsplit(config.url).path).name)
    return places
