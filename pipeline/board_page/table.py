"""The leaderboard's rows as HTML: a section each for what is comparable, what is not, and what was not run.

Every row is followed by one that it opens: protocol, citation, departures, runs. Light; decides nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from pipeline.board_page.facts import row_id, status_of
from pipeline.leaderboard import NOT_RUN, Entry
from pipeline.result import Run, tracked_at
from pipeline.tables import BEST_EPOCH, commits, number, percent

Numbered = tuple[int, Entry]


@dataclass(frozen=True)
class _Column:
    """A column: heading, how a cell is written, by what it sorts.

    wide: left out on a phone, where the row opens to all of it.
    """

    heading: str
    html: Callable[[Entry], str]
    key: str = ""
    numeric: bool = False
    wide: bool = False


def sections_html(entries: Sequence[Entry], beside: Path) -> str:
    """Return the three sections; one without rows is left out."""
    numbered = list(enumerate(entries))
    parts = (
        ("comparable", "Comparable with the paper", _COMPARABLE_NOTE, _is_judged),
        ("others", "Not comparable with the paper", _OTHERS_NOTE, _is_other),
        ("missing", "Not run yet", _MISSING_NOTE, _is_missing),
    )
    made = []
    for name, title, note, belongs in parts:
        rows = [item for item in numbered if belongs(item[1])]
        if rows or name == "comparable":
            made.append(_section(name, title, note, rows, beside))
    return "\n".join(made)


_COMPARABLE_NOTE = (
    "Official test set, recipe as published, the paper’s protocol and number of images. Several seeds are "
    "judged by their mean."
)
_OTHERS_NOTE = (
    "Demonstrations, changed recipes, unproven data, unfinished runs. What was reached is shown; no verdict "
    "is given."
)
_MISSING_NOTE = "Published figures that no run of ours has been made for."


def _is_judged(entry: Entry) -> bool:
    return bool(entry.row["comparable"])


def _is_missing(entry: Entry) -> bool:
    return bool(entry.row["reason"] == NOT_RUN)


def _is_other(entry: Entry) -> bool:
    return not _is_judged(entry) and not _is_missing(entry)


def _section(name: str, title: str, note: str, rows: Sequence[Numbered], beside: Path) -> str:
    columns = _MISSING if name == "missing" else _OTHERS if name == "others" else _COMPARABLE
    head = "".join(_heading(column) for column in columns)
    body = "\n".join(_row(number, entry, columns, beside) for number, entry in rows)
    empty = "" if rows else f'<p class="empty">{_NONE_YET}</p>'
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>" if rows else ""
    scroll = f'<div class="scroll">{table}</div>'
    if name == "missing":
        scroll = f'<details class="fold" open><summary>The list</summary>{scroll}</details>'
    return (
        f'<section class="board" id="{name}" aria-labelledby="{name}-title">'
        f'<h2 id="{name}-title">{title} <span class="count">{len(rows)}</span></h2>'
        f'<p class="note">{note}</p>{empty}{scroll}</section>'
    )


_NONE_YET = "No run may stand beside a paper yet."


def _heading(column: _Column) -> str:
    classes = " ".join(["numeric"] * column.numeric + ["wide"] * column.wide)
    label = escape(column.heading)
    return f'<th scope="col" class="{classes}" aria-sort="none"><button type="button">{label}</button></th>'


def _row(number: int, entry: Entry, columns: Sequence[_Column], beside: Path) -> str:
    row, name = entry.row, row_id(number)
    cells = "".join(_cell(column, entry, name) for column in columns)
    search = " ".join(str(row[key] or "") for key in ("recipe", "family", "year", "protocol", "source"))
    return (
        f'<tr id="{name}" class="row" data-family="{escape(row["family"])}" data-status="{status_of(entry)}" '
        f'data-search="{escape(search.lower())}">{cells}</tr>'
        f'<tr class="details" id="{name}-details" hidden><td colspan="{len(columns)}">'
        f"{_details(entry, beside)}</td></tr>"
    )


def _cell(column: _Column, entry: Entry, name: str) -> str:
    value = entry.row[column.key] if column.key else ""
    classes = " ".join(["numeric"] * column.numeric + ["wide"] * column.wide)
    sort = "" if value is None else escape(str(value))
    text = column.html(entry)
    if column.key == "recipe":
        opener = f'<button type="button" class="opener" aria-expanded="false" aria-controls="{name}-details">'
        return f'<th scope="row" data-value="{sort}">{opener}{text}</button></th>'
    return f'<td class="{classes}" data-value="{sort}">{text}</td>'


# ---------------------------------------------------------------- cells


def _text(key: str) -> Callable[[Entry], str]:
    return lambda entry: "" if entry.row[key] is None else escape(str(entry.row[key]))


def _figure(write: Callable[[dict[str, object]], str]) -> Callable[[Entry], str]:
    return lambda entry: escape(write(entry.row)).replace("-", "−", 1)


def _count(entry: Entry) -> str:
    return "" if entry.row["images"] is None else f"{entry.row['images']:,}"


def _paper(entry: Entry) -> str:
    std = f" <small>±{entry.target.std:g}</small>" if entry.target and entry.target.std is not None else ""
    return f"{percent('target')(entry.row)}{std}"


def _reached(entry: Entry) -> str:
    row = entry.row
    spread = f" <small>±{percent('spread')(row)}</small>" if row["spread"] is not None else ""
    return f"{percent('reached')(row)}{spread}"


def _verdict(entry: Entry) -> str:
    verdict = entry.row["verdict"]
    return f'<span class="verdict {verdict}">{verdict}</span>' if verdict else ""


def _why(entry: Entry) -> str:
    return f'<span class="why">{escape(entry.row["reason"])}</span>' if entry.row["reason"] else ""


def _metric(entry: Entry) -> str:
    return "top-1" if entry.row["metric"] == "top1" else "top-5"


_CLAIM = (
    _Column("Model", _text("recipe"), "recipe"),
    _Column("Family", _text("family"), "family", wide=True),
    _Column("Year", _text("year"), "year", numeric=True, wide=True),
    _Column("Protocol", _text("protocol"), "protocol", wide=True),
    _Column("Metric", _metric, "metric", wide=True),
    _Column("Paper", _paper, "target", numeric=True),
)
_COST = (
    _Column("Images", _count, "images", numeric=True, wide=True),
    _Column("Epochs", _figure(number("epochs")), "epochs", numeric=True, wide=True),
    _Column("GPU-hours", _figure(number("gpu_hours")), "gpu_hours", numeric=True, wide=True),
    _Column("Seeds", _text("seeds"), "seeds", numeric=True, wide=True),
    _Column("Commit", lambda entry: escape(commits(entry.row)), "commit", wide=True),
)
_COMPARABLE = (
    *_CLAIM,
    _Column("Reached", _reached, "reached", numeric=True),
    _Column("Gap", _figure(percent("gap", signed=True)), "gap", numeric=True),
    _Column("Verdict", _verdict, "verdict"),
    *_COST,
)
_OTHERS = (
    *_CLAIM,
    _Column("Reached", _reached, "reached", numeric=True),
    *_COST[:3],
    _Column("Why no verdict", _why, "reason", wide=True),
)
_MISSING = (*_CLAIM, _Column("Source", _text("source"), "source", wide=True))


# ---------------------------------------------------------------- what a row opens


def _details(entry: Entry, beside: Path) -> str:
    facts = [
        ("Why no verdict", escape(entry.row["reason"]) if entry.row["reason"] else ""),
        ("Protocol", _code(entry.row["protocol"])),
        ("Published", _published(entry)),
        ("Best epoch", _best(entry)),
        ("Departures", _listed([escape(text) for text in entry.recipe.departures]) or "None."),
        ("Changed", _listed([escape(text) for text in entry.recipe.modified])),
        ("Sources", _listed([_source(s.title, s.where) for s in entry.recipe.sources])),
        ("Runs", _listed([_run(run, beside) for run in entry.runs])),
        ("Command", _code(entry.runs[0].command) if entry.runs else ""),
    ]
    items = "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in facts if text)
    return f'<dl>{items}</dl><div class="own-curves"></div>'


def _published(entry: Entry) -> str:
    target = entry.target
    if target is None:
        return ""
    deviation = f" ± {target.std:g}" if target.std is not None else ""
    cited = f"{_source(target.source.title, target.source.where)}, {escape(target.where)}"
    note = f" {escape(target.note)}" if target.note else ""
    note += f" Extra data: {escape(target.extra_data)}." if target.extra_data != "none" else ""
    return f"{_metric(entry)} {target.value:g}{deviation} over {target.images:,} images. {cited}.{note}"


def _best(entry: Entry) -> str:
    if entry.row["best"] is None:
        return ""
    return f"{percent('best')(entry.row)}. {BEST_EPOCH.removeprefix('* ').capitalize()}."


def _run(run: Run, beside: Path) -> str:
    """Name a run by its folder, linked from where the page lies, and where it is tracked."""
    place = escape(os.path.relpath(run.folder.resolve(), beside))
    facts = [f"seed {run.seed}", escape(run.data.name)]
    facts += [f"commit {escape(commits({'commit': run.commit}))}"] if run.commit else []
    if (url := tracked_at(run.folder)) is not None:
        facts.append(f'<a href="{escape(url)}">MLflow</a>')
    return f'<a href="{place}">{escape(run.folder.name)}</a> {", ".join(facts)}'


def _source(title: str, where: str) -> str:
    return f"<cite>{escape(title)}</cite>, {escape(where)}"


def _code(text: str | None) -> str:
    return f"<code>{escape(text)}</code>" if text else ""


def _listed(items: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{item}</li>' for item in items)}</ul>" if items else ""
