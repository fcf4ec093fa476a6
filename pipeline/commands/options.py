"""What several commands share: their options, how an answer is printed."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

MOST, MOST_THREADS, MOST_SEED = 10**12, 4096, 2**63 - 1
RUNS = Path("runs")
CACHE = Path(".top1")
ONE_TASK = "Start one: `srun --ntasks=1`, or without srun."  # see `cli`, which checks that it is one
KEPT = CACHE / "bench"  # what `top1 bench` measured

Command = Callable[[argparse.Namespace], int]


def add_command(
    commands: Any, name: str, command: Command, what: str, json: bool = True
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=what, description=f"{what[0].upper()}{what[1:]}."
    )
    parser.set_defaults(command=command)
    if json:
        parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    return parser


def add_science(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="a derived recipe, e.g. optimizer.lr=0.05; never compared with the paper (repeatable)",
    )
    parser.add_argument(
        "--tiny", action="store_true", help="the small form: minutes on a laptop, never compared"
    )


def add_machine(parser: argparse.ArgumentParser, gpus: str = "training processes (default 1)") -> None:
    """Add what describes the machine. gpus: what --gpus means; empty where it is not given."""
    if gpus:
        parser.add_argument("--gpus", type=positive, default=1, help=gpus)
    parser.add_argument("--micro-batch", type=positive, help="images a GPU is given at once")
    parser.add_argument("--seed", type=seed_number, default=0, help="seed of the run (default 0)")
    parser.add_argument(
        "--deterministic", action="store_true", help="deterministic algorithms on a GPU, slower"
    )
    add_arithmetic(parser)
    add_device(parser)


def add_arithmetic(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16", "fp16"), default="auto")
    parser.add_argument(
        "--compile",
        choices=("auto", "yes", "no"),
        default="auto",
        help="torch.compile (default auto: on a GPU, where the run is long enough)",
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument(
        "--threads", type=thread_count, help="CPU threads a process (default: those allotted, shared out)"
    )


def add_runs(parser: argparse.ArgumentParser, what: str = "folder of runs") -> None:
    """Add --runs to a command that looks at runs; `cli` fills it in by `usual_runs`."""
    parser.add_argument("--runs", type=Path, help=f"{what} (default: cluster.toml's, else runs)")
    parser.set_defaults(finds_runs=True)


def usual_runs(cluster: Path | None = None) -> Path:
    """Return where runs are unless a command says otherwise: where cluster.toml has them, else `runs`."""
    from slurm.cluster import PLACES, read_cluster

    places = [cluster] if cluster else [place.expanduser() for place in PLACES]
    described = next((read_cluster(place) for place in places if place.is_file()), None)
    return Path(described.runs) if described and described.runs else RUNS


def run_folder(text: str) -> Path:
    """Read a run folder as people type it: its path, or its name as `top1 status` shows it."""
    path = Path(text)
    named = path if path.exists() else usual_runs() / text
    return named if named.is_dir() else path


def add_sbatch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--sbatch",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="an option of sbatch before the cluster's, e.g. time=30, partition=debug, exclude=n3; KEY=false "
        "leaves one out; kept with the run (repeatable)",
    )


def add_run(parser: argparse.ArgumentParser) -> None:
    add_runs(parser)
    parser.add_argument(
        "--tracking",
        metavar="URI",
        help="MLflow's address, or none (default: sqlite in --runs; in SLURM's jobs none, see top1 sync)",
    )
    parser.add_argument(
        "--checkpoint-every",
        type=positive,
        metavar="STEPS",
        help="steps between two checkpoints, besides each epoch's end (default: ten minutes)",
    )
    parser.add_argument("--log-every", type=positive, metavar="STEPS", help="steps between two log lines")
    parser.add_argument(
        "--copy-to",
        metavar="DIR",
        help="a folder on each node's own disk, e.g. '$TMPDIR': packed data is copied there while training "
        "goes on, and then read there (default: the cluster's, else none)",
    )
    parser.add_argument(
        "--profile", action="store_true", help="trace a few steps of each attempt into RUN/profile/"
    )


def add_start(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--init",
        type=run_folder,
        metavar="RUN|FILE",
        help="begin with the weights of this finished run, or of a .pth or .safetensors file: timm's, "
        "torchvision's, or a checkpoint of ours (its average)",
    )
    parser.add_argument(
        "--new-head", action="store_true", help="with --init: the classifier begins afresh (other classes)"
    )
    parser.add_argument(
        "--train-only",
        nargs="+",
        default=[],
        metavar="LAYER",
        help="with --init: train these layers, e.g. fc 'layer4*', and leave the others as they are",
    )


def _whole(least: int, most: int, kind: str) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isdecimal() or not least <= int(text[:20]) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a {kind}")
        return int(text)

    return read


positive = _whole(1, MOST, "positive whole number")
thread_count = _whole(1, MOST_THREADS, f"whole number from 1 to {MOST_THREADS}")
seed_number = _whole(0, MOST_SEED, f"whole number from 0 to {MOST_SEED}")


def recipe_of(options: argparse.Namespace, classes: int, name: str | None = None) -> Any:
    from pipeline.choose import choose_recipe

    return choose_recipe(name or options.recipe, options.set, options.tiny, classes)


def print_json(value: dict[str, Any]) -> int:
    print(json.dumps(value, indent=1))
    return 0


def kept_paths(given: list[Path]) -> list[Path]:
    """Return where kept answers of benches are: where the user says, else the usual folder, if it exists."""
    return given or [path for path in [KEPT] if path.exists()]
