"""`top1 eval` as people type it: runs, ensembles, files, lists, several processes, and mistakes."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from ports import free_port
from test_cli import sentence, top1

from data_prep.folder import prepare_folder
from pipeline.cli import main
from pipeline.journal import read_json
from pipeline.models import build
from recipes import get

FAST = ("--tracking", "none", "--device", "cpu", "--threads", "1")
CPU = ("--device", "cpu", "--threads", "1")


@pytest.fixture(scope="module")
def small(demo_data, tmp_path_factory):
    """80 training and 40 validation digits, the latter named as ImageNet's."""
    folder = tmp_path_factory.mktemp("small") / "digits"
    number = 0
    for split, count in (("train", 8), ("val", 4)):
        for source in sorted((demo_data / split).iterdir()):
            (folder / split / source.name).mkdir(parents=True)
            for file in sorted(source.iterdir())[:count]:
                number += split == "val"
                name = f"ILSVRC2012_val_{number:08d}.JPEG" if split == "val" else file.name
                os.link(file, folder / split / source.name / name)
    prepare_folder(folder, name="demo-small")
    return folder


RECIPES = """
from dataclasses import replace
from recipes import get
from recipes.schema import EMA, Steps
_BASE = get("lenet5")
_TARGET = _BASE.targets[0]
_SMALL = replace(_BASE, name="mine", schedule=Steps(2, ()), ema=EMA(0.9))
_WITHOUT = replace(_TARGET.evaluation, without_blacklist=True)
_TEN = replace(_TARGET.evaluation, views="ten_crop", resize=(40,), crop=32)
MINE = replace(_SMALL, targets=(
    replace(_TARGET, top1=98.0, top5=None, images=40),
    replace(_TARGET, top1=98.5, top5=None, images=40, ensemble=2, evaluation=_TEN),
    replace(_TARGET, top1=98.0, top5=None, images=38, evaluation=_WITHOUT),
    replace(_TARGET, top1=98.0, top5=None, images=40, evaluation=replace(_TARGET.evaluation, ema=False)),
))
MEDIAN = replace(_SMALL, name="median", report="median_of_last_five",
    validation=_TEN, schedule=Steps(7, ()), targets=MINE.targets[:1])
DENSE = replace(_SMALL, name="dense", targets=(
    replace(_TARGET, top1=98.0, evaluation=replace(_TARGET.evaluation, views="dense")),))
"""


@pytest.fixture(scope="module")
def trained(small, tmp_path_factory):
    """A folder of runs: mine with two seeds, and median."""
    where = tmp_path_factory.mktemp("trained")
    (where / "book.py").write_text(RECIPES)
    runs = where / "runs"
    for name, folder, seed in (("MINE", "mine/a", 0), ("MINE", "mine/b", 1), ("MEDIAN", "median/a", 0)):
        asked = (
            "train",
            f"{where / 'book.py'}:{name}",
            "--data",
            small,
            "--run",
            runs / folder,
            "--seed",
            seed,
        )
        assert main([*map(str, asked), *FAST]) == 0
    return where


def results_of(folder):
    return json.loads((folder / "result.json").read_text())["results"]


KEYS = ("target", "protocol", "top1", "top5", "images", "stderr")


def test_eval_gives_what_the_training_measured_of_every_target(trained, capsys):
    folder = trained / "runs" / "mine" / "a"
    code, out, _ = top1(capsys, "eval", folder, *CPU, "--json")
    assert code == 0
    again = {r["target"]: r for r in json.loads(out)["results"]}
    assert again.keys() == {0, 1, 2, 3}
    for result in results_of(folder):
        assert {key: again[result["target"]][key] for key in KEYS} == {key: result[key] for key in KEYS}
    assert again[3]["weights_sha256"] != again[0]["weights_sha256"]  # raw, and averaged
    assert len(again[0]["per_class"]) == 10
    assert again[0]["ece"] > 0


def test_each_protocol_leaves_its_classes_and_confusions_as_files(trained):
    folder = trained / "runs" / "mine" / "a" / "evaluation"
    (protocol,) = {r["protocol"] for r in results_of(folder.parent) if r["target"] == 1}
    stem = protocol.replace("/", "-").replace(" ", "_")
    classes = list(csv.DictReader((folder / f"{stem}.classes.csv").open()))
    assert sum(int(row["images"]) for row in classes) == 40
    correct = sum(float(row["top1"]) * int(row["images"]) / 100 for row in classes)
    told = json.loads((folder / f"{stem}.json").read_text())
    assert 100 * correct / 40 == pytest.approx(told["result"]["top1"])
    wrong = sum(int(row["images"]) for row in csv.DictReader((folder / f"{stem}.confusion.csv").open()))
    assert wrong == 40 - round(correct)


def test_two_processes_give_the_numbers_of_one(trained):
    folder = trained / "runs" / "mine" / "a"
    asked = ("eval", str(folder), *CPU, "--batch", "7", "--json")
    port = {"MASTER_PORT": str(free_port())}
    address = {"MASTER_ADDR": "127.0.0.1", "WORLD_SIZE": "2", "GLOO_SOCKET_IFNAME": "lo"} | port
    ranks = [
        subprocess.Popen(
            [sys.executable, "-m", "pipeline.cli", *asked],
            env={**os.environ, **address, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE, text=True,
        )
        for rank in range(2)
    ]  # fmt: skip
    outputs = [rank.communicate(timeout=600)[0] for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0]
    assert outputs[1] == ""  # only the main process speaks
    for two, one in zip(json.loads(outputs[0])["results"], results_of(folder), strict=True):
        assert {key: two[key] for key in KEYS} == {key: one[key] for key in KEYS}


def test_another_protocol_is_measured_shown_and_found_by_the_leaderboard(trained, capsys):
    folder = trained / "runs" / "mine" / "a"
    protocol = "crops_150 32/40 bilinear mean_of_scores"
    code, out, _ = top1(capsys, "eval", folder, "--protocol", protocol, *CPU)
    assert code == 0
    assert "40 images  crops_150 32/40 bilinear mean_of_scores" in out
    assert "+-" in out
    from pipeline.result import read_run

    assert protocol in {m.protocol for m in read_run(folder).result.measurements}


def test_a_crop_that_the_network_does_not_take_is_refused(trained, capsys):
    asked = ("eval", trained / "runs" / "mine" / "a", "--protocol", "single_crop 4/4", *CPU)
    assert "the network takes no images of 4 pixels" in sentence(capsys, *asked, code=1)


def test_images_on_a_list_are_left_out_and_the_result_names_it(trained, capsys, tmp_path):
    folder = trained / "runs" / "mine" / "a"
    (tmp_path / "listed.txt").write_text("3\n40\n")
    code, out, _ = top1(capsys, "eval", folder, "--blacklist", tmp_path / "listed.txt", *CPU, "--json")
    assert code == 0
    (result,) = (r for r in json.loads(out)["results"] if r["target"] == 2)
    assert result["images"] == 38
    assert result["protocol"].endswith("without_blacklist")
    assert (result["blacklist"]["file"], result["blacklist"]["entries"]) == ("listed.txt", 2)
    (row,) = (r for r in board(capsys, trained) if r["protocol"].endswith("without_blacklist"))
    assert (row["images"], row["reached"]) == (38, round(result["top1"], 4))


def board(capsys, trained):
    code, out, _ = top1(capsys, "leaderboard", "--runs", trained / "runs", "--json")
    assert code == 0
    return json.loads(out)["rows"]


def test_an_ensemble_is_measured_and_stands_on_the_leaderboard(trained, capsys):
    runs = trained / "runs"
    asked = ("eval", "--ensemble", runs / "mine" / "a", runs / "mine" / "b", "--runs", runs, *CPU, "--json")
    code, out, _ = top1(capsys, *asked)
    assert code == 0
    result = json.loads(out)
    assert (result["target"], result["images"], len(result["ensemble"])) == (1, 40, 2)
    (row,) = (r for r in board(capsys, trained) if r["run"] == result["run"])
    assert row["reached"] == round(result["top1"], 4)
    assert row["target"] == 98.5
    told = [read_json(folder / "result.json")["versions"] for folder in
            (Path(result["run"]), runs / "mine" / "a", runs / "mine" / "b")]  # fmt: skip
    assert told[0] == told[1] + told[2] != [], "trained with the versions of all its members"
    assert "one" not in (row["reason"] or "")
    alone = [r for r in board(capsys, trained) if r["run"] and "mine/a" in r["run"] and r["target"] == 98.5]
    assert all("the target averages 2 networks, this is one" in r["reason"] for r in alone)
    code, out, _ = top1(
        capsys, "eval", "--ensemble", runs / "mine" / "a", runs / "mine" / "b", "--runs", runs, *CPU
    )
    assert "mean of 2 networks" in out


def test_an_ensemble_that_no_target_names_is_refused(trained, capsys):
    runs = trained / "runs"
    asked = ("eval", "--ensemble", runs / "mine" / "a", runs / "median" / "a", *CPU)
    assert "is an average of 1 mine and 1 median" in sentence(capsys, *asked, code=1)
    twice = ("eval", "--ensemble", runs / "mine" / "a", runs / "mine" / "a", *CPU)
    assert "is given twice" in sentence(capsys, *twice, code=1)
    assert "of several runs" in sentence(capsys, "eval", "--ensemble", runs / "mine" / "a", *CPU, code=1)


def test_the_median_of_the_last_five_epochs_is_what_is_judged(trained, capsys):
    (result,) = results_of(trained / "runs" / "median" / "a")
    assert [one["epoch"] for one in result["of"]] == [3, 4, 5, 6, 7]
    assert result["top1"] == sorted(one["top1"] for one in result["of"])[2]
    assert result["protocol"].startswith("single_crop")  # the target's, not the validation's
    code, out, _ = top1(capsys, "eval", trained / "runs" / "median" / "a", *CPU, "--json")
    assert code == 0
    assert json.loads(out)["top1"] == result["of"][-1]["top1"]  # the final weights alone
    (row,) = (r for r in board(capsys, trained) if r["recipe"] == "median")
    assert row["reached"] == round(result["top1"], 4)


def test_a_target_that_cannot_be_measured_stops_a_run_before_it_trains(trained, small, capsys):
    asked = ("train", f"{trained / 'book.py'}:DENSE", "--data", small, "--run", trained / "dense", *FAST)
    code, _, err = top1(capsys, *asked)
    assert code == 1
    assert "LeNet5 has no fully convolutional form" in err
    assert "epoch" not in err


def test_a_file_of_weights_is_measured_under_the_recipes_targets(trained, small, capsys, tmp_path):
    folder = trained / "runs" / "mine" / "a"
    recipe = get("lenet5")
    from pipeline.checkpoint import load

    network = build(recipe.model, recipe.regularization)
    network.load_state_dict(load(folder / "weights.safetensors").tensors)
    torch.save({"state_dict": network.state_dict()}, tmp_path / "lenet.pth")
    code, out, _ = top1(
        capsys, "eval", "lenet5", "--weights", tmp_path / "lenet.pth", "--data", small, *CPU, "--json"
    )
    assert code == 0
    found = json.loads(out)["results"]
    assert {one["top1"] for one in found} == {results_of(folder)[0]["top1"]}  # two targets, one protocol
    code, out, _ = top1(
        capsys, "eval", "lenet5", "--weights", folder / "weights.safetensors", "--data", small, *CPU, "--json"
    )
    assert [one["top1"] for one in json.loads(out)["results"]] == [one["top1"] for one in found]


def test_mistakes_get_one_sentence_and_change_nothing(trained, small, capsys, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(trained / "runs" / "mine" / "a", folder)
    torch.save(torch.nn.Linear(2, 2).state_dict(), tmp_path / "other.pth")
    content = (folder / "weights.safetensors").read_bytes()
    for arguments, expected, code in (
        (("eval",), "give one of RUN", 2),
        (("eval", "lenet5"), "lenet5 is a recipe, not a run; add --weights", 2),
        (("eval", folder, "--protocol", "ten"), "has 0 sizes", 2),
        (("eval", folder, "--protocol", "32/32 without_blacklist"), "needs the list: --blacklist FILE", 2),
        (("eval", folder, "--new-head"), "--new-head belongs to --weights", 2),
        (("eval", folder, "--runs", tmp_path), "leave it out", 2),
        (
            ("eval", "lenet5", "--weights", "timm", "--data", small, "--new-head"),
            "is for a recipe's network",
            2,
        ),
        (("eval", "lenet5", "--weights", "x.pth"), "--weights needs --data DIR", 2),
        (("eval", "lenet5", "--weights", "x.pth", "--data", small), "x.pth does not exist", 1),
        (
            ("eval", "lenet5", "--weights", tmp_path / "other.pth", "--data", small),
            "other.pth holds the weights of another",
            1,
        ),
        (("eval", "lenet5", "--weights", "timm", "--data", small), "timm has no network 'lenet5'", 1),
        (("eval", "torchvision:resnet18", "--weights", "torchvision", "--data", small), "resnet18", 1),
    ):
        assert expected in sentence(capsys, *arguments, *CPU, code=code)
    (folder / "weights.safetensors").write_bytes(content[:-50])
    assert "weights.safetensors is not a whole checkpoint" in sentence(capsys, "eval", folder, *CPU, code=1)
    (folder / "weights.safetensors").unlink()
    assert "is not finished" in sentence(capsys, "eval", folder, *CPU, code=1)
    for checkpoint in (folder / "checkpoints").iterdir():
        checkpoint.unlink()
    (folder / "weights.safetensors").write_bytes(content)
    text = sentence(capsys, "eval", folder, "--protocol", "32/32 raw_weights", *CPU, code=1)
    assert "has no checkpoint of the last step" in text


def test_images_that_are_broken_or_gone_are_named(trained, small, capsys, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(small, data)
    folder = trained / "runs" / "mine" / "a"
    before = (folder / "result.json").read_bytes()
    broken = sorted((data / "val").glob("*/*"))[5]
    broken.write_bytes(broken.read_bytes()[:100])
    asked = ("eval", folder, "--data", data, *CPU)
    assert f"{broken} cannot be read as an image" in sentence(capsys, *asked, code=1)
    shutil.rmtree(data / "val" / broken.parent.name)
    text = sentence(capsys, *asked, code=1)
    assert f"val/{broken.parent.name}/" in text
    assert "No such file" in text
    assert (folder / "result.json").read_bytes() == before


def test_a_process_without_its_launchers_variables_is_refused(trained, capsys, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    text = sentence(capsys, "eval", trained / "runs" / "mine" / "a", *CPU, code=1)
    assert "RANK, LOCAL_RANK, MASTER_ADDR, MASTER_PORT are not set" in text
