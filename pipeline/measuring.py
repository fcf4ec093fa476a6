"""What everything that `top1 eval` measures has in common: data, protocols, networks, the evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pipeline.analysis import analyse, write_analysis
from pipeline.blacklist import Blacklist, read_blacklist, without
from pipeline.data.loader import EvalLoader
from pipeline.data.manifest import Manifest
from pipeline.dense import form_of
from pipeline.errors import Top1Error, UsageError, is_out_of_memory
from pipeline.evaluate import Member, Score, evaluate
from pipeline.models import build
from pipeline.protocols import nearest_protocol
from pipeline.ranks import Ranks
from pipeline.weights import load_weights
from recipes.schema import Evaluation, Normalize, Recipe

Result = dict[str, Any]  # in the keys of `eval --json`


@dataclass(frozen=True)
class Setting:
    """What is the same for everything measured by one command.

    data: another prepared folder than the runs' own. protocol: another than the targets'. batch: crops in
    one pass, and images decoded together.
    """

    ranks: Ranks
    threads: int
    data: Path | None = None
    protocol: Evaluation | None = None
    blacklist: Path | None = None
    batch: int = 64


def measure_members(
    setting: Setting,
    members: Sequence[Member],
    manifest: Manifest,
    color: Any,
    evaluation: Evaluation,
    listed: Blacklist | None,
) -> Score:
    split, ranks = manifest.split("val"), setting.ranks
    if listed and evaluation.without_blacklist:
        split = without(split, listed)
    loader = EvalLoader(
        split,
        color,
        evaluation,
        batch=setting.batch,
        rank=ranks.rank,
        world=ranks.world,
        device_id=ranks.device_id,
        threads=setting.threads,
    )
    return evaluate(
        members,
        loader,
        images=len(split),
        device=ranks.device,
        most_images=setting.batch,
        reduce=ranks.reduce,
    )


def member_of(network: nn.Module, normalize: Normalize, evaluation: Evaluation, setting: Setting) -> Member:
    device = setting.ranks.device
    network = network.to(device).eval()
    if device.type == "cuda":
        network = network.to(memory_format=torch.channels_last)
    form = form_of(network, evaluation)
    if evaluation.views != "dense":  # those are as large as the images
        _try_out(form, torch.zeros(1, len(normalize.mean), *[evaluation.crop] * 2, device=device))
    return Member(form, normalize)


@torch.inference_mode()
def _try_out(form: nn.Module, images: torch.Tensor) -> None:
    try:
        form(images)
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        raise Top1Error(
            f"the network takes no images of {images.shape[-1]} pixels: {str(error).splitlines()[0]}. Choose "
            "another crop for --protocol."
        ) from error


def network_with(recipe: Recipe, tensors: Any, path: Path) -> nn.Module:
    network = build(recipe.model, recipe.regularization)
    load_weights(network, tensors, path)
    return network


def asked_of(setting: Setting, recipe: Recipe, listed: bool) -> list[tuple[int | None, Evaluation]]:
    """Return what is measured of one network: the index of the target and its protocol."""
    targets = [target.evaluation for target in recipe.targets]
    if setting.protocol:
        wanted = replace(setting.protocol, without_blacklist=listed)
        return [(nearest_protocol(wanted, targets), wanted)]
    if listed and targets and not any(e.without_blacklist for e in targets):
        return [(None, replace(e, without_blacklist=True)) for e in targets]
    kept = [(i, e) for i, e in enumerate(targets) if listed or not e.without_blacklist]
    # Without the list its images are measured too; the protocol's name says so.
    others = [(i, replace(e, without_blacklist=False)) for i, e in enumerate(targets) if e.without_blacklist]
    found: list[tuple[int | None, Evaluation]] = [*kept, *([] if listed else others)]
    return sorted(found, key=lambda one: one[0] or 0) or [(None, recipe.validation)]


def listed_images(setting: Setting) -> Blacklist | None:
    if setting.protocol and setting.protocol.without_blacklist and setting.blacklist is None:
        raise UsageError("a protocol without_blacklist needs the list: --blacklist FILE.")
    return read_blacklist(setting.blacklist) if setting.blacklist else None


def open_data(data: Path | None, classes: int | None = None, whose: str = "") -> Manifest:
    """Open prepared data. Raises Top1Error unless its classes are as many as the network's."""
    assert data is not None  # checked by whoever asks
    manifest = Manifest.load(data)
    found = len(manifest.header.classes)
    if classes is not None and found != classes:
        raise Top1Error(
            f"{data} has {found} classes, the network of {whose} {classes} outputs. "
            "Give data of the classes it was trained on."
        )
    return manifest


def circumstances(manifest: Manifest, evaluation: Evaluation, listed: Blacklist | None) -> dict[str, Any]:
    """Return what a reader must know of a number: the data, and the list of images left out."""
    named = listed and evaluation.without_blacklist
    return {
        "data": manifest.header.fingerprint,
        **({"blacklist": listed.to_json()} if listed and named else {}),
    }


def finished(result: Result, score: Score, manifest: Manifest, folder: Path | None = None) -> Result:
    """Add the analysis to a result, and write it into a run folder where there is one."""
    if folder:
        return result | write_analysis(folder, result, score, manifest.header)
    return result | analyse(score.outcomes, manifest.header.classes)
