"""`top1 bench startup`: from the command to the first step, part by part.

Each round starts a new process for every row; the rows take turns. Compared is the clock, from before a
process is started.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from pipeline.bench.figures import Timing, check_rounds, clock_cost, facts_text, ratio_of
from pipeline.bench.images import repeat
from pipeline.bench.training import TrainingBench, files_of, machine_of, plain, told_of
from pipeline.child import answer_of
from pipeline.columns import table

_CHILD = "pipeline.bench.first_step"

Parts = dict[str, float]  # seconds of each part, in its order


def bench_startup(bench: TrainingBench, entries: int, tell: Callable[[str], None]) -> dict[str, Any]:
    """Return the answer of `bench startup --json`. entries: of the manifest, the images over and over.

    The baseline imports torch, torchvision and DALI and no more. Raises Top1Error where a process fails.
    """
    check_rounds(bench.rounds)
    with tempfile.TemporaryDirectory(prefix="top1-bench-") as text:
        folder = Path(text)
        files = files_of(bench, folder, tell)
        tell(f"manifest    {entries} entries")
        many = repeat(files, entries, folder / "many")
        recipe = plain(bench.recipe, bench.batch, keep=True)
        told = told_of(bench, recipe, many, folder / "run", feed="data")
        rows: dict[str, list[Parts]] = {"imports": [], "top1": []}
        for number in range(-1, bench.rounds):  # one more, whose byte code and page cache are cold
            tell(f"round       {number + 1} of {bench.rounds}" if number >= 0 else "warming up")
            for name in list(rows)[:: 1 if number % 2 else -1]:
                parts = start(name, told | {"run": str(folder / f"run{number}")})
                if number >= 0:
                    rows[name].append(parts)
    return {
        "machine": machine_of(bench) | {"entries": entries},
        "rows": [_row(name, found, rows["imports"]) for name, found in rows.items()],
    }


def start(row: str, told: Mapping[str, Any]) -> Parts:
    """Start one row in a process of its own; return the seconds of its parts. Raises Top1Error on failure."""
    parts: Parts = answer_of(_CHILD, told, "the start", row, str(time.monotonic()))
    return parts


def _row(name: str, mine: list[Parts], baseline: list[Parts]) -> dict[str, Any]:
    ratio = ratio_of(_timings(baseline), _timings(mine), clock_cost)  # of the times, not of the rates
    return {
        "name": name,
        "seconds": median(sum(parts.values()) for parts in mine),
        "parts": {part: median(parts[part] for parts in mine) for part in mine[0]},
        "against": "imports",
        "ratio": ratio.value,
        "spread": ratio.spread,
    }


def _timings(rounds: list[Parts]) -> list[Timing]:
    return [Timing(1, sum(parts.values()), 0.0) for parts in rounds]


def startup_text(answer: Mapping[str, Any]) -> str:
    """Return the answer of `bench startup --json` for people."""
    lines = [("start", "part", "seconds", "x imports", "spread")]
    for row in answer["rows"]:
        lines.append(
            (row["name"], "all", f"{row['seconds']:.2f}", f"{row['ratio']:.2f}", f"{row['spread']:.2f}")
        )
        lines += [("", part, f"{seconds:.2f}", "", "") for part, seconds in row["parts"].items()]
    return f"{facts_text(answer['machine'])}\n\n{table(lines, right=(2, 3, 4))}"
