"""From command-line options to a plan and a run folder. Light: reads a manifest's header, never its body."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
import uuid
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from pipeline import own_network, runs
from pipeline.choose import choose_recipe, with_start
from pipeline.data.header import read_header
from pipeline.errors import Top1Error, UsageError
from pipeline.machine import cpus_allotted
from pipeline.own_network import NETWORK
from pipeline.plan import DataFacts, Plan, make_plan
from pipeline.versions import code_digest, git_state
from recipes.schema import Recipe

# Options of `top1 train` that a plan holds; each has a value that says nothing.
_PLANNED = (
    "seed", "precision", "micro_batch", "deterministic", "compile", "device", "threads", "checkpoint_every",
    "log_every",
)  # fmt: skip
PLAN_SECONDS = 60.0  # how long the other ranks wait for rank 0's plan


def data_facts(folder: Path) -> DataFacts:
    """Return what a plan needs of a prepared folder. Raises Top1Error when it is not one."""
    header = read_header(folder)
    for split in ("train", "val"):
        if split not in header.splits:
            raise Top1Error(
                f"{folder} has no images to {'train on' if split == 'train' else 'validate on'} ({split}). "
                "Prepare it with some."
            )
    return DataFacts(
        path=str(folder.resolve()),
        name=header.name,
        classes=len(header.classes),
        train_images=header.splits["train"].images,
        val_images=header.splits["val"].images,
        fingerprint=header.fingerprint,
        official=header.official,
        changes=header.changes,
    )


def plan_for(recipe: Recipe, facts: DataFacts, options: argparse.Namespace, gpus: int | None = None) -> Plan:
    """Put a recipe on the machine that the options describe."""
    gpus = gpus or options.gpus * getattr(options, "nodes", 1)
    return make_plan(
        recipe,
        facts,
        id=uuid.uuid4().hex,
        gpus=gpus,
        micro_batch=options.micro_batch,
        checkpoint_every=getattr(options, "checkpoint_every", None),
        log_every=getattr(options, "log_every", None),
        seed=options.seed,
        threads=options.threads or allotted_threads(gpus),
        precision=options.precision,
        deterministic=options.deterministic,
        compile=options.compile,
        device=options.device,
    )


def allotted_threads(processes: int) -> int:
    """Return the CPUs each of several processes may use of those the scheduler allotted to us."""
    return max(1, cpus_allotted() // processes)


def new_run(
    recipe: Recipe,
    facts: DataFacts,
    options: argparse.Namespace,
    gpus: int | None = None,
    parent: Path | None = None,
) -> tuple[Path, Plan]:
    """Return a folder and the plan of a new run; nothing is written yet.

    parent: the folder of a run, perhaps not yet trained, whose final weights this one begins with.
    """
    recipe = recipe if parent else with_start(recipe, options)
    start = parent or options.init
    folder = getattr(options, "run", None) or runs.new_folder(options.runs, recipe.name, options.seed)
    commit, dirty = git_state()
    # Several jobs would write one sqlite file from several nodes, which it does not stand.
    tracking = options.tracking or ("none" if getattr(options, "slurm", False) else None)
    plan = replace(
        plan_for(recipe, facts, options, gpus),
        tracking=tracking_of(tracking, runs.home_of(folder, recipe.name, options.runs)),
        init_weights=str(start.resolve()) if start else None,
        commit=commit,
        dirty=dirty,
        code=code_digest(),
        copy_to=options.copy_to,
        profile=options.profile,
        created=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        command=shlex.join(["top1", *sys.argv[1:]]),
    )
    return folder, plan


def open_or_create(options: argparse.Namespace, rank: int, world: int, threads: int) -> tuple[Path, Plan]:
    """Return the run that `top1 train` is about: the one in --run, or a new one.

    threads: of each process, where the options do not say.
    Under a launcher every rank comes here; rank 0 writes the plan and the others wait for it.
    """
    if options.run and (options.run / runs.PLAN).exists():
        plan = _matching(options, world)
        if rank == 0 and options.recipe and not any((options.run / runs.CHECKPOINTS).glob("step-*")):
            # Nothing has been trained, perhaps because the network could not be: its file may be mended.
            own_network.keep(_asked(options, plan), options.run)
        return options.run, plan
    if world > 1 and not options.run:
        raise UsageError("under a launcher every process must be told the run folder: add --run DIR.")
    if options.recipe is None or options.data is None:
        missing = "RECIPE and --data DIR" if options.recipe is None else "--data DIR"
        raise UsageError(f"a new run needs {missing}; `top1 list` shows the recipes.")
    if rank > 0:
        return options.run, _wait_for_plan(options.run)
    facts = data_facts(options.data)
    recipe = choose_recipe(options.recipe, options.set, options.tiny, facts.classes)
    options.threads = options.threads or threads
    folder, plan = new_run(recipe, facts, options, world)
    _refuse_foreign(folder)
    runs.write_plan(folder, plan)
    return folder, runs.read_plan(folder)


def _matching(options: argparse.Namespace, world: int) -> Plan:
    """Return the plan of an existing run, refusing options that contradict it."""
    plan = runs.read_plan(options.run)
    if options.recipe:
        asked = _asked(options, plan)
        if asked.name != plan.recipe.name:
            raise Top1Error(
                f"{options.run} is a run of {plan.recipe.name}, not of {asked.name}. Nothing was changed; "
                "choose another --run folder."
            )
    if options.data and str(options.data.resolve()) != plan.data.path:
        raise Top1Error(
            f"{options.run} was planned with the data in {plan.data.path}, not {options.data}. "
            "Leave --data out to go on, or choose another --run folder."
        )
    if world != plan.gpus:
        raise Top1Error(
            f"{options.run} was planned for {plan.gpus} processes, and {world} were started. "
            f"Start {plan.gpus} to go on."
        )
    _refuse_other_machine(options, plan)
    return replace(plan, profile=plan.profile or options.profile, copy_to=options.copy_to or plan.copy_to)


def _refuse_other_machine(options: argparse.Namespace, plan: Plan) -> None:
    """Raise Top1Error where an option asks for what a run was not planned with: it would have no effect."""
    given = {name: getattr(options, name) for name in _PLANNED}
    planned = {name: getattr(plan, name) for name in _PLANNED}
    given["init"] = str(options.init.resolve()) if options.init else None
    planned["init"] = plan.init_weights
    given["tracking"] = options.tracking and (tracking_of(options.tracking, Path()) or "none")
    planned["tracking"] = plan.tracking or "none"
    for name, value in given.items():
        if value not in (None, 0, "auto", planned[name]):
            raise Top1Error(
                f"{options.run} was planned with {name.replace('_', ' ')} {planned[name]}, not {value}. "
                f"Leave --{name.replace('_', '-')} out to go on, or choose another --run folder."
            )


def _asked(options: argparse.Namespace, plan: Plan) -> Recipe:
    """Return the recipe of the command line, for the data of a plan."""
    asked = choose_recipe(options.recipe, options.set, options.tiny, plan.data.classes)
    return with_start(asked, options) if options.init else asked


def _refuse_foreign(folder: Path) -> None:
    if folder.is_file() or (folder.is_dir() and not all(map(_precedes_plan, folder.iterdir()))):
        raise Top1Error(
            f"{folder} exists and is not a run folder. Nothing was changed; choose another --run."
        )


def _precedes_plan(path: Path) -> bool:
    """Whether it may be in a run folder before the plan: a batch script's log, a plan half written."""
    return path.name in ("logs", NETWORK) or path.match(f".{runs.PLAN}.*.tmp")


def _wait_for_plan(folder: Path) -> Plan:
    deadline = time.monotonic() + PLAN_SECONDS
    while not (folder / runs.PLAN).exists():
        if time.monotonic() > deadline:
            raise Top1Error(
                f"rank 0 wrote no plan to {folder} within {PLAN_SECONDS:.0f} s. Look at its output."
            )
        time.sleep(0.1)
    return runs.read_plan(folder)


def tracking_of(uri: str | None, home: Path) -> str | None:
    """Return the tracking address of runs: as given, none for "none", else sqlite in their folder `home`."""
    if uri == "none":
        return None
    if uri and urlsplit(uri).password:
        raise UsageError(
            "--tracking has a password, and the address is written into the run folder. Leave it out and set "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD."
        )
    return uri or default_tracking(home)


def default_tracking(folder: Path) -> str:
    """Return the address of the sqlite database that runs are tracked in without a server."""
    return f"sqlite:///{folder.resolve() / 'mlflow.db'}"
