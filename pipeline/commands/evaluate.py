"""`top1 eval`: weights under a protocol."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from pipeline.commands.options import add_command, add_device, print_json


def add(commands: Any) -> None:
    evaluate = add_command(commands, "eval", _eval, "measure a finished run under each target's protocol")
    evaluate.add_argument("run", type=Path, metavar="RUN", help="run folder")
    evaluate.add_argument("--data", type=Path, help="other prepared data than the run's own")
    add_device(evaluate)


def _eval(options: argparse.Namespace) -> int:
    from pipeline.measure import measure_run

    results = measure_run(options.run, options.data, options.device, options.threads)
    if options.json:
        return print_json(results[0] if len(results) == 1 else {"results": results})
    for result in results:
        print(
            f"{result['recipe']}  top-1 {result['top1']:.2f} +-{result['stderr']:.2f}  "
            f"top-5 {result['top5']:.2f}  {result['images']} images  {result['protocol']}"
        )
    return 0
