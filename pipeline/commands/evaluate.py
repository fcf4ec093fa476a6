"""`top1 eval` and `top1 weights`: trained or published weights under a protocol."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.commands.options import (
    CACHE,
    add_command,
    add_device,
    positive,
    print_json,
    run_folder,
    usual_runs,
)
from pipeline.errors import Top1Error, UsageError

if TYPE_CHECKING:
    from slurm.tasks import Task


def add(commands: Any) -> None:
    evaluate = add_command(
        commands, "eval", _eval, "measure a run, an ensemble or weights under each target's protocol"
    )
    evaluate.epilog = (
        "It prints top-1 +- its standard error (from the number of images alone), top-5, and the expected "
        "calibration error (ECE, 15 bins), all in percent; docs/evaluation.md defines them."
    )
    evaluate.add_argument(
        "what", nargs="?", metavar="RUN|RECIPE", help="run folder; with --weights a recipe or library:network"
    )
    evaluate.add_argument("--data", type=Path, help="prepared data (default: the run's own)")
    evaluate.add_argument(
        "--protocol",
        metavar="P",
        help="another protocol, e.g. 'ten_crop 224/256 bicubic', 'dense 224/256,384'",
    )
    evaluate.add_argument(
        "--weights",
        metavar="W",
        help="torchvision or timm (:TAG for others than their default), or a .pth or .safetensors file",
    )
    evaluate.add_argument(
        "--new-head",
        action="store_true",
        help="with --weights FILE: an untrained classifier for the data's classes",
    )
    evaluate.add_argument(
        "--ensemble", nargs="+", type=run_folder, metavar="RUN", help="average the networks of these runs"
    )
    evaluate.add_argument(
        "--runs", type=Path, help="where an ensemble's result goes (default: cluster.toml's, else runs)"
    )
    evaluate.add_argument(
        "--blacklist",
        type=Path,
        metavar="FILE",
        help="leave out the validation images whose numbers it lists",
    )
    evaluate.add_argument("--batch", type=positive, default=64, help="crops in one pass (default 64)")
    evaluate.add_argument("--slurm", action="store_true", help="as one of the tasks of srun")
    evaluate.set_defaults(once="Add --slurm, which shares the images out among them.")
    add_device(evaluate)

    weights = add_command(
        commands, "weights", _weights, "published weights of this lineage, and what each should give"
    )
    weights.add_argument(
        "--markdown", action="store_true", help="as the Markdown page docs/published_weights.md"
    )


def _eval(options: argparse.Namespace) -> int:
    _check_options(options)
    from pipeline.planning import allotted_threads
    from pipeline.protocols import protocol_of

    protocol = protocol_of(options.protocol) if options.protocol else None
    from slurm.tasks import slurm_task

    task = slurm_task() if options.slurm else None
    if task and task.world > 1:
        _join(task, options)
    from pipeline.measuring import Setting
    from pipeline.ranks import join

    world = _world()
    local = int(os.environ.get("LOCAL_WORLD_SIZE", world))
    threads = options.threads or (task.cpus if task else None) or allotted_threads(local)
    setting = Setting(
        ranks=join(options.device, world, threads),
        threads=threads,
        data=options.data,
        protocol=protocol,
        blacklist=options.blacklist,
        batch=options.batch,
    )
    if options.ensemble:
        from pipeline.measure import measure_ensemble

        results = measure_ensemble(setting, options.ensemble, options.runs or usual_runs())
    elif options.weights:
        from pipeline.measure_weights import measure_weights

        results = measure_weights(setting, options.what, options.weights, options.new_head)
    else:
        from pipeline.measure import measure_run

        results = measure_run(setting, run_folder(options.what))
    return _print(results, options.json) if setting.ranks.is_main else 0


def _join(task: Task, options: argparse.Namespace) -> None:
    """Find the other tasks, by a file in the run's folder; where it is not one run's, in .top1/."""
    from pipeline.runs import read_plan

    folder = CACHE if options.ensemble or options.weights else run_folder(options.what)
    if folder != CACHE:
        read_plan(folder)  # it is a run's, or nothing is written there
    import torch

    from pipeline.ranks import TIMEOUT
    from slurm.rendezvous import join

    cuda = torch.cuda.is_available() and options.device != "cpu"
    join(task, folder, cuda, TIMEOUT.total_seconds())


def _world() -> int:
    """Return how many processes the launcher started. Raises Top1Error where it did not tell this one all."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world > 1:
        from slurm.job import LAUNCHER_VARIABLES

        missing = [name for name in LAUNCHER_VARIABLES if name not in os.environ]
        if missing:
            raise Top1Error(
                f"WORLD_SIZE is {world}, but {', '.join(missing)} "
                f"{'is' if len(missing) == 1 else 'are'} not set. Start the processes with a launcher such "
                "as torchrun, or unset WORLD_SIZE."
            )
    return world


def _check_options(options: argparse.Namespace) -> None:
    """Raise UsageError where options contradict each other."""
    if bool(options.what) == bool(options.ensemble):
        raise UsageError("give one of RUN, RECIPE with --weights, and --ensemble RUN RUN ...")
    if options.ensemble and options.weights:
        raise UsageError("--ensemble averages runs; leave --weights out.")
    if options.new_head and not options.weights:
        raise UsageError("--new-head belongs to --weights FILE.")
    if options.runs and not options.ensemble:
        raise UsageError("--runs says where the result of an --ensemble goes; leave it out.")
    if not options.ensemble and not options.weights and not run_folder(options.what).exists():
        import recipes

        if options.what in recipes.all_recipes():
            raise UsageError(
                f"{options.what} is a recipe, not a run; add --weights torchvision, timm or FILE, "
                "or give a run folder."
            )


def _print(results: list[dict[str, Any]], json: bool) -> int:
    if json:
        return print_json(results[0] if len(results) == 1 else {"results": results})
    for line in dict.fromkeys(map(_line, results)):  # several targets may have one protocol
        print(line)
    return 0


def _line(result: dict[str, Any]) -> str:
    line = (
        f"{result['recipe']}  top-1 {result['top1']:.2f} +-{result['stderr']:.2f}  "
        f"top-5 {result['top5']:.2f}  ECE {result['ece']:.2f}  {result['images']} images  "
        f"{result['protocol']}"
    )
    if listed := result.get("blacklist"):
        line += f"  {listed['entries']} left out by {listed['file']}"
    if members := result.get("ensemble"):
        line += f"  mean of {len(members)} networks"
    if result.get("new_head"):
        line += "  untrained new head"
    found = result.get("published")
    if found and found["top1"] is not None:
        line += f"\n  published  top-1 {found['top1']:.2f}  top-5 {found['top5']:.2f}  {found['protocol']}"
    return line


def _weights(options: argparse.Namespace) -> int:
    from pipeline.published_page import page, rows

    if options.json:
        return print_json({"weights": rows()})
    print(page(rows(), markdown=options.markdown), end="")
    return 0
