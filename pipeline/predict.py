"""A finished run's network for whoever wants to use it: in torch, or on image files. Heavy.

Also what MLflow loads a registered model through: its `python_function` flavor names this module.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import nn

from pipeline import checkpoint, runs
from pipeline.data.loader import EvalLoader
from pipeline.data.manifest import Entry, read_entry
from pipeline.data.pillow import DAMAGE
from pipeline.data.split import Paths, Split
from pipeline.dense import form_of
from pipeline.errors import Top1Error
from pipeline.evaluate import Member, predictions
from pipeline.models import build
from recipes.schema import Evaluation, Recipe

BATCH = 64


def load_network(folder: str | Path) -> nn.Module:
    """Return a finished run's network with its final weights, in evaluation mode on the CPU.

    It takes (N, C, H, W) float32, normalized as the recipe says. Raises Top1Error where the folder holds no
    plan or no whole weights.
    """
    folder = Path(folder)
    recipe = runs.read_plan(folder).recipe
    network = build(recipe.model, recipe.regularization)
    network.load_state_dict(checkpoint.load(folder / runs.WEIGHTS).tensors)
    return network.eval()


class Predictor:
    """A network behind its recipe's preprocessing: image files in, class probabilities out."""

    def __init__(self, folder: str | Path) -> None:
        self.network = load_network(folder)
        self.recipe: Recipe = runs.read_plan(Path(folder)).recipe
        self.evaluation: Evaluation = protocol_of(self.recipe)

    @torch.inference_mode()
    def predict(self, files: Any, params: dict[str, Any] | None = None) -> np.ndarray:
        """Return the probabilities (N, K) of images, each a path or the bytes of a JPEG or PNG file.

        files: a sequence, or a data frame with one column of them. params: MLflow's, of which there are none.
        Raises Top1Error, naming the file, where one is no image.
        """
        with tempfile.TemporaryDirectory(prefix="top1-predict-") as folder:
            split = _split(_paths(_listed(files), Path(folder)))
            loader = EvalLoader(split, self.recipe.data.color, self.evaluation, batch=BATCH)
            member = Member(form_of(self.network, self.evaluation), self.recipe.data.normalize)
            found = list(predictions([member], loader, device=torch.device("cpu"), most_images=BATCH))
        indices, probabilities = (torch.cat(parts) for parts in zip(*found, strict=True))
        return probabilities[indices.argsort()].float().numpy()  # in the order asked for


def protocol_of(recipe: Recipe) -> Evaluation:
    """Return the protocol a network is used under: that of its recipe's first target."""
    return recipe.targets[0].evaluation if recipe.targets else recipe.validation


def _load_pyfunc(path: str) -> Predictor:
    """Return what MLflow calls `predict` of; the name is MLflow's."""
    return Predictor(path)


def _listed(files: Any) -> list[str | bytes]:
    if hasattr(files, "iloc"):  # a data frame
        return list(files.iloc[:, 0])
    return [files] if isinstance(files, str | bytes | Path) else list(files)


def _paths(files: Iterable[str | bytes], folder: Path) -> list[Path]:
    """Return where each image is; bytes are written down first."""
    found = []
    for number, file in enumerate(files):
        if isinstance(file, bytes):
            (folder / str(number)).write_bytes(file)
        found.append(folder / str(number) if isinstance(file, bytes) else Path(file).resolve())
    return found


def _split(paths: Sequence[Path]) -> Split:
    """Return images of no known class as a part of a data set that begins at the root folder."""
    root = Path("/")
    names = [str(path.relative_to(root)) for path in paths]
    entries = [_entry(root, name) for name in names]
    return Split(
        folder=root,
        name="val",
        paths=Paths.of(pa.array(names, pa.large_string())),
        labels=np.zeros(len(names), np.int64),
        sizes=np.array([(entry.height, entry.width) for entry in entries], np.int32).reshape(-1, 2),
        flags=np.array([entry.flags for entry in entries], np.int32),
        classes=("unknown",),
    )


def _entry(root: Path, name: str) -> Entry:
    try:
        return read_entry(root, "val", name, 0)
    except DAMAGE as error:
        raise Top1Error(
            f"{root / name} is no image: {error}. Give paths of images, or their bytes."
        ) from error
