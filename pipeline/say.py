"""How progress is told: a line on stderr, and how long something takes in figures. Light."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    """Print one line of progress to stderr; stdout carries answers."""
    print(text, file=sys.stderr, flush=True)


def duration(seconds: float | None) -> str:
    """Return seconds as M:SS or H:MM:SS."""
    if seconds is None:
        return "?"
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"
