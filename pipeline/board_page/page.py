"""The leaderboard's page put together: one file of HTML that needs nothing else and no network. Light."""

from __future__ import annotations

import json
import os
import time
from html import escape
from importlib import resources
from pathlib import Path

from pipeline.board_page.facts import counts_of, facts_of, published_figure
from pipeline.board_page.table import sections_html
from pipeline.errors import Top1Error
from pipeline.leaderboard import NOT_RUN, Board, Problem

_SCRIPTS = ("charts.js", "page.js")


def write_page(board: Board, file: Path) -> None:
    """Write the page in one piece. Raises Top1Error where it cannot be written."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(make_page(board, file.resolve().parent), encoding="utf-8")
        temporary.replace(file)
    except OSError as error:
        raise Top1Error(f"{file} cannot be written: {error.strerror}. Choose another --html FILE.") from error
    finally:
        temporary.unlink(missing_ok=True)


def make_page(board: Board, beside: Path) -> str:
    """Return the page. beside: the folder it will lie in, from which runs are linked."""
    facts, problems = facts_of(board)
    families = dict.fromkeys(
        entry.recipe.family for entry in sorted(board.entries, key=lambda e: e.row["year"])
    )
    parts = {
        "style": _file("page.css"),
        "script": "\n".join(_file(name) for name in _SCRIPTS),
        "facts": _embedded(facts),
        "counts": _counts(board),
        "families": "".join(f"<option>{escape(family)}</option>" for family in families),
        "sections": sections_html(board.entries, beside),
        "problems": _problems(problems),
        "date": time.strftime("%Y-%m-%d"),
    }
    page = _file("page.html")
    for name, text in parts.items():
        page = page.replace(f"<!--{name}-->", text, 1)
    return page


def _file(name: str) -> str:
    return resources.files("pipeline.board_page").joinpath(name).read_text(encoding="utf-8")


def _embedded(facts: object) -> str:
    """Return JSON that may stand inside a script element: `</script>` in a name must not end it."""
    return json.dumps(facts, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _counts(board: Board) -> str:
    counts = counts_of(board)
    published = [entry for entry in board.entries if published_figure(entry)]
    recipes = len({entry.recipe.name for entry in published})
    shown = {"published figures": len({published_figure(entry) for entry in published}), "recipes": recipes}
    shown |= {status: counts.get(status, 0) for status in ("reproduced", "above", "short")}
    shown |= {status: counts[status] for status in ("not comparable", NOT_RUN) if status in counts}
    return "".join(f"<div><dt>{name}</dt><dd>{count}</dd></div>" for name, count in shown.items())


def _problems(problems: list[Problem]) -> str:
    if not problems:
        return ""
    items = "".join(
        f"<li><code>{escape(problem['path'])}</code> {escape(problem['what'])}</li>" for problem in problems
    )
    return f'<section aria-labelledby="problems"><h2 id="problems">Not read</h2><ul>{items}</ul></section>'
