"""The files that a tracked run is given when it has finished. Heavy: matplotlib, by way of the curve."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.journal import Record
from pipeline.own_network import NETWORK
from pipeline.result import Run
from pipeline.runs import ATTEMPTS, EVALUATION, PLAN, RESULT
from pipeline.snapshot import ENVIRONMENT, RECIPE
from recipes.schema import Target

if TYPE_CHECKING:
    from mlflow import MlflowClient

FILES = (PLAN, RESULT, ATTEMPTS, RECIPE, NETWORK, ENVIRONMENT)
FOLDERS = (EVALUATION,)  # each class's accuracy, the worst classes and what they are taken for


def attach(
    client: MlflowClient, run_id: str, run: Run, records: Sequence[Record], targets: Sequence[Target]
) -> None:
    """Send a run's files, as far as it has them, and its learning curve."""
    for name in FILES:
        if (run.folder / name).exists():
            client.log_artifact(run_id, str(run.folder / name))
    for name in FOLDERS:
        if (run.folder / name).is_dir():
            client.log_artifacts(run_id, str(run.folder / name), name)
    # Opened here: a follower needs no drawing library until its run has finished.
    from pipeline.curve import CURVE, draw_curve

    with tempfile.TemporaryDirectory(prefix="top1-curve-") as folder:
        if drawn := draw_curve(Path(folder) / CURVE, run, records, targets[0] if targets else None):
            client.log_artifact(run_id, str(drawn))
