"""The command line: what people type, and one clear sentence when it cannot be done.

Light until a command runs. Flags describe the machine, recipes the science.
stdout carries answers, stderr progress.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from pipeline.errors import Top1Error, UsageError, nearest

Command = Callable[[argparse.Namespace], int]
RUNS = Path("runs")
CACHE = Path(".top1")
PEERS = ("imagefolder", "decode_jpeg", "timm")  # of `bench loader`


class _Parser(argparse.ArgumentParser):
    """argparse with the errors of this house: exit code 2, the nearest names, no usage dump."""

    def error(self, message: str) -> NoReturn:
        if "invalid choice" in message and self._subparsers:
            typed = message.split("'")[1]
            names = [name for action in self._subparsers._group_actions for name in action.choices or ()]
            message = f"there is no command {typed!r}{nearest(typed, names)}"
        else:
            message = f"{message}."
        raise UsageError(f"{message} `{self.prog} --help` explains.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code: 0 done, 1 a failure we explain, 2 a misused command."""
    try:
        options = _parser().parse_args(arguments)
        command: Command = options.command
        return command(options)
    except Top1Error as error:
        print(f"top1: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except BrokenPipeError:  # `top1 list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


# ---------------------------------------------------------------- the commands


def _list(options: argparse.Namespace) -> int:
    import recipes
    from pipeline import show

    found = list(recipes.all_recipes().values())
    if options.json:
        return _print_json({"recipes": [show.summary(recipe) for recipe in found]})
    print(show.list_text(found))
    return 0


def _show(options: argparse.Namespace) -> int:
    from pipeline import show
    from pipeline.planning import data_facts, plan_for

    facts = data_facts(options.data) if options.data else None
    recipe = _recipe(options, facts.classes if facts else 10)
    plan = plan_for(recipe, facts or show.supposed_data(recipe), options)
    at = tuple(options.at or ())
    if options.json:
        return _print_json(show.show_json(plan, at))
    print(show.show_text(plan, at))
    return 0


def _prep_demo(options: argparse.Namespace) -> int:
    from data_prep.demo import prepare_demo

    return _print_header(prepare_demo(options.folder), options)


def _prep_folder(options: argparse.Namespace) -> int:
    from data_prep.folder import prepare_folder

    return _print_header(prepare_folder(options.folder, name=options.name), options)


def _prep_pack(options: argparse.Namespace) -> int:
    from data_prep.pack import pack_folder

    return _print_header(pack_folder(options.source, options.folder), options)


def _print_header(header: Any, options: argparse.Namespace) -> int:
    splits = {name: {"images": s.images, "classes": s.classes} for name, s in header.splits.items()}
    if options.json:
        return _print_json({"split": splits, "problems": [], "fingerprint": header.fingerprint})
    for name, split in splits.items():
        print(f"{name:6} {split['images']} images, {split['classes']} classes")
    print(f"next   top1 train RECIPE --data {options.folder}")
    return 0


def _train(options: argparse.Namespace) -> int:
    from pipeline.planning import open_or_create

    folder, plan = open_or_create(options, world=int(os.environ.get("WORLD_SIZE", "1")))
    from slurm.job import run_process

    finished = run_process(folder, plan)
    if int(os.environ.get("RANK", "0")) == 0:
        print(folder)
        if finished:
            print(f"next   top1 leaderboard --runs {folder.parent.parent}", file=sys.stderr)
    return 0 if finished else 1


def _submit(options: argparse.Namespace) -> int:
    if not options.local:
        raise UsageError(
            "this version submits to the local executor only: add --local. On SLURM, run `top1 train` "
            "in a batch script; the README shows one."
        )
    from pipeline.planning import data_facts, new_run, write_runs

    facts = data_facts(options.data)
    planned = [new_run(_recipe(options, facts.classes, name), facts, options) for name in options.recipes]
    write_runs(planned)
    from slurm.submit import check_ended, submit_local

    failures = []
    for folder, plan in planned:
        _tell(f"submitted   {plan.recipe.name}, folder {folder}")
    for run in submit_local(planned, options.parallel, _tell):
        try:
            _tell(f"{check_ended(run):11} {run.plan.recipe.name}, folder {run.folder}")
        except Top1Error as error:
            failures.append(str(error))
    for failure in failures:
        _tell(f"top1: {failure}")
    _tell(f"next        top1 leaderboard --runs {options.runs}")
    return 1 if failures else 0


def _eval(options: argparse.Namespace) -> int:
    from pipeline.measure import measure_run

    results = measure_run(options.run, options.data, options.device, options.threads)
    if options.json:
        return _print_json(results[0] if len(results) == 1 else {"results": results})
    for result in results:
        print(
            f"{result['recipe']}  top-1 {result['top1']:.2f} +-{result['stderr']:.2f}  "
            f"top-5 {result['top5']:.2f}  {result['images']} images  {result['protocol']}"
        )
    return 0


def _leaderboard(options: argparse.Namespace) -> int:
    import recipes
    from pipeline.leaderboard import make_board
    from pipeline.tables import markdown, print_table

    board = make_board(options.runs, recipes.all_recipes(), with_missing=options.all)
    if options.json:
        return _print_json(board.to_json())
    if options.markdown:
        print(markdown(board.rows, board.problems), end="")
    else:
        print_table(board.rows, sys.stdout, board.problems)
    return 0


def _sync(options: argparse.Namespace) -> int:
    import recipes
    from pipeline.planning import default_tracking
    from pipeline.runs import read_plan
    from pipeline.sync import sync

    plan = read_plan(options.run)
    uri = options.tracking or plan.tracking or default_tracking(options.run.resolve().parent.parent)
    delivery = sync(
        options.run, uri, book=recipes.all_recipes(), follow=options.follow, parent=options.parent
    )
    if options.json:
        return _print_json(vars(delivery))
    for problem in delivery.problems:
        print(f"top1: skipped: {problem}", file=sys.stderr)
    print(f"{options.run}  {delivery.points} values of {delivery.lines} lines, MLflow run {delivery.run_id}")
    return 0


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
    answer = bench_loader(bench, _tell)
    if options.json:
        return _print_json(answer)
    print(bench_text(answer))
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from pipeline.doctor import doctor_text, examine

    found = examine(options.data, options.runs, options.threads)
    if options.json:
        _print_json(found)
    else:
        print(doctor_text(found))
    return 1 if found["problems"] else 0


# ---------------------------------------------------------------- their options


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="top1",
        description="Reproduce published ImageNet accuracies, LeNet-5 to EfficientNetV2.",
        epilog="Begin with: top1 prep demo data/demo; top1 train lenet5 --data data/demo; top1 leaderboard",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=_Parser)

    _add(commands, "list", _list, "every recipe: network, batch, epochs, published target")

    show = _add(commands, "show", _show, "everything a run would do, before anything runs")
    show.add_argument("recipe", metavar="RECIPE", help="a name from `top1 list`, or path/to/file.py:NAME")
    show.add_argument("--data", type=Path, help="prepared data; without it the official set is supposed")
    show.add_argument("--at", type=float, nargs="+", metavar="EPOCH", help="also the rate at these epochs")
    _add_science(show)
    _add_machine(show)
    show.add_argument("--nodes", type=int, default=1, help="nodes; --gpus then counts per node (default 1)")

    prep = commands.add_parser("prep", help="prepare data", description="Prepare data for training, once.")
    kinds = prep.add_subparsers(metavar="KIND", required=True, parser_class=_Parser)
    demo = _add(kinds, "demo", _prep_demo, "1,797 real handwritten digits as JPEG files, no download")
    demo.add_argument("folder", type=Path, metavar="DIR", help="where to write them")
    folder = _add(kinds, "folder", _prep_folder, "index a train/<class>/* and val/<class>/* tree in place")
    folder.add_argument("folder", type=Path, metavar="DIR", help="the tree")
    folder.add_argument("--name", help="what to call the set (default: the folder's name)")

    pack = _add(kinds, "pack", _prep_pack, "the same data as WebDataset tars of 1 GB, for slow small files")
    pack.add_argument("source", type=Path, metavar="DIR", help="prepared data")
    pack.add_argument("folder", type=Path, metavar="OUT", help="where the tars and their manifest go")

    train = _add(commands, "train", _train, "train in this process, or as one of a launcher's", json=False)
    train.add_argument("recipe", nargs="?", metavar="RECIPE", help="not needed to go on with --run DIR")
    train.add_argument("--data", type=Path, help="prepared data (top1 prep)")
    train.add_argument("--run", type=Path, metavar="DIR", help="run folder; one that has a plan goes on")
    _add_science(train)
    _add_machine(train, gpus=False)
    _add_run(train)

    submit = _add(commands, "submit", _submit, "submit runs through submitit", json=False)
    submit.add_argument("recipes", nargs="+", metavar="RECIPE", help="one job each")
    submit.add_argument("--data", type=Path, required=True, help="prepared data (top1 prep)")
    submit.add_argument("--local", action="store_true", help="submitit's local executor, on this machine")
    submit.add_argument("--parallel", type=_positive, default=1, help="local jobs at a time (default 1)")
    _add_science(submit)
    _add_machine(submit)
    _add_run(submit)

    evaluate = _add(commands, "eval", _eval, "measure a finished run under each target's protocol")
    evaluate.add_argument("run", type=Path, metavar="RUN", help="run folder")
    evaluate.add_argument("--data", type=Path, help="other prepared data than the run's own")
    _add_device(evaluate)

    board = _add(commands, "leaderboard", _leaderboard, "every target against what was reached")
    board.add_argument("--runs", type=Path, default=RUNS, help="folder of runs (default runs)")
    board.add_argument("--markdown", action="store_true", help="as a Markdown page")
    board.add_argument("--all", action="store_true", help="also recipes that have no run")

    sync = _add(commands, "sync", _sync, "bring MLflow up to date with a run's log")
    sync.add_argument("run", type=Path, metavar="RUN", help="run folder")
    sync.add_argument("--tracking", metavar="URI", help="MLflow's address (default: the plan's)")
    sync.add_argument("--follow", action="store_true", help="go on until the run ends")
    sync.add_argument("--parent", type=int, metavar="PID", help="with --follow: the training process")

    kinds = commands.add_parser(
        "bench", help="measure beside named alternatives", description="Measure beside named alternatives."
    ).add_subparsers(metavar="KIND", required=True, parser_class=_Parser)
    loader = _add(kinds, "loader", _bench_loader, "images a second of our loader and of others, same files")
    loader.add_argument("--data", type=Path, help="prepared data (default: generated, of ImageNet's sizes)")
    loader.add_argument("--images", type=_positive, default=1024, help="images a round (default 1024)")
    loader.add_argument(
        "--sizes", type=_positive, nargs="+", default=[224, 128], metavar="PIXELS", help="(default 224 128)"
    )
    loader.add_argument("--batch", type=_positive, default=64, help="images a batch (default 64)")
    loader.add_argument("--rounds", type=_positive, default=10, help="rounds of every row (default 10)")
    loader.add_argument("--threads", type=_positive, help="threads or workers (default: the CPUs allotted)")
    loader.add_argument("--randaugment", action="store_true", help="also with RandAugment, ours and timm's")
    loader.add_argument("--storage", action="store_true", help="also ours from a packed tar")
    loader.add_argument(
        "--peers", nargs="*", choices=PEERS, default=list(PEERS), help="which others (default all)"
    )

    doctor = _add(commands, "doctor", _doctor, "what is installed, whether it fits, how fast it loads")
    doctor.add_argument("--data", type=Path, help="prepared data to load from (default: generated)")
    doctor.add_argument("--runs", type=Path, default=RUNS, help="where runs would go (default runs)")
    doctor.add_argument("--threads", type=_positive, help="threads of the loader (default: CPUs allotted)")
    return parser


def _add(commands: Any, name: str, command: Command, what: str, json: bool = True) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=what, description=f"{what[0].upper()}{what[1:]}."
    )
    parser.set_defaults(command=command)
    if json:
        parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    return parser


def _add_science(parser: argparse.ArgumentParser) -> None:
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


def _add_machine(parser: argparse.ArgumentParser, gpus: bool = True) -> None:
    if gpus:
        parser.add_argument("--gpus", type=_positive, default=1, help="training processes (default 1)")
    parser.add_argument("--micro-batch", type=_positive, help="images a GPU is given at once")
    parser.add_argument("--seed", type=int, default=0, help="seed of the run (default 0)")
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16", "fp16"), default="auto")
    parser.add_argument(
        "--deterministic", action="store_true", help="deterministic algorithms on a GPU, slower"
    )
    _add_device(parser)


def _add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument(
        "--threads", type=_positive, help="CPU threads a process (default: those allotted, shared out)"
    )


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runs", type=Path, default=RUNS, help="folder of runs (default runs)")
    parser.add_argument(
        "--tracking", metavar="URI", help="MLflow's address, or none (default: sqlite in --runs)"
    )
    parser.add_argument(
        "--checkpoint-every", type=_positive, metavar="STEPS", help="besides the end of each epoch"
    )
    parser.add_argument("--log-every", type=_positive, metavar="STEPS", help="steps between two log lines")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return int(text)


def _recipe(options: argparse.Namespace, classes: int, name: str | None = None) -> Any:
    from pipeline.choose import choose_recipe

    return choose_recipe(name or options.recipe, options.set, options.tiny, classes)


def _print_json(value: dict[str, Any]) -> int:
    print(json.dumps(value, indent=1))
    return 0


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
