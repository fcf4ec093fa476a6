"""Several runs whose networks are averaged: which targets they answer, and the folder of what came out.

RUNS/<recipe>/<stamp>-ensemble<N>/ holds ensemble.json (who the members are), result.json and evaluation/; the
leaderboard reads it like a run. Light.
"""

from __future__ import annotations

import hashlib
import shlex
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline import runs
from pipeline.data.header import Header
from pipeline.errors import Top1Error
from pipeline.journal import read_json, write_json, write_sealed
from pipeline.plan import Plan
from recipes.schema import Recipe, Target
from recipes.serialize import to_dict


@dataclass(frozen=True)
class Ensemble:
    """The runs, and the targets of the first one's recipe that are the average of such networks."""

    folders: tuple[Path, ...]
    plans: tuple[Plan, ...]
    targets: tuple[int, ...]

    @property
    def recipe(self) -> Recipe:
        return self.plans[0].recipe

    @property
    def description(self) -> str:
        counted = Counter(plan.recipe.name for plan in self.plans)
        return " and ".join(f"{count} {name}" for name, count in counted.items())


def ensemble_of(folders: Sequence[Path], plans: Sequence[Plan]) -> Ensemble:
    """Put runs together, the one whose recipe has the target first.

    Raises Top1Error where a run is given twice, or runs differ in their data's classes or colours.
    """
    if len(plans) < 2:
        raise Top1Error(f"an ensemble is of several runs, and {len(plans)} was given. Name two or more.")
    if twice := [folder for folder, n in Counter(map(Path.resolve, folders)).items() if n > 1]:
        raise Top1Error(f"{twice[0]} is given twice; an ensemble is of different runs.")
    for folder, plan in zip(folders, plans, strict=True):
        if (plan.data.classes, plan.recipe.data.color) != (plans[0].data.classes, plans[0].recipe.data.color):
            raise Top1Error(
                f"{folder} has {plan.data.classes} classes of {plan.recipe.data.color} images, {folders[0]} "
                f"{plans[0].data.classes} of {plans[0].recipe.data.color}; average networks of the same data."
            )
    # A published ensemble is stated by one of its members' recipes, whichever of them.
    for first in range(len(plans)):
        order = [first, *(i for i in range(len(plans)) if i != first)]
        targets = targets_for(plans[first].recipe, [plan.recipe.name for plan in plans])
        if targets:
            break
    else:
        order, targets = list(range(len(plans))), ()
    return Ensemble(tuple(folders[i] for i in order), tuple(plans[i] for i in order), targets)


def targets_for(recipe: Recipe, members: Sequence[str]) -> tuple[int, ...]:
    """Return the indices of a recipe's targets that are an average of exactly these recipes' networks."""
    return tuple(i for i, target in enumerate(recipe.targets) if is_of(recipe, target, members))


def is_of(recipe: Recipe, target: Target, members: Sequence[str]) -> bool:
    """Whether a target averages networks of these recipes; a changed recipe stands for its original."""
    wanted = target.members or (recipe.name,) * target.ensemble
    return target.ensemble == len(members) and Counter(map(_origin, wanted)) == Counter(map(_origin, members))


def write_ensemble(ensemble: Ensemble, measured: list[dict[str, Any]], header: Header, where: Path) -> Path:
    """Write a new folder among the runs with what was measured; return it."""
    folder = _new_folder(where, ensemble)
    members = [
        {"run": str(run), "id": plan.id, "recipe": plan.recipe.name, "seed": plan.seed}
        for run, plan in zip(ensemble.folders, ensemble.plans, strict=True)
    ]
    first = ensemble.plans[0]
    modified = tuple(change for plan in ensemble.plans for change in plan.recipe.modified)
    results = [read_json(run / runs.RESULT) for run in ensemble.folders]
    folder.mkdir(parents=True)
    write_json(
        folder / runs.ENSEMBLE,
        {
            "version": 1,
            # The same networks measured again are the same ensemble.
            "id": hashlib.sha256(" ".join(sorted(plan.id for plan in ensemble.plans)).encode()).hexdigest()[
                :32
            ],
            "recipe": to_dict(replace(ensemble.recipe, modified=modified)),
            "members": members,
            "seed": first.seed,
            "data": {
                "name": header.name,
                "fingerprint": header.fingerprint,
                "official": header.official,
                "changes": list(header.changes),
            },
            "commit": first.commit,
            "dirty": first.dirty,
            "command": shlex.join(["top1", *sys.argv[1:]]),
        },
    )
    write_sealed(
        folder / runs.RESULT,
        {
            "epochs": ensemble.recipe.schedule.epochs,
            "gpu_hours": sum(float(result["gpu_hours"]) for result in results),
            "last": None,
            "best": None,
            "results": measured,
            "versions": [version for result in results for version in result.get("versions", ())],
        },
    )
    return folder


def _new_folder(where: Path, ensemble: Ensemble) -> Path:
    stamp, count = time.strftime("%Y%m%d-%H%M%S"), 1
    name = f"{stamp}-ensemble{len(ensemble.plans)}"
    folder = where / ensemble.recipe.name / name
    while folder.exists():
        count += 1
        folder = folder.with_name(f"{name}-{count}")
    return folder


def _origin(name: str) -> str:
    """Return the recipe that `NAME+tiny` or `NAME+field=value` was derived from."""
    return name.partition("+")[0]
