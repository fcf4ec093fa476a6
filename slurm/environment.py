"""What a job is told by the shell it is submitted from: nothing of another job or another launcher. Light.

sbatch hands the whole environment on, and takes options from it that go before those of the script. From
within a job (salloc, a notebook on a node, the end of a run's job) those are the options of that job.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator

SLURM = ("SLURM_", "SLURMD_", "SRUN_", "SBATCH_", "SUBMITIT_")
LAUNCHER = re.compile(  # what torchrun tells a process; a job of one process would wait for the others
    "(GROUP_|ROLE_|LOCAL_)?(RANK|WORLD_SIZE)|ROLE_NAME|MASTER_(ADDR|PORT)|TORCHELASTIC_.*"
)
WHERE_SLURM_IS = ("SLURM_CONF", "SLURM_CLUSTERS", "SBATCH_CLUSTERS")
# People set these for all their jobs, SLURM never does.
USUAL = ("account", "partition", "qos", "reservation")


@contextlib.contextmanager
def of_a_new_job(script: str) -> Iterator[None]:
    """Take out of this process's environment, meanwhile, what `script` must not be submitted with."""
    stated = re.findall(r"^#SBATCH --([\w-]+)", script, re.M)
    kept = {*WHERE_SLURM_IS, *(f"SBATCH_{name.upper()}" for name in USUAL if name not in stated)}
    taken = {
        name: os.environ.pop(name)
        for name in list(os.environ)
        if name not in kept and (name.startswith(SLURM) or LAUNCHER.fullmatch(name))
    }
    try:
        yield
    finally:
        os.environ.update(taken)
