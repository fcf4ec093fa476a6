"""A run that is trained by several versions of the code, or of the libraries, says so everywhere."""

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from made_runs import make_recipe, make_result, make_run

import pipeline
import recipes
from pipeline import attempts, versions
from pipeline.compare import compare
from pipeline.leaderboard import make_board
from pipeline.plan import make_plan
from pipeline.planning import data_facts
from pipeline.report import Report
from pipeline.result import read_run
from pipeline.tiny import tiny
from pipeline.train import train
from pipeline.versions import Version, changed, code_digest, mixed
from recipes.schema import Steps


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A git checkout of the package that is taken for the one that runs."""
    folder = tmp_path / "checkout"
    shutil.copytree(Path(pipeline.__file__).parent, folder / "pipeline")
    git(folder, "init", "-q")
    commit(folder)
    monkeypatch.setattr(versions, "_HERE", folder / "pipeline")
    return folder


def git(folder, *arguments):
    who = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    done = subprocess.run(
        ["git", *who, "-C", folder, *arguments], check=True, capture_output=True, text=True, timeout=60
    )
    return done.stdout.strip()


def commit(folder):
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "x")
    return git(folder, "rev-parse", "HEAD")


def edit(folder, name="pipeline/step.py"):
    with (folder / name).open("a") as file:
        file.write("# changed\n")


def test_code_that_changes_between_two_attempts_is_told_wherever_the_run_is_shown(
    checkout, small_data, tmp_path, capsys
):
    recipe = replace(tiny(recipes.get("lenet5"), 10), schedule=Steps(epochs=1, milestones=()))
    first, _ = versions.git_state()
    plan = make_plan(
        recipe,
        data_facts(small_data),
        id="x",
        seed=0,
        threads=1,
        device="cpu",
        commit=first,
        code=code_digest(),
    )
    folder = tmp_path / "runs" / "net" / "run"
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text(json.dumps(plan.to_dict()))
    asked = iter([0, 2])
    train(plan, folder, Report(plan, folder), lambda: next(asked))
    assert "not as in attempt" not in capsys.readouterr().err
    assert (read_run(folder).commits, list(mixed(read_run(folder).versions))) == ((first,), [])

    edit(checkout)
    second = commit(checkout)
    train(plan, folder, Report(plan, folder), lambda: 0)
    told = capsys.readouterr().err
    assert told.count(f"not as in attempt 1: code of {first[:8]} then, of {second[:8]} now") == 1
    result = json.loads((folder / "result.json").read_text())
    assert [one["commit"] for one in result["versions"]] == [first, second]
    (row,) = make_board(tmp_path / "runs", {}).rows[:1]
    assert row["commit"] == f"{first}, {second}"
    assert f"trained with 2 versions of the code ({first[:8]}, {second[:8]})" in row["reason"]
    assert (folder / "environment.2.txt").exists()

    other = make_run(tmp_path / "others", recipe, result=make_result(), commit=first)
    found = {one.what: (one.first, one.second) for one in compare(folder, other).differences}
    assert found["commit"] == (f"{first}, then {second}", first)


def test_only_what_trains_is_the_code(checkout):
    before = code_digest()
    for name in ("pipeline/commands/board.py", "pipeline/board_page/page.py"):
        edit(checkout, name)
    assert code_digest() == before
    for name in ("pipeline/data/loader.py", "pipeline/networks/lenet5.py", "pipeline/ema.py"):
        edit(checkout, name)
        assert code_digest() != before
        before = code_digest()


def test_code_as_planned_is_of_the_planned_commit_whatever_is_checked_out(checkout):
    planned = Version(commit="c0ffee", code=code_digest())
    assert versions.version_now(planned).commit == "c0ffee"
    edit(checkout)
    assert versions.version_now(planned).commit == f"{git(checkout, 'rev-parse', 'HEAD')}-dirty"
    again = replace(planned, code=code_digest())
    shutil.rmtree(checkout / ".git")  # as on a node without git
    assert versions.version_now(again).commit == "c0ffee"


def test_what_changed_is_said_in_words_people_use():
    before = Version("a" * 40, "1", {"torch": "2.14.0", "timm": "1.0"})
    assert changed(before, replace(before, libraries={"torch": "2.15.0", "timm": "1.0", "dali": "2"})) == [
        "torch 2.14.0 then, 2.15.0 now"
    ]
    assert changed(replace(before, commit="a" * 40 + "-dirty"), Version("a" * 40 + "-dirty", "2")) == [
        "the code of aaaaaaaa-dirty was changed"
    ]
    assert changed(before, Version("b" * 40, "1")) == []  # the README, say
    upgraded = replace(before, libraries={"torch": "2.15.0"})
    assert list(mixed([before, upgraded])) == ["trained with 2 versions of torch (2.14.0, 2.15.0)"]


def test_an_attempt_that_left_nothing_in_the_weights_did_not_train_the_run(tmp_path):
    for number, step in enumerate((0, 0, 300, 200, 400), start=1):
        attempts.note(tmp_path, number, step=step, version=Version(code=str(number)).to_json())
    attempts.note(tmp_path, 5, step=380)  # it went back: that is not where it began
    attempts.begin(tmp_path)  # not begun to train yet
    found = attempts.read_attempts(tmp_path)
    assert [attempt.number for attempt in attempts.trained_by(found)] == [2, 4, 5]
    assert [version.code for version in attempts.versions_of(found)] == ["2", "4", "5"]


def test_a_verdict_is_withheld_from_a_run_of_two_versions_and_kept_for_two_runs_of_one_each(tmp_path):
    old, new = (Version(letter * 40, letter, {"torch": "2.15.0"}).to_json() for letter in "ab")
    book = {"net50": make_recipe()}
    for seed, one in enumerate((old, new)):
        make_run(tmp_path, seed=seed, result=make_result(versions=[one]))
    assert [row["verdict"] for row in make_board(tmp_path, book).rows] == ["reproduced"]
    make_run(tmp_path, seed=2, result=make_result(versions=[old, new]))
    verdicts = {row["reason"]: row["verdict"] for row in make_board(tmp_path, book).rows}
    assert verdicts == {None: "reproduced", "trained with 2 versions of the code (aaaaaaaa, bbbbbbbb)": None}
