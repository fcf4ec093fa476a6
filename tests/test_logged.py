"""What a training writes down: figures of each interval, and what the run can be done again by."""

import math
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from accelerate import Accelerator

import recipes
from pipeline.errors import CrashError
from pipeline.gpu import gpu_figures
from pipeline.journal import read, read_json
from pipeline.memory import told_where_it_ends
from pipeline.plan import make_plan
from pipeline.profile import profiling
from pipeline.show import MNIST
from pipeline.snapshot import environment, recipe_source
from pipeline.step import gradient_norm
from pipeline.waited import Waited

EPOCH = 44  # steps of the demo data's 1,437 training images in batches of 32


@pytest.fixture(scope="module")
def trained(demo_data, tmp_path_factory):
    """A run of one epoch with four stages and averaged weights."""
    folder = tmp_path_factory.mktemp("runs") / "net" / "one"
    recipe = ["efficientnetv2_s+tiny", "--set", "schedule.epochs=1"]
    where = ["--data", str(demo_data), "--run", str(folder), "--tracking", "none", "--log-every", "11"]
    where += ["--threads", "1"]
    command = [sys.executable, "-m", "pipeline.cli", "train", *recipe, *where]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run(command, check=True, capture_output=True, timeout=240, env=environment)
    return folder


def test_every_interval_tells_loss_rate_stage_speed_waiting_and_the_gradients_norm(trained):
    records = [record for record in read(trained)[0] if "train/loss" in record]
    assert [record["step"] for record in records] == [11, 22, 33, 44]
    assert [record["train/stage"] for record in records] == [1, 2, 3, 4]
    sizes = [record["train/image_size"] for record in records]
    assert sizes == sorted(set(sizes))
    for record in records:
        assert 0 < record["train/data_wait_share"] < 1
        assert 0 < record["train/gradient_norm"] < math.inf
        assert record["train/images_per_second"] > 0
        assert record["train/lr"] > 0


def test_averaged_and_raw_weights_are_both_measured_each_epoch(trained):
    (record,) = [record for record in read(trained)[0] if "val/top1" in record]
    assert record["step"] == EPOCH
    # 44 steps into training the average, of decay (1 + t) / (10 + t), is other weights than the raw ones.
    assert {record["val/raw_top1"], record["val/raw_top5"]} != {record["val/top1"], record["val/top5"]}
    correct = record["val/raw_top1"] * 360 / 100
    assert correct == pytest.approx(round(correct)), "counted over the same 360 images"


def test_a_run_keeps_its_recipes_source_and_its_environment(trained):
    text = (trained / "recipe.py").read_text()
    assert "# tan2021" in text, "the citations"
    assert "# As trained:" in text, "what --tiny and --set changed"
    names = dict(line.split("==") for line in (trained / "environment.txt").read_text().splitlines()[1:])
    assert names["torch"] == torch.__version__.partition("+")[0] or names["torch"] == torch.__version__
    attempt = (trained / "attempts.jsonl").read_text()
    assert '"hardware"' in attempt
    assert read_json(trained / "status.json")["state"] == "finished"


def test_a_recipe_that_is_not_in_the_book_is_kept_as_the_values_it_has():
    own = replace(recipes.get("lenet5"), name="own")
    kept = vars(recipes.schema) | {"result": None}
    exec(f"result = {recipe_source(own)}", kept)
    assert kept["result"] == own
    assert "://" not in environment()


def test_the_gradients_norm_is_the_root_of_the_sum_of_squares_over_all_parameters():
    accelerator = Accelerator(cpu=True)
    network = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Linear(2, 1, bias=False))
    network, optimizer = accelerator.prepare(network, torch.optim.SGD(network.parameters(), lr=0.1))
    network(torch.arange(6.0).reshape(2, 3)).sum().backward()
    run = SimpleNamespace(accelerator=accelerator, optimizer=optimizer, network=network)
    squares = sum(float((p.grad.double() ** 2).sum()) for p in network.parameters())
    assert float(gradient_norm(run)) == pytest.approx(math.sqrt(squares), rel=1e-6)


def test_waiting_is_the_time_spent_in_the_loader_and_is_told_once():
    def batches():
        for number in range(3):
            time.sleep(0.05)
            yield number

    waited = Waited(batches())
    begun = time.perf_counter()
    assert list(waited) == [0, 1, 2]
    most = time.perf_counter() - begun
    assert 0.15 <= waited.take_seconds() <= most
    assert waited.take_seconds() == 0


def test_a_cpu_has_no_figures_of_a_gpu():
    assert gpu_figures(torch.device("cpu")) == {}


def test_memory_that_runs_out_in_a_step_of_a_run_is_told_too(tmp_path, monkeypatch):
    # As the training loop has it: the step says what to do about it, the profile who had it.
    monkeypatch.setattr(torch.cuda.memory, "_record_memory_history", lambda *_, **__: None)
    monkeypatch.setattr(torch.cuda.memory, "_dump_snapshot", lambda path: Path(path).touch())
    plan = make_plan(recipes.get("lenet5"), MNIST, id="one", seed=0, threads=1)
    node = SimpleNamespace(process_index=3, is_local_main_process=False, device=torch.device("cuda", 3))
    with (
        pytest.raises(CrashError, match="memory ran out in step 8"),
        profiling(tmp_path, node, 0, 10),
        told_where_it_ends(plan, tmp_path, 7, torch.device("cpu")),
    ):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 42.00 GiB.")
    assert (tmp_path / "profile" / "out-of-memory.rank-3.pickle").exists()


def raising(text):
    def cause():
        raise RuntimeError(text)

    return cause


@pytest.mark.parametrize(
    "cause",
    [
        lambda: torch.zeros(2**55),
        lambda: np.zeros(2**55),
        # As the libraries of a GPU have it: torch 2.15 (of the driver, cuBLAS, cuDNN) and DALI 2.4.
        raising("CUDA error: out of memory"),
        raising("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        raising("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        raising("CUDA allocation failed"),
        raising("Can't allocate 37748736 bytes on device 0."),
    ],
)
def test_memory_that_runs_out_is_told_whichever_library_it_ran_out_in(cause, tmp_path):
    plan = make_plan(recipes.get("lenet5"), MNIST, id="one", seed=0, threads=1)
    with (
        pytest.raises(CrashError, match=r"memory ran out in step 8, 1 images of 32 pixels a pass"),
        told_where_it_ends(plan, tmp_path, 7, torch.device("cpu")),
    ):
        cause()


def test_an_error_that_is_not_of_memory_stays_what_it_is(tmp_path):
    plan = make_plan(recipes.get("lenet5"), MNIST, id="one", seed=0, threads=1)
    with (
        pytest.raises(RuntimeError, match="shape"),
        told_where_it_ends(plan, tmp_path, 7, torch.device("cpu")),
    ):
        torch.ones(2, 3).view(4)
