"""Runs a module of ours in a process of its own: JSON in, JSON out. Light."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from pipeline.errors import Top1Error

_LINES_SHOWN = 5  # of what a failed process printed


def answer_of(module: str, told: Mapping[str, Any], what: str, *arguments: str) -> Any:
    """Return what `python -m module` prints as JSON. told: the line of JSON it reads from its stdin.

    what: the work, for the sentence of the Top1Error where it fails.
    """
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        input=json.dumps(told) + "\n",
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ended(what, done.returncode, done.stderr)
    return json.loads(done.stdout)


def ended(what: str, code: int, printed: str) -> Top1Error:
    """Return the error that tells of a process's end, with the last of what it printed."""
    lines = " / ".join(printed.strip().splitlines()[-_LINES_SHOWN:])
    return Top1Error(f"{what} ended with code {code}: {lines}")
