"""`top1 bench checkpoint`: how long saving holds up training, beside torch.save. Heavy: torch.

In turns, ours and PyTorch's usual way, on the same tensors and the same disk: what a run keeps of a network
that has been trained a step. Ours is durable when the call that waits for it returns, torch.save's after an
fsync; both are counted until then, too.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch

from pipeline import checkpoint, machine
from pipeline.bench.figures import Timing, check_rounds, clock_cost, facts_text, ratio_of
from pipeline.columns import table
from pipeline.gpu import settled
from pipeline.models import build, outputs_of
from pipeline.optim import make_optimizer, state_of
from recipes.schema import Recipe

STALL_GOAL = 0.1  # seconds, for 25 million parameters
_NAMES = ("top1", "torch.save")


@dataclass(frozen=True)
class CheckpointBench:
    """recipe: whose network and optimizer. folder: on the disk that is measured."""

    recipe: Recipe
    rounds: int
    folder: Path
    device: str


@dataclass(frozen=True)
class _Saving:
    """Seconds that saving held up its caller, that it took until durable, and that restoring took."""

    stall: float
    durable: float
    restore: float


def bench_checkpoint(bench: CheckpointBench, tell: Callable[[str], None]) -> dict[str, Any]:
    """Return the answer of `bench checkpoint --json`."""
    check_rounds(bench.rounds)
    network, optimizer = _trained(bench)
    state = {f"model/{name}": tensor for name, tensor in network.state_dict().items()}
    state |= {f"optimizer/{name}": tensor for name, tensor in state_of(optimizer).items()}
    bench.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".top1-bench-", dir=bench.folder) as folder:
        rounds = _rounds(bench, state, Path(folder), tell)
        size = checkpoint.list_checkpoints(Path(folder))[0].stat().st_size
    mine, others = ([Timing(1, one[name].stall, one[name].stall) for one in rounds] for name in _NAMES)
    ratio = ratio_of(mine, others, clock_cost)
    rows = [_row(name, [one[name] for one in rounds]) for name in _NAMES]
    held_up = rows[0]["stall_seconds"]
    return {
        "machine": {
            "recipe": bench.recipe.name,
            "parameters_millions": sum(p.numel() for p in network.parameters()) / 1e6,
            "bytes": size,
            "device": bench.device,
            "cpu": machine.cpu_model(),
            "cpus": machine.cpus_allotted(),
            "gpu": torch.cuda.get_device_name() if bench.device == "cuda" else None,
            "rounds": bench.rounds,
            **machine.versions(("torch",)),
        },
        "baseline": "torch.save",
        "rows": [
            rows[0] | {"ratio": ratio.value, "spread": ratio.spread},
            rows[1] | {"ratio": 1.0, "spread": 0.0},
        ],
        "goals": [
            {
                "name": "stall_seconds",
                "most": STALL_GOAL,
                "measured": held_up,
                "verdict": "reached" if held_up < STALL_GOAL else "missed",
            }
        ],
    }


def _rounds(
    bench: CheckpointBench, state: Mapping[str, torch.Tensor], folder: Path, tell: Callable[[str], None]
) -> list[dict[str, _Saving]]:
    """Save in turns; return each round's savings by name."""
    writer, device, rounds = checkpoint.CheckpointWriter(folder), torch.device(bench.device), []
    for number in range(bench.rounds + 1):
        tell(f"round       {number} of {bench.rounds}")
        ours = _ours(writer, number, state, device)
        rounds.append(dict(zip(_NAMES, (ours, _plain(folder / "plain.pt", state, device)), strict=True)))
    return rounds[1:]  # in the first the memory is new to the process


def _row(name: str, savings: Sequence[_Saving]) -> dict[str, Any]:
    return {
        "name": name,
        "stall_seconds": median(saving.stall for saving in savings),
        "longest_stall_seconds": max(saving.stall for saving in savings),
        "durable_seconds": median(saving.durable for saving in savings),
        "restore_seconds": median(saving.restore for saving in savings),
    }


def _trained(bench: CheckpointBench) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    """Return a network and its optimizer after one update, with all the state that they will have."""
    recipe = bench.recipe
    torch.manual_seed(0)
    network = build(recipe.model, recipe.regularization).to(bench.device)
    optimizer = make_optimizer(network, recipe.optimizer, recipe.regularization)
    side = recipe.data.geometry.size
    images = torch.randn(2, len(recipe.data.normalize.mean), side, side, device=bench.device)
    torch.stack([scores.square().mean() for scores in outputs_of(network(images))]).sum().backward()
    optimizer.step()
    return network, optimizer


def _ours(
    writer: checkpoint.CheckpointWriter, step: int, state: Mapping[str, torch.Tensor], device: torch.device
) -> _Saving:
    start = settled(device)
    writer.write(step, state, {}, best=False)
    stall = settled(device) - start
    writer.wait()
    whole = settled(device) - start
    start = settled(device)
    found = checkpoint.load_newest(writer.folder)
    assert found is not None  # it was just written
    _put_back(found.tensors, state)
    return _Saving(stall, whole, settled(device) - start)


def _plain(path: Path, state: Mapping[str, torch.Tensor], device: torch.device) -> _Saving:
    start = settled(device)
    with path.open("wb") as file:
        torch.save(dict(state), file)
        stall = settled(device) - start
        file.flush()
        os.fsync(file.fileno())
    whole = settled(device) - start
    start = settled(device)
    _put_back(torch.load(path, weights_only=True), state)
    return _Saving(stall, whole, settled(device) - start)


@torch.no_grad()
def _put_back(tensors: Mapping[str, torch.Tensor], state: Mapping[str, torch.Tensor]) -> None:
    for name, tensor in state.items():
        tensor.copy_(tensors[name])


def checkpoint_text(answer: Mapping[str, Any]) -> str:
    """Return the answer of `bench checkpoint --json` for people."""
    head = ("saved by", "held up s", "at most", "durable s", "restored s", "as fast", "spread")
    rows = [
        (
            row["name"],
            f"{row['stall_seconds']:.3f}",
            f"{row['longest_stall_seconds']:.3f}",
            f"{row['durable_seconds']:.2f}",
            f"{row['restore_seconds']:.2f}",
            f"{row['ratio']:.1f}",
            f"{row['spread']:.1f}" if row["spread"] else "",
        )
        for row in answer["rows"]
    ]
    (goal,) = answer["goals"]
    shown = table([head, *rows], right=range(1, 7))
    facts = facts_text(answer["machine"])
    return f"{facts}\n\n{shown}\n\ngoal  held up less than {goal['most']:g} s: {goal['verdict']}"
