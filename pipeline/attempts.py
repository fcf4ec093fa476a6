"""The attempts at a run, `attempts.jsonl`: who began, where, and how it ended. Light.

Lines are only ever added; an attempt is all lines of its number together. Its number is the fence: a writer
that finds a newer attempt was superseded (its node was thought dead, say) and has to leave the run alone.
"""

from __future__ import annotations

import json
import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import CrashError, Top1Error
from pipeline.follow import start_of
from pipeline.runs import ATTEMPTS
from pipeline.versions import Version, version_from, without_repeats


class SupersededError(CrashError):
    """A newer attempt at this run has begun."""


@dataclass(frozen=True)
class Attempt:
    """One attempt. step: where it went on, the first time; None while it has not come so far.

    end_step, reason: None until it ended by itself; one that was killed never says so.
    """

    number: int
    host: str
    pid: int
    pid_start: str | None
    job: str | None
    restart: int
    hardware: str | None
    step: int | None
    end_step: int | None
    reason: str | None
    version: Version | None = None


def read_attempts(folder: Path) -> list[Attempt]:
    """Return the attempts at a run in order; a torn last line is not there."""
    found: dict[int, dict[str, Any]] = {}
    path = folder / ATTEMPTS
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else ():
        try:
            facts = json.loads(line)
            known = found.setdefault(int(facts["attempt"]), {})
            version_from(facts.get("version"))
            known |= facts | ({"step": known["step"]} if "step" in known else {})
        except (ValueError, KeyError, TypeError):
            continue
    return [
        Attempt(
            number=number,
            host=facts.get("host", ""),
            pid=facts.get("pid", 0),
            pid_start=facts.get("pid_start"),
            job=facts.get("slurm_job"),
            restart=facts.get("restart", 0),
            hardware=facts.get("hardware"),
            step=facts.get("step"),
            end_step=facts.get("end_step"),
            reason=facts.get("reason"),
            version=version_from(facts.get("version")),
        )
        for number, facts in sorted(found.items())
    ]


def begin(folder: Path, job: str | None = None, restart: int = 0) -> int:
    """Begin an attempt and return its number; whoever wrote this run before is fenced off from now on."""
    known = read_attempts(folder)
    number = known[-1].number + 1 if known else 1
    facts = {
        "time": time.time(),
        "host": platform.node(),
        "pid": os.getpid(),
        "pid_start": start_of(os.getpid()),
        "slurm_job": job,
        "restart": restart,
    }
    note(folder, number, **facts)
    return number


def note(folder: Path, number: int, **facts: Any) -> None:
    """Add what is known of an attempt now: `step` at its start, `end_step` and `reason` at its end."""
    with open(folder / ATTEMPTS, "a+b") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - 1))
        torn = file.read() not in (b"", b"\n")  # a crash's last line would swallow this one
        file.write(b"\n" * torn + json.dumps({"attempt": number, **facts}).encode() + b"\n")


def check_newest(folder: Path, number: int) -> None:
    """Raise SupersededError when another attempt has begun after this one, Top1Error where none is known."""
    known = read_attempts(folder)
    if not known:
        raise Top1Error(
            f"{folder / ATTEMPTS} is gone or empty, so nobody knows whose this run is. Nothing more is "
            "written; start the same command again to go on."
        )
    newest = known[-1]
    if newest.number > number:
        where = f"job {newest.job} on {newest.host}" if newest.job else newest.host
        raise SupersededError(
            f"attempt {number} at {folder} was superseded by attempt {newest.number} ({where}), which goes "
            "on from the last checkpoint. This one stops and writes nothing more."
        )


def without_progress(attempts: list[Attempt]) -> int:
    """Return how many attempts in a row, up to the last, went on from the same step."""
    steps = [attempt.step for attempt in attempts if attempt.step is not None]
    same = 0
    while same < len(steps) and steps[-1 - same] == steps[-1]:
        same += 1
    return same


def trained_by(attempts: list[Attempt]) -> list[Attempt]:
    """Return the attempts whose steps are in the weights, the last one among them.

    An attempt that came to no checkpoint, or whose checkpoints were all damaged, was trained over.
    """
    found: list[Attempt] = []
    for attempt in attempts:
        if attempt.step is not None:
            found = [earlier for earlier in found if (earlier.step or 0) < attempt.step] + [attempt]
    return found


def versions_of(attempts: list[Attempt]) -> list[Version]:
    """Return the versions of the code that trained the weights, in order, as far as they were noted."""
    return without_repeats(attempt.version for attempt in trained_by(attempts) if attempt.version)
