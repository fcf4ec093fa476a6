"""`top1 train`: one process of a run."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from pipeline.commands.options import add_command, add_machine, add_run, add_science, add_start
from pipeline.errors import Top1Error, UsageError


def add(commands: Any) -> None:
    train = add_command(
        commands, "train", _train, "train in this process, or as one of a launcher's", json=False
    )
    train.add_argument("recipe", nargs="?", metavar="RECIPE", help="not needed to go on with --run DIR")
    train.add_argument("--data", type=Path, help="prepared data (top1 prep)")
    train.add_argument("--run", type=Path, metavar="DIR", help="run folder; one that has a plan goes on")
    train.add_argument("--slurm", action="store_true", help="as one of the tasks of srun")
    train.set_defaults(once="Add --slurm and --run DIR, the same for all, or use `top1 submit`.")
    add_science(train)
    add_machine(train, gpus="")
    add_run(train)
    add_start(train)
    train.add_argument("--gpus", type=int, help=argparse.SUPPRESS)  # it is told where that is given


def _train(options: argparse.Namespace) -> int:
    from pipeline.planning import allotted_threads, open_or_create
    from pipeline.runs import home_of
    from slurm.leave import give_up
    from slurm.tasks import slurm_task

    if options.gpus is not None:
        raise UsageError(
            f"train is one process. `top1 submit RECIPE --local --gpus {options.gpus}` starts so many on "
            f"this machine; so does `torchrun --nproc-per-node {options.gpus} --no-python -- top1 train ...`."
        )
    task = slurm_task() if options.slurm else None
    if task and not options.run:
        raise UsageError("--slurm needs --run DIR, the same for every task.")
    rank = task.rank if task else int(os.environ.get("RANK", "0"))
    world = task.world if task else int(os.environ.get("WORLD_SIZE", "1"))
    local = task.local_world if task else int(os.environ.get("LOCAL_WORLD_SIZE", world))
    threads = task.cpus if task and task.cpus else allotted_threads(local)
    try:
        folder, plan = open_or_create(options, rank, world, threads)
    except Top1Error as error:
        if task:
            give_up(options.run, error)
        raise
    from slurm.job import run_process

    finished = run_process(folder, plan, task)
    if rank == 0:
        print(folder)
        if finished:
            home = os.path.relpath(home_of(folder, plan.recipe.name, options.runs))
            print(f"next   top1 leaderboard --runs {home}", file=sys.stderr)
    return 0 if finished else 1
