"""Kept answers of benches as a page of Markdown: the goals in one table, then each answer as printed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pipeline.bench.checkpoints import checkpoint_text
from pipeline.bench.figures import bench_text
from pipeline.bench.kept import Answer
from pipeline.bench.stages import stages_text
from pipeline.bench.startup import startup_text
from pipeline.bench.tracking import tracking_text
from pipeline.bench.training import training_text

TEXTS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "loader": bench_text,
    "eval": bench_text,
    "step": training_text,
    "train": training_text,
    "stages": stages_text,
    "startup": startup_text,
    "checkpoint": checkpoint_text,
    "tracking": tracking_text,
}

_HEAD = """\
# Measured

Made by `top1 bench results`, from what the benches kept; not written by hand. Ratios are medians over rounds
in which the rows took turns, with how far they may be off at 95 %; a difference within that is undecided.
`sh docs/bench/measure.sh cpu` (or `gpu`) measures all of it again."""


def page(answers: Sequence[Answer]) -> str:
    """Return the whole page, in the order of the answers; of a command on a machine, the newest."""
    answers = list({(answer["command"], _where(answer)): answer for answer in answers}.values())
    return "\n\n".join([_HEAD, *_goals(answers), *(_section(answer) for answer in answers)]) + "\n"


def _goals(answers: Sequence[Answer]) -> Iterator[str]:
    rows = [
        f"| `{answer['command']}` | {_where(answer)} | {_goal(goal)} | {goal['verdict']} |"
        for answer in answers
        for goal in answer.get("goals", ())
    ]
    if rows:
        yield "\n".join(["| command | on | goal | measured | |", "| --- | --- | --- | ---: | --- |", *rows])


def _goal(goal: Mapping[str, Any]) -> str:
    """Return the cells of a goal and of what was measured."""
    if "most" in goal:
        return f"{goal['name']} less than {goal['most']:g} | {goal['measured']:.3f}"
    promise = f"{goal['name']} at least {goal['least']:g} x {goal['against']} per {goal['per']}"
    return f"{promise} | {goal['ratio']:.3f} +-{goal['spread']:.3f}"


def _section(answer: Answer) -> str:
    text = "\n".join(line.rstrip() for line in TEXTS[answer["kind"]](answer).splitlines())
    day = answer["time"].partition("T")[0]
    return f"## `{answer['command']}`\n\n{day}, {_where(answer)}\n\n```text\n{text}\n```"


def _where(answer: Answer) -> str:
    machine = answer["machine"]
    return str(machine.get("gpu") or f"{machine['cpus']} CPUs, {machine['cpu']}")
