"""Answers of benches, kept as files: what was measured, by which command, when. Light."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import Top1Error
from pipeline.journal import SEAL, check_seal, read_json, write_sealed

Answer = dict[str, Any]  # as `bench --json` prints it

_KINDS = ("loader", "eval", "step", "train", "stages", "startup", "checkpoint", "tracking")


def dated(kind: str, arguments: Sequence[str], answer: Answer) -> Answer:
    """Return an answer with its kind (`loader`, `stages`, ...), the command that it is of, and the time."""
    said = {"kind": kind, "command": shlex.join(["top1", *arguments])}
    return {**said, "time": time.strftime("%Y-%m-%dT%H:%M:%S"), **answer}


def keep(answer: Answer, folder: Path) -> Path:
    """Write a dated answer into a folder, as a file of its own; return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{answer['kind']}-{answer['time'].replace(':', '')}"
    path, count = folder / f"{name}.json", 1
    while path.exists():
        count += 1
        path = folder / f"{name}-{count}.json"
    write_sealed(path, answer)
    return path


def kept(paths: Sequence[Path]) -> list[Answer]:
    """Return the answers in files and folders, the oldest first. Raises Top1Error for what is none."""
    missing = next((path for path in paths if not path.exists()), None)
    if missing:
        raise Top1Error(
            f"{missing} does not exist. Give files that `top1 bench --keep` wrote, or their folder."
        )
    files = [file for path in paths for file in (sorted(path.glob("*.json")) if path.is_dir() else [path])]
    answers = [read_json(file) for file in files]
    for file, answer in zip(files, answers, strict=True):
        check_seal(file, answer)
        if SEAL not in answer or answer.get("kind") not in _KINDS:
            raise Top1Error(f"{file} is no answer of `top1 bench` of this version. Take it away.")
    return sorted(answers, key=lambda answer: str(answer["time"]))
