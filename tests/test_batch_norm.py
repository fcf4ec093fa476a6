"""Statistics over groups of images, in one process and over several that talk to each other by gloo."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from pipeline.batch_norm import set_batch_norm
from recipes.schema import BatchNorm

TOGETHER = """
import sys

import torch
from torch import distributed as dist
from torch import nn

from pipeline.batch_norm import set_batch_norm
from recipes.schema import BatchNorm

rank, world = int(sys.argv[1]), 4
dist.init_process_group("gloo", store=dist.FileStore(sys.argv[2], world), rank=rank, world_size=world)
close = torch.testing.assert_close


def network():
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.ReLU(), nn.Conv2d(5, 4, 3), nn.BatchNorm2d(4)
    nn.init.constant_(layers[1].bias, 0.5)
    return nn.Sequential(*layers)


# Ranks 0 and 1 are a group of eight images, 2 and 3 another.
images = torch.randn(16, 3, 8, 8, generator=torch.Generator().manual_seed(1)) * 3 + 40
weights = torch.randn(16, 4, 4, 4, generator=torch.Generator().manual_seed(2))
first = 4 * rank
group = slice(8 * (rank // 2), 8 * (rank // 2) + 8)
here = slice(first % 8, first % 8 + 4)
alone, whole = network(), images[group].clone().requires_grad_()
expected = alone(whole)
(expected * weights[group]).sum().backward()
for parameter in alone.parameters():
    dist.all_reduce(parameter.grad)  # of the loss over both groups, twice: two ranks have each group

for compiled in (False, True):
    ours = network()
    set_batch_norm(ours, BatchNorm(momentum=0.9, eps=1e-5, images=8), 4, rank, world)
    called = torch.compile(ours, backend="aot_eager", fullgraph=True) if compiled else ours
    own = images[first : first + 4].clone().requires_grad_()
    found = called(own)
    (found * weights[first : first + 4]).sum().backward()
    close(found, expected[here], rtol=1e-4, atol=1e-4)
    close(own.grad, whole.grad[here], rtol=1e-3, atol=1e-4)
    for one, other in zip(ours.buffers(), alone.buffers(), strict=True):
        close(one, other, rtol=1e-4, atol=1e-5)
    for one, other in zip(ours.parameters(), alone.parameters(), strict=True):
        dist.all_reduce(one.grad)
        close(one.grad, other.grad / 2, rtol=1e-3, atol=1e-3)
dist.destroy_process_group()
"""


def test_statistics_over_neighbouring_processes_are_those_of_their_images_together(tmp_path):
    command = [sys.executable, "-c", TOGETHER]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    ranks = [subprocess.Popen([*command, str(rank), str(tmp_path / "store")], **pipes) for rank in range(4)]
    for process in ranks:
        output = process.communicate(timeout=300)[0]
        assert process.returncode == 0, output


@pytest.mark.parametrize("compiled", [False, True])
def test_groups_of_a_micro_batch_keep_type_and_memory_format(compiled):
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)).to(memory_format=torch.channels_last)
    set_batch_norm(network, BatchNorm(momentum=0.9, eps=1e-5, images=4), micro_batch=12, rank=0, world=1)
    whole = torch.compile(network, backend="aot_eager", fullgraph=True) if compiled else network
    with torch.autocast("cpu", torch.bfloat16):
        found = whole(torch.randn(12, 3, 8, 8).to(memory_format=torch.channels_last))
    assert found.dtype == torch.bfloat16
    assert found.is_contiguous(memory_format=torch.channels_last)
