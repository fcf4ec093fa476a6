"""What a GPU's memory holds: told, written down when there is no more, and given back."""

import gc
import os

import pynvml
import pytest
import torch
from accelerate import Accelerator

from pipeline.data.loader import EvalLoader
from pipeline.data.manifest import Manifest
from pipeline.gpu import gpu_figures
from pipeline.profile import profiling
from recipes.schema import Evaluation


def test_a_gpu_tells_its_memory_and_utilization():
    device = torch.device("cuda", 0)
    torch.zeros(2**28, device=device)  # 1 GiB
    found = gpu_figures(device)
    assert found["system/gpu_memory_peak_gib"] >= 1
    assert found["system/gpu_memory_used_gib"] >= 1
    assert 0 <= found.get("system/gpu_utilization_percent", 0.0) <= 100


def train_until_it_is_too_much(device, after_step):
    for _ in range(10):
        torch.zeros(2**20, device=device)
        after_step()
    torch.zeros(2**45, device=device)


def test_a_gpu_that_runs_out_of_memory_tells_who_had_it(tmp_path):
    accelerator = Accelerator()
    with pytest.raises(torch.OutOfMemoryError), profiling(tmp_path, accelerator, 0, 10) as after_step:
        train_until_it_is_too_much(accelerator.device, after_step)
    assert {path.name for path in (tmp_path / "profile").iterdir()} == {
        "steps-8-10.rank-0.json.gz",
        "steps-8-10.rank-0.memory.pickle",
        "out-of-memory.rank-0.pickle",
    }


def memory_of_this_process():
    """Return the GiB of GPU 0 that this process has, of all libraries together."""
    pynvml.nvmlInit()
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    processes = pynvml.nvmlDeviceGetComputeRunningProcesses(handle)
    return next(p.usedGpuMemory for p in processes if p.pid == os.getpid()) / 2**30


def test_an_evaluation_gives_back_what_it_took(photographs):
    split, taken = Manifest.load(photographs).split("train"), []
    for _ in range(8):
        for areas in EvalLoader(split, "rgb", Evaluation(resize=(256,), crop=224), batch=32, device_id=0):
            assert areas.scales[0][0].is_cuda
        del areas
        gc.collect()
        torch.cuda.empty_cache()
        taken.append(memory_of_this_process())
    print(taken)
    assert max(taken[2:]) <= taken[1] + 0.1
