"""What a run's log shows to be going wrong, told while there is still time. Pure and light.

A warning is a function of the log's last records and of the limit at which it began, which is in the log too:
`warning/KIND` is the value that ends it where one begins, and 0 where it is over. A resumed run therefore
goes on with the warnings that it had. Whoever calls decides how often to look.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean, median

from pipeline.early_warning import Finding, Log, Onset
from pipeline.journal import Record
from pipeline.plan import Plan
from pipeline.waited import BUSY

# The first records of an attempt and of a stage are slow for good reasons: kernels are chosen and compiled,
# caches and queues fill.
SETTLING = 3

# Speed and waiting are judged over the last half minute, five records at least: a shorter pause is a
# checkpoint, a neighbour's burst or a busy file server, and over before anyone has looked.
RECENT_SECONDS = 30.0
RECENT = 5

# The run's own pace is the median of at least twenty records of the same stage on the same hardware. Between
# nodes and hours it moves by some 10%; losing 30% of a cluster is worth a look, and is over at 20%.
PACE = 20
SLOW, SLOW_IS_OVER = 0.7, 0.8

# A loader that keeps up is waited for at the start only: 1 to 10% on two CPU cores, with the demo digits.
WAITING, WAITING_IS_OVER = 0.2, 0.1

# The mean loss of 256 images is good to about 0.1 (a single image's scatters by 1 to 2). A spike is six
# deviations above the last ten to twenty such means, and a quarter of what guessing costs, ln(classes): late
# in training deviations are tiny and nobody minds 0.1. It is over when half of that is gone.
LEVEL_IMAGES = 256
LEVELS, FEWEST_LEVELS = 20, 10
DEVIATIONS = 6
GUESSING_SHARE = 0.25

# Five standard errors above chance: guessing alone comes there once in three million validations.
CHANCE_ERRORS = 5
# A reference curve is well above chance a tenth of the way from there to 100%.
WELL_ABOVE = 0.1
# Without a reference curve: five epochs of ImageNet after the warm-up, or a quarter of a short training, and
# never before 1,000 steps. Small networks with averaged weights leave chance after some 300 (measured).
EPOCHS, EPOCHS_SHARE, STEPS = 5.0, 0.25, 1000

Rule = Callable[[Log, float | None], Finding | None]


def find(log: Log, onsets: Mapping[str, Onset]) -> dict[str, Finding]:
    """Return what goes wrong now, by kind. onsets: the warnings that are on."""
    bounds = {"loss_spike": log.stage_start, "throughput": log.start, "data_wait": log.start}
    found = {}
    for kind, rule in RULES.items():
        onset = onsets.get(kind)
        ends = onset.limit if onset and onset.step > bounds.get(kind, -1) else None
        if finding := rule(log, ends):
            found[kind] = finding
    return found


def onsets_in(records: Iterable[Record]) -> dict[str, Onset]:
    """Return the warnings that are on at the end of a log."""
    on: dict[str, Onset] = {}
    for record in records:
        for kind in RULES:
            limit = record.get(f"warning/{kind}")
            if limit:
                on[kind] = Onset(int(record["step"]), limit)
            elif limit is not None:
                on.pop(kind, None)
    return on


# ---------------------------------------------------------------- the rules


def throughput(log: Log, ends: float | None) -> Finding | None:
    """Fewer images a second than the run has had, in this stage on this hardware."""
    settled = [r for r in _settled(log) if r["step"] > log.moved and r.get(_SPEED, 0) > 0]
    recent = _recent(settled, log)
    if len(recent) < RECENT:
        return None
    before = settled[: -len(recent)]
    if ends is None and len(before) < PACE:
        return None
    pace = ends / SLOW_IS_OVER if ends else median(r[_SPEED] for r in before)
    speed = len(recent) / sum(1 / r[_SPEED] for r in recent)
    if speed >= (ends or SLOW * pace):
        return None
    return Finding(
        ends or SLOW_IS_OVER * pace,
        f"{speed:.0f} img/s in the last {_seconds(recent)} s, {speed / pace:.0%} of the {pace:.0f} that this "
        "run had in this stage; look for other work on its nodes, hot GPUs and a slow file system",
    )


def data_wait(log: Log, ends: float | None) -> Finding | None:
    """Too much of the time goes by waiting for images."""
    recent = [r for r in _recent(_settled(log), log) if _WAIT in r and r.get(_SPEED, 0) > 0]
    if len(recent) < RECENT:
        return None
    time = sum(1 / r[_SPEED] for r in recent)  # of one image
    share = sum(r[_WAIT] / r[_SPEED] for r in recent) / time
    busy = [r[_BUSY] for r in recent if _BUSY in r]
    if share < (ends or WAITING) or (busy and fmean(busy) >= BUSY):
        return None
    return Finding(
        WAITING_IS_OVER,
        f"{share:.0%} of the last {_seconds(recent)} s went by waiting for images{_where(recent, log)}; give "
        "the loader more CPUs (`top1 bench loader` says what they do) or a faster place to read from "
        "(`top1 prep pack`)",
    )


def loss_spike(log: Log, ends: float | None) -> Finding | None:
    """The loss is far above where it was."""
    levels = _levels(log)
    if not levels or (ends is None and len(levels) <= FEWEST_LEVELS):
        return None
    if ends is not None:
        if levels[-1] < ends:
            return None
        return Finding(ends, f"the loss is {levels[-1]:.3g} and has not come back below {ends:.3g}; {_LOWER}")
    before = levels[:-1]
    usual = median(before)
    deviation = 1.4826 * median(abs(level - usual) for level in before)  # of a normal distribution
    margin = max(DEVIATIONS * deviation, GUESSING_SHARE * math.log(log.plan.recipe.model.num_classes))
    if levels[-1] <= usual + margin:
        return None
    text = f"the loss is {levels[-1]:.3g} where it was {usual:.3g}; {_LOWER}"
    return Finding(usual + margin / 2, text)


def dead_learning(log: Log, _: float | None) -> Finding | None:
    """The validation is at chance when it should long be above."""
    record, plan = log.validation, log.plan
    if record is None or record["epoch"] < expected_epoch(plan):
        return None
    chance = 100 / plan.recipe.model.num_classes
    limit = chance + CHANCE_ERRORS * math.sqrt(chance * (100 - chance) / plan.data.val_images)
    top1 = max(record[key] for key in ("val/top1", "val/raw_top1") if key in record)
    if top1 > limit:
        return None
    known = ", where the recipe's curve is well above it" if _has_curve(plan) else ""
    return Finding(
        limit,
        f"top-1 is {top1:.2f} after epoch {record['epoch']:g}, what guessing gives ({chance:.2f}){known}; "
        "nothing is being learned: look at the rate, the labels and the network's start",
    )


RULES: Mapping[str, Rule] = {
    "throughput": throughput,
    "data_wait": data_wait,
    "loss_spike": loss_spike,
    "dead_learning": dead_learning,
}


def expected_epoch(plan: Plan) -> float:
    """Return from which epoch on a network that learns is above chance.

    Where the recipe has a reference curve, that is its first point well above; its figures are not those of a
    changed recipe.
    """
    recipe = plan.recipe
    if _has_curve(plan):
        chance = 100 / recipe.model.num_classes
        well_above = chance + WELL_ABOVE * (100 - chance)
        return next((epoch for epoch, top1 in recipe.curve if top1 >= well_above), math.inf)
    warmup = recipe.schedule.warmup.epochs if recipe.schedule.warmup else 0.0
    epochs = warmup + min(EPOCHS, EPOCHS_SHARE * recipe.schedule.epochs)
    return max(epochs, STEPS / plan.steps_per_epoch)


# ---------------------------------------------------------------- what they are made of

_SPEED, _WAIT, _LOSS = "train/images_per_second", "train/data_wait_share", "train/loss"
_WHO, _BUSY = "train/data_wait_process", "train/data_wait_gpu_percent"
_LOWER = "if it does not come back by itself, lower the rate or look at the data"


def _where(recent: Sequence[Record], log: Log) -> str:
    """Say which process waited most of several, or that it was now this one, now that."""
    ranks = [int(r[_WHO]) for r in recent if _WHO in r]
    if not ranks:
        return ""
    rank, times = Counter(ranks).most_common(1)[0]
    if times <= len(ranks) / 2:
        return ", now in one process, now in another"
    return f" in process {rank}{f' on {log.hosts[rank]}' if rank < len(log.hosts) else ''}"


def _has_curve(plan: Plan) -> bool:
    return bool(plan.recipe.curve) and not plan.recipe.modified


def _settled(log: Log) -> list[Record]:
    """Return the records of the present stage, without the first few of the stage and of each attempt."""
    found, before, left = [], log.stage_start, 0
    starts = {log.stage_start, *log.starts}
    for record in log.records:
        if record["step"] <= log.stage_start:
            continue
        if any(before <= start < record["step"] for start in starts):
            left = SETTLING
        if left == 0:
            found.append(record)
        left, before = max(0, left - 1), int(record["step"])
    return found


def _recent(settled: Sequence[Record], log: Log) -> Sequence[Record]:
    """Return the last records of this attempt: of RECENT_SECONDS, RECENT at least where there are as many.

    Fewer where they do not yet cover that time.
    """
    own = [r for r in settled if r["step"] > log.start]
    if not own or own[-1]["time"] - own[0]["time"] < RECENT_SECONDS:
        return []
    since = own[-1]["time"] - RECENT_SECONDS
    return own[-max(RECENT, sum(r["time"] > since for r in own)) :]


def _levels(log: Log) -> list[float]:
    """Return the loss as means over LEVEL_IMAGES images at least, the last one up to the last record."""
    records = [r for r in _settled(log) if math.isfinite(r.get(_LOSS, math.nan))]
    if len(records) < 2:
        return []
    every = (records[-1]["step"] - records[0]["step"]) / (len(records) - 1)
    size = math.ceil(LEVEL_IMAGES / (every * log.plan.batch_size))
    ends = range(len(records), size - 1, -size)[: LEVELS + 1]
    return [fmean(r[_LOSS] for r in records[end - size : end]) for end in reversed(ends)]


def _seconds(recent: Sequence[Record]) -> str:
    return f"{max(1.0, recent[-1]['time'] - recent[0]['time']):.0f}"
