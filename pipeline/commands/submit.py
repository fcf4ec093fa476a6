"""`top1 submit`: runs as jobs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from pipeline.commands.options import (
    add_command,
    add_machine,
    add_run,
    add_science,
    add_start,
    positive,
    recipe_of,
    tell,
)
from pipeline.errors import Top1Error, UsageError


def add(commands: Any) -> None:
    submit = add_command(commands, "submit", _submit, "submit runs through submitit", json=False)
    submit.add_argument("recipes", nargs="+", metavar="RECIPE", help="one job each")
    submit.add_argument("--data", type=Path, required=True, help="prepared data (top1 prep)")
    submit.add_argument("--local", action="store_true", help="submitit's local executor, on this machine")
    submit.add_argument("--parallel", type=positive, default=1, help="local jobs at a time (default 1)")
    add_science(submit)
    add_machine(submit)
    add_run(submit)
    add_start(submit)


def _submit(options: argparse.Namespace) -> int:
    if not options.local:
        raise UsageError(
            "this version submits to the local executor only: add --local. On SLURM, run `top1 train` "
            "in a batch script; the README shows one."
        )
    from pipeline.planning import data_facts, new_run, write_runs

    facts = data_facts(options.data)
    planned = [new_run(recipe_of(options, facts.classes, name), facts, options) for name in options.recipes]
    write_runs(planned)
    from slurm.submit import check_ended, submit_local

    failures = []
    for folder, plan in planned:
        tell(f"submitted   {plan.recipe.name}, folder {folder}")
    for run in submit_local(planned, options.parallel, tell):
        try:
            tell(f"{check_ended(run):11} {run.plan.recipe.name}, folder {run.folder}")
        except Top1Error as error:
            failures.append(str(error))
    for failure in failures:
        tell(f"top1: {failure}")
    tell(f"next        top1 leaderboard --runs {options.runs}")
    return 1 if failures else 0
