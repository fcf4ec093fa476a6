"""A finished run's weights as a version of a registered model, with a card. Heavy: MLflow.

What is registered are the final weights, those that were measured under the targets' protocols; the best
epoch was selected on the test set. The alias `champion` names the version of a recipe that reached most,
where it may be compared with the paper; among those that may not, the first stays until one may.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.journal import read_json
from pipeline.own_network import NETWORK
from pipeline.result import Run
from pipeline.run_card import description, preprocessing
from pipeline.runs import PLAN, RESULT, WEIGHTS
from pipeline.verdict import Standing

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

CHAMPION = "champion"
MODEL = "model"  # the artifact folder

_LIBRARIES = ("torch", "torchvision", "timm", "safetensors", "numpy", "pyarrow", "pillow", "mlflow")


def register(client: MlflowClient, run_id: str, run: Run, found: Sequence[Standing]) -> ModelVersion | None:
    """Make a version of the recipe's model from a finished run, once; None where it kept no weights."""
    if not (run.folder / WEIGHTS).exists():
        return None
    name, digest = run.recipe.name, weights_digest(run.folder)
    _make_model(client, run)
    known = client.search_model_versions(f"name = '{_quoted(name)}'")
    mine = [v for v in known if v.tags.get("weights.sha256") == digest and v.run_id == run_id]
    version = mine[0] if mine else _make_version(client, run_id, run, card(run, found), digest)
    version = _describe(client, version, card(run, found), _tags(run, found, digest))
    _crown(client, version, known)
    return version


def weights_digest(folder: Path) -> str:
    return str(read_json(folder / RESULT).get("weights_sha256", ""))


def card(run: Run, found: Sequence[Standing]) -> str:
    """Return a model's page in Markdown: what it is, how it was measured, what it wants to be given."""
    model = run.recipe.model
    what = (
        f"`{model.constructor}`, {model.parameters:,} parameters at the recipe's width, {model.num_classes} "
        f"classes, trained on {run.data.name} by the recipe `{run.recipe.name}`."
    )
    return "\n\n".join(
        [
            description(run, found).rstrip(),
            f"Network: {what}",
            f"Preprocessing: {preprocessing(run.recipe)}",
            f"Weights: the last epoch's, sha256 `{weights_digest(run.folder)}`.",
        ]
    )


def _make_model(client: MlflowClient, run: Run) -> None:
    from mlflow.exceptions import MlflowException

    recipe = run.recipe
    about = f"{recipe.name} ({recipe.year}): {', '.join(source.title for source in recipe.sources)}"
    try:
        client.create_registered_model(recipe.name, {"family": recipe.family}, about)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _make_version(client: MlflowClient, run_id: str, run: Run, text: str, digest: str) -> ModelVersion:
    with tempfile.TemporaryDirectory(prefix="top1-model-") as folder:
        _write_model(Path(folder) / MODEL, run, text)
        client.log_artifacts(run_id, str(Path(folder) / MODEL), MODEL)
    root = client.get_run(run_id).info.artifact_uri
    source, known_by = f"{root}/{MODEL}", {"weights.sha256": digest}
    return client.create_model_version(run.recipe.name, source=source, run_id=run_id, tags=known_by)


def _describe(
    client: MlflowClient, version: ModelVersion, text: str, tags: Mapping[str, str]
) -> ModelVersion:
    """Bring a version's card and tags up to date: a result may be measured anew, or proven later."""
    client.update_model_version(version.name, version.version, text)
    for key, value in tags.items():
        client.set_model_version_tag(version.name, version.version, key, value)
    return client.get_model_version(version.name, version.version)


def _tags(run: Run, found: Sequence[Standing], digest: str) -> dict[str, str]:
    first = found[0] if found else None
    tags = {
        "weights.sha256": digest,
        "comparable": str(bool(first and first.comparable)).lower(),
        "metric": first.target.metric if first else "top1",
        "reached": "" if first is None or first.reached is None else f"{first.reached:.4f}",
        "data.fingerprint": run.data.fingerprint,
        "commit": run.commit,
    }
    return {key: value for key, value in tags.items() if value}


def _write_model(folder: Path, run: Run, text: str) -> None:
    """Write a model in MLflow's form that `pipeline.predict` loads: no code in it and nothing pickled."""
    import mlflow.pyfunc

    with tempfile.TemporaryDirectory(prefix="top1-data-") as data:
        for name in (PLAN, WEIGHTS, NETWORK):
            if name != NETWORK or (run.folder / NETWORK).exists():
                shutil.copyfile(run.folder / name, Path(data) / name)
        mlflow.pyfunc.save_model(
            folder, loader_module="pipeline.predict", data_path=data, pip_requirements=_requirements()
        )
    (folder / "README.md").write_text(text, encoding="utf-8")


def _requirements() -> list[str]:
    """Return the versions that are here; without them MLflow would load the model to find out."""
    return [f"{name}=={metadata.version(name).partition('+')[0]}" for name in _LIBRARIES]


def _crown(client: MlflowClient, version: ModelVersion, known: Sequence[ModelVersion]) -> None:
    """Give the alias to a version that reached more than the one that has it, where both may be compared."""
    holder = next((v for v in known if CHAMPION in _aliases(client, v)), None)
    if holder is None or _rank(version) > _rank(holder):
        client.set_registered_model_alias(version.name, CHAMPION, version.version)


def _aliases(client: MlflowClient, version: ModelVersion) -> list[str]:
    """Return a version's aliases; a search leaves them out."""
    return list(client.get_model_version(version.name, version.version).aliases)


def _rank(version: ModelVersion) -> tuple[bool, float]:
    comparable = version.tags.get("comparable") == "true"
    return comparable, float(version.tags.get("reached", 0)) if comparable else 0.0


def _quoted(name: str) -> str:
    return name.replace("'", "\\'")
