"""A GPU where there is none: tensors without values that are on it, and what would wait for it."""

from contextlib import contextmanager

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

GPU = torch.device("cuda", 0)
READING = ("_local_scalar_dense", "nonzero", "masked_select")


class _Noting(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.waits = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        made, name = operation(*args, **(kwargs or {})), operation.name()
        if any(part in name for part in READING):
            self.waits.append(name)
        if "copy" in name and not (kwargs or {}).get("non_blocking"):
            source = args[1] if name == "aten::copy_" else args[0]
            if made.device != source.device and len(args) < 3:
                self.waits.append(f"{name} to {made.device}")
        return made


@contextmanager
def fake_gpu():
    """Have tensors made within be without values; yield the list of what would have waited for the GPU.

    An operation on tensors of two devices is an error, as on a real one.
    """
    with FakeTensorMode(allow_non_fake_inputs=True), _Noting() as noting:
        yield noting.waits
