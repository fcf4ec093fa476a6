"""A run of this machine that failed is brought back here: in smaller passes where its memory ran out."""

import json

import pytest
from commands import Started

from pipeline.attempts import read_attempts
from pipeline.journal import read
from pipeline.runs import read_plan

# It takes the images of the last stage, but not 32 of them at once.
NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, num_classes, dropout, drop_path):
        super().__init__()
        self.layer = nn.Linear(3, num_classes)

    def forward(self, images):
        if self.training and len(images) == 32 and images.shape[-1] == 64:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 42.00 GiB.")
        return self.layer(images.mean((2, 3)) / 100)
"""
RECIPE = """
from dataclasses import replace
import recipes
from pipeline.tiny import tiny
from recipes.schema import Model
SMALL = tiny(recipes.get("efficientnetv2_s"), 10)
NET = Model("net.py:Net", parameters=40, gmacs=1e-6, gmacs_size=64, num_classes=10)
MINE = replace(SMALL, name="mine", model=NET, targets=())
"""


@pytest.fixture
def own(tmp_path):
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "mine.py").write_text(RECIPE)
    return f"{tmp_path / 'mine.py'}:MINE"


def test_memory_that_runs_out_is_told_and_smaller_passes_go_on(own, small_data, tmp_path):
    def top1(*arguments):
        return Started(arguments, tmp_path / "output").wait()

    run = tmp_path / "run"
    code, said = top1("train", own, "--data", small_data, "--run", run, "--tracking", "none",
                      "--device", "cpu", "--threads", 1, "--set", "schedule.epochs=4")  # fmt: skip
    assert code == 1
    first = read_plan(run).stages[-1].first_step
    assert f"memory ran out in step {first + 1}, 32 images of 64 pixels a pass, on " in said
    assert f"`top1 requeue {run} --micro-batch 16`" in said
    assert "Traceback" not in said
    code, said = top1("requeue", run, "--local", "--micro-batch", 16)
    assert code == 0, said
    assert "micro-batch 16 x accumulation 2" in said
    assert [attempt.step for attempt in read_attempts(run)] == [0, first]
    result = json.loads((run / "result.json").read_text())
    assert result["epochs"] == 4
    steps = [int(record["step"]) for record in read(run)[0] if "train/loss" in record]
    assert steps == sorted(set(steps))
    code, said = top1("requeue", run, "--local")
    assert code == 1
    assert "is finished" in said
