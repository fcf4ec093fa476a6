"""What stands behind an accuracy: each class, what the worst ones are taken for, calibration. As files.

`evaluation/` of a run folder holds of each protocol NAME.json (the result, calibration, the worst classes),
NAME.classes.csv (each class) and NAME.confusion.csv (what each class was taken for, most frequent first).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipeline.data.header import Header
from pipeline.data.manifest import write_whole
from pipeline.evaluate import Outcomes, Score
from pipeline.journal import write_sealed
from pipeline.runs import EVALUATION

BINS = 15  # of confidence (Guo et al. 2017 §4)
WORST = 20  # classes whose confusions are shown
TAKEN_FOR = 5  # wrong classes shown of each of them
_HEAD = ("class", "images", "top1", "top5")


def analyse(outcomes: Outcomes, classes: Sequence[str]) -> dict[str, Any]:
    """Return {"ece", "calibration", "per_class", "worst_classes"}, accuracies in percent."""
    ece, bins = calibration(outcomes)
    per_class = accuracies(outcomes, classes)
    measured = [one for one in per_class if one["images"]]
    worst = sorted(measured, key=lambda one: (one["top1"], one["class"]))[:WORST]
    confused = _confusions(outcomes, classes)
    return {
        "ece": ece,
        "calibration": bins,
        "per_class": per_class,
        "worst_classes": [one | {"taken_for": confused[one["class"]][:TAKEN_FOR]} for one in worst],
    }


def calibration(outcomes: Outcomes) -> tuple[float, list[dict[str, Any]]]:
    """Return the expected calibration error in percent, and its bins of equal width, empty ones left out.

    The mean over images of |accuracy - confidence| of the bin an image is in (Guo et al. 2017 eq. 3).
    """
    confidence, correct = outcomes.confidence.double(), outcomes.correct.double()
    number = (confidence * BINS).ceil().clamp(1, BINS).long() - 1  # bin i is (i/15, (i+1)/15]
    bins, ece = [], 0.0
    for i in range(BINS):
        inside = number == i
        images = int(inside.sum())
        if images:
            sure, right = 100 * confidence[inside].mean().item(), 100 * correct[inside].mean().item()
            bins.append({"above": i / BINS, "images": images, "confidence": sure, "accuracy": right})
            ece += abs(right - sure) * images / len(correct)
    return ece, bins


def accuracies(outcomes: Outcomes, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Return {"class", "images", "top1", "top5"} of each class, by label; None without images."""
    images = _count(outcomes.labels, len(classes))
    correct = _count(outcomes.labels[outcomes.correct], len(classes))
    in_top5 = _count(outcomes.labels[outcomes.in_top5], len(classes))
    return [
        {
            "class": name,
            "images": n,
            "top1": 100 * first / n if n else None,
            "top5": 100 * five / n if n else None,
        }
        for name, n, first, five in zip(classes, images, correct, in_top5, strict=True)
    ]


def write_analysis(folder: Path, result: dict[str, Any], score: Score, header: Header) -> dict[str, Any]:
    """Write the files of one result into a run folder; return what `analyse` found.

    result: as `result_of` has it, with what the numbers were made of. header: of the data, which says how
    they were proven to be the published set.
    """
    found = analyse(score.outcomes, header.classes)
    target = folder / EVALUATION
    target.mkdir(parents=True, exist_ok=True)
    name = file_name(result["protocol"])
    confused = _confusions(score.outcomes, header.classes)
    rows = [[true, *one.values()] for true, those in confused.items() for one in those]
    _write_csv(target / f"{name}.classes.csv", [list(one.values()) for one in found["per_class"]], _HEAD)
    _write_csv(target / f"{name}.confusion.csv", rows, ["class", "taken_for", "images"])
    shown = {key: found[key] for key in ("ece", "calibration", "worst_classes")}
    write_sealed(target / f"{name}.json", {"result": result, "official": header.official, **shown})
    return found


def file_name(protocol: str) -> str:
    """Return a protocol as part of a file name: `single_crop_224-256_bilinear`."""
    return re.sub(r"[^\w.,+-]+", "_", protocol.replace("/", "-"))


def _confusions(outcomes: Outcomes, classes: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Return for each class that was mistaken what it was taken for, most frequent first."""
    wrong = ~outcomes.correct
    pairs = torch.stack([outcomes.labels[wrong], outcomes.predicted[wrong]], 1)
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in classes}
    unique, counts = pairs.unique(dim=0, return_counts=True)
    for (label, predicted), count in zip(unique.tolist(), counts.tolist(), strict=True):
        found[classes[label]].append({"class": _name(classes, predicted), "images": count})
    return {name: sorted(those, key=lambda one: -one["images"]) for name, those in found.items()}


def _name(classes: Sequence[str], number: int) -> str:
    return classes[number] if number < len(classes) else f"output {number}"


def _count(labels: Tensor, classes: int) -> list[int]:
    counts: list[int] = labels.bincount(minlength=classes).tolist()
    return counts


def _write_csv(path: Path, rows: Sequence[Sequence[Any]], head: Sequence[str]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    write_whole(path, lambda file: file.write(text.getvalue().encode()))
