"""What a plan asks of network, file system and start-up, worked out on paper. Light.

Nothing here is measured on the cluster that is meant; every input is either a count of the plan or one of the
constants below, with where it comes from. `docs/scale.md` says what follows from the numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.plan import Plan
from pipeline.progressive import Stage

# ILSVRC2012_img_train.tar has 147,897,477,120 bytes (the checksums of TensorFlow Datasets' imagenet2012) for
# 1,281,167 images.
BYTES_AN_IMAGE = 147_897_477_120 / 1_281_167
BACKWARD = 2 / 3  # share of a step's multiply-adds that the backward pass does; gradients are sent meanwhile
# Measured with strace: stat, open, readlink and getdents calls of a process until it has imported all that
# training needs (Python 3.11, torch 2.15): 2,895 modules and 201 libraries.
CALLS_AT_START = 58_725
WRITE_BYTES_A_SECOND = 1e9  # assumed: one process to a parallel file system


@dataclass(frozen=True)
class Scale:
    """What one step, one second and one start of a plan take. Bytes are bytes, never bits.

    sent_bytes: of each GPU in a step, by a ring all-reduce of float32 gradients. step_seconds: of arithmetic,
    in the stage with the shortest steps. needed_bandwidth: bytes a second and GPU, above which the exchange
    hides behind the backward pass. images_per_second, read_bytes: of a node, in the fastest stage.
    opens_per_second: of files, over all nodes, from a tree of single files. calls_at_start: of all processes,
    stat and open above all, on the file system with Python's packages.
    """

    gpus: int
    nodes: int
    gradient_bytes: int
    sent_bytes: float
    step_seconds: float
    needed_bandwidth: float
    images_per_second: float
    read_bytes: float
    opens_per_second: float
    checkpoint_bytes: float
    checkpoint_seconds: float
    calls_at_start: int


def scale_of(plan: Plan, nodes: int, gmacs_per_second: float, checkpoint_bytes: float) -> Scale:
    """Work the numbers out. gmacs_per_second: 1e9 multiply-adds a GPU does in a second of training."""
    gradients = 4 * plan.recipe.model.parameters
    sent = 2 * (plan.gpus - 1) / plan.gpus * gradients
    step = min(_step_seconds(plan, stage, gmacs_per_second) for stage in plan.stages)
    images = plan.batch_size / step / nodes
    return Scale(
        gpus=plan.gpus,
        nodes=nodes,
        gradient_bytes=gradients,
        sent_bytes=sent,
        step_seconds=step,
        needed_bandwidth=sent / (BACKWARD * step),
        images_per_second=images,
        read_bytes=images * BYTES_AN_IMAGE,
        opens_per_second=images * nodes,
        checkpoint_bytes=checkpoint_bytes,
        checkpoint_seconds=checkpoint_bytes / WRITE_BYTES_A_SECOND,
        calls_at_start=plan.gpus * CALLS_AT_START,
    )


def _step_seconds(plan: Plan, stage: Stage, gmacs_per_second: float) -> float:
    """Return the seconds of arithmetic of a step: three forward passes' multiply-adds for each image."""
    model = plan.recipe.model
    images = plan.micro_batch * plan.accumulation
    return 3 * model.gmacs * (stage.image_size / model.gmacs_size) ** 2 * images / gmacs_per_second


def scale_of_show(plan: Plan, nodes: int) -> Scale:
    """Return the scale with what `top1 show` assumes of a GPU."""
    from pipeline.show import ASSUMED_GMACS_PER_SECOND, checkpoint_bytes

    return scale_of(plan, nodes, ASSUMED_GMACS_PER_SECOND, checkpoint_bytes(plan.recipe))


def scale_text(scale: Scale) -> str:
    """Return the section of `top1 show`."""
    return "\n".join(
        [
            f"scale on {scale.gpus} GPU{'s' * (scale.gpus > 1)} of {scale.nodes} "
            f"node{'s' * (scale.nodes > 1)}, on paper (docs/scale.md)",
            f"  all-reduce   {bytes_text(scale.gradient_bytes)} of gradients a step; each GPU sends "
            f"{bytes_text(scale.sent_bytes)}",
            f"  step         {1000 * scale.step_seconds:.3g} ms of arithmetic in the fastest stage; the "
            f"exchange hides behind it above {bytes_text(scale.needed_bandwidth)}/s a GPU",
            f"  reading      at most {scale.images_per_second:,.0f} images and "
            f"{bytes_text(scale.read_bytes)} a second and node",
            f"  metadata     at most {scale.opens_per_second:,.0f} files opened a second over all nodes, "
            "unless packed",
            f"  checkpoint   {bytes_text(scale.checkpoint_bytes)}, {scale.checkpoint_seconds:.2g} s at 1 "
            "GB/s, beside the training",
            f"  start-up     {scale.calls_at_start:,} calls on the file system that Python is on",
        ]
    )


def bytes_text(count: float) -> str:
    """Return a count of bytes in the largest unit that leaves at least one, three digits of it."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count:.0f} bytes"
