"""`top1 eval`: a finished run's weights under every target's protocol, by the code that training uses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from pipeline import checkpoint, runs
from pipeline.data.loader import EvalLoader
from pipeline.data.manifest import Manifest
from pipeline.errors import Top1Error
from pipeline.evaluate import evaluate
from pipeline.models import build
from pipeline.plan import Plan
from pipeline.planning import allotted_threads
from pipeline.report import result_of

BATCH = 64


def measure_run(folder: Path, data: Path | None, device: str, threads: int | None) -> list[dict[str, Any]]:
    """Return one result per target of the run's recipe, in the keys of `eval --json`.

    data: another prepared folder than the run's own. Raises Top1Error when the run is not finished or the
    data's classes are not the network's.
    """
    plan = runs.read_plan(folder)
    path = folder / runs.WEIGHTS
    if not path.exists():
        raise Top1Error(f"{folder} is not finished: it has no {runs.WEIGHTS}. Train it to its end first.")
    manifest = Manifest.load(data or Path(plan.data.path))
    if len(manifest.header.classes) != plan.recipe.model.num_classes:
        raise Top1Error(
            f"{data} has {len(manifest.header.classes)} classes, the network of {folder} "
            f"{plan.recipe.model.num_classes} outputs. Give data of the classes it was trained on."
        )
    torch.set_num_threads(threads or allotted_threads(1))
    return _measure(plan, folder, checkpoint.load(path), manifest, _device(device), threads)


def _device(asked: str) -> torch.device:
    if asked == "cuda" and not torch.cuda.is_available():
        raise Top1Error("--device cuda was asked for, but torch sees no GPU here. Use --device cpu or auto.")
    return torch.device("cuda" if asked != "cpu" and torch.cuda.is_available() else "cpu")


def _measure(
    plan: Plan,
    folder: Path,
    weights: checkpoint.Checkpoint,
    manifest: Manifest,
    device: torch.device,
    threads: int | None,
) -> list[dict[str, Any]]:
    recipe, split = plan.recipe, manifest.split("val")
    network = build(recipe.model, recipe.regularization)
    network.load_state_dict(weights.tensors)
    network.to(device).eval()
    results = []
    evaluations = [(i, target.evaluation) for i, target in enumerate(recipe.targets)]
    for index, evaluation in evaluations or [(None, recipe.validation)]:
        loader = EvalLoader(
            split,
            recipe.data,
            evaluation,
            batch=BATCH,
            device_id=0 if device.type == "cuda" else None,
            threads=threads or allotted_threads(1),
        )
        score = evaluate(network, loader, evaluation, images=len(split.labels), device=device)
        results.append({"recipe": recipe.name, "run": str(folder), **result_of(index, evaluation, score)})
    return results
