"""`top1 sync`: runs into MLflow, one, several or all there are."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from pipeline.commands.options import add_command, add_runs, print_json, run_folder
from pipeline.errors import Top1Error, UsageError


def add(commands: Any) -> None:
    sync = add_command(
        commands, "sync", _sync, "bring MLflow up to date with the logs of runs; never sends anything twice"
    )
    sync.add_argument("which", nargs="*", type=run_folder, metavar="RUN", help="run folder (default: all)")
    add_runs(sync)
    sync.add_argument(
        "--tracking", metavar="URI", help="MLflow's address (default: each plan's, else sqlite in --runs)"
    )
    sync.add_argument("--experiment", default="top1", metavar="NAME", help="in MLflow (default top1)")
    sync.add_argument("--follow", action="store_true", help="go on until the run ends")
    sync.add_argument("--parent", type=int, metavar="PID", help="with --follow: the training process")


def _sync(options: argparse.Namespace) -> int:
    from pipeline.runs import find_runs

    if options.follow and len(options.which) != 1:
        raise UsageError(f"--follow goes with one RUN, not {len(options.which) or 'all'}.")
    folders = options.which or find_runs(options.runs)
    if not folders:
        raise Top1Error(f"there is no run below {options.runs}; give a RUN, or --runs DIR.")
    sent, failed = [], []
    unreachable: dict[str, int] = {}  # how many runs were not sent there after the first
    for folder in folders:
        try:
            uri = _address(options, folder)
            if uri in unreachable:
                unreachable[uri] += 1
                continue
            sent.append(_deliver(options, folder, uri, unreachable))
        except Top1Error as error:
            failed.append({"run": str(folder), "what": str(error)})
            print(f"top1: {error}", file=sys.stderr)
    left = sum(unreachable.values())
    if left:
        print(f"top1: {left} more runs go there and were not tried", file=sys.stderr)
    if options.json:
        print_json({"runs": sent, "failed": failed, "not_tried": left})
    return 1 if failed else 0


def _address(options: argparse.Namespace, folder: Path) -> str:
    from pipeline.planning import default_tracking
    from pipeline.runs import home_of, read_plan

    plan = read_plan(folder)  # a wrong folder is told at once: MLflow takes seconds to open
    home = home_of(folder, plan.recipe.name, options.runs)
    return str(options.tracking or plan.tracking or default_tracking(home))


def _deliver(
    options: argparse.Namespace, folder: Path, uri: str, unreachable: dict[str, int]
) -> dict[str, Any]:
    """Bring one run to its address and say so; an address that takes nothing is noted in `unreachable`."""
    import recipes
    from pipeline.sync import NotTakenError, sync

    try:
        delivery = sync(
            folder,
            uri,
            experiment=options.experiment,
            book=recipes.all_recipes(),
            follow=options.follow,
            parent=options.parent,
        )
    except NotTakenError:
        unreachable[uri] = 0
        raise
    for problem in delivery.problems:
        print(f"top1: skipped: {problem}", file=sys.stderr)
    if not options.json:
        print(f"{folder}  {delivery.points} values of {delivery.lines} lines, MLflow run {delivery.run_id}")
    return {"run": str(folder), **vars(delivery)}
