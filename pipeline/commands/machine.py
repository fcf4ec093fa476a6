"""`top1 bench` and `top1 doctor`: what this machine does."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from pipeline.commands.options import CACHE, RUNS, add_command, positive, print_json, tell

PEERS = ("imagefolder", "decode_jpeg", "timm")  # of `bench loader`


def add(commands: Any) -> None:
    kinds = commands.add_parser(
        "bench", help="measure beside named alternatives", description="Measure beside named alternatives."
    ).add_subparsers(metavar="KIND", required=True)
    loader = add_command(
        kinds, "loader", _bench_loader, "images a second of our loader and of others, same files"
    )
    loader.add_argument("--data", type=Path, help="prepared data (default: generated, of ImageNet's sizes)")
    loader.add_argument("--images", type=positive, default=1024, help="images a round (default 1024)")
    loader.add_argument(
        "--sizes", type=positive, nargs="+", default=[224, 128], metavar="PIXELS", help="(default 224 128)"
    )
    loader.add_argument("--batch", type=positive, default=64, help="images a batch (default 64)")
    loader.add_argument("--rounds", type=positive, default=10, help="rounds of every row (default 10)")
    loader.add_argument("--threads", type=positive, help="threads or workers (default: the CPUs allotted)")
    loader.add_argument("--randaugment", action="store_true", help="also with RandAugment, ours and timm's")
    loader.add_argument("--storage", action="store_true", help="also ours from a packed tar")
    loader.add_argument(
        "--peers", nargs="*", choices=PEERS, default=list(PEERS), help="which others (default all)"
    )

    evaluation = add_command(
        kinds, "eval", _bench_eval, "images a second of our evaluation and of torchvision's plain loop"
    )
    evaluation.add_argument(
        "--data", type=Path, help="prepared data (default: generated, of ImageNet's sizes)"
    )
    evaluation.add_argument("--images", type=positive, default=256, help="images a round (default 256)")
    evaluation.add_argument("--batch", type=positive, default=32, help="images a batch (default 32)")
    evaluation.add_argument("--rounds", type=positive, default=8, help="rounds of every row (default 8)")
    evaluation.add_argument("--threads", type=positive, help="threads or workers (default: CPUs allotted)")
    evaluation.add_argument(
        "--network", default="mobilenet_v3_small", metavar="NAME", help="of torchvision, random weights"
    )
    evaluation.add_argument("--ten-crop", action="store_true", help="also under ten crops")

    tracking = add_command(
        kinds, "tracking", _bench_tracking, "a training loop with the tracker up, hung, absent, and without"
    )
    tracking.add_argument("--steps", type=positive, default=2000, help="steps a round (default 2000)")
    tracking.add_argument("--rounds", type=positive, default=12, help="rounds of every row (default 12)")

    doctor = add_command(commands, "doctor", _doctor, "what is installed, whether it fits, how fast it loads")
    doctor.add_argument("--data", type=Path, help="prepared data to load from (default: generated)")
    doctor.add_argument("--runs", type=Path, default=RUNS, help="where runs would go (default runs)")
    doctor.add_argument("--threads", type=positive, help="threads of the loader (default: CPUs allotted)")


def _bench_loader(options: argparse.Namespace) -> int:
    from pipeline.bench.figures import bench_text
    from pipeline.bench.loader import Bench, bench_loader
    from pipeline.planning import allotted_threads

    bench = Bench(
        data=options.data,
        cache=CACHE / "bench-images",
        images=options.images,
        sizes=tuple(options.sizes),
        batch=options.batch,
        rounds=options.rounds,
        threads=options.threads or allotted_threads(1),
        randaugment=options.randaugment,
        storage=options.storage,
        peers=tuple(options.peers),
    )
    answer = bench_loader(bench, tell)
    if options.json:
        return print_json(answer)
    print(bench_text(answer))
    return 0


def _bench_eval(options: argparse.Namespace) -> int:
    from pipeline.bench.evaluation import EvalBench, bench_eval
    from pipeline.bench.figures import bench_text
    from pipeline.planning import allotted_threads

    bench = EvalBench(
        data=options.data,
        cache=CACHE / "bench-images",
        images=options.images,
        batch=options.batch,
        rounds=options.rounds,
        threads=options.threads or allotted_threads(1),
        network=options.network,
        ten_crop=options.ten_crop,
    )
    answer = bench_eval(bench, tell)
    if options.json:
        return print_json(answer)
    print(bench_text(answer))
    return 0


def _bench_tracking(options: argparse.Namespace) -> int:
    from pipeline.bench.tracking import Bench, bench_tracking, tracking_text

    answer = bench_tracking(Bench(options.steps, options.rounds), tell)
    if options.json:
        return print_json(answer)
    print(tracking_text(answer))
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from pipeline.doctor import doctor_text, examine

    found = examine(options.data, options.runs, options.threads)
    if options.json:
        print_json(found)
    else:
        print(doctor_text(found))
    return 1 if found["problems"] else 0
