"""One process of an evaluation among others: which part is its own, on what device, and sums over all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor

from pipeline.errors import Top1Error
from pipeline.gpu import number_of

TIMEOUT = timedelta(minutes=30)  # between the first rank's end and the last one's


@dataclass(frozen=True)
class Ranks:
    """This process's place. device_id: its GPU, None on the CPU. reduce: the sum of a tensor over ranks."""

    rank: int
    world: int
    device: torch.device
    device_id: int | None
    reduce: Callable[[Tensor], Tensor]

    @property
    def is_main(self) -> bool:
        return self.rank == 0


def join(device: str, world: int, threads: int) -> Ranks:
    """Join the other processes. device: auto, cpu or cuda. Raises Top1Error unless `world` of them come."""
    if device == "cuda" and not torch.cuda.is_available():
        raise Top1Error("--device cuda was asked for, but torch sees no GPU here. Use --device cpu or auto.")
    torch.set_num_threads(threads)
    cuda = torch.cuda.is_available() and device != "cpu"
    if world == 1:
        where = torch.device("cuda", 0) if cuda else torch.device("cpu")
        return Ranks(0, 1, where, number_of(where), lambda total: total)
    from accelerate import Accelerator
    from accelerate.utils import InitProcessGroupKwargs

    accelerator = Accelerator(cpu=not cuda, kwargs_handlers=[InitProcessGroupKwargs(timeout=TIMEOUT)])
    if accelerator.num_processes != world:
        raise Top1Error(
            f"WORLD_SIZE says {world} processes, but {accelerator.num_processes} joined. Start as many with "
            "the launcher; each needs RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT."
        )
    return Ranks(
        accelerator.process_index,
        world,
        accelerator.device,
        number_of(accelerator.device),
        lambda total: accelerator.reduce(total, "sum"),
    )
