"""top1's pipeline: from a recipe and a machine to a measured accuracy."""

import os

# Read when CUDA begins, which the import of DALI has it do. With CUDA's own 8 queues the streams that make
# batches share some with training's, and wait behind its kernels (docs/speed.md).
os.environ.setdefault("CUDA_DEVICE_MAX_CONNECTIONS", "32")
