"""ImageNet from archives with the published nesting, names, devkit and oddities; killed, full, hostile."""

import csv
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_archives import (
    TRAIN,
    VAL,
    WNIDS,
    add,
    devkit,
    jpeg,
    tar_of,
    train_images,
    val_images,
    val_wnids,
    write_archives,
)
from PIL import Image

from data_prep.audit import verify
from data_prep.imagenet import Archives, prepare_imagenet
from data_prep.imagenet_folders import prepare_from_folders
from data_prep.published import ILSVRC2012, Published
from data_prep.work import only_one
from pipeline.cli import main
from pipeline.data.header import read_header
from pipeline.data.manifest import Manifest
from pipeline.errors import Top1Error

TESTS = Path(__file__).resolve().parent


def published_of(paths):
    """State the sums and numbers of scaled-down archives, as they are stated of the originals."""
    md5 = {holds: hashlib.md5(path.read_bytes()).hexdigest() for holds, path in paths.items()}
    return Published("imagenet", md5, {"train": TRAIN * len(WNIDS), "val": VAL}, len(WNIDS))


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return write_archives(tmp_path_factory.mktemp("downloads"))


@pytest.fixture(scope="module")
def published(paths):
    return published_of(paths)


@pytest.fixture(scope="module")
def whole(paths, published, tmp_path_factory):
    """The set prepared from the archives, by two processes."""
    out = tmp_path_factory.mktemp("whole") / "imagenet"
    prepare_imagenet(out, Archives(**paths), published=published, processes=2)
    return out


@pytest.fixture(scope="module")
def as_published(paths, published, tmp_path_factory):
    """The same with its oddities left as they are."""
    out = tmp_path_factory.mktemp("as_published") / "imagenet"
    prepare_imagenet(out, Archives(**paths), published=published, mend=False)
    return out


def files(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for split in ("train", "val")
        for path in sorted((folder / split).rglob("*"))
        if path.is_file()
    }


def rebuilt(tmp_path, **contents):
    """Write the archives, some with other contents; return their paths."""
    made = write_archives(tmp_path / "downloads")
    for holds, content in contents.items():
        made[holds].write_bytes(content)
    return made


# ---------------------------------------------------------------- what comes out


def test_the_tree_is_the_one_torchvision_makes_of_the_same_archives(paths, as_published, published, tmp_path):
    from torchvision.datasets import imagenet as theirs

    for path in paths.values():
        shutil.copy(path, tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        meta = {holds: (path.name, published.md5[holds]) for holds, path in paths.items()}
        patch.setattr(theirs, "ARCHIVE_META", meta)
        theirs.parse_devkit_archive(tmp_path)
        theirs.parse_train_archive(tmp_path)
        theirs.parse_val_archive(tmp_path)
    assert files(as_published) == files(tmp_path)
    by_class = theirs.ImageFolder(tmp_path / "val").class_to_idx
    split = Manifest.load(as_published).split("val")
    assert {name: label for label, name in enumerate(split.classes)} == by_class


def test_validation_images_have_the_labels_of_the_ground_truth(whole):
    split = Manifest.load(whole).split("val")
    found = {Path(split.paths[i]).name: split.classes[split.labels[i]] for i in range(len(split))}
    assert found == val_wnids()


def test_the_header_has_counts_sums_and_the_proof(whole, published):
    header = read_header(whole)
    assert header.name == "imagenet"
    assert {name: (s.images, s.classes) for name, s in header.splits.items()} == {
        "train": (TRAIN * len(WNIDS), len(WNIDS)),
        "val": (VAL, len(WNIDS)),
    }
    assert header.classes == tuple(sorted(WNIDS))
    assert header.archives == published.md5
    assert published.md5["val"] in header.official
    assert header.changes == ()
    assert {path.name for path in (whole / ".prep").iterdir()} == {"lock", "asked.json"}


def test_odd_training_images_are_mended_listed_and_look_as_before(whole, as_published):
    repairs = read_header(whole).repairs
    odd = {"n02105855": "no JPEG", "n03063689": "CMYK", "n02097047": "EXIF"}
    assert len(repairs) == 3
    for wnid, what in odd.items():
        (line,) = [line for line in repairs if wnid in line]
        assert what in line
        path = line.partition(": ")[0]
        with Image.open(whole / path) as mended, Image.open(as_published / path) as original:
            assert (mended.format, mended.mode) == ("JPEG", "RGB")
            assert mended.getexif().get(0x0112) is None
            assert mended.size == original.size
            apart = np.asarray(mended, int) - np.asarray(original.convert("RGB"), int)
        assert np.abs(apart).max() <= (0 if what == "EXIF" else 3)
    changed = [path for path, content in files(whole).items() if files(as_published)[path] != content]
    assert sorted(changed) == sorted(line.partition(": ")[0] for line in repairs)


def test_validation_images_are_never_touched(tmp_path):
    images = val_images()
    name = next(iter(images))
    images[name] = jpeg(1, exif=_turned())
    archives = rebuilt(tmp_path, val=tar_of(images))
    prepare_imagenet(tmp_path / "out", Archives(**archives), published=published_of(archives))
    assert (tmp_path / "out/val" / val_wnids()[name] / name).read_bytes() == images[name]


def _turned():
    exif = Image.Exif()
    exif[0x0112] = 8
    return exif


def test_a_finished_set_is_left_alone(whole, paths, published):
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("*.*")}
    prepare_imagenet(whole, Archives(**paths), published=published)
    assert {path: path.stat().st_mtime_ns for path in whole.rglob("*.*")} == before


def test_a_finished_set_is_not_taken_for_one_that_was_asked_for_otherwise(paths, published, whole, tmp_path):
    with pytest.raises(Top1Error, match=r"made with no --as-published, and --as-published is asked for"):
        prepare_imagenet(whole, Archives(**paths), published=published, mend=False)
    out = tmp_path / "out"
    archives = Archives(**rebuilt(tmp_path, val=paths["val"].read_bytes()), official=False)
    prepare_imagenet(out, archives, published=published)
    with pytest.raises(Top1Error, match=r"made with --unofficial, and no --unofficial is asked for"):
        prepare_imagenet(out, replace(archives, official=True), published=published)
    with pytest.raises(Top1Error, match=r"made with --train .*, and --train .* is asked for"):
        prepare_imagenet(out, replace(archives, train=paths["train"]), published=published)
    linked = tmp_path / "linked"
    prepare_from_folders(whole, out=linked, published=published)
    with pytest.raises(Top1Error, match=r"made with --from-folders .*whole.*, and --from-folders .*out is"):
        prepare_from_folders(out, out=linked, published=published)
    prepare_from_folders(whole, out=linked, published=published)


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize("holds", ["train", "val", "devkit"])
def test_an_archive_with_another_sum_is_refused_by_name(holds, paths, published, tmp_path):
    other = replace(published, md5={**published.md5, holds: "0" * 32})
    with pytest.raises(Top1Error, match=rf"{paths[holds].name} has the md5 {published.md5[holds]}"):
        prepare_imagenet(tmp_path / "out", Archives(**paths), published=other)
    assert not (tmp_path / "out/manifest.json").exists()
    assert not (tmp_path / "out/train").exists()


def test_the_published_sums_are_those_of_torchvision():
    from torchvision.datasets.imagenet import ARCHIVE_META

    assert ILSVRC2012.md5 == {holds: md5 for holds, (_, md5) in ARCHIVE_META.items()}


def test_on_the_command_line_other_archives_need_a_word_and_are_not_official(paths, tmp_path, capsys):
    command = ["prep", "imagenet", "--out", str(tmp_path / "out")]
    command += [word for holds, path in paths.items() for word in (f"--{holds}", str(path))]
    assert main(command) == 1
    assert "--unofficial" in capsys.readouterr().err
    assert main([*command, "--unofficial", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["split"]["train"] == {"images": TRAIN * len(WNIDS), "classes": len(WNIDS)}
    assert (answer["official"], len(answer["repairs"]), answer["problems"]) == (None, 3, [])
    assert read_header(tmp_path / "out").command.startswith("top1 prep imagenet --out")


def test_missing_images_are_counted_by_class(tmp_path):
    tars = {f"{wnid}.tar": tar_of(train_images(wnid)) for wnid in WNIDS[1:]}
    few = dict(list(train_images(WNIDS[0]).items())[:-2])
    archives = rebuilt(tmp_path, train=tar_of({**tars, f"{WNIDS[0]}.tar": tar_of(few)}))
    with pytest.raises(Top1Error, match=rf"train has 40 images where 42.*{WNIDS[0]} has 5 of 7"):
        prepare_imagenet(tmp_path / "out", Archives(**archives, official=False))
    assert not (tmp_path / "out/manifest.json").exists()


HOSTILE = {
    "climbs out": ("../../escaped.JPEG", {}, "would be written outside"),
    "is absolute": ("/tmp/escaped.JPEG", {}, "would be written outside"),
    "is a symlink": ("a.JPEG", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}, "symbolic link"),
    "is a hard link": ("a.JPEG", {"type": tarfile.LNKTYPE, "linkname": "b"}, "hard link"),
    "is a device": ("a.JPEG", {"type": tarfile.CHRTYPE}, "character device"),
    "is a pipe": ("a.JPEG", {"type": tarfile.FIFOTYPE}, "named pipe"),
}


@pytest.mark.parametrize("where", ["val", "train", "a class"])
@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_member_is_refused_by_name(what, where, tmp_path):
    name, fields, told = HOSTILE[what]
    content = b"" if "type" in fields else jpeg(1)
    hostile = io.BytesIO()
    with tarfile.open(fileobj=hostile, mode="w") as tar:
        add(tar, name, content, **fields)
    inner = tar_of({f"{WNIDS[0]}.tar": hostile.getvalue()})
    contents = {"val": {"val": hostile.getvalue()}, "train": {"train": hostile.getvalue()}}
    archives = rebuilt(tmp_path, **contents.get(where, {"train": inner}))
    with pytest.raises(Top1Error, match=rf"member '{name}' (is a )?{told}"):
        prepare_imagenet(tmp_path / "out", Archives(**archives, official=False))
    assert not list(tmp_path.rglob("escaped*"))
    assert not Path("/tmp/escaped.JPEG").exists()
    assert not any(path.is_symlink() for path in (tmp_path / "out").rglob("*"))


@pytest.mark.parametrize("holds", ["train", "val", "devkit"])
def test_an_archive_that_was_cut_short_is_named(holds, paths, tmp_path):
    content = paths[holds].read_bytes()
    archives = rebuilt(tmp_path, **{holds: content[: len(content) * 2 // 3]})
    with pytest.raises(Top1Error, match=paths[holds].name):
        prepare_imagenet(tmp_path / "out", Archives(**archives, official=False))
    assert not (tmp_path / "out/manifest.json").exists()


def test_a_devkit_that_does_not_fit_together_is_refused(tmp_path):
    archives = rebuilt(tmp_path, devkit=devkit(truth=b"1\n99\n"))
    with pytest.raises(Top1Error, match=r"ground truth names 99"):
        prepare_imagenet(tmp_path / "out", Archives(**archives, official=False))


def test_files_of_others_are_not_mixed_with_the_set(paths, published, tmp_path):
    (tmp_path / "out/train/mine").mkdir(parents=True)
    with pytest.raises(Top1Error, match=r"out/train is there already"):
        prepare_imagenet(tmp_path / "out", Archives(**paths), published=published)


# ---------------------------------------------------------------- what is interrupted

KILLED = """
import json, os, sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
from data_prep.imagenet import Archives, prepare_imagenet
from data_prep.progress import Quiet, Stage
from data_prep.published import Published
from contextlib import contextmanager

class Stuck(Quiet):
    parts = 0
    @contextmanager
    def stage(self, what, total):
        stage = Stage(what, total)
        count = stage.advance
        def advance(*given, **named):
            count(*given, **named)
            Stuck.parts += 1
            if Stuck.parts == {parts}:
                print("stuck", flush=True)
                time.sleep(600)
        stage.advance = advance
        yield stage

if __name__ == "__main__":
    paths = {{holds: Path(path) for holds, path in json.loads(sys.argv[1]).items()}}
    known = Published(**json.loads(sys.argv[2]))
    prepare_imagenet(sys.argv[3], Archives(**paths), published=known, processes={processes}, progress=Stuck())
"""


@pytest.mark.parametrize(("parts", "processes"), [(1, 1), (4, 2), (7, 1)])
def test_a_set_that_was_killed_is_completed_and_ends_the_same(
    parts, processes, paths, published, whole, tmp_path
):
    out, script = tmp_path / "out", tmp_path / "killed.py"
    script.write_text(KILLED.format(tests=str(TESTS), parts=parts, processes=processes))
    given = [json.dumps({holds: str(path) for holds, path in paths.items()}), json.dumps(vars(published))]
    run = subprocess.Popen([sys.executable, script, *given, out], stdout=subprocess.PIPE, text=True)
    assert run.stdout.readline() == "stuck\n"
    with pytest.raises(Top1Error, match=r"another `top1 prep` is at work in"):  # two runs at once
        prepare_imagenet(out, Archives(**paths), published=published)
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert not (out / "manifest.json").exists()
    assert not (out / "train").exists()
    done = len(list((out / ".prep/records").glob("*.json")))
    assert done >= parts
    # What was being written when the process died may be there in part.
    (out / ".prep/unpacking/train").mkdir(parents=True, exist_ok=True)
    half = next(iter(train_images(WNIDS[-1])))
    (out / f".prep/unpacking/train/{WNIDS[-1]}").mkdir(exist_ok=True)
    if done < 7:
        (out / f".prep/unpacking/train/{WNIDS[-1]}/{half}").write_bytes(b"\xff\xd8\xff half")
    kept = {path: path.stat().st_mtime_ns for path in _recorded(out)}
    prepare_imagenet(out, Archives(**paths), published=published)
    assert files(out) == files(whole)
    assert read_header(out).fingerprint == read_header(whole).fingerprint
    now = {path: (out / path.relative_to(out / ".prep/unpacking")).stat().st_mtime_ns for path in kept}
    assert now == kept  # nothing was written twice


def _recorded(out):
    for record in (out / ".prep/records").glob("*.json"):
        for _, path, *_ in json.loads(record.read_text())["rows"]:
            yield out / ".prep/unpacking" / path


def test_a_file_that_vanished_between_two_runs_is_written_again(paths, published, whole, tmp_path):
    out, wrong = tmp_path / "out", replace(published, md5={**published.md5, "train": "0" * 32})
    with pytest.raises(Top1Error, match="md5"):
        prepare_imagenet(out, Archives(**paths), published=wrong)
    gone = sorted((out / ".prep/unpacking/train").rglob("*.JPEG"))[3]
    gone.unlink()
    prepare_imagenet(out, Archives(**paths), published=published)
    assert files(out) == files(whole)


def test_nothing_of_a_wrong_archive_is_kept_when_the_right_one_is_given(paths, published, whole, tmp_path):
    out, content = tmp_path / "out", bytearray(paths["train"].read_bytes())
    place = content.index(jpeg(103))  # inside an image, so that names and sizes stay the same
    content[place + 650 : place + 660] = bytes(10)
    archives = rebuilt(tmp_path, train=bytes(content))
    with pytest.raises(Top1Error, match="has the md5"):
        prepare_imagenet(out, Archives(**archives), published=published)
    prepare_imagenet(out, Archives(**paths), published=published)
    assert files(out) == files(whole)


FULL = """
set -e
mkdir -p {disk}; mount -t tmpfs -o size={kilobytes}k tmpfs {disk}
"{python}" -m pipeline.cli prep imagenet {archives} --out {disk}/out --unofficial --processes 2 && exit 9
ls {disk}/out/manifest.json 2>/dev/null && exit 8
mount -o remount,size=64m {disk}
"{python}" -m pipeline.cli prep imagenet {archives} --out {disk}/out --unofficial --json
"""


def test_a_full_disk_stops_in_one_sentence_and_a_second_run_completes(tmp_path):
    small = {wnid: {name: _tiny(n) for n, name in enumerate(train_images(wnid))} for wnid in WNIDS}
    archives = rebuilt(tmp_path, train=tar_of({f"{wnid}.tar": tar_of(small[wnid]) for wnid in WNIDS}))
    size = sum(archives[holds].stat().st_size for holds in ("train", "val"))
    # The tars fit, but a file takes whole blocks of 4 KiB where its member takes 512: it fills up midway.
    script = FULL.format(
        disk=tmp_path / "disk",
        kilobytes=size // 4096 * 4 + 12,
        python=sys.executable,
        archives=" ".join(f"--{holds} {path}" for holds, path in archives.items()),
    )
    done = subprocess.run(
        ["unshare", "--map-root-user", "--user", "--mount", "sh", "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(TESTS.parent)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "is full; nothing half-written is taken for whole" in done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads(done.stdout)["split"]["train"]["images"] == TRAIN * len(WNIDS)


def _tiny(number):
    encoded = io.BytesIO()
    Image.new("L", (8, 8), number).save(encoded, "JPEG")
    return encoded.getvalue()


def test_a_disk_that_is_too_small_is_refused_at_once(paths, published, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 1000))
    with pytest.raises(Top1Error, match=r"the set needs .* GB and .* has 0\.0 GB free"):
        prepare_imagenet(tmp_path / "out", Archives(**paths), published=published)
    assert not list((tmp_path / "out").glob("[!.]*"))


def test_a_lock_is_free_again_when_its_holder_is_gone(tmp_path):
    with only_one(tmp_path), pytest.raises(Top1Error, match="another `top1 prep`"), only_one(tmp_path):
        pass
    with only_one(tmp_path):
        pass


# ---------------------------------------------------------------- from an extracted tree


@pytest.fixture
def tree(as_published, tmp_path):
    """An extracted tree without a manifest."""
    shutil.copytree(as_published, tmp_path / "tree", ignore=shutil.ignore_patterns("manifest*", ".prep"))
    return tmp_path / "tree"


def flatten(folder):
    for path in list(folder.glob("*/*")):
        path.rename(folder / path.name)
    for path in list(folder.iterdir()):
        if path.is_dir():
            path.rmdir()


def kaggle(tree):
    """Turn a tree into Kaggle's: flat validation images, labelled by boxes in a CSV."""
    root = tree / "ILSVRC/Data/CLS-LOC"
    root.mkdir(parents=True)
    flatten(tree / "val")
    for split in ("train", "val"):
        (tree / split).rename(root / split)
    (root / "test").mkdir()
    with (tree / "LOC_val_solution.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["ImageId", "PredictionString"])
        for n, (name, wnid) in enumerate(sorted(val_wnids().items(), key=lambda one: one[0][::-1])):
            boxes = f"{wnid} 85 1 499 272 " + f"{wnid} 3 4 50 60 " * (n % 3)
            rows.writerow([name.removesuffix(".JPEG"), boxes])


@pytest.mark.parametrize("layout", ["folders", "flat", "kaggle", "kaggle linked", "packed"])
def test_every_layout_of_the_same_files_has_the_same_fingerprint(
    layout, tree, paths, published, as_published, tmp_path
):
    options = {"published": published}
    if layout == "flat":
        flatten(tree / "val")
        options["devkit"] = paths["devkit"]
    if layout.startswith("kaggle"):
        kaggle(tree)
    if layout == "kaggle linked":
        options["out"] = tmp_path / "linked"
    header = prepare_from_folders(tree, **options)
    if layout == "packed":
        from data_prep.pack import pack_folder

        header = pack_folder(tree, tmp_path / "packed", shard_bytes=50_000)
    assert header.fingerprint == read_header(as_published).fingerprint
    assert header.classes == read_header(as_published).classes
    assert header.official is None
    if layout == "kaggle linked":
        assert files(tmp_path / "linked") == files(as_published)
        a = next((tmp_path / "linked/val").rglob("*.JPEG"))
        assert a.stat().st_nlink == 2
    assert not verify(options.get("out", tree), published=published).problems


def test_a_flat_val_without_a_devkit_is_refused(tree, published):
    flatten(tree / "val")
    with pytest.raises(Top1Error, match=r"lie in one folder.*--devkit"):
        prepare_from_folders(tree, published=published)


def test_an_incomplete_tree_is_refused_with_the_class(tree, paths, published):
    next((tree / f"train/{WNIDS[2]}").iterdir()).unlink()
    with pytest.raises(Top1Error, match=rf"{WNIDS[2]} has 6 of 7"):
        prepare_from_folders(tree, devkit=paths["devkit"], published=published)
    with pytest.raises(Top1Error, match=r"train has 41 images of 6 classes, and 42 of 6 were published"):
        prepare_from_folders(tree, published=published)


def test_a_tree_that_is_no_imagenet_is_refused(tmp_path):
    with pytest.raises(Top1Error, match="has no folder train"):
        prepare_from_folders(tmp_path)


def test_the_command_line_wants_archives_or_a_tree(capsys):
    assert main(["prep", "imagenet", "--train", "x", "--out", "y"]) == 2
    assert "--val, --devkit is missing" in capsys.readouterr().err
    assert main(["prep", "imagenet", "--from-folders", "x", "--val", "y"]) == 2
    assert "leave one out" in capsys.readouterr().err


# ---------------------------------------------------------------- official or not


def test_a_tree_is_official_once_files_and_labels_were_matched(tree, paths, published):
    prepare_from_folders(tree, published=published)
    report = verify(tree, val_tar=paths["val"], published=published)
    assert report.header.official is None
    assert "nothing proves their labels" in report.remarks[0]
    report = verify(tree, val_tar=paths["val"], devkit=paths["devkit"], published=published)
    assert not report.problems
    assert published.md5["val"] in read_header(tree).official


def test_a_flat_tree_that_the_devkit_labelled_needs_the_archive_only(tree, paths, published):
    flatten(tree / "val")
    prepare_from_folders(tree, devkit=paths["devkit"], published=published)
    verify(tree, val_tar=paths["val"], published=published)
    assert published.md5["devkit"] in read_header(tree).official


@pytest.mark.parametrize("forgery", ["label", "content", "archive"])
def test_a_forged_tree_is_not_official(forgery, tree, paths, published, tmp_path):
    a, b = sorted((tree / "val").glob("*/*.JPEG"))[:2] if forgery == "content" else _of_two_classes(tree)
    if forgery == "label":
        first, second = a.parent / b.name, b.parent / a.name
        a.rename(second)
        b.rename(first)
    elif forgery == "content":
        a.write_bytes(jpeg(9999))
    prepare_from_folders(tree, published=published)
    val_tar = paths["val"]
    if forgery == "archive":
        val_tar = tmp_path / "other.tar"
        val_tar.write_bytes(
            tar_of({name: (tree / f"val/{val_wnids()[name]}/{name}").read_bytes() for name in val_wnids()})
        )
        with pytest.raises(Top1Error, match=r"other\.tar has the md5"):
            verify(tree, val_tar=val_tar, devkit=paths["devkit"], published=published)
    else:
        report = verify(tree, val_tar=val_tar, devkit=paths["devkit"], published=published)
        wrong = {problem.kind for problem in report.problems}
        assert wrong == {"label" if forgery == "label" else "other"}
        assert "not marked official" in report.remarks[0]
    assert read_header(tree).official is None


def _of_two_classes(tree):
    folders = sorted(path for path in (tree / "val").iterdir())[:2]
    return [next(folder.iterdir()) for folder in folders]
