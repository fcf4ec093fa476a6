"""Traces of a few steps for Perfetto, and what a GPU's memory holds, in the run folder's `profile/`.

Heavy: torch. Looks on: a run that is profiled ends with the weights of one that is not.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from accelerate import Accelerator
from torch.profiler import ProfilerActivity, profile, record_function, schedule

from pipeline.errors import is_out_of_memory
from pipeline.say import say

FOLDER = "profile"
SKIPPED = 20  # steps of an attempt, by when code is compiled, kernels are chosen and the loader runs ahead
WARM_UP = 3  # steps that the profiler takes and throws away: its own first ones are slow
TRACED = 3
_EVENTS = 200_000  # of the GPU's allocator that are remembered: a few hundred steps


def named(name: str) -> contextlib.AbstractContextManager[object]:
    """Give what happens within a name in the trace; while there is none that costs half a microsecond."""
    return record_function(name) if torch.autograd._profiler_enabled() else contextlib.nullcontext()


@contextlib.contextmanager
def profiling(
    run_folder: Path, accelerator: Accelerator, first_step: int, last_step: int
) -> Iterator[Callable[[], None]]:
    """Trace TRACED steps on the first process of each node; yield what is to be called after each step.

    On a GPU also keep what its memory held after them, and on any process when it ran out.
    """
    rank, folder = accelerator.process_index, run_folder / FOLDER
    folder.mkdir(exist_ok=True)
    with _remembered_memory(folder / f"out-of-memory.rank-{rank}.pickle", accelerator.device):
        if not accelerator.is_local_main_process:
            yield lambda: None
            return
        before = max(0, min(SKIPPED, last_step - first_step - WARM_UP - TRACED))
        first = first_step + before + WARM_UP + 1
        name = f"steps-{first}-{first + TRACED - 1}.rank-{rank}"

        def keep(found: profile) -> None:
            found.export_chrome_trace(str(folder / f"{name}.json.gz"))
            if accelerator.device.type == "cuda":
                torch.cuda.memory._dump_snapshot(str(folder / f"{name}.memory.pickle"))
            if accelerator.is_main_process:
                say(f"profile  {folder / name}.json.gz, to be opened at ui.perfetto.dev")

        activities = [ProfilerActivity.CPU]
        activities += [ProfilerActivity.CUDA] if accelerator.device.type == "cuda" else []
        steps = schedule(wait=before, warmup=WARM_UP, active=TRACED, repeat=1)
        with profile(activities=activities, schedule=steps, on_trace_ready=keep) as profiler:
            yield profiler.step


@contextlib.contextmanager
def _remembered_memory(path: Path, device: torch.device) -> Iterator[None]:
    """Remember who took a GPU's memory; write it down when there is no more."""
    if device.type != "cuda":
        yield
        return
    torch.cuda.memory._record_memory_history(stacks="python", max_entries=_EVENTS)
    try:
        yield
    except Exception as error:
        # In a step it is the cause of the sentence that says what to do (`memory.told_where_it_ends`).
        if any(one and is_out_of_memory(one) for one in (error, error.__cause__)):
            torch.cuda.memory._dump_snapshot(str(path))
        raise
    finally:
        torch.cuda.memory._record_memory_history(enabled=None)
