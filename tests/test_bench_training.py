"""The benches of training and saving: what they count and compare; how fast anything is, is not tested."""

import json
import time

import pytest

import recipes
from pipeline.bench import startup
from pipeline.bench.images import generate, repeat
from pipeline.bench.training import TrainingBench, plain, told_of
from pipeline.cli import main
from pipeline.data.manifest import Manifest
from pipeline.tiny import tiny

SMALL = ["--batch", "8", "--steps", "2", "--images", "16", "--device", "cpu", "--threads", "1"]


@pytest.fixture
def bench(capsys, tmp_path, monkeypatch):
    """Run a bench of small figures; return its answer."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        assert main(["bench", *arguments, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return run


def test_bench_step_compares_our_loop_with_a_bare_one_and_costs_each_addition(bench):
    found = bench(
        "step", "alexnet+tiny", *SMALL, "--rounds", "6", "--starts", "1", "--peers", "bare", "accelerate"
    )
    rows = {row["name"]: row for row in found["rows"]}
    assert list(rows) == [
        "bare", "accelerate", "top1", "top1, 2 passes a step", "top1, weight average",
        "top1, gradient clipping",
    ]  # fmt: skip
    assert {row["images"] for row in rows.values()} == {16}  # 2 steps of 8, in two passes too
    assert [row["against"] for row in rows.values()] == ["bare"] * 3 + ["top1"] * 3
    assert [(goal["name"], goal["against"], goal["least"]) for goal in found["goals"]] == [
        ("top1", "bare", 0.98)
    ]


def test_bench_train_compares_real_images_with_a_batch_in_memory(bench):
    found = bench("train", "alexnet+tiny", *SMALL, "--rounds", "6", "--starts", "2", "--peers", "torchvision")
    synthetic, ours, peer = found["rows"]
    assert [row["name"] for row in found["rows"]] == ["synthetic", "top1", "torchvision"]
    assert {row["rounds"] for row in found["rows"]} == {6}  # of two processes each
    assert synthetic["verdict"] == "baseline"
    assert ours["against"] == peer["against"] == "synthetic"
    assert 0 < ours["data_wait_share"] < 1


def test_bench_stages_trains_each_stage_at_its_size(bench):
    found = bench("stages", "efficientnetv2_s+tiny", *SMALL)
    # Four sizes at equal distances (Tan & Le 2021, Algorithm 1), the small form's from 32 to 64 pixels.
    assert [row["image_size"] for row in found["rows"]] == [round(32 + 32 * i / 3) for i in range(4)]
    assert all(row["images_per_second"] > 0 < row["first_step_seconds"] for row in found["rows"])


def test_a_start_is_timed_part_by_part_over_a_manifest_of_any_length(tmp_path):
    many = repeat(generate(tmp_path / "images", 16, 1), 1000, tmp_path / "many")
    assert len(Manifest.load(many).split("train")) == 1000
    recipe = plain(tiny(recipes.get("alexnet"), 10), 8, keep=True)
    setting = TrainingBench(recipe, batch=8, steps=1, rounds=6, threads=1, device="cpu")
    told = told_of(setting, recipe, many, tmp_path / "run", feed="data")
    began = time.monotonic()
    parts = startup.start("top1", told)
    assert list(parts) == [
        "interpreter", "imports", "manifest", "processes, device", "network, manifest again", "first batch",
        "first step",
    ]  # fmt: skip
    assert min(parts.values()) > 0
    assert sum(parts.values()) < time.monotonic() - began


def test_bench_checkpoint_saves_all_that_a_run_keeps(bench, tmp_path):
    found = bench("checkpoint", "resnet18@torchvision", "--rounds", "6", "--runs", str(tmp_path / "disk"))
    # 11.69 million parameters (He et al. 2015) and as many momenta, four bytes each.
    assert found["machine"]["bytes"] == pytest.approx(2 * 4 * 11.69e6, rel=0.01)
    assert [row["name"] for row in found["rows"]] == ["top1", "torch.save"]
    assert list((tmp_path / "disk").iterdir()) == []


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--rounds", "2"], "cannot tell a difference"),
        (["--batch", "2000"], "fewer than one --batch"),
        (["--stage", "4"], "has the stages 0 to 0"),
    ],
)
def test_a_bench_of_training_that_cannot_tell_is_refused(capsys, tmp_path, monkeypatch, options, expected):
    monkeypatch.chdir(tmp_path)
    assert main(["bench", "step", "alexnet+tiny", *options]) == 2
    assert expected in capsys.readouterr().err
