"""Where runs are looked for and tracked: cluster.toml's folder, and run folders of any depth."""

import json
import os

import pytest
from made_runs import make_result, make_run

from pipeline.cli import main
from pipeline.commands.options import usual_runs
from pipeline.errors import Top1Error, UsageError
from pipeline.runs import home_of
from slurm.queue import has_slurm


def test_commands_look_where_the_cluster_has_its_runs(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = make_run(tmp_path / "scratch", result=make_result())
    (tmp_path / "cluster.toml").write_text(f'gpus_per_node = 8\nruns = "{tmp_path}/scratch"\n')
    for command in ("status", "leaderboard"):
        assert main([command, "--json"]) == 0
        assert str(run) in capsys.readouterr().out
    name = str(run.relative_to(tmp_path / "scratch"))  # as status shows it
    assert main(["compare", name, str(run)]) == 0
    assert "nothing differs" in capsys.readouterr().out
    (tmp_path / "other.toml").write_text('gpus_per_node = 8\nruns = "elsewhere"\n')
    assert str(usual_runs(tmp_path / "other.toml")) == "elsewhere"
    assert main(["leaderboard", "--runs", "nowhere"]) == 1
    (tmp_path / "cluster.toml").write_text("gpus_per_node = 8\n")
    assert str(usual_runs()) == "runs"


def test_a_run_folder_right_below_the_runs_is_seen(tmp_path, capsys):
    run = make_run(tmp_path / "made", result=make_result())
    (tmp_path / "runs").mkdir()
    run.rename(tmp_path / "runs" / "mine")
    assert main(["leaderboard", "--runs", str(tmp_path / "runs"), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert row["run"] == str(tmp_path / "runs" / "mine")


@pytest.mark.parametrize(
    ("folder", "home"),
    [
        ("runs/lenet5/first", "runs"), ("runs/mine", "runs"), ("first", "."), ("x/lenet5/first", "x"),
        ("x/other/first", "x/other"),
    ],
)  # fmt: skip
def test_a_run_is_tracked_among_its_runs_and_never_above_the_working_folder(
    folder, home, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    found = home_of(tmp_path / folder, "lenet5", tmp_path / "runs")
    assert os.path.relpath(found) == home


def test_a_description_of_slurm_that_is_gone_is_told_at_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SLURM_CONF", str(tmp_path / "slurm.conf"))
    with pytest.raises(Top1Error, match="which is not there"):
        has_slurm()
    (tmp_path / "runs").mkdir()
    assert main(["status", "--runs", str(tmp_path / "runs")]) == 0  # the run folders still tell much
    assert "SLURM_CONF names" in capsys.readouterr().err


def test_local_runs_share_out_the_gpus_that_may_be_used(monkeypatch):
    from slurm.submit import visible_gpus

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    assert visible_gpus() == [4, 6]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-1f2e")
    with pytest.raises(UsageError, match="shares GPUs out by their numbers"):
        visible_gpus()
