"""`top1 leaderboard`, `compare` and `sync`: what was reached, here and in MLflow."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from pipeline.commands.options import add_command, add_runs, print_json, run_folder


def add(commands: Any) -> None:
    board = add_command(commands, "leaderboard", _leaderboard, "every target against what was reached")
    add_runs(board)
    board.add_argument("--markdown", action="store_true", help="as a Markdown page")
    board.add_argument("--html", type=Path, metavar="FILE", help="write a page of its own, charts and all")
    board.add_argument("--all", action="store_true", help="also recipes that have no run")

    compare = add_command(commands, "compare", _compare, "what differs between two runs, and in their curves")
    compare.add_argument("first", type=run_folder, metavar="RUN", help="run folder")
    compare.add_argument("second", type=run_folder, metavar="RUN", help="run folder")

    sync = add_command(commands, "sync", _sync, "bring MLflow up to date with a run's log")
    sync.add_argument("run", type=run_folder, metavar="RUN", help="run folder")
    sync.add_argument("--tracking", metavar="URI", help="MLflow's address (default: the plan's)")
    sync.add_argument("--experiment", default="top1", metavar="NAME", help="in MLflow (default top1)")
    sync.add_argument("--follow", action="store_true", help="go on until the run ends")
    sync.add_argument("--parent", type=int, metavar="PID", help="with --follow: the training process")


def _leaderboard(options: argparse.Namespace) -> int:
    import recipes
    from pipeline.leaderboard import make_board
    from pipeline.tables import markdown, print_table

    with_missing = options.all or options.html is not None  # the page shows the whole book
    board = make_board(options.runs, recipes.all_recipes(), with_missing)
    if options.html:
        from pipeline.board_page.page import write_page

        write_page(board, options.html)
    if options.json:
        return print_json(board.to_json())
    if options.html:
        print(options.html)
    elif options.markdown:
        print(markdown(board.rows, board.problems), end="")
    else:
        print_table(board.rows, sys.stdout, board.problems)
    return 0


def _compare(options: argparse.Namespace) -> int:
    from pipeline.compare import compare, comparison_text

    found = compare(options.first, options.second)
    if options.json:
        return print_json(found.to_json())
    print(comparison_text(found))
    return 0


def _sync(options: argparse.Namespace) -> int:
    import recipes
    from pipeline.planning import default_tracking
    from pipeline.runs import home_of, read_plan

    plan = read_plan(options.run)
    from pipeline.sync import sync  # MLflow takes seconds to open; a wrong folder is told before

    uri = options.tracking or plan.tracking or default_tracking(home_of(options.run, plan.recipe.name))
    delivery = sync(
        options.run,
        uri,
        experiment=options.experiment,
        book=recipes.all_recipes(),
        follow=options.follow,
        parent=options.parent,
    )
    if options.json:
        return print_json(vars(delivery))
    for problem in delivery.problems:
        print(f"top1: skipped: {problem}", file=sys.stderr)
    print(f"{options.run}  {delivery.points} values of {delivery.lines} lines, MLflow run {delivery.run_id}")
    return 0
