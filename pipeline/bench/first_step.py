"""One start of `top1 bench startup` in a process of its own: to the first step, or the imports. Heavy."""

from __future__ import annotations

import json
import sys
import time
from itertools import chain, islice


class Clock:
    """Seconds between marks, from a time of the machine's monotonic clock on."""

    def __init__(self, start: float) -> None:
        self.parts: dict[str, float] = {}
        self._last = start

    def mark(self, part: str) -> None:
        now = time.monotonic()
        self.parts[part], self._last = now - self._last, now


def main() -> None:
    """Read what to do; print the seconds of each part, one line of JSON."""
    clock = Clock(float(sys.argv[2]))
    clock.mark("interpreter")
    answers, sys.stdout = sys.stdout, sys.stderr  # libraries may print
    if sys.argv[1] == "imports":
        imports(clock)
    else:
        first_step(clock, sys.stdin.readline())
    print(json.dumps(clock.parts), file=answers)


def imports(clock: Clock) -> None:
    """Import what any such training imports."""
    import accelerate  # noqa: F401
    import nvidia.dali.fn  # noqa: F401
    import timm  # noqa: F401

    clock.mark("torch, timm, DALI and Accelerate")


def first_step(clock: Clock, line: str) -> None:
    """Do what `top1 train` does up to its first step."""
    from pipeline.accelerator import start_accelerator
    from pipeline.bench.training_feeds import plan_of, read_told
    from pipeline.data.manifest import Manifest
    from pipeline.gpu import settled
    from pipeline.run import prepare, restore
    from pipeline.step import train_step

    clock.mark("imports")
    told = read_told(line)
    plan = plan_of(told, whole=False)
    Manifest.load(told.files).split("train")
    clock.mark("manifest")
    accelerator = start_accelerator(plan)
    clock.mark("processes, device")
    run = prepare(plan, told.run, accelerator)
    restore(run)
    clock.mark("network, manifest again")
    batches = run.loader.batches(0, plan.total_steps)
    first = next(batches)
    clock.mark("first batch")
    train_step(run, 0, chain([first], islice(batches, plan.accumulation - 1)))
    settled(accelerator.device)
    clock.mark("first step")


if __name__ == "__main__":
    main()
