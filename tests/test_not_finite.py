"""A loss that is not finite: named with its images, and gone back from where the recipe allows it."""

import json
import signal
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from run_results import losses, weights
from test_training import FAST, Processes, wait_for_step
from test_training import run as launch

import recipes
from data_prep.folder import prepare_folder
from pipeline.checkpoint import newest_step
from pipeline.data.manifest import Manifest
from pipeline.data.sampling import epoch_order, step_images
from pipeline.early_warning import NotFiniteError
from pipeline.journal import read
from pipeline.not_finite import is_left_out
from pipeline.plan import make_plan
from pipeline.planning import data_facts
from pipeline.report import Report
from pipeline.stop import Stop
from pipeline.tiny import tiny
from pipeline.train import train
from recipes.checks import problems
from recipes.schema import Normalize, Piecewise

STEPS = 5  # of an epoch of the small data
TOO_FAST = 6  # the step with a rate that no weight survives; the loss after it is the first that shows it


def plan_of(recipe, data, skips, **machine):
    facts = {"id": "x", "seed": 0, "threads": 1, "device": "cpu", "log_every": 1} | machine
    return make_plan(replace(recipe, skips=skips), data_facts(data), **facts)


def too_fast(skips, data, **machine):
    """Three epochs of AlexNet's small form, one step of which has a rate of 1e30."""
    periods = ((TOO_FAST / STEPS, 0.01), (1 / STEPS, 1e30), ((3 * STEPS - TOO_FAST - 1) / STEPS, 0.01))
    recipe = replace(tiny(recipes.get("alexnet"), 10), schedule=Piecewise(periods=periods))
    return plan_of(recipe, data, skips, **machine)


def run(plan, folder, stop_at=None):
    """Train until the question whether to stop is asked the stop_at-th time; return what train returned."""
    asked = iter(range(1, 10_000))
    folder.mkdir(exist_ok=True)
    report = Report(plan, folder)
    try:
        return train(plan, folder, report, lambda: 2 if next(asked) == stop_at else 0)
    except NotFiniteError as error:
        report.failed(error)  # as slurm/job.py does
        raise


def left_out(folder):
    return [r["step"] - 1 for r in read(folder)[0] if "train/skipped" in r]


def result(folder):
    return json.loads((folder / "result.json").read_text())


@pytest.fixture(scope="module")
def unbroken(small_data, tmp_path_factory):
    """A run that met the loss, went back to the checkpoint before it and came to its end."""
    folder = tmp_path_factory.mktemp("not_finite") / "unbroken"
    assert run(too_fast(1, small_data), folder) == Stop.NO
    return folder


def test_a_run_stops_and_names_the_step_its_images_and_the_checkpoint_before(small_data, tmp_path):
    plan = too_fast(0, small_data)
    with pytest.raises(NotFiniteError) as caught:
        run(plan, tmp_path / "run")
    message = str(caught.value)
    assert f"the loss of step {TOO_FAST + 1} is " in message
    assert "so training stopped" in message
    assert "before it is of step 5." in message
    split = Manifest.load(small_data).split("train")
    batch = step_images(epoch_order(0, 1, 160), (TOO_FAST + 1) % STEPS, 32)
    paths = [str(split.path(index)) for index in batch]
    shown = ", ".join(path.removeprefix(f"{small_data}/") for path in paths[:3])
    assert f"Its images, {shown} and 29 more, are in " in message
    listed = tmp_path / "run" / "not_finite"
    assert (listed / f"step-{TOO_FAST + 1}.txt").read_text().split() == paths
    assert len((listed / f"step-{TOO_FAST}.txt").read_text().split()) == 32
    assert losses(tmp_path / "run")[-1][0] == TOO_FAST + 2  # the journal keeps the figure that ended it
    assert not np.isfinite(losses(tmp_path / "run")[-1][1])


def test_a_run_that_may_go_back_leaves_out_the_step_and_the_one_before(unbroken):
    assert left_out(unbroken) == [TOO_FAST, TOO_FAST + 1]
    assert result(unbroken)["not_finite"] == [TOO_FAST + 1]
    steps = [step for step, _ in losses(unbroken)]
    assert steps == [s for s in range(1, 3 * STEPS + 1) if s not in (TOO_FAST + 1, TOO_FAST + 2)]
    assert all(np.isfinite(loss) for _, loss in losses(unbroken))
    (warning,) = json.loads((unbroken / "status.json").read_text())["warnings"]
    assert (warning["kind"], warning["step"]) == ("not_finite", TOO_FAST)
    assert "left out: 6, 7;" in warning["text"]


@pytest.mark.parametrize(("saved", "logged"), [(1, 1), (3, 1), (4, 1), (5, 5)])
def test_it_does_not_matter_which_checkpoint_it_goes_back_to(small_data, unbroken, tmp_path, saved, logged):
    # Where every step has a checkpoint, the newest one holds the update that broke the weights.
    folder = tmp_path / "run"
    plan = too_fast(1, small_data, checkpoint_every=saved, log_every=logged)
    assert run(plan, folder) == Stop.NO
    assert weights(folder) == weights(unbroken)
    if logged == 1:
        assert losses(folder) == losses(unbroken)
    assert result(folder)["last"] == result(unbroken)["last"]


@pytest.mark.parametrize("stop_at", [4, 7, 11, 12])
def test_a_run_that_was_stopped_ends_with_the_weights_of_one_that_was_not(
    small_data, unbroken, tmp_path, stop_at
):
    folder = tmp_path / "run"
    plan = too_fast(1, small_data, checkpoint_every=2)
    assert run(plan, folder, stop_at) == Stop.NOW
    assert run(plan, folder) == Stop.NO
    assert weights(folder) == weights(unbroken)
    assert losses(folder) == losses(unbroken)
    assert left_out(folder) == left_out(unbroken)


def test_the_first_step_is_left_out_from_the_first_weights(small_data, tmp_path):
    recipe = replace(tiny(recipes.get("alexnet"), 10), schedule=Piecewise(((0.2, 1e30), (0.8, 0.01))))
    folder = tmp_path / "run"
    assert run(plan_of(recipe, small_data, 1), folder) == Stop.NO
    assert left_out(folder) == [0, 1]


BROKEN = """
from dataclasses import replace
import recipes
from pipeline.tiny import tiny
from recipes.schema import Piecewise
PERIODS = ((1.2, 0.01), (0.2, 1e30), (1.6, 0.01))
BROKEN = replace(tiny(recipes.get("alexnet"), 10), name="broken", schedule=Piecewise(periods=PERIODS))
"""


def test_two_processes_go_back_together_and_one_killed_run_ends_as_one_that_was_not(small_data, tmp_path):
    (tmp_path / "own.py").write_text(BROKEN)
    arguments = ("train", f"{tmp_path / 'own.py'}:BROKEN", "--data", small_data, *FAST, "--set", "skips=1")
    arguments += ("--checkpoint-every", 2, "--run")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    output = launch(*arguments, whole, processes=2)
    assert output.count("going back before it and leaving it out") == 1, "only the main process speaks"
    assert left_out(whole) == [TOO_FAST, TOO_FAST + 1]
    started = Processes(*arguments, killed, processes=2)
    wait_for_step(killed, TOO_FAST + 4, started)
    started.send_signal(signal.SIGKILL)
    started.wait()
    launch(*arguments, killed, processes=2)
    assert weights(killed) == weights(whole)
    assert losses(killed) == losses(whole)
    assert result(killed)["not_finite"] == result(whole)["not_finite"] == [TOO_FAST + 1]


@pytest.fixture(scope="module")
def one_white(tmp_path_factory):
    """Black images, one of them white: of numbers that are too small for anything but black."""
    folder = tmp_path_factory.mktemp("white") / "data"
    for split, count in (("train", 40), ("val", 2)):
        for name in ("n0", "n1"):
            (folder / split / name).mkdir(parents=True)
            for number in range(count):
                grey = 255 if (split, name, number) == ("train", "n1", 7) else 0
                image = Image.fromarray(np.full((32, 32), grey, np.uint8))
                image.save(folder / split / name / f"{number}.JPEG")
    prepare_folder(folder, name="black")
    return folder


def black(data, skips):
    """Two epochs of ten steps; a white pixel becomes infinite when it is normalized."""
    lenet = recipes.get("lenet5")
    recipe = replace(
        lenet,
        schedule=Piecewise(periods=((2, 1e-3),)),
        model=replace(lenet.model, num_classes=2),
        data=replace(lenet.data, batch_size=8, normalize=Normalize(mean=(0.0,), std=(1e-38,))),
    )
    return plan_of(recipe, data, skips)


def steps_of_the_white_image(data):
    split = Manifest.load(data).split("train")
    (white,) = (i for i in range(80) if split.path(i).match("train/n1/7.JPEG"))
    return [
        epoch * 10 + step
        for epoch in range(2)
        for step in range(10)
        if white in step_images(epoch_order(0, epoch, 80), step, 8)
    ]


def test_an_image_that_breaks_the_loss_is_listed_and_left_out_in_every_epoch(one_white, tmp_path):
    folder = tmp_path / "run"
    assert run(black(one_white, 2), folder) == Stop.NO
    first, second = steps_of_the_white_image(one_white)
    assert result(folder)["not_finite"] == [first, second]
    assert left_out(folder) == [s for s in range(20) if is_left_out([first, second], s)]
    for step in (first, second):
        assert "train/n1/7.JPEG" in (folder / "not_finite" / f"step-{step}.txt").read_text()


def test_a_run_goes_back_as_often_as_allowed_and_no_oftener(one_white, tmp_path):
    _, second = steps_of_the_white_image(one_white)
    folder = tmp_path / "run"
    for _ in range(2):  # resumed with the step it left out, it ends at the same one again
        with pytest.raises(NotFiniteError, match=r"It has gone back as often as the recipe allows \(1\)\."):
            run(black(one_white, 1), folder)
        assert newest_step(folder / "checkpoints") == 10
        (earlier, last) = json.loads((folder / "status.json").read_text())["warnings"]
        assert (earlier["kind"], last["kind"], last["step"]) == ("not_finite", "not_finite", second)
        assert f"the loss of step {second} is " in last["text"]


def test_a_number_of_skips_below_zero_is_refused():
    wrong = replace(recipes.get("lenet5"), skips=-1)
    assert problems(wrong) == ["lenet5: skips is -1; it must be 0 or more"]
