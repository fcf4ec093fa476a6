"""A plan: a recipe on a machine, everything that will run, as plain data. Light.

The only thing a job receives. Knows no torch, no folders' contents and no environment variables.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from pipeline.errors import Top1Error
from pipeline.own_network import portable
from pipeline.progressive import Stage, make_stages
from pipeline.schedule import lr_at
from recipes.schema import Recipe
from recipes.serialize import from_dict, to_dict

MIXING_BLOCK = 8  # consecutive images among which Mixup and CutMix pair; the same on any machine
LARGEST_MICRO_BATCH = 256  # images a GPU is given at once unless --micro-batch says otherwise
# 1e9 multiply-adds forward over a run: a quarter of an hour of an H100's training, of which compiling saves
# more than the minute that it takes.
COMPILE_PAYS = 1e7


@dataclass(frozen=True)
class DataFacts:
    """What a plan needs to know of a data set, from its manifest's header."""

    path: str
    name: str
    classes: int
    train_images: int
    val_images: int
    fingerprint: str
    official: str | None = None
    changes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What one run does. `gpus` is the number of training processes, on GPUs or not.

    Global batch = micro_batch x accumulation x gpus, always the recipe's.
    init_weights: the run folder or weights file that a recipe with `starts_from` begins with.
    deterministic: deterministic algorithms on a GPU (on the CPU they always are).
    precision: "auto" is bf16 where the device has it, fp16 on older GPUs, fp32 on the CPU.
    code: what the source was (`versions.py`), which the commit alone does not say where there were changes.
    copy_to: a folder on each node's own disk that packed data is copied to while training reads it.
    profile: each attempt traces some of its steps (`profile.py`), which changes no result.
    compile: "auto" compiles the network on a GPU where the run is long enough for it to pay, unless
    deterministic: what is compiled is chosen by timing.
    """

    id: str
    recipe: Recipe
    data: DataFacts
    seed: int
    gpus: int
    micro_batch: int
    accumulation: int
    steps_per_epoch: int
    total_steps: int
    stages: tuple[Stage, ...]
    threads: int
    checkpoint_every: int
    log_every: int
    init_weights: str | None = None
    precision: str = "auto"
    deterministic: bool = False
    compile: str = "auto"
    device: str = "auto"
    copy_to: str | None = None
    profile: bool = False
    tracking: str | None = None
    commit: str | None = None
    dirty: bool = False
    code: str | None = None
    created: str = ""
    command: str = ""
    remarks: tuple[str, ...] = field(default_factory=tuple)

    @property
    def batch_size(self) -> int:
        return self.recipe.data.batch_size

    @property
    def science(self) -> dict[str, Any]:
        """What decides the weights but the hardware, as JSON data: the same for each attempt at a run."""
        recipe = to_dict(portable(self.recipe))
        return {"recipe": recipe, "seed": self.seed, "data": self.data.fingerprint}

    def is_of(self, science: dict[str, Any]) -> bool:
        """Whether the plan is of that science, perhaps written by a version whose recipes said less."""
        was = {**science, "recipe": to_dict(from_dict(science["recipe"]))}
        return was == self.science

    def compiles(self, cuda: bool) -> bool:
        """Whether the network is compiled, on a GPU (`cuda`) or on the CPU."""
        if self.compile != "auto":
            return self.compile == "yes"
        work = self.total_steps * self.batch_size * self.recipe.model.gmacs
        return cuda and not self.deterministic and work >= COMPILE_PAYS

    def epoch_at(self, step: int) -> float:
        """Return how many epochs have been trained when `step` steps have."""
        return step / self.steps_per_epoch

    def lr_at(self, step: int) -> float:
        return lr_at(self.recipe.optimizer.lr, self.recipe.schedule, self.epoch_at(step))

    def to_dict(self) -> dict[str, Any]:
        data = asdict(self) | {"version": 1, "batch_size": self.batch_size}
        return data | {"recipe": to_dict(self.recipe)}


def plan_from_dict(data: dict[str, Any]) -> Plan:
    """Rebuild a plan from plan.json. Raises ValueError or KeyError when it is another version's."""
    if data.get("version") != 1:
        raise ValueError(f"plan version {data.get('version')!r}")
    fields = {name: data[name] for name in Plan.__dataclass_fields__ if name in data}
    fields |= {
        "recipe": from_dict(data["recipe"]),
        "data": DataFacts(**{**data["data"], "changes": tuple(data["data"].get("changes", ()))}),
        "stages": tuple(Stage(**stage) for stage in data["stages"]),
        "remarks": tuple(data["remarks"]),
    }
    return Plan(**fields)


def make_plan(
    recipe: Recipe,
    data: DataFacts,
    *,
    id: str,
    gpus: int = 1,
    micro_batch: int | None = None,
    checkpoint_every: int | None = None,
    log_every: int | None = None,
    **machine: Any,
) -> Plan:
    """Put a recipe on a machine. Raises Top1Error with the numbers and what would work.

    machine: the remaining fields of Plan (seed, threads, precision, ...).
    """
    check_fit(recipe, data)
    micro_batch, accumulation = split_batch(recipe, gpus, micro_batch)
    steps_per_epoch, total_steps = steps_of(recipe, data)
    return Plan(
        id=id,
        recipe=recipe,
        data=data,
        gpus=gpus,
        micro_batch=micro_batch,
        accumulation=accumulation,
        steps_per_epoch=steps_per_epoch,
        total_steps=total_steps,
        stages=make_stages(recipe, total_steps, steps_per_epoch),
        checkpoint_every=checkpoint_every or steps_per_epoch,
        log_every=log_every or max(1, min(50, steps_per_epoch)),
        remarks=tuple(_remarks(recipe, data)),
        **machine,
    )


def steps_of(recipe: Recipe, data: DataFacts) -> tuple[int, int]:
    """Return the steps of an epoch, whole batches alone, and of the whole training."""
    steps_per_epoch = data.train_images // recipe.data.batch_size
    return steps_per_epoch, math.ceil(recipe.schedule.epochs * steps_per_epoch - 1e-6)


def check_fit(recipe: Recipe, data: DataFacts) -> None:
    """Raise Top1Error unless this recipe can be trained on this data."""
    if recipe.model.num_classes != data.classes:
        raise Top1Error(
            f"{recipe.name} has {recipe.model.num_classes} outputs, but {data.path} holds {data.classes} "
            f"classes. Use data of {recipe.model.num_classes} classes, --set "
            f"model.num_classes={data.classes}, or --tiny, which fits the network to the data."
        )
    if data.train_images < recipe.data.batch_size:
        raise Top1Error(
            f"{data.path} has {data.train_images} training images, fewer than one global batch of "
            f"{recipe.data.batch_size}. Use more data, --tiny, or --set data.batch_size=N."
        )


def split_batch(
    recipe: Recipe, gpus: int, micro_batch: int | None, most: int = LARGEST_MICRO_BATCH
) -> tuple[int, int]:
    """Return (micro_batch, accumulation) whose product with `gpus` is the global batch exactly.

    most: images in a pass where none are asked for, if that can be.
    """
    batch = recipe.data.batch_size
    choices = [m for m in micro_batches(recipe, gpus) if micro_batch in (None, m)]
    if not choices:
        raise Top1Error(_refusal(recipe, gpus, micro_batch))
    fitting = [m for m in choices if m <= most]
    chosen = max(fitting) if fitting else min(choices)
    return chosen, batch // (gpus * chosen)


def gpu_counts(recipe: Recipe, micro_batch: int | None, largest: int = 512) -> list[int]:
    """Return the numbers of GPUs this recipe can run on, up to `largest`."""
    counts = range(1, min(largest, recipe.data.batch_size) + 1)
    return [g for g in counts if any(micro_batch in (None, m) for m in micro_batches(recipe, g))]


def micro_batches(recipe: Recipe, gpus: int) -> list[int]:
    """Return every micro-batch that divides a GPU's share and suits mixing and batch norm."""
    share, rest = divmod(recipe.data.batch_size, gpus)
    if rest:
        return []
    block = MIXING_BLOCK if recipe.data.mixing else 1
    divisors = [m for m in range(block, share + 1, block) if share % m == 0]
    return [m for m in divisors if _suits_batch_norm(recipe, m, gpus)]


def _suits_batch_norm(recipe: Recipe, micro_batch: int, gpus: int) -> bool:
    """Whether statistics over `batch_norm.images` consecutive images can be taken.

    A micro-batch holds whole groups, or a group is whole micro-batches of neighbouring ranks.
    """
    images = recipe.model.batch_norm.images if recipe.model.batch_norm else None
    if images is None or micro_batch % images == 0:
        return True
    ranks, rest = divmod(images, micro_batch)
    return rest == 0 and gpus % ranks == 0


def _refusal(recipe: Recipe, gpus: int, micro_batch: int | None) -> str:
    batch = recipe.data.batch_size
    images = recipe.model.batch_norm.images if recipe.model.batch_norm else None
    part = f" in parts of {micro_batch}" if micro_batch else ""
    what = f"the global batch of {batch} does not divide over {gpus} GPU{'s' if gpus > 1 else ''}{part}"
    if images and batch % (gpus * (micro_batch or 1)) == 0:
        what += f" with batch-norm statistics over groups of {images} images"
    else:
        what += f": {batch} / {gpus * (micro_batch or 1)} = {batch / (gpus * (micro_batch or 1)):.2f}"
    works = gpu_counts(recipe, micro_batch)
    if not works:
        shares = ", ".join(map(str, micro_batches(recipe, gpus))) or "none"
        return f"{recipe.name}: {what}. Micro-batches that work on {gpus} GPUs: {shares}."
    near = sorted(sorted(works, key=lambda g: abs(math.log(g / gpus)))[:6])
    return f"{recipe.name}: {what}. GPU counts that work: {', '.join(map(str, near))}."


def _remarks(recipe: Recipe, data: DataFacts) -> Iterable[str]:
    left = data.train_images % recipe.data.batch_size
    if left:
        yield f"{left} of {data.train_images} images, other ones each epoch, fall past the last whole batch"
    if recipe.modified:
        yield "modified recipe: never compared with the paper"
