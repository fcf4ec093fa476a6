"""`top1 leaderboard` and `compare`: what was reached, and by what two runs differ."""

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
