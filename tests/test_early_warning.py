"""What a log shows to be going wrong: from made records where figures decide, from real runs else."""

import json
import math
import random
import re
import statistics
import time
from dataclasses import replace

import pytest
from commands import Started
from ports import free_port

import recipes
from pipeline import waited, warning_rules, watch
from pipeline.attempts import begin, note
from pipeline.cli import main
from pipeline.data import bulk_read
from pipeline.early_warning import Log, Onset
from pipeline.journal import Journal, read
from pipeline.plan import DataFacts, make_plan
from pipeline.planning import data_facts
from pipeline.report import Report
from pipeline.tiny import tiny
from pipeline.train import train
from pipeline.waited import Waiting, longest
from pipeline.warning_rules import expected_epoch, find, onsets_in
from pipeline.watch import Watch, watch_of
from recipes.schema import Piecewise

IMAGENET = DataFacts("/imagenet", "imagenet", 1000, 1_281_167, 50_000, "")
EVERY = 50  # steps between two records
SECONDS = 15.0


def plan_for(name="resnet50", facts=IMAGENET, gpus=8, **changes):
    return make_plan(replace(recipes.get(name), **changes), facts, id="x", gpus=gpus, seed=0, threads=1)


PLAN = plan_for()


def records(speeds=(), losses=None, waits=None, first=EVERY, plan=PLAN, **more):
    """One record for each figure, EVERY steps and SECONDS apart; what is not given goes as it should."""
    count = max(len(given) for given in (speeds, losses or (), waits or ()))
    found = []
    for number in range(count):
        step = first + number * EVERY
        found.append(
            {
                "step": step,
                "epoch": plan.epoch_at(step),
                "time": 1e9 + step / EVERY * SECONDS,
                "train/images_per_second": speeds[number] if speeds else 1000.0,
                "train/loss": losses[number] if losses else 3.0,
                "train/data_wait_share": waits[number] if waits else 0.01,
                **more,
            }
        )
    return found


def found_in(given, onsets=None, plan=PLAN, **log):
    return find(Log(plan, given, **log), onsets or {})


# ---------------------------------------------------------------- throughput


def test_speed_is_held_against_the_median_of_the_same_run():
    found = found_in(records([1000] * 30 + [600] * 5))
    assert found.keys() == {"throughput"}
    assert found["throughput"].limit == 800  # 80% of the median
    assert found["throughput"].text.startswith(
        "600 img/s in the last 60 s, 60% of the 1000 that this run had in this stage; "
    )
    assert not found_in(records([1000] * 30 + [710] * 5))
    assert not found_in(records([1000] * 30 + [600] * 2)), "the last five records are 838 img/s"
    # 5 records of equal images take 3/1000 + 2/600 of a time each: 5 / 0.006333 = 789 img/s, above 700
    assert 5 / (3 / 1000 + 2 / 600) > 700


def test_a_slow_run_stays_slow_until_it_has_come_back_to_80_percent():
    on = {"throughput": Onset(1700, 800.0)}
    long_slow = [1000] * 30 + [600] * 200  # by now 600 is its median
    assert not found_in(records(long_slow))
    assert found_in(records(long_slow), on)["throughput"].limit == 800
    assert found_in(records([*long_slow, *[790] * 5]), on)
    assert not found_in(records([*long_slow, *[810] * 5]), on)


def test_the_slow_first_records_of_an_attempt_are_not_held_against_it():
    assert not found_in(records([1000] * 30 + [100, 300, 600] + [1000] * 5), starts=[0, 1500])
    assert found_in(records([1000] * 30 + [600] * 8), starts=[0, 1500])
    few = records([1000] * 30 + [600] * 7)  # three of them settle, four are left
    assert not found_in(few, starts=[0, 1500])


def test_few_records_and_short_times_say_nothing():
    assert not found_in(records([1000] * 22 + [100] * 5)), "three settle, 19 are left"
    assert found_in(records([1000] * 23 + [100] * 5))
    quick = [
        r | {"time": r["time"] / SECONDS / 10} for r in records([1000] * 30 + [100] * 5, waits=[0.9] * 35)
    ]
    assert not found_in(quick), "3.5 seconds in all"


def test_another_hardware_begins_anew():
    moved = records([1000] * 40 + [500] * 10)
    assert found_in(moved, starts=[0])
    assert not found_in(moved, starts=[0, 2000], moved=2000)


def test_a_stage_is_held_against_itself():
    plan = plan_for("efficientnetv2_s")
    switch = plan.stages[1].first_step
    before = records([1000] * 40, first=switch - 40 * EVERY + 1, plan=plan)
    after = records([400] * 40, first=before[-1]["step"] + EVERY, plan=plan)
    assert before[-1]["step"] <= switch < after[0]["step"]
    for count in range(1, 41):
        assert not found_in([*before, *after[:count]], plan=plan)
    slower = records([200] * 5, first=after[-1]["step"] + EVERY, plan=plan)
    assert "50% of the 400" in found_in([*before, *after, *slower], plan=plan)["throughput"].text
    on = {"throughput": Onset(switch - 100, 900.0)}
    assert not found_in([*before, *after[:10]], on, plan=plan), "over with the stage it began in"


# ---------------------------------------------------------------- waiting


def test_waiting_counts_by_the_time_it_takes():
    # Records of equal images at 100 and 1000 img/s take 10 : 1 of the time.
    mixed = records([1000] * 10 + [100, 1000, 1000, 1000, 1000], waits=[0.0] * 10 + [0.3, 0, 0, 0, 0])
    share = 0.3 * 10 / (10 + 4)
    found = found_in(mixed)["data_wait"]
    assert found.text.startswith(f"{share:.0%} of the last 60 s went by waiting for images; ")
    assert not found_in(records(waits=[0.19] * 10))
    assert found_in(records(waits=[0.15] * 10), {"data_wait": Onset(500, 0.1)}), "over below 10% only"
    assert not found_in(records(waits=[0.09] * 10), {"data_wait": Onset(500, 0.1)})


def test_a_host_that_waits_while_its_gpu_is_busy_starves_nobody():
    assert not found_in(records(waits=[0.6] * 10, **{"train/data_wait_gpu_percent": 97.0}))
    assert found_in(records(waits=[0.6] * 10, **{"train/data_wait_gpu_percent": 55.0}))


def test_of_several_processes_the_one_that_waits_most_is_named():
    hosts = ("n1", "n1", "n2", "n2")
    given = records(waits=[0.6] * 10, **{"train/data_wait_process": 2})
    assert "went by waiting for images in process 2 on n2; give" in text_of(found_in(given, hosts=hosts))
    assert "went by waiting for images in process 2; give" in text_of(found_in(given))
    for number, record in enumerate(given):
        record["train/data_wait_process"] = number % 4
    assert "waiting for images, now in one process, now in another; give" in text_of(found_in(given))


def text_of(found):
    return found["data_wait"].text


def test_the_process_that_the_others_wait_for_is_the_one_whose_gpu_is_idle():
    assert longest([Waiting(1.0), Waiting(3.0), Waiting(2.0)]) == 1
    assert longest([Waiting(3.0, 99.0), Waiting(2.0, 40.0), Waiting(1.0, 30.0)]) == 1
    assert longest([Waiting(3.0, 99.0), Waiting(2.0, 98.0)]) == 0


# ---------------------------------------------------------------- the loss


def noisy(level, count, seed=0, deviation=0.05):
    draw = random.Random(seed)
    return [level + draw.gauss(0, deviation) for _ in range(count)]


def test_a_spike_is_told_with_where_the_loss_was_and_ends_when_half_of_it_is_gone():
    calm = noisy(2.5, 40)
    levels = calm[-20:]
    usual = statistics.median(levels)
    deviation = 1.4826 * statistics.median(abs(level - usual) for level in levels)
    margin = max(6 * deviation, math.log(1000) / 4)
    assert margin == math.log(1000) / 4, "1.7 of the 6.9 that guessing costs"
    found = found_in(records(losses=[*calm, usual + margin + 0.01]))["loss_spike"]
    assert found.limit == pytest.approx(usual + margin / 2)
    assert f"where it was {usual:.3g}" in found.text
    assert not found_in(records(losses=[*calm, usual + margin - 0.01]))
    on = {"loss_spike": Onset(2000, found.limit)}
    assert found_in(records(losses=[*calm, 6.9, 6.9, found.limit + 0.01]), on)
    assert not found_in(records(losses=[*calm, 6.9, 6.9, found.limit - 0.01]), on)
    assert found_in(records(losses=[*calm, *[6.9] * 100]), on), "what lasts does not become usual"


def test_the_loss_of_a_run_that_learns_is_no_spike():
    falling = [6.9 * math.exp(-n / 40) + noise for n, noise in enumerate(noisy(1, 300, deviation=0.1))]
    for count in range(1, 301):
        assert not found_in(records(losses=falling[:count]))


def test_single_images_are_averaged_before_they_are_judged():
    # One image a step: one of twenty is misread, at a loss of 4; in a mean over 256 that is 0.2 +- 0.05.
    draw = random.Random(0)
    losses = [4.0 if draw.random() < 0.05 else 0.01 for _ in range(6000)]
    plan = plan_for("lenet5", DataFacts("/mnist", "mnist", 10, 60_000, 10_000, ""), gpus=1)
    every_step = [
        {"step": step, "epoch": step / 60_000, "time": 1e9 + step / 100, "train/loss": loss}
        for step, loss in enumerate(losses, 1)
    ]
    for end in range(3000, 6001, 7):
        assert not found_in(every_step[:end], plan=plan)
    broken = [r | {"train/loss": 2.3} for r in every_step[-256:]]
    assert "loss_spike" in found_in([*every_step[:-256], *broken], plan=plan)


# ---------------------------------------------------------------- dead learning


def validation(epoch, top1, plan=PLAN, **more):
    return {"step": int(epoch * plan.steps_per_epoch), "epoch": epoch, "time": 1e9, "val/top1": top1, **more}


def test_chance_is_one_in_the_number_of_classes_and_five_standard_errors():
    limit = 0.1 + 5 * 100 * math.sqrt(0.001 * 0.999 / 50_000)
    dead = found_in([], validation=validation(20, limit - 0.001))["dead_learning"]
    assert dead.limit == pytest.approx(limit)
    assert dead.text.startswith("top-1 is 0.17 after epoch 20, what guessing gives (0.10); ")
    assert not found_in([], validation=validation(20, limit + 0.001))
    assert not found_in([], validation=validation(20, 0.1, **{"val/raw_top1": 5.0})), "the average lags"


def test_without_a_curve_learning_is_expected_five_epochs_after_the_warm_up():
    assert expected_epoch(plan_for("resnet50")) == 5  # of 120, no warm-up
    assert expected_epoch(plan_for("efficientnetv2_s")) == 10  # a warm-up of five
    assert expected_epoch(plan_for(schedule=Piecewise(((8, 0.1),)))) == 2  # a quarter of eight
    small = replace(IMAGENET, train_images=25_600)
    assert expected_epoch(plan_for(facts=small)) == 10  # 100 steps an epoch: 1,000 steps
    assert not found_in([], validation=validation(4, 0.1))
    assert found_in([], validation=validation(5, 0.1))


def test_a_reference_curve_says_when_learning_is_expected():
    # A tenth of the way from 0.1% to 100% is 10.09%.
    plan = plan_for(curve=((1, 3.0), (2, 10.0), (3, 20.0), (90, 75.0)))
    assert expected_epoch(plan) == 3
    assert not found_in([], plan=plan, validation=validation(2, 0.1))
    text = found_in([], plan=plan, validation=validation(3, 0.1))["dead_learning"].text
    assert "where the recipe's curve is well above it" in text
    changed = plan_for(curve=((1, 3.0), (2, 20.0)), modified=("optimizer.lr: 0.1 -> 0.2",))
    assert expected_epoch(changed) == 5, "another recipe's curve"


def test_a_curve_that_makes_no_sense_is_refused():
    from recipes.checks import problems

    for curve, said in (
        (((2, 10.0), (1, 20.0)), "must climb"),
        (((121, 10.0),), "from 0 to 120 at most"),
        (((1, 110.0),), "not between 0 and 100"),
    ):
        (problem,) = problems(replace(recipes.get("resnet50"), curve=curve))
        assert said in problem


# ---------------------------------------------------------------- beginning and ending


def test_a_warning_is_logged_once_where_it_begins_and_once_where_it_ends(monkeypatch):
    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.0)
    given = records(losses=[*noisy(2.5, 30), *[6.9] * 4, *noisy(2.5, 5)])
    seen = Watch(PLAN, [], [0], 0)
    changes = {r["step"]: seen.see(r["step"], r["epoch"], r) for r in given}
    assert {step: list(change) for step, change in changes.items() if change} == {
        1550: ["warning/loss_spike"],
        1750: ["warning/loss_spike"],
    }
    assert changes[1550]["warning/loss_spike"] > 0
    assert changes[1750]["warning/loss_spike"] == 0
    assert seen.warnings == []


def test_a_resumed_run_goes_on_with_the_warnings_it_had(tmp_path, monkeypatch):
    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.0)
    given = records(losses=[*noisy(2.5, 30), *[6.9] * 4])
    seen = Watch(PLAN, [], [0], 0)
    with Journal(tmp_path) as journal:
        for record in given:
            values = {key: value for key, value in record.items() if key.startswith("train/")}
            values |= seen.see(record["step"], record["epoch"], record)
            journal.append(record["step"], record["epoch"], **values)
    (before,) = seen.warnings
    assert onsets_in(read(tmp_path)[0]).keys() == {"loss_spike"}
    note(tmp_path, begin(tmp_path), step=given[-1]["step"])
    resumed = watch_of(PLAN, tmp_path, given[-1]["step"])
    (after,) = resumed.warnings
    assert (after.kind, after.step) == (before.kind, before.step) == ("loss_spike", 1550)
    later = records(losses=[6.9] * 4, first=given[-1]["step"] + EVERY)
    assert [resumed.see(r["step"], r["epoch"], r) for r in later] == [{}] * 4, "told already"


def test_looking_is_cheap():
    seen = Watch(PLAN, records(losses=noisy(2.5, 1000)), [0], 0)
    begun = time.process_time()
    for _ in range(10):
        seen._find()
    assert (time.process_time() - begun) / 10 < 0.05  # of each second


# ---------------------------------------------------------------- real runs


def run(recipe, data, folder, **machine):
    facts = {"id": "x", "seed": 0, "threads": 1, "device": "cpu", "log_every": 1} | machine
    plan = make_plan(recipe, data_facts(data), **facts)
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text(json.dumps(plan.to_dict()))
    train(plan, folder, Report(plan, folder), lambda: 0)
    return read(folder)[0]


def status(folder):
    return json.loads((folder / "status.json").read_text())["warnings"]


def test_a_jump_of_the_rate_makes_a_spike_that_the_run_tells_of(demo_data, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.0)
    # 44 steps an epoch, eight of which make a level of 256 images: ten levels after two epochs.
    recipe = tiny(recipes.get("alexnet"), 10)
    recipe = replace(recipe, schedule=Piecewise(((3, 0.01), (2 / 44, 0.1), (1, 1e-3))))
    folder = tmp_path / "net" / "run"
    logged = run(recipe, demo_data, folder)
    begun = [r["step"] for r in logged if r.get("warning/loss_spike")]
    assert begun
    assert 3 * 44 < begun[0] <= 3 * 44 + 16, "within two levels of the jump"
    told = [line for line in capsys.readouterr().err.splitlines() if "  loss_spike: " in line]
    assert len(told) == len(begun), "busy cores have a warning of their own"
    assert told[0].startswith(f"warning  step {begun[0]}  loss_spike: the loss is ")
    over = [r["step"] for r in logged if r.get("warning/loss_spike") == 0]
    on = [warning for warning in status(folder) if warning["kind"] == "loss_spike"]
    assert bool(on) == (len(over) < len(begun))


def test_a_rate_of_nothing_is_dead_learning_and_status_shows_it(small_data, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))  # no SLURM
    recipe = replace(recipes.get("lenet5"), schedule=Piecewise(((8, 1e-30),)))  # 160 steps an epoch
    folder = tmp_path / "runs" / "net" / "run"
    logged = run(recipe, small_data, folder, log_every=160)
    (first,) = [r for r in logged if r.get("warning/dead_learning")]
    assert first["epoch"] == 7, "the first validation after 1,000 steps"
    assert "val/top1" in first
    (warning,) = status(folder)
    assert (warning["kind"], warning["step"]) == ("dead_learning", 7 * 160)
    assert main(["status", "--runs", str(tmp_path / "runs")]) == 0
    table, below = capsys.readouterr().out.split("\n\n")
    assert table.startswith("run ")
    assert below.splitlines()[1].split()[:3] == ["net/run", "dead_learning", "1120"]
    assert "nothing is being learned" in below
    assert main(["status", "--runs", str(tmp_path / "runs"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"][0]["warnings"] == [warning]


def says_it_waited():
    """Busy cores would decide else who waits."""
    waited.Waited.take_seconds = lambda _: 3600.0


def test_another_process_than_the_main_one_is_seen_to_starve(small_data, tmp_path):
    command = ["train", "alexnet+tiny", "--data", small_data, "--run", tmp_path / "run", "--device", "cpu",
               "--log-every", 1, "--tracking", "none", "--set", "schedule.epochs=1"]  # fmt: skip
    world = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    processes = [
        Started(command, tmp_path / f"{rank}.out", says_it_waited if rank else None,
                world | {"RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank in range(2)
    ]  # fmt: skip
    assert [process.wait()[0] for process in processes] == [0, 0], processes[0].output.read_text()
    logged = [record for record in read(tmp_path / "run")[0] if "train/loss" in record]
    assert [record["train/data_wait_process"] for record in logged] == [1] * 5
    assert [record["train/data_wait_share"] for record in logged] == [1.0] * 5


def test_a_slow_storage_starves_the_training(small_data, tmp_path, monkeypatch, capsys):
    read_pieces = bulk_read.read_pieces
    monkeypatch.setattr(
        bulk_read, "read_pieces", lambda *of: time.sleep(0.25 * len(of[0])) or read_pieces(*of)
    )
    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(warning_rules, "RECENT_SECONDS", 1.0)
    recipe = replace(recipes.get("lenet5"), schedule=Piecewise(((2, 1e-3),)))
    logged = run(recipe, small_data, tmp_path / "run", log_every=16)
    assert any(r.get("warning/data_wait") for r in logged)
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning ")]
    assert re.search(r"\d+% of the last \d+ s went by waiting for images; ", told[0])
