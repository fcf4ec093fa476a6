"""Whole runs through the command line: killed and resumed, on other numbers of processes, refused."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import safetensors.torch
import torch

from pipeline.checkpoint import newest_step
from pipeline.journal import read

DEADLINE = 240.0


def top1(*arguments, processes=1):
    command = [sys.executable, "-m", "pipeline.cli", *map(str, arguments)]
    if processes > 1:
        launcher = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes), "--master-port", "0"]
        launcher += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0", "-m", "pipeline.cli"]
        command = [sys.executable, *launcher, *map(str, arguments)]
    return command


def start(*arguments, processes=1):
    return subprocess.Popen(
        top1(*arguments, processes=processes),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def run(*arguments, processes=1, code=0):
    process = start(*arguments, processes=processes)
    output, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == code, output
    return output


def kill_after(process, folder, step):
    """Kill -9 the run and all its processes once its log has passed a step."""
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline and process.poll() is None:
        records, _ = read(folder) if (folder / "metrics.jsonl").exists() else ([], [])
        if records and records[-1]["step"] >= step:
            break
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    output, _ = process.communicate()
    assert process.returncode == -signal.SIGKILL, output


def weights(folder):
    return json.loads((folder / "result.json").read_text())["weights_sha256"]


TINY = {
    "alexnet": ("alexnet", "--tiny", "--set", "schedule.epochs=2", "--set", "schedule.milestones=(1,)"),
    "efficientnetv2_s": ("efficientnetv2_s", "--tiny"),
}
FAST = ("--tracking", "none", "--device", "cpu", "--threads", "1", "--log-every", "1")


@pytest.fixture(scope="session")
def small_data(demo_data, tmp_path_factory):
    """160 training and 40 validation digits: five batches an epoch."""
    from data_prep.folder import prepare_folder

    folder = tmp_path_factory.mktemp("small") / "digits"
    for split, count in (("train", 16), ("val", 4)):
        for source in sorted((demo_data / split).iterdir()):
            target = folder / split / source.name
            target.mkdir(parents=True)
            for file in sorted(source.iterdir())[:count]:
                os.link(file, target / file.name)
    prepare_folder(folder, name="demo-small")
    return folder


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
    killed_at = sorted(random.Random(f"{name}{processes}").sample(range(2, steps - 1), 2))
    for step in killed_at:
        kill_after(start(*arguments, "--run", broken, processes=processes), broken, step)
        assert not (broken / "result.json").exists()
    run("train", "--run", broken, processes=processes)
    assert weights(broken) == weights(unbroken)
    losses = {r["step"]: r["train/loss"] for r in read(unbroken)[0] if "train/loss" in r}
    resumed = [(r["step"], r["train/loss"]) for r in read(broken)[0] if "train/loss" in r]
    assert resumed == sorted(losses.items())  # every step once, with the same loss


def test_the_weights_do_not_depend_on_how_the_batch_is_split(small_data, tmp_path):
    # No dropout (keyed by rank) and no batch norm: only the order of sums may differ.
    arguments = (
        "train",
        *TINY["alexnet"],
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


def test_a_run_that_is_asked_to_stop_saves_and_goes_on(small_data, tmp_path):
    folder = tmp_path / "run"
    arguments = ("train", "lenet5", "--data", small_data, *FAST, "--run", folder)
    process = start(*arguments)
    deadline = time.monotonic() + DEADLINE
    while not (folder / "metrics.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 1
    step = newest_step(folder / "checkpoints")
    assert step > 0
    assert f"stopped at step {step}, saved; start the same command again to go on" in output
    assert json.loads((folder / "status.json").read_text())["state"] == "stopped"
    assert f"attempt 2, from step {step}" in run(*arguments)


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
    arguments = ("train", "lenet5", "--data", small_data, *FAST, "--run", folder)
    first = start(*arguments)
    deadline = time.monotonic() + DEADLINE
    while not (folder / "metrics.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    output = run(*arguments, code=1)
    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=DEADLINE)
    assert "is being trained by another process" in output


def test_fewer_processes_than_planned_are_refused_not_trained_apart(small_data, tmp_path):
    folder = tmp_path / "run"
    environment = {**os.environ, "WORLD_SIZE": "2", "RANK": "0"}  # LOCAL_RANK and the address are missing
    done = subprocess.run(
        top1("train", *TINY["alexnet"], "--data", small_data, *FAST, "--run", folder),
        env=environment,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 1
    assert "the plan is for 2 processes, but 1 joined" in done.stderr


def test_images_of_a_batch_and_their_pixels_are_the_same_at_1_2_and_4_processes(small_data):
    from dataclasses import replace

    import recipes
    from pipeline.data.loader import TrainLoader
    from pipeline.data.manifest import Manifest
    from pipeline.data.sampling import Shard
    from pipeline.plan import make_plan
    from pipeline.planning import data_facts
    from pipeline.tiny import tiny

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
