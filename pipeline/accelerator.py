"""Joining the other processes of a run, and torch's settings for it. Heavy: torch, Accelerate."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from datetime import timedelta

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, InitProcessGroupKwargs
from torch import Tensor

from pipeline.errors import Top1Error
from pipeline.gpu import take_priority
from pipeline.plan import Plan

COLLECTIVE_TIMEOUT = timedelta(minutes=10)
SMALL_PASS = 0.01  # 1e9 multiply-adds; below, oneDNN and a second thread cost more than they save


def start_accelerator(plan: Plan) -> Accelerator:
    """Join the other processes. Raises Top1Error unless exactly the plan's number are there."""
    cuda = torch.cuda.is_available() and plan.device != "cpu"
    if plan.device == "cuda" and not cuda:
        raise Top1Error("--device cuda was asked for, but torch sees no GPU here. Use --device cpu or auto.")
    small = plan.recipe.model.gmacs * plan.micro_batch < SMALL_PASS
    torch.set_num_threads(1 if small else plan.threads)
    torch.use_deterministic_algorithms(plan.deterministic)
    torch.backends.cudnn.benchmark = not plan.deterministic
    torch.backends.mkldnn.set_flags(not small)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    # From torch 2.15 on it has another name, which Accelerate 1.15 does not know.
    warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated", FutureWarning)
    accelerator = Accelerator(
        cpu=not cuda,
        mixed_precision=_precision(plan.precision, cuda),
        kwargs_handlers=[
            InitProcessGroupKwargs(timeout=COLLECTIVE_TIMEOUT),
            # Running statistics are rank 0's, sent before they are used; not before every forward pass.
            DistributedDataParallelKwargs(broadcast_buffers=False),
        ],
    )
    if cuda:
        take_priority(accelerator.device)
    # A missing environment variable otherwise trains N independent networks in silence.
    if accelerator.num_processes != plan.gpus:
        raise Top1Error(
            f"the plan is for {plan.gpus} processes, but {accelerator.num_processes} joined. Start as many "
            "with the launcher; each needs RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT."
        )
    return accelerator


def common_figures(
    accelerator: Accelerator, shared: Tensor, own: Sequence[float]
) -> tuple[list[float], list[list[float]]]:
    """Return the mean over the processes of `shared` (N,), and `own` of each of them, by one collective."""
    rank, world = accelerator.process_index, accelerator.num_processes
    each = torch.zeros(world, len(own))
    each[rank] = torch.tensor(own) * world  # the others' rows of it are 0, and the mean is what it was
    numbers = accelerator.reduce(torch.cat([shared, each.flatten().to(shared.device)]), "mean").cpu()
    return numbers[: len(shared)].tolist(), numbers[len(shared) :].view(world, -1).tolist()


def _precision(asked: str, cuda: bool) -> str:
    if asked != "auto":
        return "no" if asked == "fp32" else asked
    if not cuda:
        return "no"
    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
