"""Rows of text in lined-up columns. Light: knows nothing of what it prints."""

from __future__ import annotations

from collections.abc import Sequence


def at_point(numbers: Sequence[str]) -> list[str]:
    """Return numbers padded on both sides so that their points stand in one column."""
    parts = [number.partition(".") for number in numbers]
    left = max(len(whole) for whole, _, _ in parts)
    right = max(len(point + rest) for _, point, rest in parts)
    return [f"{whole:>{left}}{point + rest:<{right}}" for whole, point, rest in parts]


def table(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Return rows of text in lined-up columns; those numbered in `right` are flush right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(r, widths, strict=True))
        ).rstrip()
        for r in rows
    )
