"""`top1 prep`: from what people have to what training reads."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from pipeline.commands.options import add_command, print_json


def add(commands: Any) -> None:
    prep = commands.add_parser("prep", help="prepare data", description="Prepare data for training, once.")
    kinds = prep.add_subparsers(metavar="KIND", required=True)
    demo = add_command(kinds, "demo", _prep_demo, "1,797 real handwritten digits as JPEG files, no download")
    demo.add_argument("folder", type=Path, metavar="DIR", help="where to write them")
    folder = add_command(
        kinds, "folder", _prep_folder, "index a train/<class>/* and val/<class>/* tree in place"
    )
    folder.add_argument("folder", type=Path, metavar="DIR", help="the tree")
    folder.add_argument("--name", help="what to call the set (default: the folder's name)")

    pack = add_command(
        kinds, "pack", _prep_pack, "the same data as WebDataset tars of 1 GB, for slow small files"
    )
    pack.add_argument("source", type=Path, metavar="DIR", help="prepared data")
    pack.add_argument("folder", type=Path, metavar="OUT", help="where the tars and their manifest go")


def _prep_demo(options: argparse.Namespace) -> int:
    from data_prep.demo import prepare_demo

    return _print_header(prepare_demo(options.folder), options)


def _prep_folder(options: argparse.Namespace) -> int:
    from data_prep.folder import prepare_folder

    return _print_header(prepare_folder(options.folder, name=options.name), options)


def _prep_pack(options: argparse.Namespace) -> int:
    from data_prep.pack import pack_folder

    return _print_header(pack_folder(options.source, options.folder), options)


def _print_header(header: Any, options: argparse.Namespace) -> int:
    splits = {name: {"images": s.images, "classes": s.classes} for name, s in header.splits.items()}
    if options.json:
        return print_json({"split": splits, "problems": [], "fingerprint": header.fingerprint})
    for name, split in splits.items():
        print(f"{name:6} {split['images']} images, {split['classes']} classes")
    print(f"next   top1 train RECIPE --data {options.folder}")
    return 0
