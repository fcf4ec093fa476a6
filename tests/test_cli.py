"""What people type: answers, JSON with stable keys, and one clear sentence when it cannot be done."""

import json
import shutil
import subprocess
import sys

import pytest

from pipeline.cli import main
from pipeline.data.header import read_header

LIST_KEYS = {
    "name", "family", "year", "params_millions", "gmacs", "batch_size", "epochs", "targets", "departures",
}  # fmt: skip
TARGET_KEYS = {"top1", "top5", "protocol", "image_size", "source", "where", "extra_data"}
PLAN_KEYS = {
    "gpus", "micro_batch", "accumulation", "batch_size", "steps_per_epoch", "total_steps", "stages", "lr",
    "gpu_hours", "remarks",
}  # fmt: skip
STAGE_KEYS = {"first_epoch", "last_epoch", "image_size", "randaugment", "mixup", "cutmix", "dropout"}


def top1(capsys, *arguments):
    """Run a command in this process; return (exit code, stdout, stderr)."""
    code = main([str(a) for a in arguments])
    output = capsys.readouterr()
    return code, output.out, output.err


def sentence(capsys, *arguments, code):
    """Return the one sentence a refused command prints."""
    found, out, err = top1(capsys, *arguments)
    assert (found, out) == (code, ""), err
    assert err.startswith("top1: ")
    assert "Traceback" not in err
    assert len(err.splitlines()) == 1
    return err


def test_list_json_has_the_documented_keys(capsys):
    code, out, err = top1(capsys, "list", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)["recipes"]
    assert [recipe["name"] for recipe in found][:2] == ["lenet5", "lenet5@modern"]
    for recipe in found:
        assert recipe.keys() >= LIST_KEYS
        assert all(target.keys() >= TARGET_KEYS for target in recipe["targets"])


def test_show_json_has_the_documented_keys_and_the_rates_asked_for(capsys):
    code, out, _ = top1(capsys, "show", "efficientnetv2_s", "--gpus", 8, "--at", 2.5, 5, "--json")
    assert code == 0
    plan = json.loads(out)["plan"]
    assert plan.keys() >= PLAN_KEYS
    assert all(stage.keys() >= STAGE_KEYS for stage in plan["stages"])
    assert plan["lr"] == [{"epoch": 2.5, "lr": 0.128}, {"epoch": 5.0, "lr": pytest.approx(0.256 * 0.97**2)}]
    assert (plan["gpus"], plan["batch_size"], plan["total_steps"]) == (8, 4096, 109_200)


def test_show_counts_gpus_per_node(capsys):
    _, out, _ = top1(capsys, "show", "alexnet", "--gpus", 4, "--nodes", 2, "--json")
    assert json.loads(out)["plan"]["gpus"] == 8


def test_show_as_text_names_targets_stages_and_departures(capsys):
    _, out, _ = top1(capsys, "show", "efficientnetv2_s", "--gpus", 8)
    for part in ("top-1 83.9", "Table 7", "185", "departures", "GPU-hours are an estimate"):
        assert part in out


def test_prep_demo_json_counts_its_images(capsys, tmp_path):
    code, out, _ = top1(capsys, "prep", "demo", tmp_path / "demo", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["split"]["train"]["images"] + found["split"]["val"]["images"] == 1797
    assert found["problems"] == []
    assert len(found["fingerprint"]) == 64


def test_a_packed_set_has_the_fingerprint_of_its_folder(capsys, tmp_path, demo_data):
    _, out, _ = top1(capsys, "prep", "pack", demo_data, tmp_path / "packed", "--json")
    assert json.loads(out)["fingerprint"] == read_header(demo_data).fingerprint
    assert json.loads(out)["split"]["train"] == {"images": 1437, "classes": 10}


@pytest.mark.parametrize(
    ("arguments", "expected", "code"),
    [
        (["show", "alexnt"], "no recipe 'alexnt'; did you mean alexnet", 2),
        (["lst"], "no command 'lst'; did you mean list", 2),
        (["prep", "dem", "x"], "no command 'dem'; did you mean demo", 2),
        (["show"], "the following arguments are required: RECIPE", 2),
        (["show", "alexnet", "--gpus", "0"], "'0' is not a positive whole number", 2),
        (["show", "alexnet", "--gpus", "two"], "argument --gpus: 'two' is not a positive whole number", 2),
        (["show", "alexnet", "--gpsu", "2"], "unrecognized arguments: --gpsu 2", 2),
        (
            ["show", "alexnet", "--set", "optimizer.lrr=1"],
            "no field 'optimizer.lrr'; did you mean optimizer.lr",
            2,
        ),
        (["show", "alexnet", "--set", "optimizer.lr=fast"], "'fast' is not a value of type float", 2),
        (["show", "alexnet", "--set", "optimizer.form=odd"], "'odd' is not one of torch, caffe", 2),
        (
            ["show", "alexnet", "--set", "schedule.milestones=3"],
            "3.0 is not a value of type tuple[float, ...]",
            2,
        ),
        (["show", "efficientnetv2_s", "--set", "data.augment.RandomResizedCrop.area=(1,)"], "(1,) is not", 2),
        (["show", "alexnet", "--set", "optimizer.lr"], "has no value; write --set optimizer.lr=0.05", 2),
        (["show", "alexnet", "--set", "optimizer.lr=-1"], "optimizer.lr is -1.0; it must be positive", 2),
        (["show", "no/such/file.py:X"], "there is no file no/such/file.py", 2),
        (["show", "alexnet", "--gpus", "24"], "GPU counts that work:", 1),
        (["train", "alexnet"], "a new run needs --data DIR", 2),
        (["train", "alexnet", "--data", "nowhere"], "nowhere does not exist", 1),
        (["submit", "alexnet", "--data", "nowhere"], "no cluster is described", 2),
        (["submit", "alexnet", "--data", "nowhere", "--seeds", "-1"], "argument --seeds", 2),
        (["train", "alexnet", "--gpus", "2"], "`top1 submit RECIPE --local --gpus 2` starts so many", 2),
        (["show", "mine.py"], "Name its variable: mine.py:NAME", 2),
        (["show", "alexnet", "--nodes", "0"], "'0' is not a positive whole number", 2),
        (["leaderboard", "--runs", "nowhere"], "nowhere", 1),
        (["eval", "nowhere"], "nowhere is not a run folder", 1),
        (["sync", "nowhere"], "nowhere is not a run folder", 1),
    ],
)
def test_a_mistake_gets_one_sentence(capsys, tmp_path, monkeypatch, arguments, expected, code):
    monkeypatch.chdir(tmp_path)
    assert expected in sentence(capsys, *arguments, code=code)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "x = (", "import nothing_like_this", "MINE = 3"])
def test_a_recipe_file_that_is_none_gets_one_sentence(capsys, tmp_path, text):
    file = tmp_path / "mine.py"
    file.write_text(text)
    sentence(capsys, "show", f"{file}:MINE", code=2)


def test_data_that_cannot_be_trained_on_are_refused_before_anything_is_written(capsys, tmp_path, demo_data):
    runs = ("--runs", tmp_path / "runs", "--tracking", "none")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "empty" in sentence(capsys, "train", "lenet5", "--data", empty, *runs, code=1)
    tree = tmp_path / "tree"
    shutil.copytree(demo_data, tree, ignore=shutil.ignore_patterns("manifest.*"))
    text = sentence(capsys, "train", "lenet5", "--data", tree, *runs, code=1)
    assert f"top1 prep folder {tree}" in text
    text = sentence(capsys, "train", "alexnet", "--data", demo_data, *runs, code=1)
    assert "alexnet has 1000 outputs" in text
    assert "10 classes" in text
    assert not (tmp_path / "runs").exists()


def test_a_damaged_manifest_is_named(capsys, tmp_path, demo_data):
    copy = tmp_path / "copy"
    shutil.copytree(demo_data, copy)
    (copy / "manifest.json").write_text("{")
    assert "manifest.json" in sentence(capsys, "train", "lenet5", "--data", copy, code=1)


def test_a_run_folder_of_another_recipe_is_left_alone(capsys, tmp_path, demo_data):
    import recipes
    from pipeline import runs
    from pipeline.plan import make_plan
    from pipeline.planning import data_facts

    folder = tmp_path / "run"
    runs.write_plan(
        folder, make_plan(recipes.get("lenet5"), data_facts(demo_data), id="x", seed=0, threads=1)
    )
    before = (folder / "plan.json").read_bytes()
    text = sentence(capsys, "train", "alexnet", "--tiny", "--data", demo_data, "--run", folder, code=1)
    assert "is a run of lenet5, not of alexnet+tiny" in text
    assert (folder / "plan.json").read_bytes() == before
    text = sentence(capsys, "train", "lenet5", "--data", tmp_path, "--run", folder, code=1)
    assert "was planned with the data in" in text
    for option, given in (("--seed", 1), ("--micro-batch", 8), ("--precision", "bf16"), ("--threads", 2)):
        text = sentence(capsys, "train", "--run", folder, option, given, code=1)
        assert f"not {given}. Leave {option} out to go on" in text
    (folder / "plan.json").write_text("{}")
    assert "is not a plan that this version reads" in sentence(capsys, "train", "--run", folder, code=1)


def test_a_password_is_not_written_into_a_run_folder(capsys, tmp_path, demo_data):
    address = "http://me:secret@127.0.0.1:5000"
    options = ("--data", demo_data, "--runs", tmp_path / "runs", "--tracking", address)
    text = sentence(capsys, "train", "lenet5", *options, code=2)
    assert "MLFLOW_TRACKING_PASSWORD" in text
    assert "secret" not in text
    assert not (tmp_path / "runs").exists()


def test_a_folder_with_other_things_in_it_is_no_run_folder(capsys, tmp_path, demo_data):
    (tmp_path / "thesis.tex").write_text("important")
    text = sentence(capsys, "train", "lenet5", "--data", demo_data, "--run", tmp_path, code=1)
    assert "exists and is not a run folder" in text
    assert (tmp_path / "thesis.tex").read_text() == "important"


@pytest.mark.parametrize(
    "command",
    [
        ["--help"],
        *(
            [name, "--help"]
            for name in (
                "list",
                "show",
                "prep",
                "train",
                "submit",
                "status",
                "logs",
                "cancel",
                "requeue",
                "cluster",
                "eval",
                "leaderboard",
                "sync",
            )
        ),
    ],
    ids=" ".join,
)
def test_help_explains_every_option(capsys, command):
    with pytest.raises(SystemExit) as end:
        main(command)
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert "usage: top1" in text
    assert len(text.splitlines()) > 4


def test_a_closed_pipe_is_no_error():
    done = subprocess.run(
        f"{sys.executable} -m pipeline.cli list | head -1",
        shell=True,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
