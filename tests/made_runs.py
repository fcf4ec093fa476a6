"""Run folders made by hand: what a training would have left behind, without training."""

import json
import uuid

from pipeline.journal import Journal, write_json
from recipes.schema import (
    SGD,
    CenterCrop,
    Data,
    Evaluation,
    Model,
    Normalize,
    Recipe,
    Regularization,
    Source,
    Steps,
    Target,
)
from recipes.serialize import to_dict

PAPER = Source("paper2020", "A paper", "arXiv:2001.00001")
SINGLE = Evaluation(crop=224, resize=(256,))
TEN = Evaluation(crop=224, resize=(256,), views="ten_crop")
START = 1_700_000_000.0  # seconds; the time of step 0 in every made journal


def make_target(**changes):
    return Target(**({"source": PAPER, "where": "Table 1", "evaluation": SINGLE, "top1": 76.4} | changes))


def make_recipe(**changes):
    fields = {
        "name": "net50",
        "family": "Net",
        "year": 2020,
        "sources": (PAPER,),
        "model": Model("top1:net50", parameters=1, gmacs=1.0, gmacs_size=224),
        "data": Data(
            batch_size=256, augment=(CenterCrop(224, 256),), normalize=Normalize((0.0,) * 3, (1.0,) * 3)
        ),
        "optimizer": SGD(lr=0.1),
        "schedule": Steps(epochs=90, milestones=(30, 60, 80)),
        "regularization": Regularization(),
        "validation": SINGLE,
        "targets": (make_target(),),
    }
    return Recipe(**(fields | changes))


def make_run(runs, recipe=None, *, seed=0, stamp="20260101-000000", result=None, state="finished", **plan):
    """Write a run folder; result: what `make_result` returns, None for a run that is not finished.

    plan: changes to plan.json, where `data` changes single facts of the data.
    """
    recipe = recipe or make_recipe()
    folder = runs / recipe.name / f"{stamp}-seed{seed}"
    (folder / "logs").mkdir(parents=True)
    data = {
        "path": "/data",
        "name": "imagenet",
        "classes": 1000,
        "train_images": 1_281_167,
        "val_images": 50_000,
        "fingerprint": "f00d",
        "official": "md5 of the validation archive",
    }
    document = {
        "version": 1,
        "id": uuid.uuid4().hex,
        "recipe": to_dict(recipe),
        "seed": seed,
        "data": data | plan.pop("data", {}),
        "commit": "c0ffee00" * 5,
        "dirty": False,
        "created": "2026-01-01T00:00:00+00:00",
        "command": f"top1 train {recipe.name} --data /data --seed {seed}",
        "stages": [{"first_epoch": 0, "last_epoch": 89, "image_size": 224}],
        "tracking": None,
    }
    write_json(folder / "plan.json", document | plan)
    write_status(folder, state, step=100)
    (folder / "attempts.jsonl").write_text(json.dumps({"attempt": 1}) + "\n")
    if result is not None:
        write_json(folder / "result.json", result)
    return folder


def make_result(*measurements, **changes):
    """Return a result.json; without measurements the first target was measured, at 76.38."""
    document = {
        "epochs": 90,
        "gpu_hours": 10.0,
        "images_per_second": 1000.0,
        "last": {"epoch": 90, "top1": 76.38, "top5": 93.0},
        "best": {"epoch": 85, "top1": 76.9, "top5": 93.1},
        "results": list(measurements) or [make_measurement(76.38)],
        "weights_sha256": "0" * 64,
    }
    return document | changes


def make_measurement(top1, *, target=0, protocol=SINGLE.protocol, images=50_000, top5=93.0):
    return {
        "target": target,
        "protocol": protocol,
        "top1": top1,
        "top5": top5,
        "images": images,
        "stderr": 0.2,
        "seconds": 30.0,
    }


def write_status(folder, state, step, durable_step=None, total_steps=1000):
    status = {"state": state, "step": step, "total_steps": total_steps, "durable_step": durable_step}
    write_json(folder / "status.json", status)


def write_records(folder, steps, start=START):
    """Log a loss of 1/step at each of the steps, one second a step."""
    with Journal(folder, clock=iter([start + step for step in steps]).__next__) as journal:
        for step in steps:
            journal.append(step, step / 100, **{"train/loss": loss_at(step), "train/lr": 0.1})


def loss_at(step):
    return 1 / (step + 1)
