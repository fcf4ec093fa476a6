"""`top1 bench`: what this machine does, measured beside named alternatives."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.commands.options import (
    CACHE,
    KEPT,
    ONE_TASK,
    RUNS,
    Command,
    add_arithmetic,
    add_command,
    add_device,
    add_science,
    kept_paths,
    positive,
    print_json,
    recipe_of,
)
from pipeline.errors import Top1Error
from pipeline.say import say

if TYPE_CHECKING:
    from pipeline.bench.training import TrainingBench

PEERS = ("imagefolder", "decode_jpeg", "timm")  # of `bench loader`
LOOP_PEERS = ("bare", "accelerate")  # of `bench step`
DATA_PEERS = ("timm", "torchvision")  # of `bench train`
DEMO_CLASSES = 10  # that a small form has


def add(commands: Any) -> None:
    kinds = commands.add_parser(
        "bench", help="measure beside named alternatives", description="Measure beside named alternatives."
    ).add_subparsers(metavar="KIND", required=True)
    _add_loader(kinds)
    _add_eval(kinds)
    _add_loops(kinds)
    _add_checkpoint(kinds)
    tracking = _add(
        kinds, "tracking", _bench_tracking, "a training loop with the tracker up, hung, absent, and without"
    )
    tracking.add_argument("--steps", type=positive, default=2000, help="steps a round (default 2000)")
    _add_rounds(tracking)
    _add_results(kinds)


def _add_loader(kinds: Any) -> None:
    loader = _add(kinds, "loader", _bench_loader, "images a second of our loader and of others, same files")
    loader.add_argument("--data", type=Path, help="prepared data (default: generated, of ImageNet's sizes)")
    loader.add_argument("--images", type=positive, default=1024, help="images a round (default 1024)")
    loader.add_argument(
        "--sizes", type=positive, nargs="+", default=[224, 128], metavar="PIXELS", help="(default 224 128)"
    )
    loader.add_argument("--batch", type=positive, default=64, help="images a batch (default 64)")
    _add_rounds(loader)
    _add_starts(loader)
    loader.add_argument("--threads", type=positive, help="threads or workers (default: the CPUs allotted)")
    loader.add_argument(
        "--device", choices=("cpu", "cuda"), default="cpu", help="where batches are wanted (default cpu)"
    )
    loader.add_argument("--randaugment", action="store_true", help="also with RandAugment, ours and timm's")
    loader.add_argument("--storage", action="store_true", help="also ours from a packed tar")
    loader.add_argument(
        "--peers", nargs="*", choices=PEERS, default=list(PEERS), help="which others (default all)"
    )


def _add_eval(kinds: Any) -> None:
    evaluation = _add(
        kinds, "eval", _bench_eval, "images a second of our evaluation and of torchvision's plain loop"
    )
    evaluation.add_argument(
        "--data", type=Path, help="prepared data (default: generated, of ImageNet's sizes)"
    )
    evaluation.add_argument("--images", type=positive, default=256, help="images a round (default 256)")
    evaluation.add_argument("--batch", type=positive, default=32, help="images a batch (default 32)")
    _add_rounds(evaluation)
    _add_starts(evaluation)
    evaluation.add_argument("--threads", type=positive, help="threads or workers (default: CPUs allotted)")
    evaluation.add_argument(
        "--network", default="mobilenet_v3_small", metavar="NAME", help="of torchvision, random weights"
    )
    evaluation.add_argument("--ten-crop", action="store_true", help="also under ten crops")


def _add_loops(kinds: Any) -> None:
    """Add the kinds that run the training loop of a recipe."""
    step = _add(kinds, "step", _bench_step, "our training loop beside a bare one, on a batch in memory")
    _add_training(step, peers=LOOP_PEERS)
    train = _add(
        kinds, "train", _bench_train, "our training loop on real images beside one on a batch in memory"
    )
    _add_training(train, peers=DATA_PEERS)

    stages = _add(
        kinds, "stages", _bench_stages, "our training loop through all stages of a recipe: speed, memory"
    )
    _add_training(stages)
    stages.add_argument("--synthetic", action="store_true", help="from a batch in memory, not from images")

    startup = _add(kinds, "startup", _bench_startup, "from the command to the first step, part by part")
    _add_training(startup, steps=False)
    _add_rounds(startup)
    startup.add_argument(
        "--entries", type=positive, default=1_331_167, help="of the manifest (default 1331167, ImageNet's)"
    )


def _add_checkpoint(kinds: Any) -> None:
    saving = _add(
        kinds, "checkpoint", _bench_checkpoint, "how long saving holds up training, beside torch.save"
    )
    saving.add_argument("recipe", nargs="?", default="resnet50", metavar="RECIPE", help="(default resnet50)")
    add_science(saving)
    saving.add_argument("--rounds", type=positive, default=10, help="savings of each kind (default 10)")
    saving.add_argument(
        "--runs", type=Path, default=RUNS, help="a folder on the disk to measure (default runs)"
    )
    saving.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="(default cpu)")


def _add_results(kinds: Any) -> None:
    results = kinds.add_parser(
        "results", help="a page of what benches kept", description="A page of Markdown of what benches kept."
    )
    results.set_defaults(command=_results)
    results.add_argument(
        "kept",
        nargs="*",
        type=Path,
        metavar="PATH",
        help="files or folders (default .top1/bench)",
    )


def _add(kinds: Any, kind: str, command: Command, what: str) -> argparse.ArgumentParser:
    parser = add_command(kinds, kind, command, what)
    parser.set_defaults(kind=kind, once=ONE_TASK)
    parser.add_argument(
        "--keep",
        type=Path,
        default=KEPT,
        metavar="DIR",
        help="where the answer is kept (default .top1/bench)",
    )
    return parser


def _add_rounds(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=positive, default=12, help="rounds of every row (default 12)")


def _add_starts(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--starts", type=positive, default=3, help="processes that share a row's rounds in turn (default 3)"
    )


def _add_training(parser: argparse.ArgumentParser, peers: tuple[str, ...] = (), steps: bool = True) -> None:
    parser.add_argument("recipe", metavar="RECIPE", help="whose network and settings; NAME+tiny is small")
    add_science(parser)
    parser.add_argument("--batch", type=positive, help="images a step (default: the recipe's, 256 at most)")
    if steps:
        parser.add_argument("--steps", type=positive, default=30, help="steps a round, or stage (default 30)")
    parser.add_argument("--data", type=Path, help="prepared data (default: generated, of ImageNet's sizes)")
    parser.add_argument("--images", type=positive, default=1024, help="so many of them (default 1024)")
    if peers:
        _add_rounds(parser)
        _add_starts(parser)
        parser.add_argument("--stage", type=int, help="of a progressive recipe, from 0 (default: the last)")
        parser.add_argument("--peers", nargs="*", choices=peers, default=list(peers), help="(default all)")
    add_arithmetic(parser)
    add_device(parser)


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
        starts=options.starts,
        threads=options.threads or allotted_threads(1),
        randaugment=options.randaugment,
        storage=options.storage,
        peers=tuple(options.peers),
        device=options.device,
    )
    return _answer(options, bench_loader(bench, say), bench_text)


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
        starts=options.starts,
        threads=options.threads or allotted_threads(1),
        network=options.network,
        ten_crop=options.ten_crop,
    )
    return _answer(options, bench_eval(bench, say), bench_text)


def _bench_step(options: argparse.Namespace) -> int:
    from pipeline.bench.training import bench_step, training_text

    return _answer(options, bench_step(_training(options), say), training_text)


def _bench_train(options: argparse.Namespace) -> int:
    from pipeline.bench.training import bench_train, training_text

    return _answer(options, bench_train(_training(options), say), training_text)


def _bench_stages(options: argparse.Namespace) -> int:
    from pipeline.bench.stages import bench_stages, stages_text

    feed = "memory" if options.synthetic else "data"
    return _answer(options, bench_stages(_training(options), feed, say), stages_text)


def _bench_startup(options: argparse.Namespace) -> int:
    from pipeline.bench.startup import bench_startup, startup_text

    return _answer(options, bench_startup(_training(options), options.entries, say), startup_text)


def _answer(options: argparse.Namespace, answer: dict[str, Any], text: Callable[[Any], str]) -> int:
    from pipeline.bench.kept import dated, keep

    answer = dated(options.kind, options.arguments, answer)
    if options.json:
        print_json(answer)
    else:
        print(text(answer))
    say(f"kept        {keep(answer, options.keep)}")
    return 0


def _training(options: argparse.Namespace) -> TrainingBench:
    """Return what the options of a bench of the training loop ask for; what one has not counts as 1."""
    from pipeline.bench.training import TrainingBench
    from pipeline.plan import LARGEST_MICRO_BATCH
    from pipeline.planning import allotted_threads

    recipe = recipe_of(options, DEMO_CLASSES)
    return TrainingBench(
        recipe=recipe,
        batch=options.batch or min(recipe.data.batch_size, LARGEST_MICRO_BATCH),
        steps=getattr(options, "steps", 1),
        rounds=getattr(options, "rounds", 1),
        starts=getattr(options, "starts", 1),
        threads=options.threads or allotted_threads(1),
        device=options.device,
        precision=options.precision,
        compile=options.compile,
        stage=getattr(options, "stage", None),
        peers=tuple(getattr(options, "peers", ())),
        data=options.data,
        images=options.images,
        cache=CACHE / "bench-images",
    )


def _bench_checkpoint(options: argparse.Namespace) -> int:
    from pipeline.bench.checkpoints import CheckpointBench, bench_checkpoint, checkpoint_text

    bench = CheckpointBench(
        recipe_of(options, DEMO_CLASSES), options.rounds, options.runs, device=options.device
    )
    return _answer(options, bench_checkpoint(bench, say), checkpoint_text)


def _bench_tracking(options: argparse.Namespace) -> int:
    from pipeline.bench.tracking import Bench, bench_tracking, tracking_text

    return _answer(options, bench_tracking(Bench(options.steps, options.rounds), say), tracking_text)


def _results(options: argparse.Namespace) -> int:
    from pipeline.bench.kept import kept
    from pipeline.bench.page import page

    answers = kept(kept_paths(options.kept))
    if not answers:
        raise Top1Error("no bench has kept an answer there. Run one first; see `top1 bench --help`.")
    print(page(answers), end="")
    return 0
