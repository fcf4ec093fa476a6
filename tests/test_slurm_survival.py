"""What clusters do to a job, on a real SLURM: no step is lost or repeated, and the weights are the same."""

import os
import signal

import pytest
from slurm_jobs import job_of, losses, pids_of, weights

from pipeline.attempts import read_attempts
from pipeline.checkpoint import newest_step

pytestmark = pytest.mark.xdist_group("slurm")

# Two processes on two nodes; dropout included, so that its seeding is part of what must come back.
RUN = ("alexnet", "--tiny", "--nodes", 2, "--gpus", 1, "--checkpoint-every", 3, "--set", "schedule.epochs=30",
       "--set", "schedule.milestones=(20,)")  # fmt: skip


def test_a_run_survives_all_that_happens_and_ends_with_the_weights_of_an_unbroken_one(site):
    (unbroken,), _ = site.submit(*RUN)
    (run,), _ = site.submit(*RUN)
    job = job_of(run)

    # A time limit nears: agreed, saved at that very step, back to the queue.
    site.wait_for_step(run, 10)
    site.slurm("scancel", "--signal=USR2", job)
    site.wait_for_step(run, 20, attempt=2)
    first, second = read_attempts(run)
    assert first.reason == "told to go on later"
    assert second.step == first.end_step
    assert second.restart == 1

    # Preempted by a partition of higher priority, with nothing but SIGTERM.
    site.slurm("sbatch", "-p", "hi", "-N", 4, "--exclusive", "-t", 1, "-o", "/dev/null", "--wrap", "sleep 1")
    site.wait_for_step(run, 40, attempt=3)
    _, second, third = read_attempts(run)
    assert second.reason == "told to end"
    assert third.step == second.end_step

    # A rank is killed: started again in the same allocation, from the last checkpoint.
    os.kill(pids_of(run)[1], signal.SIGKILL)
    site.wait_for_step(run, 60, attempt=4)
    third, fourth = read_attempts(run)[2:]
    assert fourth.restart == third.restart
    assert fourth.step % 3 == 0 or fourth.step % 5 == 0
    assert fourth.step >= 39

    site.wait_for_end(run)
    site.wait_for_end(unbroken)
    assert len(read_attempts(unbroken)) == 1 or read_attempts(unbroken)[0].reason == "told to end"
    assert losses(run) == losses(unbroken)  # every step once, with the same loss
    assert [step for step, _ in losses(run)] == list(range(1, 151))
    assert weights(run) == weights(unbroken)


def test_a_stopped_rank_is_noticed_and_the_tasks_start_again(site):
    hasty = site.describe("hasty", step_seconds=8)
    (run,), _ = site.submit(*RUN, "--set", "schedule.epochs=12", cluster=hasty)
    site.wait_for_step(run, 10)
    os.kill(pids_of(run)[1], signal.SIGSTOP)
    site.wait_for_end(run)
    first, second = read_attempts(run)
    assert "Timed out" in first.reason or "timed out" in first.reason
    assert second.step >= 9


def test_a_cancelled_run_saves_and_stays_away(site):
    (run,), _ = site.submit("lenet5", "--gpus", 1)
    site.wait_for_step(run, 20)
    site.slurm("scancel", job_of(run))
    site.wait_for_end(run, "CANCELLED")
    (attempt,) = read_attempts(run)
    assert attempt.reason == "told to end"
    assert newest_step(run / "checkpoints") == attempt.end_step
