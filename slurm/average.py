"""Measuring the average of runs that were submitted together, once all of them have ended well. Light."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from pipeline.ensemble import Ensemble, ensemble_of
from pipeline.errors import Top1Error
from slurm.batch import Job, cpus_per_task, plain_text, written
from slurm.cluster import Cluster
from slurm.environment import of_a_new_job
from slurm.launch import Request
from slurm.queue import PATIENCE


def average_of(requests: list[Request]) -> Ensemble:
    """Return the ensemble that planned runs will be. Raises Top1Error where it is none that was published."""
    found = ensemble_of([one.folder for one in requests], [one.plan for one in requests])
    if not found.targets:
        raise Top1Error(
            f"no published number is the average of {found.description}; `top1 show` says which there are. "
            "Leave --average out; `top1 eval --ensemble RUN RUN ... --protocol P` measures any."
        )
    return found


def command(requests: list[Request], runs: Path, python: str, processes: int) -> str:
    """Return the shell command that measures the average by so many processes of this machine."""
    words = ["--standalone", f"--nproc-per-node={processes}", "-m", "pipeline.cli", "eval"]
    words += ["--runs", str(runs.resolve()), "--device", requests[0].plan.device]
    folders = [str(one.folder.resolve()) for one in requests]
    return f"{python} -m torch.distributed.run {shlex.join([*words, '--ensemble', *folders])}"


def script(cluster: Cluster, requests: list[Request], runs: Path, home: Path, jobs: Iterable[str]) -> str:
    """Return what SLURM is given: one node, a process for each of its GPUs, after `jobs` have ended well.

    home: where its log goes.
    """
    python = cluster.python or shlex.quote(sys.executable)
    processes = cluster.gpus_per_node or 1
    job = Job(
        name=f"average of {average_of(requests).description}",
        nodes=1,
        tasks_per_node=1,
        cpus_per_task=processes * cpus_per_task(cluster, processes),
        gpus_per_node=cluster.gpus_per_node,
        runs=(),
        # Once it is measured it stands among the runs, and need not be told of any more.
        command=f"srun {' '.join(written({'unbuffered': ''}, cluster.srun))} \\\n"
        f"  {command(requests, runs, python, processes)} && \\\n"
        f"  rm -f {shlex.quote(str(home))}/average-$SLURM_JOB_ID.txt",
        log=str(log_of(home, "%j")),
        after=":".join(jobs),  # each for itself: one of them may go on in another job
    )
    return plain_text(cluster, job)


def submit(text: str, home: Path, description: str) -> str:
    """Hand a script to SLURM, note its job for `top1 status`, and return it.

    Raises Top1Error with SLURM's words.
    """
    with of_a_new_job(text):
        done = subprocess.run(
            ["sbatch", "--parsable"],
            input=text,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    if done.returncode:
        raise Top1Error(
            f"SLURM did not take the job that measures the average: {done.stderr.strip()}. The runs are "
            "submitted; `top1 eval --ensemble RUN RUN ...` measures it once they have ended."
        )
    job = done.stdout.strip().partition(";")[0]
    (home / f"average-{job}.txt").write_text(description, encoding="utf-8")
    return job


def log_of(home: Path, job: str) -> Path:
    return home / f"average-{job}.log"


def submitted(home: Path) -> Iterator[tuple[str, str]]:
    """Yield (job, what it averages) of each that is not measured yet, by number. home: as in `script`."""
    for path in sorted(home.glob("average-*.txt")):
        yield path.stem.removeprefix("average-"), path.read_text(encoding="utf-8", errors="replace")
