"""Submitting to a real SLURM: the script that is shown is the one that runs; arrays, chains, plain sbatch."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from run_results import losses
from slurm_jobs import DEADLINE, ENDED, job_of, top1

from pipeline.attempts import read_attempts
from pipeline.checkpoint import newest_step
from slurm import average
from slurm.batch import Job, batch_text
from slurm.cluster import read_cluster

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def limited(site, own):
    """A run that will meet its time limit while the other tests run; its tasks find no command of SLURM's."""
    # SLURM counts in minutes and may send the signal a little before 75 s are left of the two.
    keys = {"time": "0:02:00", "signal_seconds": 75, "srun.export": "ALL,PATH=/nowhere"}
    (run,), _ = site.submit(own["LONG"], "--gpus", 1, cluster=site.describe("limited", **keys))
    return run


@pytest.fixture(scope="module")
def cut_off(site):
    """Two jobs whose tasks die each time they are told to stop, and never leave; one has saved before that.

    Returns the runs and their jobs.
    """
    cluster, found = read_cluster(site.describe("brief", time="1", signal_seconds=30)), []
    for name in ("saved", "unsaved"):
        run = site.home / "cut off" / name
        saves = f"mkdir -p {shlex.quote(str(run / 'checkpoints' / 'step-01'))};" if name == "saved" else ""
        command = f"bash -c {shlex.quote(saves + 'exec sleep 600')}"
        job = Job(name, 1, 1, 1, 0, (str(run),), command, log="/dev/null")
        (site.home / f"{name}.sh").write_text(batch_text(cluster, job))
        found.append((run, site.slurm("sbatch", "--parsable", site.home / f"{name}.sh").strip()))
    return found


def without_stamps(text):
    # Two folders of one second are told apart by a number at the end.
    return re.sub(r"\d{8}-\d{6}-seed0(-\d+)?", "STAMP", text)


@pytest.mark.usefixtures("cut_off")
def test_a_dry_run_prints_the_script_that_is_then_submitted(site, own, limited):
    shown = top1(
        "submit", own["LONG"], "--gpus", 1, "--data", site.data, "--cluster", site.home / "limited.toml",
        "--runs", site.home / "runs", "--tracking", "none", "--device", "cpu", "--log-every", 1, "--dry-run",
    )  # fmt: skip
    job = job_of(limited)
    script = (site.home / "runs" / ".submitit" / job / f"{job}_submission.sh").read_text()
    assert "#SBATCH --time=0:02:00" in script
    assert without_stamps(script) in without_stamps(shown)


def test_an_array_ends_well_but_for_the_run_that_fails_and_what_waits_for_that_is_cancelled(site, own):
    # The child is named first, and is submitted after the run whose weights it begins with.
    (*runs, child), said = site.submit(own["CHILD"], own["GOOD"], own["BAD"], "--gpus", 1, "--parallel", 2)
    assert "tracking    none: sqlite is not for several nodes. `top1 sync` here" in said
    assert json.loads((child / "plan.json").read_text())["tracking"] is None
    array = job_of(runs[0]).partition("_")[0]
    assert [job_of(run) for run in runs] == [f"{array}_0", f"{array}_1"]
    assert json.loads((child / "plan.json").read_text())["init_weights"] == str(runs[1])
    with pytest.MonkeyPatch.context() as shell:  # of a task of another job that torchrun has started there
        for name, value in (("RANK", 1), ("WORLD_SIZE", 2), ("SLURM_NTASKS", 2), ("SBATCH_GPUS_PER_NODE", 9)):
            shell.setenv(name, str(value))
        (other,), _ = site.submit(own["GOOD"], "--gpus", 1, "--after", runs[0], "--profile")
    site.wait_for_end(runs[1], "FAILED")
    site.wait_for_end(child, "CANCELLED")
    site.wait_for_end(runs[0])
    assert "result  top-1" in top1("logs", "-f", other, "--runs", site.home / "runs")  # until it ends
    site.wait_for_end(other)
    assert [path.name.partition(".")[2] for path in (other / "profile").iterdir()] == ["rank-0.json.gz"]
    assert not (child / "attempts.jsonl").exists()  # it never began
    (attempt,) = read_attempts(runs[1])  # what failed for a reason is not tried again
    assert "the loss of step" in attempt.reason
    answer = json.loads(top1("status", "--runs", site.home / "runs", "--json"))["runs"]
    rows = {row["run"]: row for row in answer}
    states = [rows[str(run)]["state"] for run in (*runs, child, other)]
    assert states == ["finished", "failed", "cancelled", "finished"]
    assert "the loss of step" in rows[str(runs[1])]["reason"]
    assert f"{rows[str(runs[0])]['top1']:.2f}" in top1("logs", job_of(runs[0]), "--runs", site.home / "runs")


def test_a_published_average_is_measured_after_its_runs_and_not_where_one_fails(site, own):
    _, said = site.submit(own["PAIR"], own["BAD"], "--gpus", 1, "--average")
    never = re.search(r"their average, job (\d+)", said)[1]
    runs, said = site.submit(own["PAIR"], "--seeds", 0, 1, "--gpus", 1, "--average")
    averages = [row for row in rows_of(site) if row["run"] == "average of 2 pair"]
    assert averages[-1]["job"] == re.search(r"their average, job (\d+)", said)[1]
    assert averages[-1]["state"] == "pending"
    job, log = re.search(r"their average, job (\d+), after all of them, log (.+)$", said, re.M).groups()
    site.wait(runs[0], f"job {job} ended", lambda: site.state(job) in ENDED)
    assert site.state(job) == "COMPLETED", Path(log).read_text()
    (folder,) = (site.home / "runs" / "pair").glob("*-ensemble2")
    (result,) = json.loads((folder / "result.json").read_text())["results"]
    assert (result["target"], result["images"]) == (0, 40)
    members = json.loads((folder / "ensemble.json").read_text())["members"]
    assert [member["run"] for member in members] == [str(run) for run in runs]
    again = top1("eval", "--ensemble", *runs, "--runs", folder / "again", "--json")
    assert json.loads(again[again.index("{") :])["top1"] == result["top1"]
    site.wait(runs[0], f"job {never} ended", lambda: site.state(never) in ENDED)
    assert site.state(never) == "CANCELLED"
    states = {row["job"]: row["state"] for row in rows_of(site) if row["job"] in (job, never)}
    assert states == {never: "cancelled"}  # what was measured is among the runs, and no row of its own


def rows_of(site):
    return json.loads(top1("status", "--runs", site.home / "runs", "--json"))["runs"]


def test_an_average_that_nobody_published_is_refused_before_anything_is_submitted(site, own):
    said = top1("submit", own["GOOD"], "--seeds", 0, 1, "--gpus", 1, "--average", "--data", site.data,
                "--dry-run", "--cluster", site.describe("default"), "--device", "cpu", code=1)  # fmt: skip
    assert "no published number is the average of 2 good" in said


def test_where_no_job_may_go_back_to_the_queue_another_one_goes_on(site, own):
    strict = site.describe("strict", requeue=False, **{"srun.export": "ALL,PATH=/nowhere"})
    (run, other), said = site.submit(own["LONG"], "--seeds", 0, 1, "--gpus", 1, "--average", cluster=strict)
    average = re.search(r"their average, job (\d+)", said)[1]
    (child,), _ = site.submit(own["GOOD"], "--gpus", 1, "--after", run, cluster=strict)
    job = job_of(run)
    site.wait_for_step(run, 20)
    site.slurm("scancel", "--signal=USR2", job)
    site.wait(run, "another job", lambda: job_of(run) != job)
    site.wait_for_step(run, read_attempts(run)[0].end_step + 5, attempt=2)
    first, second = read_attempts(run)
    assert second.step == first.end_step >= 20
    assert (second.job, second.restart) == (job_of(run), 0)
    assert site.state(job) == "FAILED"  # and was not tried again
    assert "SLURM did not put job" in top1("logs", run, "--batch")
    for waiting in (job_of(child), average):
        assert f"afterok:{job_of(run)}" in site.slurm("squeue", "-h", "-j", waiting, "-o", "%E")
    assert site.state(job_of(other)) == "RUNNING"
    for one in (run, other):
        top1("cancel", one, "--runs", site.home / "runs")
        site.wait_for_end(one, "CANCELLED")
    assert [step for step, _ in losses(run)] == list(range(1, losses(run)[-1][0] + 1))
    site.wait_for_end(child, "CANCELLED")
    site.wait(other, f"job {average} ended", lambda: site.state(average) in ENDED)
    assert site.state(average) == "CANCELLED"


def test_on_this_machine_too_a_run_waits_for_the_one_whose_weights_it_begins_with(own, site, tmp_path):
    names = (own["CHILD"], own["HEIR"], own["BAD"], own["GOOD"])
    said = top1("submit", *names, "--local", "--parallel", 3, "--data", site.data, "--runs", tmp_path,
                "--tracking", "none", "--device", "cpu", code=1)  # fmt: skip
    assert re.findall(r"^finished +(\w+)", said, re.M) == ["good", "heir"]
    assert "top1: child was not started: the run whose weights it begins with did not finish." in said
    (heir,) = (tmp_path / "heir").iterdir()
    (good,) = (tmp_path / "good").iterdir()
    assert json.loads((heir / "plan.json").read_text())["init_weights"] == str(good)


def test_two_nodes_of_two_train_like_one_process_and_the_run_goes_on_as_one(site):
    # No dropout (keyed by rank) and no batch norm: only the order of gradients' sums may differ.
    arguments = ("alexnet", "--tiny", "--set", "schedule.epochs=6", "--set", "schedule.milestones=(4,)",
                 "--set", "regularization.dropout=0.0", "--micro-batch", 8)  # fmt: skip
    (four,), _ = site.submit(*arguments, "--nodes", 2, "--gpus", 2)
    (one,), _ = site.submit(*arguments, "--gpus", 1)
    site.wait_for_step(four, 8)
    runs = ("--runs", site.home / "runs")
    assert "saves at the next step" in top1("cancel", four, *runs)
    site.wait_for_end(four, "CANCELLED")
    done = read_attempts(four)[0].end_step
    assert read_attempts(four)[0].reason == "told to end"
    assert newest_step(four / "checkpoints") == done >= 8  # it saved, and did not come back
    said = top1("requeue", four, "--nodes", 1, "--gpus", 1, "--sbatch", "comment=again", *runs)
    assert "Comment=again" in site.slurm("scontrol", "show", "job", "-o", job_of(four))
    assert "1 processes, micro-batch 8 x accumulation 4" in said
    before, after = (json.loads((four / name).read_text()) for name in ("plan.json", "plan.2.json"))
    assert {key for key in before if before[key] != after[key]} == {"gpus", "accumulation"}
    site.wait_for_end(four)
    site.wait_for_end(one)
    assert "is finished" in top1("requeue", four, *runs, code=1)

    assert read_attempts(four)[1].step == done
    assert [step for step, _ in losses(four)] == [step for step, _ in losses(one)] == list(range(1, 31))
    found, expected = ([loss for _, loss in losses(run)] for run in (four, one))
    assert found[:6] == pytest.approx(expected[:6], rel=1e-4)
    # Later a largest value among equal ones (the digits' background) may be found elsewhere.
    assert found == pytest.approx(expected, rel=0.1)


def test_plain_sbatch_trains_and_goes_back_to_the_queue(site, own, tmp_path):
    (tmp_path / "top1").write_text(f'#!/bin/sh\nexec {sys.executable} -m pipeline.cli "$@"\n')
    (tmp_path / "top1").chmod(0o755)
    os.environ["PATH"], path = f"{tmp_path}:{os.environ['PATH']}", os.environ["PATH"]
    run = site.home / "runs" / "plain" / "first"
    try:
        said = site.slurm(
            "sbatch", "--parsable", "--ntasks-per-node=1", "--gpus-per-node=1", "--cpus-per-task=2", "-o",
            tmp_path / "out", f"--export=ALL,RUN={run}", ROOT / "slurm" / "train.sbatch", own["LONG"],
            "--data", site.data, "--device", "cpu", "--log-every", 1,
        )  # fmt: skip
    finally:
        os.environ["PATH"] = path
    job = said.strip()

    def reached(attempt, step):
        found = read_attempts(run)
        return len(found) >= attempt and bool(losses(run)) and losses(run)[-1][0] >= step

    site.wait(run, "step 50", lambda: reached(1, 50))
    # A task has the CPUs that sbatch was given for it, and the run as many threads.
    assert "CPUs=2 " in site.slurm("scontrol", "show", "step", "-o", f"{job}.0")
    plan = json.loads((run / "plan.json").read_text())
    assert (plan["threads"], plan["tracking"]) == (2, None)
    site.slurm("scancel", "--signal=USR2", job)
    site.wait(run, "a second attempt", lambda: reached(2, 60) and read_attempts(run)[1].step is not None)
    first, second = read_attempts(run)
    assert second.step == first.end_step
    assert (first.job, second.job, second.restart) == (job, job, 1)
    assert json.loads(top1("status", run, "--json"))["runs"][0]["state"] == "running"
    site.slurm("scancel", job)


ALLOCATED = """
srun {top1} train {run} > {out}/copies 2>&1 < /dev/null
srun {top1} train {run} --slurm
srun {top1} train {run} --slurm && srun {top1} eval {folder} --slurm --device cpu --json > {out}/measured
"""


def test_an_allocation_trains_goes_on_and_measures_by_srun(site, tmp_path):
    run = tmp_path / "run"
    asked = f"alexnet --tiny --set schedule.epochs=12 --set schedule.milestones='(4,)' --data {site.data} "
    asked += f"--run {run} --micro-batch 8 --device cpu --threads 1 --tracking none --log-every 1"
    python = f"{sys.executable} -m pipeline.cli"
    script = ALLOCATED.format(top1=python, run=asked, folder=run, out=tmp_path)
    said = (tmp_path / "said").open("w")
    allocation = subprocess.Popen(
        ["salloc", "--nodes=2", "--ntasks-per-node=1", "bash", "-c", script], stdout=said, stderr=said
    )
    site.wait(run, "step 2", lambda: losses(run) and losses(run)[-1][0] >= 2)
    (first,) = read_attempts(run)
    assert (
        "srun started 2 of this command, and each would do all of it. Add --slurm"
        in (tmp_path / "copies").read_text()
    )
    site.slurm("scancel", "--signal=TERM", f"{first.job}.1")
    assert allocation.wait(DEADLINE) == 0, (tmp_path / "said").read_text()
    first, second = read_attempts(run)
    assert 2 <= first.end_step == second.step < 60
    assert [step for step, _ in losses(run)] == list(range(1, 61))
    assert json.loads((run / "plan.json").read_text())["gpus"] == 2
    expected = json.loads((run / "result.json").read_text())["results"]
    found = json.loads((tmp_path / "measured").read_text())  # told by the main process alone
    for one, again in zip(expected, found.get("results", [found]), strict=True):
        assert [one[key] for key in ("top1", "images")] == [again[key] for key in ("top1", "images")]


def test_where_the_description_has_no_cpus_slurm_is_asked(site, own):
    said = top1("submit", own["GOOD"], "--gpus", 1, "--data", site.data, "--device", "cpu", "--dry-run",
                "--cluster", site.describe("unknown", cpus_per_node=0))  # fmt: skip
    assert "#SBATCH --cpus-per-task=2\n" in said  # nodes of 4 CPUs and 2 GPUs


def test_the_plain_script_is_the_one_that_is_written():
    from slurm.batch import plain_script

    assert (ROOT / "slurm" / "train.sbatch").read_text() == plain_script()


def test_a_real_time_limit_loses_no_step(site, limited):
    site.wait(limited, "a second attempt", lambda: len(read_attempts(limited)) >= 2)
    site.wait_for_step(limited, read_attempts(limited)[0].end_step + 1, attempt=2)
    first, second = read_attempts(limited)[:2]
    assert first.reason == "told to go on later"
    assert second.step == first.end_step
    steps = [step for step, _ in losses(limited)]
    assert steps == list(range(1, len(steps) + 1))
    assert "it goes back to the queue" in top1("logs", limited, "--batch")
    site.slurm("scancel", job_of(limited))


def test_what_its_time_limit_cuts_off_comes_back_where_it_came_on(site, cut_off):
    (saved, back), (unsaved, away) = cut_off
    site.wait(unsaved, f"job {away} ended", lambda: site.state(away) in ENDED)
    assert site.state(away) == "TIMEOUT", site.story(unsaved)
    site.wait(saved, "it comes back", lambda: "Restarts=0" not in site.slurm("scontrol", "show", "job", back))
    for run in (saved, unsaved):  # when it was told it died, and was started again
        assert "starting the tasks again" in (run / "logs" / "batch.log").read_text()
    site.slurm("scancel", back)


def test_a_job_knows_nothing_of_the_job_it_is_submitted_from(site, tmp_path, monkeypatch):
    # sbatch takes SBATCH_... before what its script says. SBATCH_QOS is how people state theirs once for all.
    around = {
        "SLURM_JOB_ID": "7", "SLURM_MEM_PER_CPU": "1", "SUBMITIT_EXECUTOR": "slurm", "SBATCH_QOS": "mine",
        "SBATCH_GPUS_PER_NODE": "9", "SBATCH_PARTITION": "nowhere", "TORCHELASTIC_RUN_ID": "x",
        "RANK": "1", "LOCAL_WORLD_SIZE": "2", "MINE": "1",
    }  # fmt: skip
    for name, value in around.items():
        monkeypatch.setenv(name, value)
    log = tmp_path / "log"
    script = f"#!/bin/bash\n#SBATCH --partition=debug\n#SBATCH --output={log}\nenv\necho end\n"
    job = average.submit(script, tmp_path, "2 pair")
    site.wait(tmp_path, "it ends", lambda: log.exists() and "\nend\n" in log.read_text())
    told = dict(line.split("=", 1) for line in log.read_text().splitlines() if "=" in line)
    assert {name: told[name] for name in around if name in told} == {
        "SLURM_JOB_ID": job, "SBATCH_QOS": "mine", "MINE": "1"
    }  # fmt: skip
    assert os.environ["RANK"] == "1"  # here all is as before


@pytest.mark.parametrize(
    ("keys", "options", "expected"),
    [
        ({"partition": "gpuu"}, [], "invalid partition specified: gpuu"),
        ({}, ["--gpus", 4], "--gpus 4 asks for more GPUs than a node has"),
        ({"gpus_per_node": 8}, ["--gpus", 4], "Requested node configuration is not available"),
        ({}, ["--nodes", 8, "--gpus", 1], "SLURM would not take the job"),
        ({}, ["--nodes", 3, "--gpus", 1], "GPU counts that work"),
        ({}, ["--sbatch", "partition=gpuu"], "invalid partition specified: gpuu"),
        ({"srun.container-imag": "x"}, [], "srun would not start the tasks: srun: unrecognized option"),
        ({}, ["--gpus", 1, "--runs", "/dev/null/runs"], "cannot be written, and the runs would go below it"),
    ],
)
def test_what_cannot_run_is_refused_before_the_queue(site, keys, options, expected):
    file = site.describe("refused", **keys)
    said = top1(
        "submit", "alexnet", "--tiny", "--data", site.data, "--cluster", file, "--runs", site.home / "none",
        "--tracking", "none", *options, code=1,
    )  # fmt: skip
    assert expected in said
    assert len([line for line in said.splitlines() if line.startswith("top1: ")]) == 1
    assert not (site.home / "none").exists()
