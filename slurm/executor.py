"""submitit's executor with a batch script of our own, for arrays too. Heavy: opens submitit.

submitit's script starts its tasks once, and an array is submitted by a plain SlurmExecutor that knows nothing
of a subclass (1.5.4). Ours starts crashed tasks again; the pickles, ids and paths are submitit's.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import submitit
from submitit.core.utils import DelayedSubmission, FailedJobError, FailedSubmissionError, JobPaths

from pipeline.errors import Top1Error
from slurm.batch import Job, batch_text
from slurm.cluster import Cluster
from slurm.environment import of_a_new_job
from slurm.job import run_task


class Executor(submitit.SlurmExecutor):
    """Submits the runs of one Job: one job, or an array with one task for each."""

    def __init__(self, folder: Path, cluster: Cluster, job: Job) -> None:
        super().__init__(folder)
        self.cluster, self.job = cluster, job
        self.parameters |= {"nodes": job.nodes, "ntasks_per_node": job.tasks_per_node}

    @property
    def _submitit_command_str(self) -> str:
        return self.job.command

    def _make_submission_file_text(self, command: str, uid: str) -> str:
        return batch_text(self.cluster, self.job)

    def _internal_process_submissions(
        self, delayed_submissions: list[DelayedSubmission]
    ) -> list[submitit.Job[Any]]:
        if len(delayed_submissions) == 1:
            return super()._internal_process_submissions(delayed_submissions)
        folder = JobPaths.get_first_id_independent_folder(self.folder)
        folder.mkdir(parents=True, exist_ok=True)
        pickles = [folder / f"{uuid.uuid4().hex}.pkl" for _ in delayed_submissions]
        for delayed, pickle in zip(delayed_submissions, pickles, strict=True):
            delayed.set_timeout(0, 0)  # of submitit's own signal handlers, which ours replace
            delayed.dump(pickle)
        array: submitit.Job[Any] = self._submit_command(self._submitit_command_str)
        tasks = list(range(self._num_tasks()))
        jobs: list[submitit.Job[Any]] = [
            submitit.SlurmJob(folder=self.folder, job_id=f"{array.job_id}_{i}", tasks=tasks)
            for i in range(len(pickles))
        ]
        for job, pickle in zip(jobs, pickles, strict=True):
            job.paths.move_temporary_file(pickle, "submitted_pickle")
        return jobs


def submit(folder: Path, cluster: Cluster, job: Job) -> list[str]:
    """Hand the job to SLURM; return the id of each run's. Raises Top1Error with SLURM's own words."""
    executor = Executor(folder, cluster, job)
    try:
        with of_a_new_job(batch_text(cluster, job)):
            jobs = executor.map_array(run_task, job.runs)
    except (FailedJobError, FailedSubmissionError) as error:
        said = [line.strip() for line in str(error).splitlines() if "error:" in line]
        raise Top1Error(
            f"SLURM did not take the job: {' '.join(said) or error}. Nothing of it is in the queue."
        ) from error
    return [one.job_id for one in jobs]
