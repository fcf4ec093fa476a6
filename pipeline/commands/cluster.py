"""`top1 cluster`: the throw-away SLURM on this machine."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from pipeline.commands.options import add_command, positive, print_json


def add(commands: Any) -> None:
    verbs = commands.add_parser(
        "cluster",
        help="a throw-away real SLURM on this machine",
        description="A throw-away real SLURM on this machine, to try things on.",
    ).add_subparsers(metavar="VERB", required=True)
    up = add_command(verbs, "up", _up, "start it, on loopback only", json=False)
    up.add_argument("--nodes", type=positive, default=4, help="simulated nodes (default 4)")
    up.add_argument("--cpus", type=positive, default=4, help="CPUs each claims to have (default 4)")
    up.add_argument("--gpus", type=int, default=2, help="fake GPUs each (default 2)")
    up.add_argument("--accounting", action="store_true", help="with slurmdbd, on a MariaDB without network")
    down = add_command(verbs, "down", _down, "stop it and its jobs, and leave nothing", json=False)
    status = add_command(verbs, "status", _status, "its nodes")
    for parser in (up, down, status):
        parser.add_argument("--dir", type=Path, help="its folder (default: one per user, in the temporary)")


def _folder(options: argparse.Namespace) -> Path:
    from slurm.dev_cluster import default_folder

    folder: Path = options.dir or default_folder()
    return folder.resolve()


def _up(options: argparse.Namespace) -> int:
    from slurm.dev_cluster import up
    from slurm.dev_config import DevCluster
    from slurm.dev_daemons import environment

    folder, start = _folder(options), time.monotonic()
    cluster = DevCluster(options.nodes, options.cpus, options.gpus, options.accounting)
    started = up(folder, cluster)
    what = f"{cluster.nodes} nodes of {cluster.cpus} CPUs and {cluster.gpus} fake GPUs"
    print(f"up      {what}" + (f", {time.monotonic() - start:.1f} s" if started else ", as before"))
    print("next    export " + " ".join(f"{name}={value}" for name, value in environment(folder).items()))
    print(f"        top1 submit RECIPE --cluster {folder}/cluster.toml --data DIR")
    return 0


def _down(options: argparse.Namespace) -> int:
    from slurm.dev_cluster import down

    folder = _folder(options)
    if not down(folder):
        print(f"down    there was nothing in {folder}")
        return 0
    print(f"down    {folder} removed")
    print("next    unset SLURM_CONF")
    return 0


def _status(options: argparse.Namespace) -> int:
    from pipeline.columns import table
    from slurm.dev_cluster import nodes

    folder = _folder(options)
    rows = nodes(folder)
    if options.json:
        names = ("node", "state", "gpus", "jobs")
        return print_json({"folder": str(folder), "nodes": [dict(zip(names, r, strict=True)) for r in rows]})
    if not rows:
        print(f"no cluster is up in {folder}; `top1 cluster up` starts one")
        return 1
    print(table([("node", "state", "gpus", "jobs"), *rows], right=(3,)))
    return 0
