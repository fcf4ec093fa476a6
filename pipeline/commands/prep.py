"""`top1 prep`: from what people have to what training reads."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

from pipeline.commands.options import ONE_TASK, Command, add_command, positive, print_json, seed_number
from pipeline.commands.prep_answers import print_header, print_report, report_json
from pipeline.errors import UsageError


def add(commands: Any) -> None:
    prep = commands.add_parser("prep", help="prepare data", description="Prepare data for training, once.")
    kinds = prep.add_subparsers(metavar="KIND", required=True)
    demo = _add(kinds, "demo", _prep_demo, "1,797 real handwritten digits as JPEG files, no download")
    demo.add_argument("folder", type=Path, metavar="DIR", help="where to write them")
    folder = _add(kinds, "folder", _prep_folder, "index a train/<class>/* and val/<class>/* tree in place")
    folder.add_argument("folder", type=Path, metavar="DIR", help="the tree")
    folder.add_argument("--name", help="what to call the set (default: the folder's name)")
    _add_processes(folder)
    _add_imagenet(kinds)
    _add_downloads(kinds)
    verify = _add(kinds, "verify", _prep_verify, "decode every image and report what is wrong")
    verify.add_argument("folder", type=Path, metavar="DIR", help="prepared data, or a train/, val/ tree")
    verify.add_argument(
        "--repair", action="store_true", help="write anew what decodes in part, and odd training images"
    )
    verify.add_argument(
        "--val-tar", type=Path, metavar="TAR", help="ILSVRC2012_img_val.tar: prove that the set is official"
    )
    verify.add_argument("--devkit", type=Path, metavar="TAR", help="with --val-tar: prove the labels as well")
    _add_processes(verify)

    _add_parts(kinds)
    _add_packs(kinds)


def _add_parts(kinds: Any) -> None:
    subset = _add(kinds, "subset", _prep_subset, "some classes and images of prepared data, by a seed")
    _add_way(subset, "DIR", "prepared data", "where the subset goes: hard links, or copies")
    subset.add_argument("--classes", type=positive, required=True, metavar="N", help="how many classes")
    subset.add_argument("--images", type=positive, required=True, metavar="M", help="training images of each")
    subset.add_argument("--val-images", type=positive, metavar="M", help="validation images (default: all)")
    subset.add_argument("--seed", type=seed_number, default=0, help="what is drawn (default 0)")
    subset.add_argument("--copy", action="store_true", help="copies even where hard links can be made")
    minival = _add(
        kinds, "minival", _prep_minival, "hold a part of train out, to choose on it instead of on val"
    )
    _add_way(minival, "DIR", "prepared data; it has to stay where it is", "where the manifest goes", False)
    minival.add_argument("--images", type=positive, help="held out (default 25,000, as EfficientNetV2's)")
    minival.add_argument("--seed", type=seed_number, default=0, help="what is drawn (default 0)")


def _add_packs(kinds: Any) -> None:
    pack = _add(kinds, "pack", _prep_pack, "the same data as WebDataset tars of 1 GB, for slow small files")
    _add_way(pack, "DIR", "prepared data", "where the tars and their manifest go")
    pack.add_argument(
        "--short-side",
        type=positive,
        metavar="PIXELS",
        help="write larger images anew; another data set then",
    )
    pack.add_argument(
        "--quality", type=positive, default=95, help="JPEG quality of those, to 100 (default 95)"
    )
    pack.add_argument("--shard-mb", type=positive, default=1000, metavar="MB", help="(default 1000)")
    unpack = _add(kinds, "unpack", _prep_unpack, "the files of a pack again, byte for byte")
    _add_way(unpack, "PACK", "a pack", "where the files go")


def _add_downloads(kinds: Any) -> None:
    more = _add(kinds, "imagenet21k", _prep_imagenet21k, "ImageNet-21K: the full releases, or the processed")
    _add_way(more, "SOURCE", "the release's archive, or a folder of class tars", "where the set goes")
    more.add_argument(
        "--val-images", type=int, default=50, metavar="N", help="held out of each large class (default 50)"
    )
    more.add_argument(
        "--val-above", type=positive, default=500, metavar="M", help="of classes with more (default 500)"
    )
    mnist = _add(kinds, "mnist", _prep_mnist, "MNIST or Fashion-MNIST from IDX files, as grey PNGs")
    _add_way(mnist, "DIR", "the folder with the four IDX files, gzipped or not", "where the set goes")
    mnist.add_argument("--name", help="what to call the set (default: what its sums say, else the folder's)")
    tiny = _add(kinds, "tiny-imagenet", _prep_tiny_imagenet, "Tiny ImageNet from tiny-imagenet-200.zip")
    _add_way(tiny, "ZIP", "the zip as it was downloaded", "where the set goes")


def _add_way(
    parser: argparse.ArgumentParser, source: str, what: str, where: str, processes: bool = True
) -> None:
    """Add what is read and where the result goes."""
    parser.add_argument("source", type=Path, metavar=source, help=what)
    parser.add_argument("folder", type=Path, metavar="OUT", help=where)
    if processes:
        _add_processes(parser)


def _add_imagenet(kinds: Any) -> None:
    imagenet = _add(
        kinds, "imagenet", _prep_imagenet, "ILSVRC2012 from its three archives, or from an extracted tree"
    )
    imagenet.add_argument("--train", type=Path, metavar="TAR", help="ILSVRC2012_img_train.tar")
    imagenet.add_argument("--val", type=Path, metavar="TAR", help="ILSVRC2012_img_val.tar")
    imagenet.add_argument("--devkit", type=Path, metavar="TAR", help="ILSVRC2012_devkit_t12.tar.gz")
    imagenet.add_argument(
        "--from-folders", type=Path, metavar="TREE", help="instead: train/ and val/, or Kaggle's CLS-LOC tree"
    )
    imagenet.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="where the set goes (--from-folders: hard links; default in place)",
    )
    imagenet.add_argument(
        "--unofficial",
        action="store_true",
        help="accept other archives; results are shown as unverified data",
    )
    imagenet.add_argument(
        "--as-published", action="store_true", help="list odd training images, but do not mend them"
    )
    _add_processes(imagenet)


def _add(kinds: Any, name: str, command: Command, what: str) -> argparse.ArgumentParser:
    parser = add_command(kinds, name, command, what)
    parser.set_defaults(once=ONE_TASK)
    return parser


def _add_processes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--processes", type=positive, help="at work at a time (default: the CPUs allotted)")


def _prep_demo(options: argparse.Namespace) -> int:
    from data_prep.demo import prepare_demo

    return print_header(prepare_demo(options.folder), options)


def _prep_folder(options: argparse.Namespace) -> int:
    from data_prep.folder import prepare_folder

    return print_header(prepare_folder(options.folder, name=options.name, **_shared(options)), options)


def _prep_imagenet(options: argparse.Namespace) -> int:
    archives = {"--train": options.train, "--val": options.val, "--devkit": options.devkit}
    missing = [name for name, path in archives.items() if path is None]
    if options.from_folders:
        if options.train or options.val:
            raise UsageError("--from-folders takes an extracted tree, not --train and --val; leave one out.")
        from data_prep.imagenet_folders import prepare_from_folders

        header = prepare_from_folders(
            options.from_folders,
            devkit=options.devkit,
            out=options.out,
            unofficial=options.unofficial,
            **_shared(options),
        )
        options.folder = options.out or options.from_folders
        return print_header(header, options)
    if missing or options.out is None:
        lacking = ", ".join([*missing, *(["--out"] if options.out is None else [])])
        raise UsageError(
            f"{lacking} is missing; give --train TAR --val TAR --devkit TAR --out DIR, or --from-folders "
            "TREE."
        )
    from data_prep.imagenet import Archives, prepare_imagenet

    given = Archives(options.train, options.val, options.devkit, official=not options.unofficial)
    header = prepare_imagenet(options.out, given, mend=not options.as_published, **_shared(options))
    options.folder = options.out
    return print_header(header, options)


def _prep_imagenet21k(options: argparse.Namespace) -> int:
    if options.val_images < 0:
        raise UsageError(f"--val-images {options.val_images} is negative; 50 is usual, 0 holds nothing out.")
    from data_prep.imagenet21k import prepare_imagenet21k

    held_out = {"held_out": options.val_images, "held_out_above": options.val_above}
    return print_header(
        prepare_imagenet21k(options.source, options.folder, **held_out, **_shared(options)), options
    )


def _prep_mnist(options: argparse.Namespace) -> int:
    from data_prep.mnist import prepare_mnist

    return print_header(
        prepare_mnist(options.source, options.folder, name=options.name, **_shared(options)), options
    )


def _prep_tiny_imagenet(options: argparse.Namespace) -> int:
    from data_prep.tiny_imagenet import prepare_tiny_imagenet

    return print_header(prepare_tiny_imagenet(options.source, options.folder, **_shared(options)), options)


def _prep_subset(options: argparse.Namespace) -> int:
    from data_prep.subset import make_subset

    header = make_subset(
        options.source,
        options.folder,
        classes=options.classes,
        images=options.images,
        val_images=options.val_images,
        seed=options.seed,
        copy=options.copy,
        **_shared(options),
    )
    return print_header(header, options)


def _prep_minival(options: argparse.Namespace) -> int:
    from data_prep.minival import IMAGES, make_minival

    images = options.images or IMAGES
    header = make_minival(
        options.source, options.folder, images=images, seed=options.seed, command=_typed(options)
    )
    return print_header(header, options)


def _prep_pack(options: argparse.Namespace) -> int:
    if options.quality > 100:
        raise UsageError(f"--quality {options.quality} is more than 100; 95 loses little.")
    from data_prep.cap import Cap
    from data_prep.pack import pack_folder

    cap = Cap(options.short_side, options.quality) if options.short_side else None
    header = pack_folder(
        options.source, options.folder, cap=cap, shard_bytes=options.shard_mb * 1e6, **_shared(options)
    )
    return print_header(header, options)


def _prep_unpack(options: argparse.Namespace) -> int:
    from data_prep.unpack import unpack

    return print_header(unpack(options.source, options.folder, **_shared(options)), options)


def _shared(options: argparse.Namespace) -> dict[str, Any]:
    """Return what every preparation takes: how it was asked for, with how many processes, whom to tell."""
    from data_prep.progress import on_this_terminal

    return {"command": _typed(options), "processes": options.processes, "progress": on_this_terminal()}


def _prep_verify(options: argparse.Namespace) -> int:
    from data_prep.audit import verify

    report = verify(
        options.folder,
        mend=options.repair,
        val_tar=options.val_tar,
        devkit=options.devkit,
        processes=options.processes,
        progress=_shared(options)["progress"],
    )
    if options.json:
        print_json(report_json(report))
    else:
        print_report(report)
    return 1 if report.problems else 0


def _typed(options: argparse.Namespace) -> str:
    """Return the command as it was typed, for the manifest."""
    return shlex.join(["top1", *options.arguments])
