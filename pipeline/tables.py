"""The leaderboard's rows as text: for a terminal, for a log, for a Markdown page. Light; decides nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TextIO

from pipeline.columns import at_point, table
from pipeline.leaderboard import NOT_RUN
from pipeline.versions import short

Row = dict[str, Any]
Problem = dict[str, str]


BEST_EPOCH = "* the best epoch was selected on the test set: shown, never judged"


@dataclass(frozen=True)
class _Column:
    """A column: its heading, how a row's cell is written, and how cells line up ("point": at the point)."""

    heading: str
    text: Callable[[Row], str]
    align: Literal["left", "right", "point"] = "left"


@dataclass(frozen=True)
class _Section:
    title: str
    columns: Sequence[_Column]
    rows: Sequence[Row]

    def cells(self) -> list[list[str]]:
        """Return the texts, column by column."""
        texts = [(column, [column.text(row) for row in self.rows]) for column in self.columns]
        return [at_point(cells) if column.align == "point" else cells for column, cells in texts]


def print_table(rows: Sequence[Row], file: TextIO = sys.stdout, problems: Sequence[Problem] = ()) -> None:
    """Print the leaderboard: comparable rows, then the others with their reason, then what was skipped."""
    show = _print_rich if file.isatty() else _print_plain
    for section in _sections(rows):
        show(section, file)
    if any(row["best"] is not None for row in rows):
        print(BEST_EPOCH, file=file)
    if not rows:
        print("no runs yet; `top1 train RECIPE --data DATA` makes one", file=file)
    for line in _problem_lines(problems):
        print(line, file=file)


def markdown(rows: Sequence[Row], problems: Sequence[Problem] = ()) -> str:
    """Return the leaderboard as a Markdown page without a title of its own."""
    parts = [_markdown_section(section) for section in _sections(rows)]
    if any(row["best"] is not None for row in rows):
        parts.append(BEST_EPOCH.replace("*", "\\*"))
    if problems:
        parts.append("\n".join(_problem_lines(problems)))
    return "\n\n".join(parts) + "\n"


def _sections(rows: Sequence[Row]) -> list[_Section]:
    missing = [row for row in rows if row["reason"] == NOT_RUN]
    others = [row for row in rows if not row["comparable"] and row not in missing]
    sections = (
        _Section("Comparable with the paper", _COMPARABLE, [row for row in rows if row["comparable"]]),
        _Section("Not comparable with the paper", _OTHERS, others),
        _Section("Not run yet", _MISSING, missing),
    )
    return [section for section in sections if section.rows]


def _problem_lines(problems: Sequence[Problem]) -> list[str]:
    if not problems:
        return []
    count = f"{len(problems)} run folder{'s' if len(problems) > 1 else ''} skipped:"
    return [count, *(f"- {_named(problem)}" for problem in problems)]


def _named(problem: Problem) -> str:
    named = problem["path"] in problem["what"]
    return problem["what"] if named else f"{problem['path']} {problem['what']}"


# ---------------------------------------------------------------- cells


def percent(key: str, signed: bool = False) -> Callable[[Row], str]:
    """Write a percentage with as many decimals as the paper gives; two where there is no paper."""

    def text(row: Row) -> str:
        if row[key] is None:
            return ""
        decimals = 2 if row["target"] is None else len(str(float(row["target"])).partition(".")[2])
        return f"{row[key]:{'+' if signed else ''}z.{decimals}f}"

    return text


def _plain(key: str) -> Callable[[Row], str]:
    return lambda row: "" if row[key] is None else str(row[key])


def _count(key: str) -> Callable[[Row], str]:
    return lambda row: "" if row[key] is None else f"{row[key]:,}"


def number(key: str) -> Callable[[Row], str]:
    """Write a number with three significant digits and no exponent."""
    return lambda row: "" if row[key] is None else f"{float(f'{row[key]:.3g}'):,.10g}"


def commits(row: Row) -> str:
    return ", ".join(map(short, _listed(row["commit"])))


def _listed(names: str | None) -> list[str]:
    return names.split(", ") if names else []


_RECIPE = (
    _Column("recipe", _plain("recipe")),
    _Column("family", _plain("family")),
    _Column("year", _plain("year"), "right"),
)
_CLAIM = (
    _Column("protocol", _plain("protocol")),
    _Column("metric", _plain("metric")),
    _Column("paper", percent("target"), "point"),
)
_NUMBERS = (*_CLAIM, _Column("reached", percent("reached"), "point"))
_BEST = _Column("best epoch*", percent("best"), "point")
_COST = (
    _Column("images", _count("images"), "right"),
    _Column("epochs", number("epochs"), "point"),
    _Column("GPU-hours", number("gpu_hours"), "point"),
    _Column("seeds", _plain("seeds"), "right"),
)
_RUN = _Column("run", _plain("run"))
_SOURCE = _Column("source", _plain("source"))
_COMPARABLE = (
    *_RECIPE,
    *_NUMBERS,
    _Column("sd", percent("spread"), "point"),
    _Column("gap", percent("gap", signed=True), "point"),
    _Column("verdict", _plain("verdict")),
    *_COST,
    _BEST,
    _SOURCE,
    _Column("commit", commits),
    _RUN,
)
_OTHERS = (*_RECIPE, *_NUMBERS, *_COST[:3], _BEST, _Column("why not comparable", _plain("reason")), _RUN)
_MISSING = (*_RECIPE, *_CLAIM, _SOURCE)


# ---------------------------------------------------------------- the three forms


def _print_plain(section: _Section, file: TextIO) -> None:
    headings = [column.heading for column in section.columns]
    right = [number for number, column in enumerate(section.columns) if column.align != "left"]
    print(section.title, file=file)
    print(table([headings, *zip(*section.cells(), strict=True)], right), file=file)
    print(file=file)


def _print_rich(section: _Section, file: TextIO) -> None:
    from rich.console import Console  # only on a terminal: the command answers sooner without
    from rich.table import Table
    from rich.text import Text

    console = Console(file=file)
    section, left_out = _that_fits(section, console.width)
    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in section.columns:
        justify: Literal["left", "right"] = "left" if column.align == "left" else "right"
        wraps = column.heading in _WRAPPED
        grid.add_column(column.heading, justify=justify, no_wrap=not wraps, overflow="fold")
    for row, cells in zip(section.rows, zip(*section.cells(), strict=True), strict=True):
        grid.add_row(*map(Text, cells), style=_STYLES.get(row["verdict"], ""))
    console.print(Text(section.title, style="bold"), grid)
    if left_out:
        console.print(Text(f"(no room for {', '.join(left_out)}; --json has all)", style="dim"))
    console.print()


def _that_fits(section: _Section, width: int) -> tuple[_Section, list[str]]:
    """Leave out columns, the most dispensable first, until the lines fit; return what was left out."""
    left_out: list[str] = []
    for heading in _DISPENSABLE:
        if _least_width(section) <= width:
            break
        if any(column.heading == heading for column in section.columns):
            left_out.append(heading)
            kept = [column for column in section.columns if column.heading != heading]
            section = _Section(section.title, kept, section.rows)
    return section, left_out


def _least_width(section: _Section) -> int:
    """Return the width of a line when the columns that may wrap are as narrow as they stay readable."""
    widths = [
        max(map(len, [column.heading, *cells]))
        for column, cells in zip(section.columns, section.cells(), strict=True)
    ]
    return sum(
        min(width, _WRAPPED.get(column.heading, width)) + 2
        for column, width in zip(section.columns, widths, strict=True)
    )


_WRAPPED = {"protocol": 16, "source": 20, "why not comparable": 28}  # least readable widths
_DISPENSABLE = (
    *("run", "family", "commit", "best epoch*", "source", "sd", "images", "seeds", "GPU-hours", "year"),
    *("metric", "epochs", "protocol"),
)


_STYLES = {"reproduced": "green", "above": "green", "short": "yellow"}


def _markdown_section(section: _Section) -> str:
    rule = ["---" if column.align == "left" else "--:" for column in section.columns]
    columns = [[text.strip().replace("|", "\\|") for text in cells] for cells in section.cells()]
    lines = [[column.heading for column in section.columns], rule, *zip(*columns, strict=True)]
    return "\n".join([f"**{section.title}**", "", *(f"| {' | '.join(line)} |" for line in lines)])
