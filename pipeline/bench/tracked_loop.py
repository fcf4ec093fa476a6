"""A training loop that keeps its log, in a process of its own, for `top1 bench tracking`. Heavy: torch.

A step is forward, backward and update of a small network, and one line of the log, as often as a training
would ever write one; every CHECKPOINT steps the status says that what was logged may be shipped. The
follower is the one that training starts. It is stopped between this row's rounds, so that it does not work
in those of the others, and has nothing to deliver when the bench ends: it is killed with it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

import recipes
from pipeline import runs
from pipeline.bench.figures import Timing
from pipeline.follow import die_with_parent
from pipeline.journal import Journal, write_json
from pipeline.plan import make_plan
from pipeline.show import MNIST

CHECKPOINT = 50  # steps
_WIDTH, _BATCH = 256, 64


class Loop:
    """The loop of one run. uri: where its follower ships to; None runs no follower."""

    def __init__(self, folder: Path, uri: str | None) -> None:
        plan = make_plan(recipes.get("lenet5"), MNIST, id=folder.name, seed=0, threads=1, tracking=uri)
        runs.write_plan(folder, plan)
        self._folder, self._done = folder, 0
        self._status(0)
        self._journal = Journal(folder)
        layers = [torch.nn.Linear(_WIDTH, _WIDTH), torch.nn.ReLU(), torch.nn.Linear(_WIDTH, _WIDTH)]
        self._network = torch.nn.Sequential(*layers)
        self._optimizer = torch.optim.SGD(self._network.parameters(), lr=1e-3)
        self._images = torch.randn(_BATCH, _WIDTH)
        self._follower = None if uri is None else _follow(folder, uri)

    def round(self, steps: int) -> Timing:
        """Train some steps, the follower working beside."""
        self._signal(signal.SIGCONT)
        start, cpu_start = time.perf_counter(), time.process_time()
        for _ in range(steps):
            self._step()
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu_start
        self._signal(signal.SIGSTOP)
        return Timing(steps, seconds, cpu)

    def _step(self) -> None:
        loss = self._network(self._images).square().mean()
        loss.backward()
        self._optimizer.step()
        self._optimizer.zero_grad()
        self._done += 1
        self._journal.append(self._done, self._done / 1000, **{"train/loss": loss.item(), "train/lr": 1e-3})
        if self._done % CHECKPOINT == 0:
            self._status(self._done)

    def _status(self, done: int) -> None:
        status = {"state": "running", "step": done, "durable_step": done}
        write_json(self._folder / runs.STATUS, status, durable=False)

    def _signal(self, number: int) -> None:
        if self._follower:
            self._follower.send_signal(number)


def _follow(folder: Path, uri: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "pipeline.cli", "sync", "--follow", "--parent", str(os.getpid())]
    with (folder / "logs" / "sync.out").open("wb") as log:
        return subprocess.Popen(
            [*command, "--tracking", uri, str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=die_with_parent,
        )


def timings(told: dict[str, Any], orders: Iterator[str]) -> Iterator[Timing]:
    """Yield the timing of a round to warm up, then of one for each order."""
    loop = Loop(Path(told["folder"]), told["uri"])
    if told["uri"]:  # its first contact is no part of a round
        log, gives_up = Path(told["folder"]) / "logs" / "sync.log", time.monotonic() + told["patience"]
        while not (log.exists() and log.stat().st_size) and time.monotonic() < gives_up:
            loop.round(CHECKPOINT)
    yield loop.round(told["steps"])
    for _ in orders:
        yield loop.round(told["steps"])


def main() -> None:
    """Read what to do, then answer each line on stdin with the timing of a round, a line of JSON."""
    die_with_parent()
    answers, sys.stdout = sys.stdout, sys.stderr
    torch.set_num_threads(1)
    told = json.loads(sys.stdin.readline())
    for timing in timings(told, iter(sys.stdin)):
        print(json.dumps(asdict(timing)), file=answers, flush=True)


if __name__ == "__main__":
    main()
