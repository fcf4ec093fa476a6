"""What clusters do to a job, on a real SLURM: no step is lost or repeated, and the weights are the same."""

import os
import shutil
import signal

from run_results import last_step, losses, weights
from slurm_jobs import Site, job_of, pids_of, top1

from pipeline.attempts import read_attempts
from slurm import dev_cluster
from slurm.dev_processes import recorded

# Two processes on two nodes; dropout included, so that its seeding is part of what must come back. More steps
# than what happens to it takes, also where training goes on fast while this test waits for its turn.
STEPS, EVERY = 200, 3
RUN = ("alexnet", "--tiny", "--nodes", 2, "--gpus", 1, "--checkpoint-every", EVERY,
       "--set", f"schedule.epochs={STEPS // 5}", "--set", "schedule.milestones=(30,)")  # fmt: skip


def test_a_run_survives_all_that_happens_and_ends_with_the_weights_of_an_unbroken_one(site):
    # Two jobs at once on the same nodes, with the same seed: neither joins the other.
    (run,), _ = site.submit(*RUN, cluster=site.describe("hasty", step_seconds=40))
    job = job_of(run)
    site.wait(run, "it has nodes", lambda: site.state(job) == "RUNNING")
    nodes = site.nodes(job)
    (unbroken,), _ = site.submit(
        *RUN, cluster=site.describe("beside", **{"sbatch.nodelist": ",".join(nodes)})
    )

    # A time limit nears: agreed, saved at that very step, back to the queue.
    site.wait_for_step(unbroken, 1)
    site.wait_for_step(run, 8)
    assert nodes == site.nodes(job_of(unbroken))
    site.slurm("scancel", "--signal=USR2", job)
    first, second = site.wait_for_attempt(run, 2)
    assert first.reason == "told to go on later"
    assert second.step == first.end_step
    assert second.restart == 1

    # Preempted by a partition of higher priority, with nothing but SIGTERM. It wants the GPU that the other
    # run leaves on these nodes, or both where that has ended, or SLURM has put this one on nodes of its own.
    other = job_of(unbroken)
    gpus = 1 if site.state(other) == "RUNNING" and site.nodes(job) == site.nodes(other) else 2
    site.slurm("sbatch", "-p", "hi", "-w", ",".join(site.nodes(job)), "-N", 2, f"--gpus-per-node={gpus}",
               "-t", 1, "-o", "/dev/null", "--wrap", "sleep 1")  # fmt: skip
    _, second, third = site.wait_for_attempt(run, 3)
    assert second.reason == "told to end"
    assert third.step == second.end_step
    assert third.restart == 2

    # A rank is killed: started again in the same allocation, from the last checkpoint.
    reached = last_step(run)
    os.kill(site.pid(run, 1), signal.SIGKILL)
    fourth = site.wait_for_attempt(run, 4)[-1]
    assert fourth.restart == 2
    assert fourth.step >= max(third.step, reached - 2 * EVERY)  # the newest may not have been complete

    # A rank hangs: the others notice after step_seconds, and all are started again.
    reached = last_step(run)
    os.kill(site.pid(run, 1), signal.SIGSTOP)
    *_, fourth, fifth = site.wait_for_attempt(run, 5)
    assert "timed out" in fourth.reason.lower()
    assert fifth.restart == 2
    assert fifth.step >= reached - 2 * EVERY

    # A node is lost: SLURM finds out and puts the job on others.
    site.wait_for_end(unbroken)
    reached, lost = last_step(run), site.nodes(job)[1]
    dev_cluster.kill_node(site.folder, lost)
    sixth = site.wait_for_attempt(run, 6)[-1]
    assert sixth.restart == 3
    assert sixth.step >= reached - 2 * EVERY
    assert lost not in site.nodes(job)

    site.wait_for_end(run)
    dev_cluster.start_node(site.folder, lost)
    site.wait(run, f"{lost} is back", lambda: {row[1] for row in dev_cluster.nodes(site.folder)} == {"idle"})
    assert site.slurm("scontrol", "show", "node", "-d").count("GresUsed=gpu:0") == 4
    assert len(read_attempts(unbroken)) == 1
    assert losses(run) == losses(unbroken)  # every step once, with the same loss
    assert [step for step, _ in losses(run)] == list(range(1, STEPS + 1))
    assert weights(run) == weights(unbroken)


def test_a_job_waits_for_data_that_is_away_and_then_goes_on(site, own, tmp_path):
    data, away = tmp_path / "data", tmp_path / "away"
    shutil.copytree(site.data, data)
    (run,), _ = Site(site.folder, site.home, data).submit(own["LONG"], "--gpus", 1, "--checkpoint-every", 3)
    site.wait_for_step(run, 8)
    data.rename(away)
    os.kill(site.pid(run, 0), signal.SIGKILL)
    log, said = run / "logs" / "batch.log", f"data folder {data} does not exist"
    site.wait(run, "the job waits", lambda: said in log.read_text())
    away.rename(data)
    second = site.wait_for_attempt(run, 2)[-1]
    assert second.restart == 0
    assert second.step >= 3
    assert log.read_text().count("The next try is in") == 1
    top1("cancel", run)


def test_a_writer_that_was_left_behind_is_fenced_off(site, own):
    (run,), _ = site.submit(own["LONG"], "--gpus", 1)
    site.wait_for_step(run, 20)
    (left,) = pids_of(run).values()
    # Asked where it is, every process says so, and trains on.
    site.slurm("scancel", "--signal=USR1", job_of(run))
    log = run / "logs" / "task-0.log"
    site.wait(run, "stacks of its threads", lambda: "in train_on_batches" in log.read_text())
    site.wait_for_step(run, last_step(run) + 20)
    (node,) = site.nodes(job_of(run))
    # The node's daemon alone dies: SLURM thinks the node lost, and the process trains on.
    (daemon,) = [one for one in recorded(site.folder) if one.name == node]
    daemon.send(signal.SIGKILL)
    site.wait(
        run,
        "a second attempt",
        lambda: len(read_attempts(run)) == 2 and read_attempts(run)[1].step is not None,
    )
    second = read_attempts(run)[1]
    assert second.restart == 1
    assert second.pid != left
    assert "superseded by attempt 2" in log.read_text()
    site.wait_for_step(run, second.step + 20, attempt=2)
    steps = [step for step, _ in losses(run)]
    assert steps == list(range(1, len(steps) + 1))
    site.slurm("scancel", job_of(run))
    dev_cluster.start_node(site.folder, node)
