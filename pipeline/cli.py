"""The command line: what people type, and one clear sentence when it cannot be done.

Light until a command runs. Flags describe the machine, recipes the science.
stdout carries answers, stderr progress. The commands themselves are in `pipeline.commands`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from pipeline.commands import bench, board, book, cluster, doctor, evaluate, jobs, prep, run, submit, sync, ui
from pipeline.commands.options import Command, usual_runs
from pipeline.errors import Top1Error, UsageError, nearest
from slurm.tasks import check_started_once

GROUPS = (
    book,
    prep,
    run,
    submit,
    jobs,
    evaluate,
    board,
    sync,
    ui,
    cluster,
    bench,
    doctor,
)  # in the order of --help


class _Parser(argparse.ArgumentParser):
    """argparse with the errors of this house: exit code 2, the nearest names, no usage dump."""

    def error(self, message: str) -> NoReturn:
        if "invalid choice" in message and self._subparsers:
            typed = message.split("'")[1]
            names = [name for action in self._subparsers._group_actions for name in action.choices or ()]
            message = f"there is no command {typed!r}{nearest(typed, names)}"
        else:
            message = f"{message}."
        raise UsageError(f"{message} `{self.prog} --help` explains.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code: 0 done, 1 a failure we explain, 2 misused, 130 Ctrl-C."""
    try:
        options = _parser().parse_args(arguments)
        options.arguments = sys.argv[1:] if arguments is None else list(arguments)
        if getattr(options, "finds_runs", False) and options.runs is None:
            options.runs = usual_runs(getattr(options, "cluster", None))
        if getattr(options, "once", None) and not getattr(options, "slurm", False):
            check_started_once(options.once)
        command: Command = options.command
        return command(options)
    except Top1Error as error:
        print(f"top1: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:  # before or after what handles it better: a training saves first
        print("top1: interrupted; the same command goes on where it stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `top1 list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # a path that is too long, a file where a folder belongs, a full disk
        where = f"{error.filename}: " if error.filename is not None else ""
        print(f"top1: {where}{error.strerror or error}.", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="top1",
        description="Reproduce published ImageNet accuracies, LeNet-5 to EfficientNetV2.",
        epilog="Begin with: top1 prep demo data/demo; top1 train lenet5 --data data/demo; top1 leaderboard",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for group in GROUPS:
        group.add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
