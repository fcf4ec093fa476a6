"""From the timings of rounds to the figures of `top1 bench`, and how sure they are. Pure arithmetic; light.

A row is compared with another round by round, so that whatever slows a machine down for a while slows both.
CPU time is compared, which other people's jobs hardly change; wall time is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import comb
from statistics import median
from typing import Any, Literal

from pipeline.columns import table
from pipeline.errors import UsageError

_CONFIDENCE = 0.95
LEAST_ROUNDS = 6  # 1 - 2 / 2^5 is below that


@dataclass(frozen=True)
class Timing:
    """One round of one row: images made, seconds on the clock, CPU seconds of the row's processes.

    waited: seconds for data. gpu_memory_gib: the most that the row has held so far.
    """

    images: int
    seconds: float
    cpu_seconds: float
    waited: float = 0.0
    gpu_memory_gib: float = 0.0


@dataclass(frozen=True)
class Ratio:
    """How many times as many images a CPU-second makes as another row's: the median over rounds.

    spread: how far the ratio may be off, at 95 % confidence.
    """

    value: float
    spread: float

    def beside(self, bound: float) -> Literal["above", "below", "undecided"]:
        """Say on which side of a bound the ratio lies; undecided where the bound is inside the spread."""
        if abs(self.value - bound) <= self.spread:
            return "undecided"
        return "above" if self.value > bound else "below"


@dataclass(frozen=True)
class Row:
    """What is measured. against: the row it is compared with; its own name for a baseline."""

    name: str
    against: str


@dataclass(frozen=True)
class Goal:
    """A promise: images per CPU-second of row `name` are at least `least` times those of row `against`."""

    name: str
    against: str
    least: float


Timings = Mapping[str, Sequence[Timing]]  # by row, one a round
Cost = Callable[[Timing], float]  # what is compared: of a round, the seconds of one kind


def check_rounds(rounds: int) -> None:
    """Raise UsageError where so few rounds tell no spread."""
    if rounds < LEAST_ROUNDS:
        raise UsageError(
            f"--rounds {rounds} cannot tell a difference from noise; {LEAST_ROUNDS} is the least."
        )


def cpu_cost(timing: Timing) -> float:
    return timing.cpu_seconds


def clock_cost(timing: Timing) -> float:
    return timing.seconds


def ratio_of(mine: Sequence[Timing], others: Sequence[Timing], cost: Cost = cpu_cost) -> Ratio:
    """Compare two rows round by round, by the CPU time of each unless another cost is named."""
    pairs = [
        (one.images / cost(one)) / (other.images / cost(other))
        for one, other in zip(mine, others, strict=True)
    ]
    middle = median(pairs)
    low, high = _interval(pairs)
    return Ratio(middle, max(high - middle, middle - low))


def row_json(row: Row, timings: Timings, cost: Cost = cpu_cost) -> dict[str, Any]:
    """Return one row of `bench --json`."""
    mine = timings[row.name]
    ratio = ratio_of(mine, timings[row.against], cost)
    return {
        "name": row.name,
        "images": mine[0].images,
        "rounds": len(mine),
        "images_per_second": median(timing.images / timing.seconds for timing in mine),
        "images_per_cpu_second": median(timing.images / timing.cpu_seconds for timing in mine),
        "against": row.against,
        "ratio": ratio.value,
        "spread": ratio.spread,
        "verdict": "baseline" if row.against == row.name else _VERDICTS[ratio.beside(1.0)],
    }


def goal_json(goal: Goal, timings: Timings, cost: Cost = cpu_cost) -> dict[str, Any]:
    """Return one goal of `bench --json`."""
    ratio = ratio_of(timings[goal.name], timings[goal.against], cost)
    verdict = {"above": "reached", "below": "missed"}.get(ratio.beside(goal.least), "undecided")
    return {
        "name": goal.name,
        "against": goal.against,
        "least": goal.least,
        "ratio": ratio.value,
        "spread": ratio.spread,
        "verdict": verdict,
        "per": "CPU-second" if cost is cpu_cost else "second",
    }


def bench_text(answer: Mapping[str, Any]) -> str:
    """Return the answer of `bench --json` for people."""
    head = ("loader", "images/s", "images/CPU-s", *COMPARED_HEAD)
    rows = [
        (
            row["name"],
            f"{row['images_per_second']:.0f}",
            f"{row['images_per_cpu_second']:.0f}",
            *compared_text(row),
        )
        for row in answer["rows"]
    ]
    shown = table([head, *rows], right=(1, 2, 3, 4))
    return f"{facts_text(answer['machine'])}\n\n{shown}\n\n{goals_text(answer['goals'])}".rstrip()


_VERDICTS = {"above": "faster", "below": "slower", "undecided": "undecided"}
COMPARED_HEAD = ("ratio", "spread", "against", "")  # of what `compared_text` returns


def facts_text(facts: Mapping[str, Any]) -> str:
    """Return one line of a bench's facts, those that there are none of left out."""
    return "  ".join(f"{name} {value}" for name, value in facts.items() if value is not None)


def compared_text(row: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """Return how a row of `row_json` compares: ratio, spread, against, verdict."""
    compared = row["verdict"] != "baseline"
    return (
        f"{row['ratio']:.3f}",
        f"{row['spread']:.3f}" if compared else "",
        row["against"] if compared else "",
        row["verdict"],
    )


def goals_text(goals: Sequence[Mapping[str, Any]]) -> str:
    """Return a line for each goal of `goal_json`."""
    return "\n".join(
        f"goal  {goal['name']} at least {goal['least']:g} x {goal['against']} per {goal['per']}: "
        f"{goal['ratio']:.3f} +-{goal['spread']:.3f}, {goal['verdict']}"
        for goal in goals
    )


def _interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the ends of a confidence interval of the median, whatever the distribution.

    The median lies between the k-th smallest and the k-th largest of n values with probability
    1 - 2 P(B < k), B binomial(n, 1/2). Of fewer than LEAST_ROUNDS values even the whole range is less sure.
    """
    ordered = sorted(values)
    left_out = 0  # at each end
    while _confidence(len(ordered), left_out + 1) >= _CONFIDENCE:
        left_out += 1
    return ordered[left_out], ordered[len(ordered) - 1 - left_out]


def _confidence(count: int, left_out: int) -> float:
    """Return how sure the median lies between the values that remain, `left_out` less at each end."""
    return 1 - 2 * sum(comb(count, i) for i in range(left_out + 1)) / 2**count
