"""`top1 show --probe`: one real step of the largest stage, and what to do where it does not fit."""

import json

import pytest

import recipes
from pipeline.cli import main
from pipeline.plan import DataFacts, make_plan
from pipeline.probe import largest_stage, too_large

IMAGENET = DataFacts("/imagenet", "imagenet", 1000, 1_281_167, 50_000, "")


def test_a_step_of_the_largest_stage_is_taken(capsys):
    options = ["--device", "cpu", "--threads", "1", "--probe"]
    assert main(["show", "efficientnetv2_s", "--tiny", *options, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["probe"]
    assert 0 < found["seconds"] < 600
    assert 0.2 < found["memory_gib"] < found["total_gib"]  # torch alone takes some
    assert main(["show", "alexnet", "--tiny", *options]) == 0
    assert "probe       stage 1 of 1, 64 pixels, 32 images a pass x 1: " in capsys.readouterr().out


@pytest.mark.parametrize(("gpus", "advice"), [(8, "--micro-batch 128"), (16, "--micro-batch 128")])
def test_where_it_does_not_fit_a_smaller_part_of_the_batch_is_named(gpus, advice):
    plan = make_plan(
        recipes.get("efficientnetv2_s"), IMAGENET, id="x", gpus=gpus, micro_batch=256, seed=0, threads=1
    )
    assert largest_stage(plan) == plan.stages[-1]
    said = too_large(plan, {"device": "a GPU", "total_gib": 15.7})
    assert "256 images of 300 pixels needs more than the 15.7 GiB of a GPU" in said
    assert advice in said


def test_no_micro_batch_is_advised_that_the_plan_would_refuse():
    # Batch norm over 32 images on one GPU: nothing smaller holds whole groups.
    plan = make_plan(recipes.get("bn_inception"), IMAGENET, id="x", gpus=1, micro_batch=32, seed=0, threads=1)
    assert "Use a GPU with more memory" in too_large(plan, {"device": "a GPU", "total_gib": 15.7})
