"""`top1 eval`: runs, ensembles and published weights under a protocol, by the code that training uses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pipeline import checkpoint, runs
from pipeline.analysis import analyse, write_analysis
from pipeline.blacklist import Blacklist, read_blacklist, without
from pipeline.choose import choose_recipe
from pipeline.data.loader import EvalLoader
from pipeline.data.manifest import Manifest
from pipeline.dense import form_of
from pipeline.ensemble import Ensemble, ensemble_of, write_ensemble
from pipeline.errors import Top1Error, UsageError
from pipeline.evaluate import Member, Score, evaluate
from pipeline.models import build
from pipeline.plan import Plan
from pipeline.protocols import nearest_protocol
from pipeline.published import LIBRARIES, Published, network_of, published
from pipeline.ranks import Ranks
from pipeline.report import result_of
from pipeline.weights import load_weights, read_weights
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


def measure_run(setting: Setting, folder: Path) -> list[Result]:
    """Measure a finished run under every target's protocol, or the one asked for; write RUN/evaluation/.

    Raises Top1Error when the run is not finished or the data's classes are not the network's.
    """
    plan = runs.read_plan(folder)
    manifest = _manifest(setting.data or Path(plan.data.path), plan.recipe.model.num_classes, str(folder))
    listed = _blacklist(setting)
    results = []
    for index, evaluation in _asked(setting, plan.recipe, listed is not None):
        weights = _weights_of(folder, plan, evaluation.ema)
        member = _member(
            _network(plan.recipe, weights.tensors, folder), plan.recipe.data.normalize, evaluation, setting
        )
        score = _measure(setting, [member], manifest, plan.recipe.data.color, evaluation, listed)
        result = {
            "recipe": plan.recipe.name,
            "run": str(folder),
            **result_of(index, evaluation, score),
            **_circumstances(manifest, evaluation, listed),
            "weights_sha256": checkpoint.checksum(weights.tensors),
        }
        results.append(_finished(result, score, manifest, folder if setting.ranks.is_main else None))
    return results


def measure_weights(setting: Setting, name: str, weights: str, new_head: bool) -> list[Result]:
    """Measure published weights under their documented protocol, or a file under a recipe's targets'.

    name: a recipe, or a constructor "library:network". weights: a library, "library:TAG", or a file.
    """
    if setting.data is None:
        raise UsageError("--weights needs --data DIR, a prepared folder to measure on.")
    library, _, tag = weights.partition(":")
    if library in LIBRARIES and not Path(weights).exists():
        return [_measure_published(setting, published(library, _network_name(name), tag or None))]
    recipe, path = choose_recipe(name, (), False, 0), Path(weights)
    tensors = read_weights(path)
    classes = _manifest(setting.data).header.classes
    if new_head:
        recipe = replace(recipe, model=replace(recipe.model, num_classes=len(classes)))
    manifest = _manifest(setting.data, recipe.model.num_classes, recipe.name)
    network = _network(recipe, tensors, path, new_head)
    listed = _blacklist(setting)
    results = []
    for index, evaluation in _asked(setting, recipe, listed is not None):
        member = _member(network, recipe.data.normalize, evaluation, setting)
        score = _measure(setting, [member], manifest, recipe.data.color, evaluation, listed)
        result = {
            "recipe": recipe.name,
            "weights": str(path),
            **result_of(index, evaluation, score),
            **_circumstances(manifest, evaluation, listed),
            **({"new_head": True} if new_head else {}),
        }
        results.append(_finished(result, score, manifest))
    return results


def measure_ensemble(setting: Setting, folders: Sequence[Path], runs_folder: Path) -> list[Result]:
    """Measure the mean of several runs' networks under the protocol of the targets that name them.

    Writes a folder among the runs that the leaderboard reads. Raises Top1Error when no target is of these
    networks and no protocol was asked for.
    """
    plans = [runs.read_plan(folder) for folder in folders]
    ensemble = ensemble_of(folders, plans)
    recipe = ensemble.recipe
    manifest = _manifest(setting.data or Path(plans[0].data.path), recipe.model.num_classes, str(folders[0]))
    listed = _blacklist(setting)
    measured, scores = [], []
    for index, evaluation in _asked_of(setting, ensemble, listed is not None):
        weights = [
            _weights_of(folder, plan, evaluation.ema) for folder, plan in zip(folders, plans, strict=True)
        ]
        members = [
            _member(_network(p.recipe, w.tensors, f), p.recipe.data.normalize, evaluation, setting)
            for f, p, w in zip(folders, plans, weights, strict=True)
        ]
        score = _measure(setting, members, manifest, recipe.data.color, evaluation, listed)
        result = {
            "recipe": recipe.name,
            "ensemble": [str(folder) for folder in folders],
            **result_of(index, evaluation, score),
            **_circumstances(manifest, evaluation, listed),
        }
        measured.append(result)
        scores.append(score)
    folder = (
        write_ensemble(ensemble, measured, manifest.header, runs_folder) if setting.ranks.is_main else None
    )
    run = {"run": str(folder)} if folder else {}
    return [
        _finished({**result, **run}, score, manifest, folder)
        for result, score in zip(measured, scores, strict=True)
    ]


def _measure_published(setting: Setting, found: Published) -> Result:
    listed, evaluation = _blacklist(setting), setting.protocol or found.evaluation
    evaluation = replace(evaluation, without_blacklist=listed is not None)
    network = network_of(found)
    manifest = _manifest(setting.data, found.classes, found.name)
    member = _member(network, found.normalize, evaluation, setting)
    score = _measure(setting, [member], manifest, "rgb", evaluation, listed)
    result = {
        "recipe": f"{found.library}:{found.network}",
        "weights": f"{found.library}:{found.tag}",
        **result_of(None, evaluation, score),
        **_circumstances(manifest, evaluation, listed),
        "published": {
            "top1": found.top1,
            "top5": found.top5,
            "protocol": found.evaluation.protocol,
        },
    }
    return _finished(result, score, manifest)


def _measure(
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


def _member(network: nn.Module, normalize: Normalize, evaluation: Evaluation, setting: Setting) -> Member:
    device = setting.ranks.device
    network = network.to(device).eval()
    if device.type == "cuda":
        network = network.to(memory_format=torch.channels_last)
    return Member(form_of(network, evaluation), normalize)


def _network(recipe: Recipe, tensors: Any, path: Path, new_head: bool = False) -> nn.Module:
    network = build(recipe.model, recipe.regularization)
    load_weights(network, tensors, path, new_head)
    return network


def _weights_of(folder: Path, plan: Plan, averaged: bool) -> checkpoint.Checkpoint:
    """Return a finished run's weights: the average where it keeps one, or those that were averaged."""
    path = folder / runs.WEIGHTS
    if not path.exists():
        raise Top1Error(f"{folder} is not finished: it has no {runs.WEIGHTS}. Train it to its end first.")
    if averaged or plan.recipe.ema is None:
        return checkpoint.load(path)
    found = checkpoint.load_newest(folder / runs.CHECKPOINTS)
    if found is None or found.step != plan.total_steps:
        raise Top1Error(
            f"{folder / runs.CHECKPOINTS} has no checkpoint of the last step, {plan.total_steps}, which "
            "alone holds the raw weights beside their average. Measure the average, or train again."
        )
    return replace(found, tensors=found.part("model"))


def _asked(setting: Setting, recipe: Recipe, listed: bool) -> list[tuple[int | None, Evaluation]]:
    """Return what is measured of one network: the index of the target and its protocol."""
    targets = [target.evaluation for target in recipe.targets]
    if setting.protocol:
        wanted = replace(setting.protocol, without_blacklist=listed)
        return [(nearest_protocol(wanted, targets), wanted)]
    kept = [(i, e) for i, e in enumerate(targets) if listed or not e.without_blacklist]
    # Without the list its images are measured too; the protocol's name says so.
    others = [(i, replace(e, without_blacklist=False)) for i, e in enumerate(targets) if e.without_blacklist]
    found: list[tuple[int | None, Evaluation]] = [*kept, *([] if listed else others)]
    return sorted(found, key=lambda one: one[0] or 0) or [(None, recipe.validation)]


def _asked_of(setting: Setting, ensemble: Ensemble, listed: bool) -> list[tuple[int | None, Evaluation]]:
    if not ensemble.targets and not setting.protocol:
        raise Top1Error(
            f"no target of {ensemble.recipe.name} is an average of {ensemble.description}. "
            "Give the runs a target names, or a --protocol."
        )
    asked = _asked(setting, ensemble.recipe, listed)
    if setting.protocol:
        return [(i if i in ensemble.targets else None, e) for i, e in asked]
    return [(i, e) for i, e in asked if i in ensemble.targets]


def _blacklist(setting: Setting) -> Blacklist | None:
    if setting.protocol and setting.protocol.without_blacklist and setting.blacklist is None:
        raise UsageError("a protocol without_blacklist needs the list: --blacklist FILE.")
    return read_blacklist(setting.blacklist) if setting.blacklist else None


def _manifest(data: Path | None, classes: int | None = None, whose: str = "") -> Manifest:
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


def _network_name(name: str) -> str:
    """Return the constructor's name of a recipe, or of "library:network"."""
    if name.partition(":")[0] in LIBRARIES:
        return name.partition(":")[2]
    return choose_recipe(name, (), False, 0).model.constructor.partition(":")[2]


def _circumstances(manifest: Manifest, evaluation: Evaluation, listed: Blacklist | None) -> dict[str, Any]:
    """Return what a reader must know of a number: the data, and the list of images left out."""
    named = listed and evaluation.without_blacklist
    return {
        "data": manifest.header.fingerprint,
        **({"blacklist": listed.to_json()} if listed and named else {}),
    }


def _finished(result: Result, score: Score, manifest: Manifest, folder: Path | None = None) -> Result:
    """Add the analysis to a result, and write it into a run folder where there is one."""
    if folder:
        return result | write_analysis(folder, result, score, manifest.header)
    return result | analyse(score.outcomes, manifest.header.classes)
