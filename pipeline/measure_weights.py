"""`top1 eval --weights`: what libraries publish, and files, under a protocol."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pipeline.choose import choose_recipe
from pipeline.errors import UsageError
from pipeline.measuring import (
    Result,
    Setting,
    asked_of,
    circumstances,
    finished,
    listed_images,
    measure_members,
    member_of,
    open_data,
)
from pipeline.models import build
from pipeline.published import LIBRARIES, Published, network_of, published
from pipeline.report import result_of
from pipeline.weights import load_weights, read_weights


def measure_weights(setting: Setting, name: str, weights: str, new_head: bool) -> list[Result]:
    """Measure published weights under their documented protocol, or a file under a recipe's targets'.

    name: a recipe, or "library:network" (of a file also "library:network.TAG"). weights: a library,
    "library:TAG", or a file. new_head: an untrained classifier of as many classes as the data have.
    """
    if setting.data is None:
        raise UsageError("--weights needs --data DIR, a prepared folder to measure on.")
    library, _, tag = weights.partition(":")
    if new_head and (library in LIBRARIES or name.partition(":")[0] in LIBRARIES):
        raise UsageError(
            "--new-head is for a recipe's network; a library's has the classes it was published with."
        )
    if library in LIBRARIES and not Path(weights).exists():
        return [_measure_published(setting, published(library, _network_name(name), tag or None), None)]
    own, _, network_name = name.partition(":")
    if own in LIBRARIES:
        network_name, _, tag = network_name.partition(".")
        return [_measure_published(setting, published(own, network_name, tag or None), Path(weights))]
    path, classes = Path(weights), len(open_data(setting.data).header.classes)
    recipe, tensors = choose_recipe(name, (), False, classes), read_weights(path)
    if new_head:
        recipe = replace(recipe, model=replace(recipe.model, num_classes=classes))
    manifest = open_data(setting.data, recipe.model.num_classes, recipe.name)
    network = build(recipe.model, recipe.regularization)
    is_untrained = load_weights(network, tensors, path, new_head)
    listed = listed_images(setting)
    results = []
    for index, evaluation in asked_of(setting, recipe, listed is not None):
        member = member_of(network, recipe.data.normalize, evaluation, setting)
        score = measure_members(setting, [member], manifest, recipe.data.color, evaluation, listed)
        result = {
            "recipe": recipe.name,
            "weights": str(path),
            **result_of(index, evaluation, score),
            **circumstances(manifest, evaluation, listed),
            **({"new_head": True} if is_untrained else {}),
        }
        results.append(finished(result, score, manifest))
    return results


def _measure_published(setting: Setting, found: Published, path: Path | None) -> Result:
    listed, evaluation = listed_images(setting), setting.protocol or found.evaluation
    evaluation = replace(evaluation, without_blacklist=listed is not None)
    network = network_of(found, path)
    manifest = open_data(setting.data, found.classes, found.name)
    member = member_of(network, found.normalize, evaluation, setting)
    score = measure_members(setting, [member], manifest, "rgb", evaluation, listed)
    result = {
        "recipe": f"{found.library}:{found.network}",
        "weights": f"{found.library}:{found.tag}" if path is None else str(path),
        **result_of(None, evaluation, score),
        **circumstances(manifest, evaluation, listed),
        "published": {
            "top1": found.top1,
            "top5": found.top5,
            "protocol": found.evaluation.protocol,
        },
    }
    return finished(result, score, manifest)


def _network_name(name: str) -> str:
    """Return the constructor's name of a recipe, or of "library:network"."""
    if name.partition(":")[0] in LIBRARIES:
        return name.partition(":")[2]
    return choose_recipe(name, (), False, 0).model.constructor.partition(":")[2]
