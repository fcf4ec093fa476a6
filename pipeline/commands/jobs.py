"""`top1 status`, `logs`, `cancel` and `requeue`: runs that were submitted. Light."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.commands.options import (
    ONE_TASK,
    add_command,
    add_runs,
    add_sbatch,
    positive,
    print_json,
)
from pipeline.errors import Top1Error, UsageError
from pipeline.say import duration, say

if TYPE_CHECKING:
    from slurm.cluster import Cluster
    from slurm.status import Standing

_CLIPPED = 80  # characters of a reason in a table of all runs


def add(commands: Any) -> None:
    status = add_command(
        commands, "status", _status, "where runs stand: queue, step, speed, time left, top-1"
    )
    status.add_argument("which", nargs="*", metavar="RUN", help="run folder or job (default: all)")

    logs = add_command(
        commands, "logs", _logs, "what a run's main process printed, over all attempts", json=False
    )
    logs.add_argument("which", metavar="RUN", help="run folder or job")
    logs.add_argument("-f", "--follow", action="store_true", help="go on until the run ends")
    logs.add_argument("--rank", type=int, default=0, metavar="N", help="another process than the main one")
    logs.add_argument("--batch", action="store_true", help="the batch script's own log")

    cancel = add_command(commands, "cancel", _cancel, "save a run and end its job", json=False)
    cancel.add_argument("which", nargs="+", metavar="RUN", help="run folder or job")

    requeue = add_command(
        commands, "requeue", _requeue, "bring a run back, on other hardware too", json=False
    )
    requeue.add_argument("which", metavar="RUN", help="run folder or job")
    requeue.add_argument("--nodes", type=positive, help="nodes (default: as many as before)")
    requeue.add_argument("--gpus", type=positive, help="GPUs of a node (default: as before)")
    requeue.add_argument(
        "--micro-batch", type=positive, help="images a GPU is given at once (default: as before, or fewer)"
    )
    requeue.add_argument("--local", action="store_true", help="on this machine, whatever it ran on")
    requeue.add_argument("--cluster", type=Path, metavar="FILE", help="another description than before")
    add_sbatch(requeue)
    requeue.set_defaults(once=ONE_TASK)
    for parser in (status, logs, cancel, requeue):
        add_runs(parser)


def _status(options: argparse.Namespace) -> int:
    from slurm.queue import queued
    from slurm.status import find_run, standings, standings_of

    try:
        jobs = queued()
    except Top1Error as error:  # the run folders still tell much
        say(f"top1: {error}")
        jobs = None
    if options.which:
        found = standings_of([find_run(text, options.runs) for text in options.which], jobs)
    else:
        found = standings(options.runs, jobs)
    if options.json:
        return print_json({"runs": [one.to_json() for one in found]})
    from pipeline.columns import table

    head = ("run", "job", "state", "attempt", "epoch", "step", "img/s", "left", "top-1", "why")
    rows = [_row(one, options.runs, whole=bool(options.which)) for one in found]
    print(table([head, *rows], right=(3, 4, 5, 6, 7, 8)))
    warned = [
        (_name(one, options.runs), str(warning["kind"]), str(warning["step"]), str(warning["text"]))
        for one in found
        for warning in one.warnings
    ]
    if warned:
        print("\n" + table([("run", "warning", "step", "what"), *warned], right=(2,)))
    return 0


def _name(one: Standing, runs: Path) -> str:
    folder = Path(one.run)
    return str(folder.relative_to(runs) if folder.is_relative_to(runs) else folder)


def _row(one: Standing, runs: Path, whole: bool) -> tuple[str, ...]:

    return (
        _name(one, runs),
        one.job or "-",
        one.state,
        str(one.attempt or "-"),
        "-" if one.epoch is None else f"{one.epoch:.2f}",
        "-" if one.step is None else f"{one.step}/{one.total_steps}",
        "-" if one.images_per_second is None else f"{one.images_per_second:.0f}",
        "-" if one.eta_seconds is None else duration(one.eta_seconds),
        "-" if one.top1 is None else f"{one.top1:.2f}",
        one.reason if whole else _clipped(one.reason),
    )


def _clipped(reason: str) -> str:
    """Return the beginning of a reason, which `top1 status RUN` tells whole."""
    first, *others = reason.splitlines() or [""]
    return f"{first[:_CLIPPED]} ..." if others or len(first) > _CLIPPED else first


def _logs(options: argparse.Namespace) -> int:
    from pipeline.attempts import read_attempts
    from slurm.logs import follow, log_of
    from slurm.status import find_run, job_of

    folder = find_run(options.which, options.runs)
    path = log_of(folder, options.rank, options.batch)
    if path is None and read_attempts(folder) and job_of(folder) is None:
        raise Top1Error(
            f"{folder} has no log: `top1 train` prints to its terminal. `top1 status {folder}` tells where "
            "it stands, its metrics.jsonl has the curves."
        )
    if options.follow:
        try:
            for text in follow(folder, options.rank, options.batch):
                print(text, end="", flush=True)
        except KeyboardInterrupt:
            say("\ntop1: no longer followed; the run goes on")
            return 130
        return 0
    if path is None:
        raise Top1Error(f"{folder} has no log of process {options.rank}; `top1 status {folder}` says why.")
    sys.stdout.write(path.read_text(encoding="utf-8", errors="replace"))
    return 0


def _cancel(options: argparse.Namespace) -> int:
    from pipeline.attempts import read_attempts
    from slurm.queue import cancel, queued
    from slurm.status import LIVE, find_run, is_alive, standing

    jobs = queued()
    found = [standing(find_run(text, options.runs), jobs) for text in options.which]
    for one in found:
        if one.state not in LIVE:
            raise UsageError(f"{one.run} is {one.state}; there is nothing to cancel.")
    cancel_jobs = [one.job for one in found if one.job]
    if cancel_jobs:
        cancel(cancel_jobs)
    for one in found:
        if one.job is None:
            attempt = read_attempts(Path(one.run))[-1]
            if attempt.host != os.uname().nodename or not is_alive(attempt):
                raise Top1Error(f"{one.run} runs on {attempt.host}; cancel it there.")
            os.kill(attempt.pid, signal.SIGTERM)
        saved = "it saves at the next step" if one.state == "running" else "it had not begun"
        say(f"cancelled   {one.recipe}, {saved}, folder {one.run}")
    return 0


def _requeue(options: argparse.Namespace) -> int:
    from slurm.again import check_may_go_on, requeue
    from slurm.status import find_run

    folder = find_run(options.which, options.runs)
    check_may_go_on(folder)
    if options.local:
        return _requeue_here(folder, options)
    cluster, where, nodes, gpus = _before(folder, options)
    nodes, gpus = options.nodes or nodes, options.gpus or gpus
    job = requeue(folder, cluster, where, nodes, gpus, options.micro_batch, say)
    say(f"next        top1 status {job} --runs {options.runs}")
    return 0


def _requeue_here(folder: Path, options: argparse.Namespace) -> int:
    from pipeline.planning import allotted_threads
    from pipeline.runs import read_plan
    from slurm.again import replan, write_changed
    from slurm.launch import JOB, Request
    from slurm.submit import run_local

    if options.cluster or options.sbatch or options.nodes:
        raise UsageError("--nodes, --cluster and --sbatch are for SLURM; leave --local out.")
    plan = read_plan(folder)
    gpus = options.gpus or plan.gpus
    plan = replan(plan, gpus, allotted_threads(gpus), options.micro_batch)
    write_changed(folder, plan, say)
    (folder / JOB).unlink(missing_ok=True)  # it is no longer that job's
    return run_local([Request(folder, plan, nodes=1)], 1, say)


def _before(folder: Path, options: argparse.Namespace) -> tuple[Cluster, str, int, int]:
    """Return the cluster, where it is described, and the nodes and GPUs of each that a run had."""
    from pipeline.runs import read_plan
    from slurm.cluster import find_cluster, with_options
    from slurm.launch import JOB, read_job
    from slurm.queue import with_cpus

    plan, known = read_plan(folder), read_job(folder)
    nodes = known.nodes if known else 1
    if known and not options.cluster:
        where, cluster = folder / JOB, known.cluster
    else:
        where, cluster = find_cluster(options.cluster)
    cluster = with_cpus(with_options(cluster, options.sbatch, str(where)))
    return cluster, str(where), nodes, plan.gpus // nodes
