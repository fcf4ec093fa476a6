"""The learning curve of one run as a picture, with the paper's figure as a line. Heavy: matplotlib."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from pipeline.journal import Record
from pipeline.result import Run
from recipes.schema import Target

CURVE = "learning_curve.png"

# Series of the journal and how they are drawn, by metric; the first is what is judged at the end.
_SERIES = {
    "top1": (("val/top1", "validation", "-"), ("val/raw_top1", "weights not averaged", ":")),
    "top5": (("val/top5", "validation", "-"), ("val/raw_top5", "weights not averaged", ":")),
}


def draw_curve(path: Path, run: Run, records: Sequence[Record], target: Target | None) -> Path | None:
    """Draw the validations of a run against its epochs; None where there were none.

    target: whose metric is drawn, and whose figure is the dashed line.
    """
    metric = target.metric if target else "top1"
    figure = Figure(figsize=(7, 4), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    drawn = [_draw(axes, records, *series) for series in _SERIES[metric]]
    if not any(drawn):
        return None
    if target:
        label = f"{target.source.key}: {target.value:g} ({target.evaluation.protocol})"
        axes.axhline(target.value, color="0.3", linestyle="--", linewidth=1.2, label=label)
    axes.set_title(f"{run.recipe.name}, seed {run.seed}, on {run.data.name}", loc="left", fontsize=11)
    axes.set_xlabel("epoch")
    axes.set_ylabel(f"{metric.replace('top', 'top-')}, % ({run.recipe.validation.protocol})", fontsize=9)
    axes.grid(color="0.9", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower right", frameon=False, fontsize=9)
    figure.savefig(path)
    return path


def _draw(axes: object, records: Sequence[Record], key: str, label: str, style: str) -> bool:
    points = [(r["epoch"], r[key]) for r in records if math.isfinite(r.get(key, math.nan))]
    if points:
        axes.plot(*zip(*points, strict=True), style, color="#1d5fae", linewidth=1.5, label=label)
    return bool(points)
