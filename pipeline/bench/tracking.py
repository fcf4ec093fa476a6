"""What tracking costs a training loop: without it, with a server up, hung, or absent. Light.

Wall time is compared, since waiting is what a tracker could inflict, in interleaved rounds; CPU time of the
loop's own process is told beside it.
"""

from __future__ import annotations

import os
import signal
import socket
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from pipeline import machine
from pipeline.bench.figures import Timing, check_rounds, clock_cost, facts_text, ratio_of
from pipeline.bench.rounds import interleaved
from pipeline.columns import table
from pipeline.serve import served

BASELINE = "no tracking"
PATIENCE = 120.0  # seconds for a follower's first word


@dataclass(frozen=True)
class Bench:
    """steps: of the loop in a round; rounds: of every row."""

    steps: int
    rounds: int


def bench_tracking(bench: Bench, tell: Callable[[str], None]) -> dict[str, Any]:
    """Return the answer of `bench tracking --json`. Raises UsageError where there are too few rounds."""
    check_rounds(bench.rounds)
    with tempfile.TemporaryDirectory(prefix="top1-bench-tracking-") as folder, ExitStack() as stack:
        places = {BASELINE: None, **_servers(Path(folder), stack, tell)}
        told = {
            name: {
                "folder": str(Path(folder) / name.replace(" ", "-")),
                "uri": uri,
                "steps": bench.steps,
                "patience": PATIENCE,
            }
            for name, uri in places.items()
        }
        timings = interleaved(told, bench.rounds, tell, child="pipeline.bench.tracked_loop")
        rows = [_row(name, timings, Path(told[name]["folder"])) for name in places]
    return {
        "machine": {
            "cpu": machine.cpu_model(),
            "cpus": machine.cpus_allotted(),
            "load": round(os.getloadavg()[1], 1),
            "steps": bench.steps,
            "rounds": bench.rounds,
            **machine.versions(("mlflow", "torch")),
        },
        "baseline": BASELINE,
        "rows": rows,
    }


def _servers(folder: Path, stack: ExitStack, tell: Callable[[str], None]) -> dict[str, str]:
    """Start a server that stays up and one that hangs; return their addresses and one where nothing is."""
    addresses = {}
    for name in ("up", "hung"):
        tell(f"starting    MLflow, {name}")
        (folder / f"server-{name}").mkdir()
        place = folder / f"server-{name}"
        uri = f"sqlite:///{place}/mlflow.db"
        server = stack.enter_context(served(uri, "127.0.0.1", 0, place / "log"))
        addresses[f"server {name}"] = server.address
    os.killpg(server.group, signal.SIGSTOP)  # connections are still taken, by the kernel
    closed = stack.enter_context(socket.socket())
    closed.bind(("127.0.0.1", 0))  # not listening: refused
    addresses["server absent"] = f"http://127.0.0.1:{closed.getsockname()[1]}"
    return addresses


def _row(name: str, timings: Mapping[str, Sequence[Timing]], folder: Path) -> dict[str, Any]:
    mine, others = timings[name], timings[BASELINE]
    wall = ratio_of(mine, others, clock_cost)
    cpu = ratio_of(mine, others)
    log = folder / "logs" / "sync.log"
    lines = log.read_text().splitlines() if log.exists() else []
    verdicts = {"undecided": "no difference", "above": "faster", "below": "slower"}
    return {
        "name": name,
        "steps": mine[0].images,
        "rounds": len(mine),
        "milliseconds_per_step": 1000 * median(timing.seconds / timing.images for timing in mine),
        # How many times as fast as without tracking.
        "ratio": wall.value,
        "spread": wall.spread,
        "cpu_ratio": cpu.value,
        "cpu_spread": cpu.spread,
        "deliveries": sum(" sent " in line for line in lines),
        "failures": sum("not delivered" in line for line in lines),
        "verdict": "baseline" if name == BASELINE else verdicts[wall.beside(1.0)],
    }


def tracking_text(answer: Mapping[str, Any]) -> str:
    """Return the answer of `bench tracking --json` for people."""
    head = ("loop with", "ms/step", "speed", "spread", "CPU", "spread", "deliveries", "failures", "")
    rows = [head, *(_row_text(row) for row in answer["rows"])]
    return f"{facts_text(answer['machine'])}\n\n{table(rows, right=range(1, 8))}"


def _row_text(row: Mapping[str, Any]) -> tuple[str, ...]:
    ratios = [f"{row[key]:.3f}" for key in ("ratio", "spread", "cpu_ratio", "cpu_spread")]
    shown = ratios if row["verdict"] != "baseline" else ["1.000", "", "1.000", ""]
    counts = [str(row[key]) if row["verdict"] != "baseline" else "" for key in ("deliveries", "failures")]
    return (row["name"], f"{row['milliseconds_per_step']:.3f}", *shown, *counts, row["verdict"])
