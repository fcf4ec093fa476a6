"""The learning rate at any fractional epoch, as a pure function: nothing counts, so nothing is restored."""

from __future__ import annotations

import math

from recipes.schema import (
    Cosine,
    Exponential,
    InverseDecay,
    Piecewise,
    Polynomial,
    Schedule,
    Steps,
    Warmup,
)


def lr_at(lr: float, schedule: Schedule, epoch: float) -> float:
    """Return the learning rate at `epoch` (fractional, from 0) for the optimizer's base rate `lr`.

    During the warm-up the rate is linear from `start_lr` at epoch 0 to `lr` at its end, whatever the
    schedule would say (automl utils.py; Goyal et al. 2017 §2.2).
    """
    warmup = schedule.warmup
    if warmup and epoch < warmup.epochs:
        return warmup.start_lr + (lr - warmup.start_lr) * epoch / warmup.epochs
    match schedule:
        case Steps():
            return lr * schedule.gamma ** sum(epoch >= m for m in schedule.milestones)
        case Piecewise():
            return _piecewise(schedule, epoch)
        case Exponential():
            # Decay counts from epoch 0, warm-up included (automl utils.py), so the rate leaves a 5-epoch
            # warm-up already two decays of 2.4 epochs down. The tolerance keeps a boundary such as
            # 3 * 2.4 = 7.199999 on its own side.
            periods = epoch / schedule.every
            return lr * schedule.decay ** (math.floor(periods + 1e-9) if schedule.staircase else periods)
        case Cosine():
            share = _share(schedule.epochs, warmup, epoch)
            return schedule.end_lr + (lr - schedule.end_lr) * (1 + math.cos(math.pi * share)) / 2
        case Polynomial():
            return lr * math.pow(1 - _share(schedule.epochs, warmup, epoch), schedule.power)
        case InverseDecay():
            return lr * math.pow(1 + schedule.gamma * epoch, -schedule.power)


def _piecewise(schedule: Piecewise, epoch: float) -> float:
    end = 0.0
    for length, rate in schedule.periods:
        end += length
        if epoch < end:
            return rate
    return schedule.periods[-1][1]


def _share(epochs: float, warmup: Warmup | None, epoch: float) -> float:
    """Return how far `epoch` is on the way from the warm-up's end to the last epoch, 0 to 1."""
    begin = warmup.epochs if warmup else 0.0
    return min(1.0, (epoch - begin) / (epochs - begin))
