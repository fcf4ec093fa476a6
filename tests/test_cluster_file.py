"""A cluster's description: what it may say, and one clear sentence for what it may not."""

import json
import re
from dataclasses import asdict, replace
from pathlib import Path

import pytest

import recipes
from pipeline.cli import main
from pipeline.commands.submit import EXAMPLE
from pipeline.errors import Top1Error, UsageError
from pipeline.plan import DataFacts, make_plan
from slurm.batch import batch_text, cpus_per_task
from slurm.cluster import cluster_from_dict, find_cluster, read_cluster, with_options
from slurm.launch import Request, groups, job_of

FACTS = DataFacts("/data", "imagenet", 1000, 1_281_167, 50_000, "")


def described(tmp_path, text):
    path = tmp_path / "cluster.toml"
    path.write_text(text)
    return path


def test_the_example_of_the_help_is_a_description_and_reaches_the_script(tmp_path):
    cluster = read_cluster(described(tmp_path, EXAMPLE))
    assert cluster.minutes == 24 * 60
    assert cpus_per_task(cluster, 8) == 12
    request = Request(tmp_path / "run", plan_of("efficientnetv2_s", 32), nodes=4, after="77")
    text = batch_text(cluster, job_of(cluster, [request], tmp_path, None, None))
    for line in (
        "#SBATCH --partition=gpu", "#SBATCH --account=vision", "#SBATCH --qos=normal", "#SBATCH --mem=400G",
        "#SBATCH --time=24:00:00", "#SBATCH --nodes=4", "#SBATCH --ntasks-per-node=8",
        "#SBATCH --gpus-per-node=8", "#SBATCH --cpus-per-task=12", "#SBATCH --signal=USR2@120",
        "#SBATCH --requeue", "#SBATCH --exclusive", "#SBATCH --constraint=a100", "#SBATCH --mail-type=FAIL",
        "#SBATCH --dependency=afterok:77", "#SBATCH --kill-on-invalid-dep=yes", "module load cuda",
    ):  # fmt: skip
        assert line in text.splitlines(), line
    assert "NCCL_SOCKET_IFNAME=ib0" in text
    assert "--container-image=/images/top1.sqsh --container-mounts=/datasets,/scratch --output=" in text


def plan_of(name, gpus):
    return make_plan(recipes.get(name), FACTS, id="x", gpus=gpus, seed=0, threads=1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gpus_per_nod = 8", "has a key 'gpus_per_nod' that no cluster has; did you mean gpus_per_node"),
        ("partition = 'gpu'", "does not say gpus_per_node"),
        ("gpus_per_node = '8'", "gpus_per_node is '8'; it must be a whole number"),
        ("gpus_per_node = true", "gpus_per_node is True; it must be a whole number"),
        (
            "gpus_per_node = 8\nsetup = 'module load x'",
            "setup is 'module load x'; it must be a list of texts",
        ),
        ("gpus_per_node = 8\ntime = '1 day'", "time is '1 day'; write it as SLURM does"),
        (
            "gpus_per_node = 8\ntime = '1'",
            "would be told to stop 120 s before its end, when it has not begun",
        ),
        ("gpus_per_node = ", "is not TOML"),
        (
            "gpus_per_node = 8\nsbatch = { time = 1 }",
            "a job of time '1' would be told to stop 120 s before its end",
        ),
        ("gpus_per_node = 8\nsbatch = { nodes = 2 }", "sbatch is given 'nodes'; --nodes and --gpus say it"),
        ("gpus_per_node = 8\nsrun = { output = 'x' }", "srun is given 'output'; `top1 logs` finds"),
        ("gpus_per_node = 8\nsrun = '--mpi=none'", "srun is '--mpi=none'; it must be a table of options"),
    ],
)
def test_a_mistake_is_named(tmp_path, text, expected):
    with pytest.raises(Top1Error, match=r"cluster\.toml") as refused:
        read_cluster(described(tmp_path, text))
    assert expected in str(refused.value)


@pytest.mark.parametrize(
    ("text", "minutes"),  # man sbatch, --time
    [("90", 90), ("90:30", 90.5), ("1:30:00", 90), ("1-1", 1500), ("1-1:30", 1530), ("2-00:00:00", 2880)],
)
def test_times_are_read_as_slurm_reads_them(text, minutes):
    assert cluster_from_dict({"gpus_per_node": 1, "time": text}, "x").minutes == minutes


def test_it_is_looked_for_here_then_at_home(tmp_path, monkeypatch):
    here, home = tmp_path / "here", tmp_path / "home"
    (home / ".config" / "top1").mkdir(parents=True)
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(home))
    with pytest.raises(UsageError, match="no cluster is described"):
        find_cluster(None)
    described(home / ".config" / "top1", "gpus_per_node = 4")
    assert find_cluster(None)[1].gpus_per_node == 4
    described(here, "gpus_per_node = 2")
    assert find_cluster(None)[1].gpus_per_node == 2
    with pytest.raises(UsageError, match="there is no file elsewhere"):
        find_cluster(Path("elsewhere"))


def test_runs_of_one_shape_share_an_array_and_a_child_follows_its_parent():
    def request(name, nodes, parent=None):
        return Request(Path(name), plan_of("alexnet", 8 * nodes), nodes, parent and Path(parent))

    requests = [request("c", 1, "b"), request("a", 1), request("b", 1, "a"), request("d", 2), request("e", 1)]
    found = [[r.folder.name for r in group] for group in groups(requests)]
    assert found == [["a", "e"], ["d"], ["b"], ["c"]]
    with pytest.raises(Top1Error, match="begin with the weights of each other"):
        list(groups([request("a", 1, "b"), request("b", 1, "a")]))


def test_with_fit_each_recipe_gets_the_gpus_its_batch_divides_over(tmp_path, capsys, monkeypatch, demo_data):
    monkeypatch.setenv("PATH", str(tmp_path))  # no SLURM: a dry run goes without
    file = described(tmp_path, "gpus_per_node = 3\ncpus_per_node = 12")
    arguments = [
        "submit", "lenet5", "alexnet", "lenet5", "--set", "model.num_classes=10", "--fit", "--nodes", "2",
        "--data", demo_data, "--cluster", file, "--runs", tmp_path / "runs", "--tracking", "none",
        "--sbatch", "time=30", "--sbatch", "gpus-per-node=false", "--sbatch", "gres=gpu:3",
    ]  # fmt: skip
    assert main([str(a) for a in [*arguments, "--dry-run"]]) == 0
    said = capsys.readouterr()
    # LeNet-5 takes one image a step, AlexNet's 128 divide over 4 of 6 GPUs; named twice is two seeds.
    heads = re.findall(
        r"^# (.*)$|^#SBATCH --((?:nodes|ntasks-per-node|cpus-per-task|array)=.*)$", said.out, re.M
    )
    assert ["".join(pair) for pair in heads if pair[0].startswith(("lenet5", "alexnet")) or pair[1]] == [
        "lenet5+model.num_classes=10 (seed 0), lenet5+model.num_classes=10 (seed 1): 1 x 1 processes each",
        "nodes=1", "ntasks-per-node=1", "cpus-per-task=4", "array=0-1",
        "alexnet+model.num_classes=10 (seed 0): 2 x 2 processes",
        "nodes=2", "ntasks-per-node=2", "cpus-per-task=4",
    ]  # fmt: skip
    assert re.findall(r"^#SBATCH --(time|gpus-per-node|gres)=(.*)$", said.out, re.M) == [
        ("time", "30"), ("gres", "gpu:3"), ("time", "30"), ("gres", "gpu:3")
    ]  # fmt: skip
    assert "it has not judged what follows" in said.err
    assert main([str(a) for a in arguments]) == 1
    assert "there is no SLURM on this machine" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_an_array_names_the_run_of_each_of_its_tasks(tmp_path):
    cluster = cluster_from_dict({"gpus_per_node": 8}, "x")
    group = [Request(tmp_path / f"it's {i}", plan_of("alexnet", 8), 1) for i in range(3)]
    text = batch_text(cluster, job_of(cluster, group, tmp_path, 2, None))
    assert "#SBATCH --array=0-2%2" in text.splitlines()
    assert "run=${runs[$SLURM_ARRAY_TASK_ID]}" in text


def test_the_same_plan_on_other_gpus_differs_in_hardware_alone():
    from slurm.again import replan

    before = plan_of("efficientnetv2_s", 8)
    after = replan(before, 64, threads=3)
    assert replace(after, gpus=8, micro_batch=256, accumulation=2, threads=1) == before
    assert after.micro_batch * after.accumulation * after.gpus == 4096
    with pytest.raises(Top1Error, match="GPU counts that work"):
        replan(before, 24, threads=1)


def test_what_comes_back_on_fewer_gpus_has_no_larger_passes():
    from slurm.again import replan

    before = plan_of("resnet50@goyal2017", 64)  # 8,192 images, 128 on each of 64
    assert replan(before, 8, threads=1).micro_batch == before.micro_batch
    assert replan(before, 8, threads=1).accumulation == 8 * before.accumulation


def script_on(cluster, folder):
    request = Request(folder, plan_of("alexnet", 1), nodes=1)
    return batch_text(cluster, job_of(cluster, [request], folder, None, None))


@pytest.mark.parametrize("setting", [True, ""])
def test_an_option_of_sbatch_without_a_value_is_passed_on(tmp_path, setting):
    cluster = cluster_from_dict({"gpus_per_node": 1, "sbatch": {"contiguous": setting}}, "here")
    assert "#SBATCH --contiguous" in script_on(cluster, tmp_path).splitlines()


def test_what_is_asked_for_anyway_can_be_replaced_or_left_out(tmp_path):
    values = {
        "gpus_per_node": 8, "exclusive": True, "srun": {"unbuffered": False, "cpu-bind": "cores"},
        "sbatch": {
            "gpus-per-node": False, "gres": "gpu:8", "distribution": "cyclic:cyclic", "exclusive": "user",
        },
    }  # fmt: skip
    cluster = cluster_from_dict(values, "here")
    assert cluster_from_dict(json.loads(json.dumps(asdict(cluster))), "job.json") == cluster
    text = script_on(cluster, tmp_path)
    assert "gpus-per-node" not in text
    assert text.count("--distribution=") == text.count("--exclusive") == text.count("--gres=gpu:8") == 1
    assert "  srun --kill-on-bad-exit=1 --open-mode=append --cpu-bind=cores --output=" in text


def test_options_of_one_job_go_before_those_of_the_description(tmp_path):
    values = {"gpus_per_node": 8, "sbatch": {"gres": "gpu:8", "gpus-per-node": False}}
    given = ["time=0:30:00", "gres=false", "gpus-per-node=a100:8", "contiguous"]
    cluster = with_options(cluster_from_dict(values, "c.toml"), given, "c.toml")
    lines = script_on(cluster, tmp_path).splitlines()
    assert cluster.minutes == 30
    assert {"#SBATCH --gpus-per-node=a100:8", "#SBATCH --contiguous", "#SBATCH --time=0:30:00"} <= {*lines}
    assert not [line for line in lines if "--gres" in line]
    with pytest.raises(Top1Error, match=r"c\.toml with --sbatch nodes=2: sbatch is given 'nodes'"):
        with_options(cluster, ["nodes=2"], "c.toml")
    with pytest.raises(UsageError, match="--sbatch '--time=3' is no option of sbatch; write KEY=VALUE"):
        with_options(cluster, ["--time=3"], "c.toml")
