"""What can be known to fail before it waits in the queue. Light."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

from pipeline.errors import Top1Error
from pipeline.plan import Plan
from pipeline.show import kept_gigabytes
from slurm.batch import written
from slurm.cluster import Cluster
from slurm.environment import of_a_new_job
from slurm.queue import PATIENCE, has_slurm


def check_folder(runs: Path, plans: list[Plan]) -> None:
    """Raise Top1Error unless the runs' folder can be written and holds what they are going to write."""
    there = next(path for path in (runs.resolve(), *runs.resolve().parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise Top1Error(
            f"{there} cannot be written, and the runs would go below it: {error.strerror}. Choose another "
            "--runs."
        ) from error
    needed = sum(kept_gigabytes(plan.recipe) for plan in plans)
    free = shutil.disk_usage(there).free / 1e9
    if needed > free:
        raise Top1Error(
            f"{there} has {free:.1f} GB left, and the checkpoints of {len(plans)} "
            f"run{'s' if len(plans) > 1 else ''} take {needed:.1f} GB. Free some or choose another --runs."
        )


def check_slurm() -> None:
    """Raise Top1Error where there is no SLURM."""
    if not has_slurm():
        raise Top1Error(
            "there is no SLURM on this machine. Submit from a login node of the cluster, try it on a "
            "cluster of your own (`top1 cluster up`), or run here with --local."
        )


def check_gpus(cluster: Cluster, gpus_per_node: int, where: str) -> None:
    """Raise Top1Error where a node has fewer GPUs than are asked for."""
    if cluster.gpus_per_node and gpus_per_node > cluster.gpus_per_node:
        raise Top1Error(
            f"--gpus {gpus_per_node} asks for more GPUs than a node has: {where} says "
            f"{cluster.gpus_per_node}. Ask for fewer, or for more --nodes."
        )


def check_srun(cluster: Cluster, where: str) -> None:
    """Raise Top1Error where this machine's srun does not know an option that its tasks are to start with."""
    options = shlex.split(" ".join(written({}, cluster.srun)))
    # It reads its options up to --version, and then starts nothing.
    done = subprocess.run(
        ["srun", *options, "--version"], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["no reason given"]
        raise Top1Error(f"srun would not start the tasks: {said[0]}. Correct srun in {where}.")


def check_script(script: str, where: str) -> None:
    """Have SLURM itself judge a script (partition, account, limits, nodes, GPUs) without submitting it."""
    text = "\n".join(line for line in script.splitlines() if not line.startswith("#SBATCH --dependency"))
    with tempfile.NamedTemporaryFile("w", suffix=".sh") as file:
        file.write(text)
        file.flush()
        with of_a_new_job(script):
            done = subprocess.run(
                ["sbatch", "--test-only", file.name], capture_output=True, text=True, timeout=120, check=False
            )
    if done.returncode:
        lines = [
            re.sub(r"^(sbatch: error: )?(allocation failure: )?", "", s) for s in done.stderr.splitlines()
        ]
        said = "; ".join(dict.fromkeys(line for line in lines if line)) or "no reason given"
        raise Top1Error(
            f"SLURM would not take the job: {said}. Correct {where} or --sbatch, or ask for fewer nodes or "
            "GPUs."
        )
