"""From planned runs to SLURM jobs: which share an array, which wait for which, and what is asked for. Light.

Runs of one shape become one array; a run that begins with another's weights is a job of its own that waits
for it, and is cancelled when that fails.
"""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import Top1Error
from pipeline.journal import read_json_or_none, write_json
from pipeline.plan import Plan, gpu_counts
from recipes.schema import Recipe
from slurm.batch import Job, batch_text, cpus_per_task
from slurm.cluster import Cluster, cluster_from_dict

JOB = "job.json"  # in a run folder: the job that runs it
SUBMITTED = ".submitit"  # among the runs: submitit's pickles and scripts
QUIET = ("SUBMITIT_LOG_LEVEL", "WARNING")  # its own account of each task is not what a log is read for


@dataclass(frozen=True)
class Request:
    """A planned run on so many nodes. parent: the run folder that must be finished before it starts.

    after: a job that must end well before it starts. follows: one that must end, well or not.
    """

    folder: Path
    plan: Plan
    nodes: int
    parent: Path | None = None
    after: str | None = None
    follows: str | None = None

    @property
    def tasks_per_node(self) -> int:
        return self.plan.gpus // self.nodes

    @property
    def shape(self) -> tuple[int, int, str | None]:
        return self.nodes, self.tasks_per_node, self.after


def start_of(recipe: Recipe) -> str | None:
    """Return the name of the recipe whose final weights this one begins with."""
    return recipe.starts_from.recipe if recipe.starts_from else None


def parent_of(recipe: Recipe, seed: int, planned: list[Request]) -> Path | None:
    """Return the planned run whose weights a recipe begins with: that of its seed, else the first."""
    start = start_of(recipe)
    found = [(one.plan.seed != seed, one.folder) for one in planned if one.plan.recipe.name == start]
    return min(found)[1] if found else None


def generation(recipe: Recipe, recipes: list[Recipe]) -> int:
    """Return how many recipes among these come before it, one starting from the other."""
    by_name = {other.name: other for other in recipes}
    count, start = 0, start_of(recipe)
    while start in by_name and count < len(recipes):
        count, start = count + 1, start_of(by_name[start])
    return count


def fitting_shape(recipe: Recipe, nodes: int, gpus: int, micro_batch: int | None) -> tuple[int, int]:
    """Return (nodes, GPUs of each), the most of those given that the recipe's batch divides over."""
    works = set(gpu_counts(recipe, micro_batch, nodes * gpus))
    shapes = [(n, g) for n in range(1, nodes + 1) for g in range(1, gpus + 1) if n * g in works]
    return max(shapes, key=lambda shape: (shape[0] * shape[1], -shape[0]), default=(nodes, gpus))


def groups(requests: list[Request]) -> Iterator[list[Request]]:
    """Yield what is submitted together, parents before children."""
    submitted = {request.folder for request in requests}
    waiting = [r for r in requests if r.parent in submitted]
    free = [r for r in requests if r.parent not in submitted]
    for shape in dict.fromkeys(request.shape for request in free):
        yield [request for request in free if request.shape == shape]
    done = {request.folder for request in free}
    while waiting:
        ready = [request for request in waiting if request.parent in done]
        if not ready:
            names = ", ".join(request.plan.recipe.name for request in waiting)
            raise Top1Error(f"{names} begin with the weights of each other. One has to begin by itself.")
        yield from ([request] for request in ready)
        done |= {request.folder for request in ready}
        waiting = [request for request in waiting if request not in ready]


def job_of(
    cluster: Cluster, group: list[Request], home: Path, parallel: int | None, after: str | None
) -> Job:
    """Return what SLURM is asked for to run a group. home: where submitit keeps its files."""
    first = group[0]
    names = dict.fromkeys(request.plan.recipe.name for request in group)
    python = cluster.python or shlex.quote(sys.executable)
    log = home / ("%A_%a.log" if len(group) > 1 else "%j.log")
    return Job(
        name=",".join(names) if len(names) < 4 else f"top1 ({len(group)} runs)",
        nodes=first.nodes,
        tasks_per_node=first.tasks_per_node,
        cpus_per_task=cpus_per_task(cluster, first.tasks_per_node),
        gpus_per_node=first.tasks_per_node if cluster.gpus_per_node else 0,
        runs=tuple(str(request.folder.resolve()) for request in group),
        command=f"{python} -u -m submitit.core._submit {shlex.quote(str(home / '%j'))}",
        log=str(log),
        again=f"{shlex.quote(sys.executable)} -m slurm.again",
        parallel=parallel,
        after=after or first.after,
        follows=first.follows,
        exports=(("SUBMITIT_EXECUTOR", "slurm"), QUIET),
    )


def scripts(
    cluster: Cluster, requests: list[Request], home: Path, parallel: int | None
) -> Iterator[tuple[list[Request], str]]:
    """Yield each group with the exact script it would be submitted with; the id of a parent is not known."""
    for group in groups(requests):
        after = "ID-OF-PARENT" if group[0].parent in {r.folder for r in requests} else None
        yield group, batch_text(cluster, job_of(cluster, group, home, parallel, after))


def submit_all(
    cluster: Cluster, requests: list[Request], home: Path, parallel: int | None, tell: Callable[[str], None]
) -> dict[Path, str]:
    """Submit every group and write each run's job.json; return the job of every run."""
    from slurm.executor import submit

    jobs: dict[Path, str] = {}
    for group in groups(requests):
        after = jobs.get(group[0].parent) if group[0].parent else None
        job = job_of(cluster, group, home, parallel, after)
        ids = submit(home / "%j", cluster, job)
        for request, id in zip(group, ids, strict=True):
            jobs[request.folder] = id
            write_job(request, cluster, id)
            waits = f", after job {job.after}" if job.after else ""
            tell(f"submitted   {request.plan.recipe.name}, job {id}{waits}, folder {request.folder}")
    return jobs


def write_job(request: Request, cluster: Cluster, id: str) -> None:
    """Note in the run folder which job runs it and on what, for status, cancel and requeue."""
    facts = {"job": id, "submitted": time.time(), "nodes": request.nodes, "cluster": asdict(cluster)}
    write_json(request.folder / JOB, facts)


class Known(NamedTuple):
    """What job.json says: the job, the cluster as it was described, the nodes of the run."""

    job: str
    cluster: Cluster
    nodes: int


def read_job(folder: Path) -> Known | None:
    """Return what is known of a run that was submitted, None for another. Raises Top1Error where damaged."""
    facts = read_json_or_none(folder / JOB)
    if facts is None:
        return None
    try:
        job, nodes, cluster = str(facts["job"]), int(facts["nodes"]), dict(facts["cluster"])
    except (KeyError, TypeError, ValueError) as error:
        raise Top1Error(
            f"{folder / JOB} is damaged: {error!r} is missing or no value of its kind. Remove it; the run is "
            "then one that was not submitted."
        ) from error
    return Known(job, cluster_from_dict(cluster, str(folder / JOB)), nodes)
