"""`top1 eval`: runs and ensembles of them under a protocol, by the code that training uses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipeline import checkpoint, runs
from pipeline.ensemble import Ensemble, ensemble_of, write_ensemble
from pipeline.errors import Top1Error
from pipeline.measuring import (
    Result,
    Setting,
    asked_of,
    circumstances,
    finished,
    listed_images,
    measure_members,
    member_of,
    network_with,
    open_data,
)
from pipeline.plan import Plan
from pipeline.report import result_of
from recipes.schema import Evaluation


def measure_run(setting: Setting, folder: Path) -> list[Result]:
    """Measure a finished run under every target's protocol, or the one asked for; write RUN/evaluation/.

    Raises Top1Error when the run is not finished or the data's classes are not the network's.
    """
    plan = runs.read_plan(folder)
    manifest = open_data(setting.data or Path(plan.data.path), plan.recipe.model.num_classes, str(folder))
    listed = listed_images(setting)
    results = []
    for index, evaluation in asked_of(setting, plan.recipe, listed is not None):
        weights = _weights_of(folder, plan, evaluation.ema)
        member = member_of(
            network_with(plan.recipe, weights.tensors, folder),
            plan.recipe.data.normalize,
            evaluation,
            setting,
        )
        score = measure_members(setting, [member], manifest, plan.recipe.data.color, evaluation, listed)
        result = {
            "recipe": plan.recipe.name,
            "run": str(folder),
            **result_of(index, evaluation, score),
            **circumstances(manifest, evaluation, listed),
            "weights_sha256": checkpoint.checksum(weights.tensors),
        }
        results.append(finished(result, score, manifest, folder if setting.ranks.is_main else None))
    return results


def measure_ensemble(setting: Setting, folders: Sequence[Path], runs_folder: Path) -> list[Result]:
    """Measure the mean of several runs' networks under the protocol of the targets that name them.

    Writes a folder among the runs that the leaderboard reads. Raises Top1Error when no target is of these
    networks and no protocol was asked for.
    """
    plans = [runs.read_plan(folder) for folder in folders]
    ensemble = ensemble_of(folders, plans)
    recipe = ensemble.recipe
    manifest = open_data(setting.data or Path(plans[0].data.path), recipe.model.num_classes, str(folders[0]))
    listed = listed_images(setting)
    measured, scores = [], []
    for index, evaluation in _asked_of_ensemble(setting, ensemble, listed is not None):
        weights = [
            _weights_of(folder, plan, evaluation.ema) for folder, plan in zip(folders, plans, strict=True)
        ]
        members = [
            member_of(network_with(p.recipe, w.tensors, f), p.recipe.data.normalize, evaluation, setting)
            for f, p, w in zip(folders, plans, weights, strict=True)
        ]
        score = measure_members(setting, members, manifest, recipe.data.color, evaluation, listed)
        result = {
            "recipe": recipe.name,
            "ensemble": [str(folder) for folder in folders],
            **result_of(index, evaluation, score),
            **circumstances(manifest, evaluation, listed),
        }
        measured.append(result)
        scores.append(score)
    folder = (
        write_ensemble(ensemble, measured, manifest.header, runs_folder) if setting.ranks.is_main else None
    )
    run = {"run": str(folder)} if folder else {}
    return [
        finished({**result, **run}, score, manifest, folder)
        for result, score in zip(measured, scores, strict=True)
    ]


def _weights_of(folder: Path, plan: Plan, averaged: bool) -> checkpoint.Checkpoint:
    """Return a finished run's weights: the average where it keeps one, or those that were averaged."""
    path = folder / runs.WEIGHTS
    if not path.exists():
        raise Top1Error(f"{folder} is not finished: it has no {runs.WEIGHTS}. Train it to its end first.")
    if averaged or plan.recipe.ema is None:
        weights = checkpoint.load(path)
        if weights.facts.get("plan", plan.id) != plan.id:
            raise Top1Error(f"{path} is another run's. Train {folder} again, or put its own file back.")
        return weights
    found = checkpoint.load_newest(folder / runs.CHECKPOINTS)
    if found is None or found.step != plan.total_steps:
        raise Top1Error(
            f"{folder / runs.CHECKPOINTS} has no checkpoint of the last step, {plan.total_steps}, which "
            "alone holds the raw weights beside their average. Measure the average, or train again."
        )
    return replace(found, tensors=found.part("model"))


def _asked_of_ensemble(
    setting: Setting, ensemble: Ensemble, listed: bool
) -> list[tuple[int | None, Evaluation]]:
    if not ensemble.targets and not setting.protocol:
        raise Top1Error(
            f"no target of {ensemble.recipe.name} is an average of {ensemble.description}. "
            "Give the runs a target names, or a --protocol."
        )
    asked = asked_of(setting, ensemble.recipe, listed)
    if setting.protocol:
        return [(i if i in ensemble.targets else None, e) for i, e in asked]
    return [(i, e) for i, e in asked if i in ensemble.targets]
