"""Whole runs on a GPU: broken off, compiled, profiled; and steps that never wait for it."""

import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState
from commands import Cold, wait_until
from run_results import losses, weights

import recipes
from pipeline.accelerator import start_accelerator
from pipeline.journal import read
from pipeline.noise import noise_batch
from pipeline.plan import make_plan
from pipeline.show import supposed_data
from pipeline.step import train_step
from pipeline.tiny import tiny
from pipeline.trained import prepare_training
from recipes.schema import EMA

OWN = Path(__file__).parents[1] / "faults" / "fault_recipes.py"
DEADLINE = 400.0  # where networks are compiled

RECIPES = ("HEADS", "AVERAGE", "STAGES", "MIXED", "PLAIN")


@pytest.fixture
def train_of(digits, device):
    """Return the command that trains one of the fault campaign's recipes on the GPU."""

    def command(name, folder, *options, epochs=4):
        small = ("--tiny", "--set", f"schedule.epochs={epochs}", "--set", "data.batch_size=16")
        where = ("--data", digits, "--run", folder, "--tracking", "none", "--device", device)
        return ["train", f"{OWN}:{name}", *small, *where, "--threads", "1", "--log-every", "1", *options]

    return command


def finished(command, folder):
    code, text = Cold(command, folder / "output").wait(DEADLINE)
    assert code == 0, text
    return text


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_deterministic_run_that_was_killed_ends_with_the_weights_of_an_unbroken_one(
    recipe, train_of, tmp_path
):
    options = ("--deterministic", "--checkpoint-every", "3")
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    finished(train_of(recipe, whole, *options), tmp_path)
    started = Cold(train_of(recipe, broken, *options), tmp_path / "output")
    seventh = broken / "checkpoints" / "step-000000009.safetensors"
    assert wait_until(seventh.exists, started, DEADLINE), started.output.read_text()
    started.kill()
    assert not (broken / "result.json").exists()
    finished(train_of(recipe, broken, *options), tmp_path)
    assert len((broken / "attempts.jsonl").read_text().splitlines()) >= 2
    assert weights(broken) == weights(whole)
    assert losses(broken) == losses(whole)


@pytest.mark.parametrize(
    ("recipe", "options"),
    [
        ("PLAIN", ("--precision", "bf16")),
        ("MIXED", ("--precision", "fp16")),
        ("STAGES", ("--precision", "bf16", "--set", "progressive.stages=2")),
    ],
)
def test_a_compiled_run_comes_to_its_result(recipe, options, train_of, device, tmp_path):
    finished(train_of(recipe, tmp_path / "run", "--compile", "yes", *options, epochs=2), tmp_path)
    (measured,) = (tmp_path / "run" / "evaluation").glob("*.json")
    error = json.loads(measured.read_text())["ece"]
    measured.unlink()
    finished(["eval", tmp_path / "run", "--device", device, "--threads", "1"], tmp_path)
    assert json.loads(measured.read_text())["ece"] == pytest.approx(error, rel=1e-4)


def test_a_result_of_the_gpu_is_the_cpus(train_of, tmp_path):
    finished(train_of("AVERAGE", tmp_path / "run"), tmp_path)
    (measured,) = (tmp_path / "run" / "evaluation").glob("*.json")
    error = json.loads(measured.read_text())["ece"]
    measured.unlink()
    finished(["eval", tmp_path / "run", "--device", "cpu", "--threads", "1"], tmp_path)
    assert json.loads(measured.read_text())["ece"] == pytest.approx(error, rel=2e-3)


def test_a_profile_has_the_gpus_kernels_and_memory(train_of, device, tmp_path):
    run = tmp_path / "run"
    finished(train_of("PLAIN", run, "--profile"), tmp_path)
    (trace,) = (run / "profile").glob("steps-*.json.gz")
    events = json.loads(gzip.decompress(trace.read_bytes()))["traceEvents"]
    kinds = {event.get("cat") for event in events}
    names = {event.get("name") for event in events}
    assert {"wait for images", "forward", "backward", "optimizer"} <= names
    if device == "cuda":
        assert "kernel" in kinds
        assert len(list((run / "profile").glob("steps-*.memory.pickle"))) == 1
        assert any("system/gpu_memory_peak_gib" in record for record in read(run)[0])


def plan_of(name, device, **changes):
    recipe = tiny(recipes.get(name), 10)
    recipe = replace(recipe, ema=EMA(0.99), **changes)
    recipe = replace(recipe, regularization=replace(recipe.regularization, clip_norm=1.0))
    return make_plan(recipe, supposed_data(recipe), id="x", seed=0, threads=1, device=device)


@pytest.mark.parametrize(
    "name",
    [
        "resnet50",
        "googlenet",
        "efficientnetv2_s",
        "bn_inception",
        "shufflenet_v2_x1_5@torchvision",
        "mobilenet_v3_small",
        "alexnet",
    ],
)
def test_a_step_never_waits_for_the_gpu(name, device):
    AcceleratorState._reset_state(reset_partial_state=True)  # of the test before
    plan = plan_of(name, device)
    trained = prepare_training(plan, start_accelerator(plan))
    batches = [noise_batch(plan, plan.stages[0].image_size, trained.accelerator.device) for _ in range(3)]
    for step in range(2):
        train_step(trained, step, [batches[step]])
    if device == "cuda":
        torch.cuda.set_sync_debug_mode("error")
    try:
        train_step(trained, 2, [batches[2]], logging=True)
    finally:
        if device == "cuda":
            torch.cuda.set_sync_debug_mode("default")
    assert torch.stack(list(trained.losses.values())).isfinite().all()
