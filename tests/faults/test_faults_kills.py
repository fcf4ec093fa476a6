"""A training process killed at random moments, again and again, ends with the weights of an unbroken one."""

import json
import random
import time

import pytest
from commands import Cold, Started
from run_results import losses, weights

from pipeline.journal import read

RECIPES = ("HEADS", "AVERAGE", "STAGES", "MIXED")
KILLS, LONG_KILLS = 1, 25  # of each recipe
COLD = 5  # every so many kills of the long form is of a process that imports by itself


def where_it_fell(folder):
    """Return in what a run was when it was killed, by what it left."""
    if not (folder / "attempts.jsonl").exists():
        return "start"
    if any((folder / "checkpoints").glob(".*.tmp")):
        return "checkpoint"
    records = read(folder)[0]
    if not records:
        return "first step"
    plan = json.loads((folder / "plan.json").read_text())
    epoch_ended = records[-1]["step"] % plan["steps_per_epoch"] == 0
    if epoch_ended and "val/top1" not in records[-1]:
        return "validation"
    return "final evaluation" if records[-1]["step"] == plan["total_steps"] else "training"


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_run_killed_at_random_moments_ends_with_the_weights_of_an_unbroken_one(
    recipe, train_of, tmp_path, long, record_property
):
    draw = random.Random(recipe)
    unbroken, output = tmp_path / "unbroken", tmp_path / "output"
    began = time.monotonic()
    code, text = Started(train_of(recipe, unbroken), output).wait()
    seconds = time.monotonic() - began
    assert code == 0, text

    kills, runs, fell = 0, 0, {}
    wanted = LONG_KILLS if long else KILLS
    while kills < wanted:
        runs += 1
        broken = tmp_path / f"broken-{runs}"
        finished = False
        while not finished:
            cold = long and kills % COLD == COLD - 1
            started = (Cold if cold else Started)(train_of(recipe, broken), output)
            if kills < wanted:
                gives_up = time.monotonic() + draw.uniform(0.0, seconds + 7.0 * cold)
                while started.is_alive() and time.monotonic() < gives_up:
                    time.sleep(0.001)  # the moment to be killed at, not a wait for anything
            if kills < wanted and started.is_alive():
                started.kill()
                kills += 1
                place = where_it_fell(broken)
                fell[place] = fell.get(place, 0) + 1
            else:
                found = started.wait()
                assert found[0] == 0, output.read_text()
                finished = True
            assert "Traceback" not in output.read_text(), output.read_text()
        assert weights(broken) == weights(unbroken)
        assert losses(broken) == losses(unbroken)  # every step once, with the same loss
    record_property("kills", fell)
    print(f"{recipe}: {kills} kills in {runs} runs: {fell}")
