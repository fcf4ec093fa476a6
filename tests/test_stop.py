"""Being asked to stop: between steps, in the middle of an evaluation, and after the last step."""

import gzip
import json
import os
from dataclasses import replace

import pytest

import recipes
from pipeline.attempts import begin, note
from pipeline.checkpoint import list_checkpoints, newest_step
from pipeline.errors import Top1Error
from pipeline.journal import read
from pipeline.plan import make_plan
from pipeline.planning import data_facts
from pipeline.report import Report
from pipeline.stop import Stop
from pipeline.tiny import tiny
from pipeline.train import train
from recipes.schema import Steps
from slurm.leave import _check_progress

STEPS = 10  # two epochs of five; an evaluation has two batches, after the first of which it may be left


@pytest.fixture(scope="module")
def plan(small_data):
    recipe = tiny(recipes.get("alexnet"), 10)
    recipe = replace(recipe, schedule=Steps(epochs=2, milestones=(1,)))
    return make_plan(
        recipe,
        data_facts(small_data),
        id="x",
        seed=0,
        threads=1,
        device="cpu",
        log_every=1,
        checkpoint_every=100,
    )


def run(plan, folder, stop_at=None):
    """Train until the question whether to stop is asked the stop_at-th time; return what train returned."""
    asked = iter(range(1, 10_000))
    folder.mkdir(exist_ok=True)
    return train(plan, folder, Report(plan, folder), lambda: 2 if next(asked) == stop_at else 0)


def validated(folder):
    return [record["step"] for record in read(folder)[0] if "val/top1" in record]


@pytest.fixture(scope="module")
def unbroken(plan, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stop") / "unbroken"
    assert run(plan, folder) == Stop.NO
    return folder


@pytest.mark.parametrize(
    ("stop_at", "step", "measured"),
    [
        (3, 3, []),  # between two steps
        (5, 5, []),  # after the last step of an epoch: the evaluation is left to the next attempt
        (6, 5, []),  # after the first batch of the first evaluation
        (12, 10, [5]),  # after the first batch of the evaluation after the last step
        (13, 10, [5, 10]),  # after the first batch of the final measurement
    ],
)
def test_a_run_stops_there_and_the_next_attempt_leaves_nothing_out(
    plan, unbroken, tmp_path, stop_at, step, measured
):
    folder = tmp_path / "run"
    assert run(plan, folder, stop_at) == Stop.NOW
    assert newest_step(folder / "checkpoints") == step
    assert validated(folder) == measured
    assert json.loads((folder / "status.json").read_text())["state"] == "stopped"
    assert run(plan, folder) == Stop.NO
    assert validated(folder) == [5, 10]
    results = [json.loads((path / "result.json").read_text()) for path in (folder, unbroken)]
    for key in ("weights_sha256", "last", "best"):
        assert results[0][key] == results[1][key]


def test_a_run_that_is_profiled_keeps_a_trace_of_named_steps_and_ends_with_the_same_weights(
    plan, unbroken, tmp_path
):
    run(replace(plan, profile=True), tmp_path / "run")
    results = [json.loads((path / "result.json").read_text()) for path in (tmp_path / "run", unbroken)]
    assert results[0]["weights_sha256"] == results[1]["weights_sha256"]
    (trace,) = (tmp_path / "run" / "profile").iterdir()
    assert trace.name == f"steps-{STEPS - 2}-{STEPS}.rank-0.json.gz"  # the last: there are so few
    with gzip.open(trace) as file:
        spans = [one for one in json.load(file)["traceEvents"] if one.get("cat") == "user_annotation"]
    steps = [one for one in spans if one["name"].startswith("ProfilerStep#")]
    assert len(steps) == 3
    for step in steps:
        inside = [
            one["name"] for one in spans if 0 <= one["ts"] - step["ts"] < step["dur"] and one is not step
        ]
        assert inside[:4] == ["wait for images", "forward", "backward", "optimizer"]


def test_long_epochs_are_saved_by_the_clock_too_which_changes_nothing(plan, unbroken, tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.run.SAVE_SECONDS", 0.0)
    kept, given = (
        replace(plan, checkpoint_every=every, log_every=2) for every in (plan.steps_per_epoch, 100)
    )
    for name, one, steps in (("kept", kept, [10, 8]), ("given", given, [10, 5])):
        run(one, tmp_path / name)
        found = list_checkpoints(tmp_path / name / "checkpoints")
        assert [int(path.stem.partition("-")[2]) for path in found] == steps
        result = json.loads((tmp_path / name / "result.json").read_text())
        assert (
            result["weights_sha256"] == json.loads((unbroken / "result.json").read_text())["weights_sha256"]
        )


def test_a_job_whose_attempts_make_no_step_does_not_go_back_for_ever(tmp_path, monkeypatch):
    monkeypatch.setitem(os.environ, "SLURM_JOB_ID", "7")
    for _ in range(2):
        number = begin(tmp_path, "7")
        note(tmp_path, number, step=40)
        note(tmp_path, number, end_step=40, reason="told to go on later")
        _check_progress(tmp_path)
    number = begin(tmp_path, "7")
    note(tmp_path, number, step=40)
    note(tmp_path, number, end_step=40)
    with pytest.raises(Top1Error, match="3 attempts in a row made no step"):
        _check_progress(tmp_path)
    assert "made no step" in (tmp_path / "logs" / "give-up.7").read_text()
