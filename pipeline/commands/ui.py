"""`top1 ui`: the runs in MLflow's pages, with the leaderboard's columns."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import time
from pathlib import Path
from typing import Any

from pipeline.commands.options import add_command, add_runs, print_json
from pipeline.say import say

LOOPBACK = ("127.0.0.1", "localhost")


def add(commands: Any) -> None:
    ui = add_command(commands, "ui", _ui, "the runs in MLflow's pages, with the leaderboard's columns")
    add_runs(ui)
    ui.add_argument("--tracking", metavar="URI", help="a server or database (default: sqlite in --runs)")
    ui.add_argument("--experiment", default="top1", metavar="NAME", help="(default top1)")
    ui.add_argument("--host", default="127.0.0.1", help="where to serve a database (default 127.0.0.1)")
    ui.add_argument("--port", type=int, default=5000, help="(default 5000; 0 for any free one)")


def _ui(options: argparse.Namespace) -> int:
    from pipeline.planning import default_tracking

    uri = options.tracking or default_tracking(options.runs)
    if uri.startswith(("http://", "https://")):
        _answer(options, uri, uri)
        return 0
    return _serve(options, uri)


def _serve(options: argparse.Namespace, uri: str) -> int:
    """Serve a database until interrupted."""
    from pipeline.errors import Top1Error
    from pipeline.serve import served
    from pipeline.tracking import check_address, sqlite_file

    check_address(uri)
    file = sqlite_file(uri)
    if file is not None and not file.exists():
        raise Top1Error(
            f"there is no database {file}; train something, or bring the runs there by `top1 sync`."
        )
    if options.host not in LOOPBACK:
        say(f"top1: MLflow asks for no password; whoever reaches {options.host} may read and change the runs")
    log = (file.parent if file else Path.cwd()) / "mlflow-server.log"
    # SIGTERM ends the server too, and SIGINT also where a shell's background job is told to ignore it.
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, signal.default_int_handler)
    say("starting MLflow")
    with contextlib.suppress(KeyboardInterrupt), served(uri, options.host, options.port, log) as server:
        _answer(options, uri, server.address)
        say("Ctrl-C ends the server")
        while True:
            time.sleep(3600)
    return 0


def _answer(options: argparse.Namespace, uri: str, base: str) -> None:
    from pipeline.view import store_view

    found = store_view(uri, options.experiment, base)
    if options.json:
        print_json({"view": found.view or None, "plain": found.plain})
    else:
        print(f"leaderboard  {found.view or 'not stored: ' + found.problem}")
        print(f"plain        {found.plain}")
    sys.stdout.flush()
