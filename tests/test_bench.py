"""The benches and the doctor: what they count and say; how fast anything is, is not tested."""

import io
import json
import time
from importlib import metadata

import pytest
import torch

from pipeline import doctor, machine
from pipeline.bench.child import measured_rounds
from pipeline.bench.figures import Goal, Ratio, Timing, goal_json, ratio_of, row_json
from pipeline.bench.figures import Row as BenchRow
from pipeline.cli import main


def timings(*cpu_seconds, images=100):
    return [Timing(images, 2 * seconds, seconds) for seconds in cpu_seconds]


def test_rows_are_compared_round_by_round_so_that_a_slow_minute_slows_both():
    # Every round of the second row takes 1.25 times as long, while the machine gets ten times slower.
    base = [1.0, 1.1, 1.3, 2.0, 4.0, 6.0, 8.0, 10.0]
    ratio = ratio_of(timings(*base), timings(*(1.25 * s for s in base)))
    assert ratio.value == pytest.approx(1.25)
    assert ratio.spread == pytest.approx(0.0, abs=1e-12)


def test_a_difference_inside_the_spread_is_undecided():
    assert Ratio(1.02, 0.05).beside(1.0) == "undecided"
    assert Ratio(1.06, 0.05).beside(1.0) == "above"
    assert Ratio(0.90, 0.05).beside(1.0) == "below"


def test_the_spread_is_the_order_statistics_interval_of_the_median():
    # For ten rounds the 95 % interval of the median is from the 2nd smallest to the 2nd largest (97.9 %).
    other = timings(*[1.0] * 10)
    mine = [Timing(n, 1.0, 1.0) for n in (90, 91, 99, 100, 100, 100, 101, 103, 104, 190)]
    ratio = ratio_of(mine, other)
    assert ratio.value == 1.0
    assert ratio.spread == pytest.approx(0.09)


def test_a_row_and_a_goal_say_what_they_are_against():
    made = {"dali": timings(*[1.0] * 8), "top1": timings(*[0.5] * 8)}
    row = row_json(BenchRow("top1", "dali"), made)
    assert row.keys() >= {"name", "images_per_second", "images_per_cpu_second", "ratio", "spread"}
    assert (row["ratio"], row["verdict"], row["images_per_cpu_second"]) == (2.0, "faster", 200.0)
    assert row_json(BenchRow("dali", "dali"), made)["verdict"] == "baseline"
    assert goal_json(Goal("top1", "dali", 1.5), made)["verdict"] == "reached"
    assert goal_json(Goal("dali", "top1", 1.0), made)["verdict"] == "missed"


class Gpu:
    """Has 0.2 s of work for every batch, asked of it after it was waited for: by a thread that goes ahead."""

    asked, busy_until = False, 0.0

    def batches(self):
        while True:
            self.asked = True
            yield [0]

    def synchronize(self):
        time.sleep(max(0.0, self.busy_until - time.perf_counter()))
        if self.asked:
            self.asked, self.busy_until = False, time.perf_counter() + 0.2


def test_a_round_ends_when_the_gpu_too_has_done_its_work(monkeypatch):
    gpu = Gpu()
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "synchronize", gpu.synchronize)
    timing = next(measured_rounds(gpu.batches(), 1, io.StringIO()))
    assert timing.images == 1
    assert timing.seconds >= 0.2


def test_bench_loader_measures_every_row_on_the_same_images(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = [
        "--images",
        "32",
        "--batch",
        "16",
        "--rounds",
        "6",
        "--starts",
        "1",
        "--sizes",
        "32",
        "--threads",
        "1",
    ]
    options += ["--storage", "--peers", "imagefolder"]
    assert main(["bench", "loader", *options, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found.keys() >= {"machine", "baseline", "rows"}
    names = [row["name"] for row in found["rows"]]
    assert names == ["dali", "top1", "imagefolder", "top1 pack"]
    assert {row["images"] for row in found["rows"]} == {32}
    assert {row["rounds"] for row in found["rows"]} == {6}
    assert {goal["verdict"] for goal in found["goals"]} <= {"reached", "missed", "undecided"}


@pytest.mark.parametrize(
    ("options", "expected"),
    [(["--rounds", "2"], "cannot tell a difference"), (["--images", "33", "--batch", "16"], "no multiple")],
)
def test_a_bench_that_cannot_tell_is_refused(capsys, tmp_path, monkeypatch, options, expected):
    monkeypatch.chdir(tmp_path)
    assert main(["bench", "loader", *options]) == 2
    assert expected in capsys.readouterr().err


def test_doctor_finds_this_environment_sound_and_probes_the_loader(capsys, demo_data, tmp_path):
    assert main(["doctor", "--data", str(demo_data), "--runs", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["problems"] == []
    assert found["cuda"]["dali"] == [found["cuda"]["torch"]]
    assert found["versions"]["torch"] == metadata.version("torch")
    assert found["probe"]["images_per_second"] > 0
    assert found["cpus"]["allotted"] <= found["cpus"]["machine"]


@pytest.mark.parametrize(
    ("cuda", "builds", "expected"),
    [
        (13, [13], None),
        (12, [13], "built for CUDA 12 and DALI for CUDA 13"),
        (13, [], "python -m pip install -e '.[cu13]'"),
        (12, [], "python -m pip install -e '.[cu12]'"),
        (13, [12, 13], "both write to one folder"),
        (11, [12], "DALI comes for CUDA 12 and 13"),
    ],
)
def test_doctor_says_when_torch_and_dali_disagree_and_what_to_do(cuda, builds, expected):
    problems = doctor.dali_problems(cuda, builds, "2.15.0")
    assert len(problems) == (expected is not None)
    assert all(expected in problem for problem in problems)


def test_doctor_names_what_is_missing_without_a_traceback():
    found = doctor.library_problems({"torch": "2.15.0", "timm": None}, opens={"torch": False})
    assert found[0].startswith("timm is not installed")
    assert found[1].startswith("torch 2.15.0 is installed and cannot be opened")


def test_the_build_of_dali_is_read_from_its_distributions_name():
    assert machine.dali_builds().keys() == {13}


def test_bench_eval_compares_whole_evaluations_on_the_same_files(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = [
        "--images",
        "8",
        "--batch",
        "4",
        "--rounds",
        "6",
        "--starts",
        "1",
        "--threads",
        "1",
        "--ten-crop",
        "--json",
    ]
    assert main(["bench", "eval", "--network", "shufflenet_v2_x0_5", *asked]) == 0
    found = json.loads(capsys.readouterr().out)
    names = [(row["name"], row["against"]) for row in found["rows"]]
    assert names == [
        ("imagefolder", "imagefolder"),
        ("top1", "imagefolder"),
        ("imagefolder ten_crop", "imagefolder ten_crop"),
        ("top1 ten_crop", "imagefolder ten_crop"),
    ]
    assert {row["images"] for row in found["rows"]} == {8}
    assert [goal["least"] for goal in found["goals"]] == [1.0, 1.0]
