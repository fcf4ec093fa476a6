"""What `top1 prep` answers, for people and for programs. Light."""

from __future__ import annotations

import argparse
from typing import Any

from pipeline.commands.options import print_json

_SHOWN = 20  # lines of a list before "and N more"


def print_header(header: Any, options: argparse.Namespace) -> int:
    from data_prep.listing import oddities

    splits = _splits(header)
    odd = oddities(options.folder)
    if options.json:
        return print_json(
            {
                "split": splits,
                "problems": [],
                "fingerprint": header.fingerprint,
                "name": header.name,
                "official": header.official,
                "changes": list(header.changes),
                "repairs": list(header.repairs),
                "oddities": [{"path": path, "what": what} for path, what in odd],
            }
        )
    for name, split in splits.items():
        print(f"{name:10} {split['images']:,} images, {split['classes']:,} classes")
    if header.official:
        print(f"official   {header.official}")
    for change in header.changes:
        print(f"changed    {change}")
    _print_list("repaired", header.repairs)
    _print_list("odd", [f"{path}: {what}" for path, what in odd])
    print(f"next       top1 train RECIPE --data {options.folder}")
    return 0


def _print_list(what: str, lines: Any) -> None:
    for line in lines[:_SHOWN]:
        print(f"{what:10} {line}")
    if len(lines) > _SHOWN:
        print(f"{what:10} and {len(lines) - _SHOWN:,} more; --json lists all")


def report_json(report: Any) -> dict[str, Any]:
    header = report.header
    return {
        "split": _splits(header) if header else {},
        "problems": [{"path": one.path, "what": one.what, "kind": one.kind} for one in report.problems],
        "fingerprint": header.fingerprint if header else None,
        "images": report.images,
        "official": header.official if header else None,
        "repairs": [{"path": path, "what": what} for path, what in report.repaired],
        "oddities": [{"path": path, "what": what} for path, what in report.oddities],
        "remarks": list(report.remarks),
    }


def print_report(report: Any) -> None:
    if report.problems:
        width = max(len(one.path) for one in report.problems)
        print(f"{'kind':10} {'path':{width}}  what is wrong")
        for one in report.problems:
            print(f"{one.kind:10} {one.path:{width}}  it {one.what}")
        print()
    for path, what in report.repaired:
        print(f"{'repaired':10} {path}: {what}")
    _print_list("odd", [f"{path}: {what}" for path, what in report.oddities])
    for remark in report.remarks:
        print(remark)
    print(f"{report.images:,} images looked at, {len(report.problems):,} problems")


def _splits(header: Any) -> dict[str, dict[str, int]]:
    return {name: {"images": s.images, "classes": s.classes} for name, s in header.splits.items()}
