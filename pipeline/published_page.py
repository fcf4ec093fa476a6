"""`top1 weights`: the table of published weights, for people, for docs/ and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline import machine
from pipeline.columns import table
from pipeline.published import all_published

_INTRODUCTION = """# Published weights, and what each should give

`top1 eval NAME --weights torchvision|timm --data DIR` measures the weights that a library publishes under the
protocol the library documents, so that this pipeline can be checked against a published number before
anything is trained. Nothing is downloaded: the file must be in the library's usual cache, or be given as
`--weights FILE`; where it is missing, the error says which file and where it comes from.

The figures are those that the libraries state, top-1 and top-5 in percent over all 50,000 validation
images: torchvision's in the weights' metadata, timm's in its results/results-imagenet.csv. **None has been
run here:** this project had neither ImageNet nor the weights. The last column waits for somebody who has.

This page is written by `top1 weights --markdown`"""
_HEAD = ("library", "network", "weights", "protocol", "top-1", "top-5", "measured")


def rows() -> list[dict[str, Any]]:
    """Return what `weights --json` has, a row for each set of weights with a published figure."""
    return [
        {
            "library": found.library,
            "network": found.network,
            "weights": found.tag,
            "protocol": found.evaluation.protocol,
            "top1": found.top1,
            "top5": found.top5,
            "file": found.where,
        }
        for found in all_published()
    ]


def page(found: Sequence[dict[str, Any]], markdown: bool) -> str:
    """Return the table for a terminal, or the whole Markdown page."""
    cells = [_cells(row) for row in found]
    if not markdown:
        return table([_HEAD[:-1], *(row[:-1] for row in cells)], right=(4, 5)) + "\n"
    versions = machine.versions(("torchvision", "timm"))
    made = ", ".join(f"{name} {version}" for name, version in versions.items())
    lines = [f"| {' | '.join(row)} |" for row in (_HEAD, ("---",) * 4 + ("---:",) * 2 + ("---",), *cells)]
    return f"{_INTRODUCTION}, with {made}.\n\n" + "\n".join(lines) + "\n"


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    figures = (f"{row[metric]:.3f}" for metric in ("top1", "top5"))
    return (row["library"], row["network"], row["weights"], row["protocol"], *figures, "not run")
