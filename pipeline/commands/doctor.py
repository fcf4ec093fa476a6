"""`top1 doctor`: whether this machine has what a run needs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from pipeline.commands.options import add_command, add_runs, positive, print_json


def add(commands: Any) -> None:
    doctor = add_command(commands, "doctor", _doctor, "what is installed, whether it fits, how fast it loads")
    doctor.add_argument("--data", type=Path, help="prepared data to load from (default: generated)")
    add_runs(doctor, "where runs would go")
    doctor.add_argument("--threads", type=positive, help="threads of the loader (default: CPUs allotted)")


def _doctor(options: argparse.Namespace) -> int:
    from pipeline.doctor import doctor_text, examine

    found = examine(options.data, options.runs, options.threads)
    if options.json:
        print_json(found)
    else:
        print(doctor_text(found))
    return 1 if found["problems"] else 0
