"""What a plan asks of a cluster: the arithmetic by hand, and the page that shows it."""

import json
import re
from pathlib import Path

import pytest

import recipes
from pipeline.cli import main
from pipeline.plan import make_plan
from pipeline.scale import bytes_text, scale_of
from pipeline.scale import scale_of_show as shown
from pipeline.show import IMAGENET

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "scale.md").read_text()


def plan_of(name, gpus):
    return make_plan(recipes.get(name), IMAGENET, id="", gpus=gpus, seed=0, threads=1)


def test_the_numbers_are_those_worked_out_by_hand():
    plan = plan_of("alexnet", 8)
    model, size = plan.recipe.model, plan.stages[0].image_size
    scale = scale_of(plan, nodes=2, gmacs_per_second=1000, checkpoint_bytes=2e9)
    assert scale.gradient_bytes == 4 * model.parameters
    assert scale.sent_bytes == pytest.approx(2 * 7 / 8 * 4 * model.parameters)
    seconds = 3 * model.gmacs * (size / model.gmacs_size) ** 2 * 16 / 1000
    assert scale.step_seconds == pytest.approx(seconds)
    assert scale.images_per_second == pytest.approx(64 / seconds)  # 4 GPUs a node, 16 images each
    assert scale.read_bytes == pytest.approx(64 / seconds * 115_440, rel=1e-4)
    assert scale.opens_per_second == pytest.approx(128 / seconds)
    assert scale.needed_bandwidth == pytest.approx(scale.sent_bytes / (seconds * 2 / 3))
    assert scale.checkpoint_seconds == pytest.approx(2)


def test_one_gpu_sends_nothing():
    assert scale_of(plan_of("alexnet", 1), 1, 1000, 0).sent_bytes == 0


@pytest.mark.parametrize("gpus", [8, 64, 512])
def test_the_page_shows_what_the_command_says(gpus):
    plan = plan_of("efficientnetv2_s", gpus)
    scale = shown(plan, gpus // 8)
    row = re.search(rf"^\| {gpus} \|(.*)\|$", PAGE.split("<!-- test: table -->")[1], re.M)[1]
    assert [cell.strip() for cell in row.split("|")] == [
        f"{plan.micro_batch} x {plan.accumulation}",
        bytes_text(scale.sent_bytes),
        f"{1000 * scale.step_seconds:.3g} ms",
        f"{bytes_text(scale.needed_bandwidth)}/s",
        f"{scale.images_per_second:,.0f}",
        bytes_text(scale.read_bytes),
        f"{scale.opens_per_second:,.0f}",
        f"{scale.calls_at_start:,}",
    ]


def test_show_ends_with_it(capsys):
    assert main(["show", "alexnet", "--nodes", "2", "--gpus", "8"]) == 0
    assert "scale on 16 GPUs of 2 nodes, on paper" in capsys.readouterr().out
    assert main(["show", "alexnet", "--nodes", "2", "--gpus", "8", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["scale"]["gpus"] == 16
