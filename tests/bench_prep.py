"""How long a preparation takes beside others, on the same generated archives. A script, not a test.

    python tests/bench_prep.py FOLDER [--images 20000] [--rounds 5]
    python tests/bench_prep.py FOLDER --manifest 1331167

Rows take turns, each in a process of its own whose start and imports are not counted. Only ratios of rounds
are worth keeping: they are of the same minute of the same machine.
"""

import argparse
import hashlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tarfile
import time
from pathlib import Path

from made_archives import add, devkit, meta_mat

from data_prep.audit import verify
from data_prep.imagenet import Archives, prepare_imagenet
from data_prep.published import Published

CLASSES = [f"n{number:08d}" for number in range(1, 21)]
DIFFERENT = 64  # images; they come again under other names
TREE = "tree"  # what the decoding rows read
SETS = {  # the first of each is what the others are compared with
    "extraction": ("tar", "torchvision", "ours, 1 process", "ours"),
    "verification": ("Pillow decodes each file", "ours, 1 process ", "ours "),
}


def generate(folder, images):
    """Write archives of ImageNet's sizes and weight; every twentieth image is for validation."""
    from pipeline.bench.images import image

    contents = [image(number) for number in range(min(images, DIFFERENT))]
    val, each = images // 20, (images - images // 20) // len(CLASSES)
    folder.mkdir(parents=True)
    with tarfile.open(folder / "train.tar", "w") as tar:
        for place, wnid in enumerate(CLASSES):
            inner = folder / "class.tar"
            with tarfile.open(inner, "w") as one:
                for number in range(each):
                    add(one, f"{wnid}_{number}.JPEG", contents[(place * each + number) % len(contents)])
            tar.add(inner, f"{wnid}.tar")
            inner.unlink()
    with tarfile.open(folder / "val.tar", "w") as tar:
        for number in range(val):
            add(tar, f"ILSVRC2012_val_{number + 1:08d}.JPEG", contents[number % len(contents)])
    truth = "".join(f"{1 + number % len(CLASSES)}\n" for number in range(val)).encode()
    (folder / "devkit.tar.gz").write_bytes(devkit(meta_mat(CLASSES, CLASSES, each), truth))
    sums = {p.name.split(".")[0]: hashlib.md5(p.read_bytes()).hexdigest() for p in folder.iterdir()}
    (folder / "sums.json").write_text(json.dumps({"md5": sums, "train": each * len(CLASSES), "val": val}))


def by_tar(source, out):
    """What the README of many a repository says: unpack, and unpack what was in it."""
    script = (
        "set -e; mkdir -p train val; tar xf $0/train.tar -C train; tar xf $0/val.tar -C val; cd train; "
        "for t in *.tar; do d=${t%.tar}; mkdir $d; tar xf $t -C $d; rm $t; done"
    )
    subprocess.run(["sh", "-c", script, str(source)], cwd=out, check=True)


def by_torchvision(source, out):
    from torchvision.datasets import imagenet

    sums = json.loads((source / "sums.json").read_text())["md5"]
    for holds, (name, _) in list(imagenet.ARCHIVE_META.items()):
        imagenet.ARCHIVE_META[holds] = (name, sums[holds])
        found = next(path for path in source.iterdir() if path.name.startswith(f"{holds}.tar"))
        (out / name).symlink_to(found)
    imagenet.parse_devkit_archive(out)
    imagenet.parse_train_archive(out)
    imagenet.parse_val_archive(out)


def by_us(source, out, processes=None):
    known = json.loads((source / "sums.json").read_text())
    images = {split: known[split] for split in ("train", "val")}
    published = Published("imagenet", known["md5"], images, len(CLASSES))
    archives = Archives(source / "train.tar", source / "val.tar", source / "devkit.tar.gz")
    prepare_imagenet(out, archives, published=published, processes=processes)


def by_pillow(source, out):
    from PIL import Image

    for path in (source.parent / TREE).glob("*/*/*.JPEG"):
        with Image.open(path) as image:
            image.load()


def by_verify(source, out, processes=None):
    known = json.loads((source / "sums.json").read_text())
    images = {split: known[split] for split in ("train", "val")}
    published = Published("imagenet", known["md5"], images, len(CLASSES))
    report = verify(source.parent / TREE, published=published, processes=processes)
    assert not report.problems, report.problems[:3]


ROWS = {
    "tar": by_tar,
    "torchvision": by_torchvision,
    "ours, 1 process": lambda *given: by_us(*given, processes=1),
    "ours": by_us,
    "Pillow decodes each file": by_pillow,
    "ours, 1 process ": lambda *given: by_verify(*given, processes=1),
    "ours ": by_verify,
}


def child(row, source, out):
    """Do one row once and print its seconds; imports come before."""
    if row == "torchvision":
        import torchvision.datasets.imagenet  # noqa: F401

    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    os.sync()
    start = time.perf_counter()
    ROWS[row](source, out)
    wall = time.perf_counter() - start
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(json.dumps({"wall": wall, "cpu": sum(one.ru_utime + one.ru_stime for one in used)}))


def compare(folder, images, rounds, rows):
    source = folder / f"archives-{images}"
    if not (source / "sums.json").exists():
        shutil.rmtree(source, ignore_errors=True)
        generate(source, images)
    if not (folder / TREE / "manifest.json").exists():
        by_us(source, folder / TREE)
    taken = {row: [] for row in ROWS if row in rows}
    for number in range(rounds):
        for row in list(taken)[:: 1 if number % 2 == 0 else -1]:
            command = [sys.executable, __file__, str(folder), "--row", row, "--images", str(images)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            taken[row].append(json.loads(done.stdout.splitlines()[-1]))
            print(
                f"round {number + 1}  {row:26} {taken[row][-1]['wall']:6.1f} s", file=sys.stderr, flush=True
            )
        report(taken, images)
    shutil.rmtree(folder / "out", ignore_errors=True)


def report(taken, images):
    for name, rows in SETS.items():
        rows = [row for row in rows if row in taken]
        rounds = len(taken[rows[0]])
        print(f"{name} of {images:,} images: multiples of {rows[0]!r}, median (least, most) of {rounds}")
        for row in rows:
            ratios = {
                what: sorted(a[what] / b[what] for a, b in zip(taken[row], taken[rows[0]], strict=True))
                for what in ("wall", "cpu")
            }
            print(f"  {row:26}", *(_told(what, values) for what, values in ratios.items()), flush=True)


def _told(what, ratios):
    return f"  {what} {statistics.median(ratios):.2f} ({ratios[0]:.2f}, {ratios[-1]:.2f})"


def manifest(folder, images):
    """Write the manifest of so many generated entries and say what opening it takes, in a new process."""
    from made_manifest import write_big_manifest

    write_big_manifest(folder / "manifest", images)
    code = (
        "import sys, time; from pathlib import Path; from pipeline.data.manifest import Manifest\n"
        "def mib(key):  # what getrusage calls the peak is inherited from the process that started this one\n"
        "    lines = Path('/proc/self/status').read_text().splitlines()\n"
        "    return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 1024\n"
        "before = mib('VmRSS'); start = time.perf_counter()\n"
        "found = Manifest.load(sys.argv[1]); splits = [found.split(name) for name in ('train', 'val')]\n"
        "seconds, peak = time.perf_counter() - start, mib('VmHWM')\n"
        "print(f'{seconds:.2f} s, at most {peak - before:.0f} MiB more, {peak:.0f} in all')"
    )
    for _ in range(5):
        subprocess.run([sys.executable, "-c", code, str(folder / "manifest")], check=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--row", choices=ROWS, help=argparse.SUPPRESS)
    parser.add_argument("--manifest", type=int, metavar="IMAGES", help="open a manifest of so many instead")
    options = parser.parse_args()
    if options.manifest:
        manifest(options.folder, options.manifest)
    elif options.row:
        child(options.row, options.folder / f"archives-{options.images}", options.folder / "out")
    else:
        compare(options.folder, options.images, options.rounds, options.rows)
