"""`top1 compare`: what two runs did differently, and how far apart they came."""

import json
import subprocess
import sys

import pytest
from made_runs import make_measurement, make_recipe, make_result, make_run, write_status

from pipeline.compare import compare, comparison_text
from pipeline.errors import Top1Error
from pipeline.journal import Journal
from recipes.schema import SGD


def write_curve(folder, top1s, losses=(), steps_per_epoch=100):
    with Journal(folder) as journal:
        for epoch, top1 in enumerate(top1s, start=1):
            journal.append(epoch * steps_per_epoch, epoch, **{"val/top1": top1})
        for epoch, loss in enumerate(losses, start=1):
            journal.append(epoch * steps_per_epoch, epoch, **{"train/loss": loss})


def facts(found):
    return {d.what: (d.first, d.second) for d in found.differences}


def test_two_runs_that_did_the_same_differ_in_nothing(tmp_path):
    runs = [make_run(tmp_path, stamp=stamp, result=make_result()) for stamp in ("a", "b")]
    found = compare(*runs)
    assert found.differences == ()
    assert "nothing differs" in comparison_text(found)


def test_recipe_seed_data_commit_machine_and_environment_are_compared(tmp_path):
    first = make_run(tmp_path, result=make_result(), gpus=8, micro_batch=32)
    other = make_recipe(optimizer=SGD(lr=0.2))
    second = make_run(
        tmp_path, other, seed=1, result=make_result(), gpus=16, micro_batch=32, commit="1" * 40, dirty=True,
        data={"name": "demo", "fingerprint": "beef", "official": None},
    )  # fmt: skip
    for folder, gpu, torch in ((first, "8x A100", "2.6.0"), (second, "8x H100", "2.7.0")):
        (folder / "attempts.jsonl").write_text(json.dumps({"attempt": 1, "hardware": gpu}) + "\n{torn\n")
        (folder / "environment.txt").write_text(f"# Python 3.11\nnumpy==2.0.0\ntorch=={torch}\n")
    assert facts(compare(first, second)) == {
        "recipe.optimizer.lr": ("0.1", "0.2"),
        "seed": ("0", "1"),
        "commit": ("c0ffee00" * 5, f"{'1' * 40}-dirty"),
        "data.name": ("imagenet", "demo"),
        "data.fingerprint": ("f00d", "beef"),
        "data.official": ("md5 of the validation archive", "None"),
        "machine.gpus": ("8", "16"),
        "machine.hardware": ("8x A100", "8x H100"),
        "environment.torch": ("2.6.0", "2.7.0"),
    }


def test_a_field_that_only_one_recipe_has_is_shown_with_its_absence(tmp_path):
    from recipes.schema import RMSProp

    first = make_run(tmp_path, result=make_result())
    rmsprop = make_recipe(optimizer=RMSProp(lr=0.1, decay=0.9, momentum=0.9, eps=1.0))
    second = make_run(tmp_path, rmsprop, seed=1, result=make_result())
    assert facts(compare(first, second))["recipe.optimizer.decay"] == (None, "0.9")


def test_curves_are_compared_where_both_have_an_epoch_whatever_their_steps(tmp_path):
    first, second = (make_run(tmp_path, seed=seed, result=make_result()) for seed in range(2))
    write_curve(first, [10, 50, 70], losses=[3, 2, 1])
    write_curve(second, [12, 44, 70.5, 71], losses=[3, 2, 1.5], steps_per_epoch=50)
    loss, top1 = compare(first, second).curves
    assert (loss.key, top1.key) == ("train/loss", "val/top1")
    assert [(p.epoch, p.difference) for p in top1.points] == [(1, 2), (2, -6), (3, 0.5)]
    assert (top1.largest.epoch, top1.only_first, top1.only_second) == (2, 0, 1)
    text = comparison_text(compare(first, second))
    assert "largest difference -6.0000 at epoch 2, 3 points, 1 more of the second alone" in text


def test_results_stand_beside_each_other_under_each_protocol(tmp_path):
    first = make_run(tmp_path, result=make_result(make_measurement(76.38)))
    measured = [make_measurement(76.5), make_measurement(77.0, protocol="ten_crop 224/256 bilinear")]
    second = make_run(tmp_path, seed=1, result=make_result(*measured))
    assert compare(first, second).results == (
        ("single_crop 224/256 bilinear", 50_000, 76.38, 76.5),
        ("ten_crop 224/256 bilinear", 50_000, None, 77.0),
    )
    assert "+0.12" in comparison_text(compare(first, second))


def test_a_run_without_a_result_is_compared_as_far_as_it_came(tmp_path):
    first = make_run(tmp_path, result=make_result())
    second = make_run(tmp_path, seed=1, state="running")
    write_curve(first, [10, 50, 70])
    write_curve(second, [11])
    write_status(second, "running", step=120)
    text = comparison_text(compare(first, second))
    assert "not finished: running at step 120" in text
    assert "2 more of the first alone" in text


def test_damaged_lines_are_counted_and_named(tmp_path):
    first, second = (make_run(tmp_path, seed=seed, result=make_result()) for seed in range(2))
    write_curve(first, [10])
    with (first / "metrics.jsonl").open("a") as file:
        file.write("{torn\n")
    found = compare(first, second)
    assert len(found.problems) == 1
    text = comparison_text(found)
    assert "1 damaged line skipped:" in text
    assert f"{first / 'metrics.jsonl'}, line 2" in text
    assert "no epoch in common" in text


def test_what_is_no_run_is_told(tmp_path):
    run = make_run(tmp_path / "runs", result=make_result())
    with pytest.raises(Top1Error, match=r"plan\.json does not exist"):
        compare(run, tmp_path)


def test_the_command_answers_in_text_and_json(tmp_path):
    runs = [make_run(tmp_path, seed=seed, result=make_result()) for seed in range(2)]
    for folder in runs:
        write_curve(folder, [10, 20])
    command = [sys.executable, "-m", "pipeline.cli", "compare", *map(str, runs)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert text.startswith("first ")
    answer = json.loads(
        subprocess.run([*command, "--json"], capture_output=True, text=True, check=True).stdout
    )
    assert list(answer) == ["runs", "differences", "curves", "results", "problems"]
    assert answer["differences"] == [{"what": "seed", "first": "0", "second": "1"}]
    assert answer["curves"][0]["largest"]["difference"] == 0
