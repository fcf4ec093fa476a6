"""Whole runs through the command line: killed and resumed, on other numbers of processes, refused."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
from commands import Started
from ports import free_port
from run_results import weights

import recipes
from pipeline.accelerator import start_accelerator
from pipeline.checkpoint import newest_step
from pipeline.data.loader import TrainLoader
from pipeline.data.manifest import Manifest
from pipeline.data.sampling import Shard
from pipeline.errors import Top1Error
from pipeline.journal import read
from pipeline.plan import DataFacts, make_plan
from pipeline.planning import data_facts
from pipeline.tiny import tiny

DEADLINE = 240.0


class Processes:
    """One run's processes, started as a launcher would; killed and waited for together."""

    def __init__(self, *arguments, processes=1):
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
        ranks = [
            {"RANK": str(r), "LOCAL_RANK": str(r), "WORLD_SIZE": str(processes), **address}
            for r in range(processes)
        ]
        outputs = Path(tempfile.mkdtemp())
        self.processes = [
            Started(
                arguments,
                outputs / str(number),
                variables={"GLOO_SOCKET_IFNAME": "lo", **(variables if processes > 1 else {})},
            )
            for number, variables in enumerate(ranks)
        ]

    def send_signal(self, signum):
        for process in self.processes:
            process.send_signal(signum)

    def wait(self):
        """Return (exit code of the first process, output of all)."""
        ended = [process.wait(DEADLINE) for process in self.processes]
        shutil.rmtree(self.processes[0].output.parent)
        return ended[0][0], "\n".join(output for _, output in ended)


def run(*arguments, processes=1, code=0):
    found, output = Processes(*arguments, processes=processes).wait()
    assert found == code, output
    return output


def wait_for_step(folder, step, started):
    """Return once the log of a run has passed a step, or fail with the output of its processes."""
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline and started.processes[0].is_alive():
        records = read(folder)[0] if folder.exists() else []
        if records and records[-1]["step"] >= step:
            return
        time.sleep(0.01)
    started.send_signal(signal.SIGKILL)
    pytest.fail(f"never came to step {step}: {started.wait()[1]}")


TINY = {
    "alexnet": ("alexnet", "--tiny", "--set", "schedule.epochs=2", "--set", "schedule.milestones=(1,)"),
    "efficientnetv2_s": ("efficientnetv2_s", "--tiny", "--set", "schedule.epochs=4"),  # one a stage
}
LENET = ("lenet5", "--set", "schedule.periods=((4, 5e-4),)")
FAST = ("--tracking", "none", "--device", "cpu", "--threads", "1", "--log-every", "1")


@pytest.mark.parametrize(
    ("name", "processes"), [("alexnet", 1), ("efficientnetv2_s", 1), ("efficientnetv2_s", 2)]
)
def test_a_run_killed_at_any_step_ends_with_the_weights_of_an_unbroken_one(
    name, processes, small_data, tmp_path
):
    arguments = ("train", *TINY[name], "--data", small_data, *FAST, "--checkpoint-every", 3)
    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    run(*arguments, "--run", unbroken, processes=processes)
    steps = json.loads((unbroken / "plan.json").read_text())["total_steps"]
    killed_at = sorted(
        random.Random(f"{name}{processes}").sample(range(2, steps - 1), 2 if name == "alexnet" else 1)
    )
    for step in killed_at:
        started = Processes(*arguments, "--run", broken, processes=processes)
        wait_for_step(broken, step, started)
        started.send_signal(signal.SIGKILL)
        started.wait()
        assert not (broken / "result.json").exists()
    run("train", "--run", broken, processes=processes)
    assert weights(broken) == weights(unbroken)
    losses = {r["step"]: r["train/loss"] for r in read(unbroken)[0] if "train/loss" in r}
    resumed = [(r["step"], r["train/loss"]) for r in read(broken)[0] if "train/loss" in r]
    assert resumed == sorted(losses.items())  # every step once, with the same loss


def test_the_weights_do_not_depend_on_how_the_batch_is_split(small_data, tmp_path):
    # No dropout (keyed by rank) and no batch norm: only the order of sums may differ. Five steps: later a
    # largest value among equal ones (the digits' background) may be found elsewhere, which then grows.
    arguments = (
        "train",
        *TINY["alexnet"],
        "--set",
        "schedule.epochs=1",
        "--set",
        "regularization.dropout=0.0",
        "--data",
        small_data,
        *FAST,
    )
    one, accumulated, two = tmp_path / "one", tmp_path / "accumulated", tmp_path / "two"
    run(*arguments, "--run", one)
    run(*arguments, "--run", accumulated, "--micro-batch", 8)
    run(*arguments, "--run", two, processes=2)
    plans = [json.loads((folder / "plan.json").read_text()) for folder in (one, accumulated, two)]
    assert [(p["gpus"], p["micro_batch"], p["accumulation"]) for p in plans] == [
        (1, 32, 1),
        (1, 8, 4),
        (2, 16, 1),
    ]
    assert len({p["total_steps"] for p in plans}) == 1
    expected = safetensors.torch.load_file(one / "weights.safetensors")
    for folder in (accumulated, two):
        found = safetensors.torch.load_file(folder / "weights.safetensors")
        for name, tensor in expected.items():
            assert torch.allclose(found[name], tensor, rtol=1e-3, atol=1e-5), name


def test_batch_norm_over_neighbouring_processes_trains_as_over_their_images_in_one(small_data, tmp_path):
    # Statistics over 16 images: of one process's pass, or of two processes' passes of 8.
    short = ("--set", "schedule.epochs=1", "--set", "schedule.milestones=()")
    arguments = ("train", "resnet50@fb_torch+tiny", *short, "--data", small_data, *FAST)
    run(*arguments, "--run", tmp_path / "one", "--micro-batch", 16)
    run(*arguments, "--run", tmp_path / "two", "--micro-batch", 8, processes=2)
    one, two = (
        [r["train/loss"] for r in read(tmp_path / name)[0] if "train/loss" in r] for name in ("one", "two")
    )
    assert two[:3] == pytest.approx(one[:3], rel=1e-4)  # of five; rounding then grows


def test_a_run_that_is_asked_to_stop_saves_and_goes_on(small_data, tmp_path):
    folder = tmp_path / "run"
    arguments = ("train", *LENET, "--data", small_data, *FAST, "--run", folder)
    started = Processes(*arguments)
    wait_for_step(folder, 1, started)
    started.send_signal(signal.SIGTERM)
    code, output = started.wait()
    assert code == 1
    step = newest_step(folder / "checkpoints")
    assert step > 0
    assert f"stopped at step {step}, saved; start the same command again to go on" in output
    assert json.loads((folder / "status.json").read_text())["state"] == "stopped"
    assert f"attempt 2, from step {step}" in run(*arguments, "--profile")  # asked for by now
    assert len(list((folder / "profile").glob("*.rank-0.json.gz"))) == 1


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_step(small_data, tmp_path):
    folder = tmp_path / "run"
    output = run(
        "train",
        *TINY["alexnet"],
        "--set",
        "optimizer.lr=1e30",
        "--data",
        small_data,
        *FAST,
        "--run",
        folder,
        code=1,
    )
    assert "the loss of step 1 is nan, so training stopped" in output.replace("inf", "nan")
    assert "Traceback" not in output
    assert json.loads((folder / "status.json").read_text())["state"] == "failed"


def test_two_processes_cannot_train_one_run(small_data, tmp_path):
    folder = tmp_path / "run"
    arguments = ("train", *LENET, "--data", small_data, *FAST, "--run", folder)
    first = Processes(*arguments)
    wait_for_step(folder, 1, first)
    output = run(*arguments, code=1)
    first.send_signal(signal.SIGTERM)
    first.wait()
    assert "is being trained by another process" in output


def test_a_process_without_its_launchers_variables_is_refused(small_data, tmp_path):
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pipeline.cli",
            "train",
            *TINY["alexnet"],
            "--data",
            small_data,
            *FAST,
            "--run",
            tmp_path / "run",
        ],
        env={**os.environ, "WORLD_SIZE": "2", "RANK": "0"},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 1
    assert "LOCAL_RANK, MASTER_ADDR, MASTER_PORT are not set" in done.stderr
    assert "Traceback" not in done.stderr


def test_processes_that_did_not_join_do_not_train_apart():
    # Accelerate, told nothing, takes every process for the only one and would train N networks.
    recipe = recipes.get("alexnet")
    facts = DataFacts("imagenet", "imagenet", 1000, 1_281_167, 50_000, "")
    plan = make_plan(recipe, facts, id="", gpus=2, seed=0, threads=1)
    with pytest.raises(Top1Error, match="the plan is for 2 processes, but 1 joined"):
        start_accelerator(plan)


def test_images_of_a_batch_and_their_pixels_are_the_same_at_1_2_and_4_processes(small_data):
    recipe = tiny(recipes.get("efficientnetv2_s"), 10)
    recipe = replace(recipe, model=replace(recipe.model, batch_norm=None))
    plan = make_plan(recipe, data_facts(Path(small_data)), id="", seed=5, threads=1)
    split = Manifest.load(small_data).split("train")
    seen = []
    for world in (1, 2, 4):
        loaders = [
            TrainLoader(
                split,
                recipe.data,
                plan.stages,
                seed=plan.seed,
                batch_size=32,
                shard=Shard(rank, world, 32 // world),
            )
            for rank in range(world)
        ]
        steps = zip(*(loader.batches(0, plan.total_steps) for loader in loaders), strict=True)
        seen.append([torch.cat([b.images for b in parts]) for parts in steps])
    for other in seen[1:]:
        assert all(torch.equal(a, b) for a, b in zip(seen[0], other, strict=True))


def test_a_run_whose_tracker_is_unreachable_ends_normally_and_is_delivered_later(
    small_data, tmp_path, refused
):
    folder = tmp_path / "run"
    fast = [option for option in FAST if option not in ("--tracking", "none")]
    run("train", *TINY["alexnet"], "--data", small_data, *fast, "--tracking", refused, "--run", folder)
    assert json.loads((folder / "status.json").read_text())["state"] == "finished"
    assert "top1 sync" in (folder / "logs" / "sync.log").read_text()

    database = f"sqlite:///{tmp_path / 'later.db'}"
    for _ in range(2):  # the second time sends nothing twice
        run("sync", folder, "--tracking", database)
    code = (
        "import json, sys\nfrom mlflow import MlflowClient\nclient = MlflowClient(sys.argv[1])\n"
        "(experiment,) = client.search_experiments(filter_string=\"name = 'top1'\")\n"
        "(run,) = client.search_runs([experiment.experiment_id])\n"
        "history = client.get_metric_history(run.info.run_id, 'train/loss')\n"
        "print(json.dumps([[m.step, m.value] for m in history]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, database], capture_output=True, text=True, check=True, timeout=DEADLINE
    )
    logged = [[r["step"], r["train/loss"]] for r in read(folder)[0] if "train/loss" in r]
    assert sorted(json.loads(done.stdout.splitlines()[-1])) == logged
