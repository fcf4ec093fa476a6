"""`top1 submit`: runs as jobs, on SLURM or on this machine."""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.commands.options import (
    ONE_TASK,
    RUNS,
    add_command,
    add_machine,
    add_run,
    add_sbatch,
    add_science,
    add_start,
    positive,
    print_json,
    recipe_of,
    seed_number,
    usual_runs,
)
from pipeline.errors import UsageError
from pipeline.say import say

if TYPE_CHECKING:
    from pipeline.plan import DataFacts, Plan
    from recipes.schema import Recipe
    from slurm.cluster import Cluster
    from slurm.launch import Request

EXAMPLE = """\
gpus_per_node = 8         # the only key that must be there; 0 is a cluster without
cpus_per_node = 96        # shared out among its GPUs (default: what SLURM says)
partition = "gpu"
account = "vision"
qos = "normal"
memory = "400G"           # of a node
time = "24:00:00"         # a job's limit; it saves and goes back to the queue before
signal_seconds = 120      # how long before its limit a job is told
requeue = true            # false where jobs may not: another job then goes on with the run
constraint = "a100"
exclusive = true
setup = ["module load cuda", "source /home/me/top1/.venv/bin/activate"]
python = "python"         # the tasks', in a container the container's (default: the one that submits)
interface = "ib0"         # the network interface that processes find each other on
startup_seconds = 300     # how long processes wait for each other at the start
step_seconds = 600        # how long a process waits for the others in a step before it gives up
data = "/datasets/imagenet"
runs = "/scratch/me/runs"
tracking = "https://mlflow.example.org"
copy_to = "$TMPDIR"       # a folder on each node's own disk, to which packed data is copied
# Further options, also of what is asked for anyway; false leaves one out, e.g. gpus-per-node = false:
sbatch = { mail-type = "FAIL" }
# ... of the srun that starts the tasks. Runs and data must be at the same paths in a container:
srun = { container-image = "/images/top1.sqsh", container-mounts = "/datasets,/scratch" }
"""


def add(commands: Any) -> None:
    submit = add_command(commands, "submit", _submit, "submit runs through submitit")
    submit.formatter_class = argparse.RawDescriptionHelpFormatter
    submit.epilog = f"A cluster's description, ./cluster.toml or ~/.config/top1/cluster.toml:\n\n{EXAMPLE}"
    submit.add_argument("recipes", nargs="+", metavar="RECIPE", help="one run each")
    submit.add_argument("--data", type=Path, help="prepared data (top1 prep; default: the cluster's)")
    submit.add_argument("--cluster", type=Path, metavar="FILE", help="description of the cluster (see below)")
    add_sbatch(submit)
    submit.add_argument("--nodes", type=positive, default=1, help="nodes of each run (default 1)")
    submit.add_argument("--fit", action="store_true", help="fewer GPUs where a recipe's batch needs it")
    submit.add_argument("--dry-run", action="store_true", help="check all, print the batch scripts")
    submit.add_argument(
        "--seeds", type=seed_number, nargs="+", metavar="N", help="a run of each recipe with each seed"
    )
    submit.add_argument(
        "--average",
        action="store_true",
        help="and measure the average of all these runs, a published ensemble, when they have ended well",
    )
    submit.add_argument("--after", metavar="JOB", help="start when that job, or that run's, has ended well")
    submit.add_argument("--local", action="store_true", help="submitit's local executor, on this machine")
    submit.add_argument(
        "--parallel", type=positive, help="runs at a time (default: 1 with --local, else all)"
    )
    add_science(submit)
    add_machine(submit, "GPUs of each node (default: all it has; 1 with --local)")
    add_run(submit)
    add_start(submit)
    submit.set_defaults(gpus=None, finds_runs=False, once=ONE_TASK)  # they are the described cluster's


def _submit(options: argparse.Namespace) -> int:
    from pipeline.planning import data_facts
    from slurm import checks

    cluster = None if options.local else _cluster(options)
    _complete(options, cluster)
    if cluster is not None and not options.dry_run:
        checks.check_slurm()
    if cluster is not None:
        checks.check_gpus(cluster, options.gpus, str(options.cluster))
        options.after = _job_to_wait_for(options.after)
    planned = _plan_all(options, data_facts(options.data))
    checks.check_folder(options.runs, [request.plan for request in planned])
    if options.average:
        from slurm.average import average_of

        average_of(planned)
    _say_git_state(planned[0].plan)
    if cluster is not None:
        return _submit_slurm(options, cluster, planned)
    if options.dry_run or options.after or options.sbatch:
        raise UsageError("--dry-run, --after and --sbatch are for SLURM; leave --local out.")
    from slurm.submit import run_local

    _write(planned)
    code = run_local(planned, options.parallel, say)
    if options.average and code == 0:
        from slurm.average import command

        say("average     of their networks")
        processes = options.gpus if planned[0].plan.device != "cpu" else 1
        line = command(planned, options.runs, shlex.quote(sys.executable), processes)
        answers = sys.stderr if options.json else None
        code = subprocess.run(shlex.split(line), stdout=answers, check=False).returncode
    say(f"next        top1 leaderboard --runs {options.runs}")
    if options.json:
        print_json({"runs": [_facts(one, None) for one in planned], "average_job": None})
    return code


def _cluster(options: argparse.Namespace) -> Cluster:
    from slurm.cluster import find_cluster, with_options
    from slurm.queue import with_cpus

    options.cluster, cluster = find_cluster(options.cluster)
    return with_cpus(with_options(cluster, options.sbatch, str(options.cluster)))


def _complete(options: argparse.Namespace, cluster: Cluster | None) -> None:
    """Fill in what the options leave to the cluster's description."""
    if cluster is not None:
        options.gpus = options.gpus or cluster.gpus_per_node or 1
        options.data = options.data or (Path(cluster.data) if cluster.data else None)
        options.runs = options.runs or (Path(cluster.runs) if cluster.runs else None)
        options.tracking = options.tracking or cluster.tracking or _untracked()
        options.copy_to = options.copy_to or cluster.copy_to or None
    elif options.nodes > 1:
        raise UsageError(f"--nodes {options.nodes} with --local: this machine is one node. Use --gpus.")
    options.gpus = options.gpus or 1
    options.runs = options.runs or RUNS
    options.parallel = options.parallel or (1 if options.local else None)
    options.threads_of = _threads_of(cluster, options.parallel)
    if options.data is None:
        raise UsageError("give --data DIR, a folder that `top1 prep` has prepared.")


def _untracked() -> str:
    say(
        "tracking    none: sqlite is not for several nodes. `top1 sync` here brings what there is "
        'into MLflow; with tracking = "https://..." in cluster.toml, jobs do while they run'
    )
    return "none"


def _threads_of(cluster: Cluster | None, parallel: int) -> Callable[[int], int]:
    """Return the function from the processes of a node to the threads of each."""
    if cluster is None:
        from pipeline.planning import allotted_threads

        return lambda processes: allotted_threads(processes * parallel)
    from slurm.batch import cpus_per_task

    return lambda processes: cpus_per_task(cluster, processes)


def _plan_all(options: argparse.Namespace, facts: DataFacts) -> list[Request]:
    """Plan every recipe with every seed, parents before the runs that begin with their weights."""
    from slurm.launch import generation

    found = [recipe_of(options, facts.classes, name) for name in options.recipes]
    wanted: list[tuple[Recipe, int]] = []
    for recipe in found:
        # A recipe that is named again gets the next seed.
        again = sum(recipe.name == other.name for other, _ in wanted) if not options.seeds else 0
        wanted += [(recipe, seed + again) for seed in options.seeds or [options.seed]]
    wanted.sort(key=lambda one: generation(one[0], found))
    planned: list[Request] = []
    for recipe, seed in wanted:
        planned.append(_plan_one(recipe, seed, facts, options, planned))
    return planned


def _plan_one(
    recipe: Recipe, seed: int, facts: DataFacts, options: argparse.Namespace, planned: list[Request]
) -> Request:
    from pipeline.planning import new_run
    from slurm.launch import Request, fitting_shape, parent_of

    nodes, gpus = options.nodes, options.gpus
    if options.fit:
        nodes, gpus = fitting_shape(recipe, nodes, gpus, options.micro_batch)
    own = argparse.Namespace(**{**vars(options), "seed": seed})
    own.threads = options.threads or options.threads_of(gpus)
    parent = parent_of(recipe, seed, planned)
    folder, plan = new_run(recipe, facts, own, nodes * gpus, parent)
    while folder in [request.folder for request in planned]:  # planned within the same second
        folder = folder.with_name(f"{folder.name}-{len(planned) + 1}")
    return Request(folder, plan, nodes, parent, options.after)


def _submit_slurm(options: argparse.Namespace, cluster: Cluster, planned: list[Request]) -> int:
    from slurm import average, checks
    from slurm.launch import SUBMITTED, scripts, submit_all
    from slurm.queue import has_slurm

    home = options.runs.resolve() / SUBMITTED
    rendered = [(_describe(g), text) for g, text in scripts(cluster, planned, home, options.parallel)]
    if options.average:
        text = average.script(cluster, planned, options.runs, home, ["IDS-OF-RUNS"])
        rendered.append(("the average of their networks", text))
    if has_slurm():
        checks.check_srun(cluster, str(options.cluster))
        for _, text in rendered:
            checks.check_script(text, str(options.cluster))
    elif options.dry_run:
        say("unchecked   there is no SLURM here, so it has not judged what follows")
    if options.dry_run:
        if options.json:
            return print_json({"scripts": [{"for": what, "text": text} for what, text in rendered]})
        for what, text in rendered:
            print(f"# {what}\n{text}")
        return 0
    _write(planned)
    jobs, average_job = submit_all(cluster, planned, home, options.parallel, say), None
    if options.average:
        text = average.script(cluster, planned, options.runs, home, jobs.values())
        average_job = average.submit(text, home, average.average_of(planned).description)
        log = average.log_of(home, average_job)
        say(f"submitted   their average, job {average_job}, after all of them, log {log}")
    runs = f" --runs {options.runs}" if options.runs != usual_runs() else ""
    say(f"next        top1 status{runs}; top1 logs -f {next(iter(jobs.values()))}{runs}")
    if options.json:
        print_json({"runs": [_facts(one, jobs[one.folder]) for one in planned], "average_job": average_job})
    return 0


def _facts(one: Request, job: str | None) -> dict[str, Any]:
    """Return what --json says of a run; without a job it ran on this machine and has ended."""
    plan = one.plan
    found = {"recipe": plan.recipe.name, "seed": plan.seed, "folder": str(one.folder), "job": job}
    return found | {"nodes": one.nodes, "processes": plan.gpus}


def _write(planned: list[Request]) -> None:
    from pipeline.runs import write_plan

    for request in planned:
        write_plan(request.folder, request.plan)


def _describe(group: list[Request]) -> str:
    names = ", ".join(f"{request.plan.recipe.name} (seed {request.plan.seed})" for request in group)
    first = group[0]
    return f"{names}: {first.nodes} x {first.tasks_per_node} processes" + (" each" if len(group) > 1 else "")


def _job_to_wait_for(text: str | None) -> str | None:
    """Return the job id that --after means: itself, or that of a run folder."""
    if text is None or text.replace("_", "").isdecimal():
        return text
    from slurm.launch import read_job

    found = read_job(Path(text))
    if found is None:
        raise UsageError(f"--after {text} is neither a job's number nor the folder of a submitted run.")
    return found.job


def _say_git_state(plan: Plan) -> None:
    if plan.commit:
        changed = ", with changes that are not committed: nobody can repeat this run" if plan.dirty else ""
        say(f"commit      {plan.commit[:12]}{changed}")
