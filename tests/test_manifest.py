"""Manifests: what they hold, that layout does not matter, and what each damage is told as."""

import hashlib
import json
import shutil
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from made_manifest import write_big_manifest
from PIL import Image

from data_prep.folder import prepare_folder
from pipeline.data.header import read_header
from pipeline.data.manifest import Flag, Manifest, Paths
from pipeline.errors import Top1Error


@pytest.fixture
def tree(tmp_path):
    """Two classes; among them a PNG under a JPEG's name, a CMYK file and one with an EXIF rotation."""
    folder = tmp_path / "set"
    for split in ("train", "val"):
        for number, name in enumerate(("n02", "n01")):
            place = folder / split / name
            place.mkdir(parents=True)
            Image.new("RGB", (40 + number, 30), (number * 90, 10, 20)).save(place / f"{split}_{name}.JPEG")
    Image.new("RGB", (20, 10)).save(folder / "train/n01/png.JPEG", "PNG")
    Image.new("CMYK", (12, 34)).save(folder / "train/n01/cmyk.JPEG", "JPEG")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (50, 25)).save(folder / "train/n02/turned.JPEG", exif=exif)
    return folder


def test_a_folder_is_indexed_with_sorted_classes_sizes_and_flags(tree):
    header = prepare_folder(tree)
    assert header == read_header(tree)
    assert header.classes == ("n01", "n02")
    assert (header.splits["train"].images, header.splits["val"].images) == (5, 2)
    split = Manifest.load(tree).split("train")
    found = {split.paths[i]: (split.labels[i], tuple(split.sizes[i])) for i in range(len(split))}
    assert found == {
        "train/n01/cmyk.JPEG": (0, (34, 12)),
        "train/n01/png.JPEG": (0, (10, 20)),
        "train/n01/train_n01.JPEG": (0, (30, 41)),
        "train/n02/train_n02.JPEG": (1, (30, 40)),
        "train/n02/turned.JPEG": (1, (25, 50)),  # EXIF says 25 x 50; it is ignored
    }
    assert split.labels.dtype == np.int64
    assert split.sizes.dtype == np.int32
    assert split.path(1).read_bytes()[:4] == b"\x89PNG"
    flags = {row["path"]: row["flags"] for row in Manifest.load(tree).entries()}
    assert flags["train/n01/png.JPEG"] == Flag.NOT_JPEG
    assert flags["train/n01/cmyk.JPEG"] == Flag.CMYK
    assert flags["train/n02/turned.JPEG"] == Flag.EXIF
    assert flags["train/n02/train_n02.JPEG"] == 0


def test_the_fingerprint_is_the_sha256_of_sorted_lines(tree):
    header = prepare_folder(tree)
    lines = []
    for file in tree.glob("*/*/*"):
        lines.append(f"{file.name}\t{hashlib.sha256(file.read_bytes()).hexdigest()}\t{file.parent.name}\n")
    assert header.fingerprint == hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


def test_the_fingerprint_is_the_same_elsewhere_and_another_when_a_byte_changes(tree, tmp_path):
    fingerprint = prepare_folder(tree).fingerprint
    moved = shutil.copytree(tree, tmp_path / "elsewhere")
    assert prepare_folder(moved).fingerprint == fingerprint
    Image.new("RGB", (40, 30), (1, 2, 3)).save(moved / "val/n01/val_n01.JPEG")
    assert prepare_folder(moved).fingerprint != fingerprint


def test_taking_some_images_keeps_their_paths_labels_and_sizes(tree):
    prepare_folder(tree)
    split = Manifest.load(tree).split("train")
    some = split.take(np.array([4, 0]))
    assert [some.paths[0], some.paths[1]] == [split.paths[4], split.paths[0]]
    assert some.labels.tolist() == [1, 0]
    assert some.sizes.tolist() == [[25, 50], [34, 12]]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(Top1Error, match=r"nowhere does not exist"):
        read_header(tmp_path / "nowhere")


def test_a_tree_without_a_manifest_prints_the_command_that_makes_one(tree):
    with pytest.raises(Top1Error, match=f"`top1 prep folder {tree}`"):
        read_header(tree)


def test_an_empty_folder_is_no_data_set(tmp_path):
    with pytest.raises(Top1Error, match="no data set"):
        read_header(tmp_path)


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"version": 99}', '{"version": 1}', "\x00\xff"])
def test_a_damaged_header_is_named(tree, damage):
    prepare_folder(tree)
    (tree / "manifest.json").write_text(damage, encoding="latin-1")
    with pytest.raises(Top1Error, match=r"manifest\.json is damaged"):
        read_header(tree)


def test_a_header_with_a_field_of_another_kind_is_damaged(tree):
    prepare_folder(tree)
    document = json.loads((tree / "manifest.json").read_text())
    (tree / "manifest.json").write_text(json.dumps(document | {"splits": {"train": 3}}))
    with pytest.raises(Top1Error, match="damaged"):
        read_header(tree)


def test_a_missing_a_truncated_and_a_foreign_body_are_told_apart(tree):
    prepare_folder(tree)
    body = tree / "manifest.parquet"
    whole = body.read_bytes()
    body.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(Top1Error, match=r"manifest\.parquet is damaged"):
        Manifest.load(tree)
    body.unlink()
    with pytest.raises(Top1Error, match=r"manifest\.parquet is missing"):
        Manifest.load(tree)
    (tree / "train/n01/png.JPEG").unlink()
    prepare_folder(tree)
    body.write_bytes(whole)
    with pytest.raises(Top1Error, match=r"belongs to another manifest\.json"):
        Manifest.load(tree)


def test_an_unknown_split_is_answered_with_those_there_are(tree):
    prepare_folder(tree)
    with pytest.raises(Top1Error, match=r"no split 'test'; it has train, val"):
        Manifest.load(tree).split("test")


def test_a_tree_without_val_is_refused(tree):
    shutil.rmtree(tree / "val")
    with pytest.raises(Top1Error, match="val is missing"):
        prepare_folder(tree)


def test_an_empty_train_folder_is_refused(tree):
    shutil.rmtree(tree / "train")
    (tree / "train").mkdir()
    with pytest.raises(Top1Error, match="train is empty"):
        prepare_folder(tree)


def test_classes_that_are_in_one_split_only_are_named(tree):
    (tree / "val/n01").rename(tree / "val/n03")
    with pytest.raises(Top1Error, match=r"1 only in train \(n01\); 1 only in val \(n03\)"):
        prepare_folder(tree)


def test_a_class_without_images_is_named(tree):
    (tree / "val/n02/val_n02.JPEG").rename(tree / "val/n02/notes.txt")
    with pytest.raises(Top1Error, match=r"1 of 2 class folders of .*val hold no image: n02"):
        prepare_folder(tree)


@pytest.mark.parametrize("content", [b"", b"no image at all", b"\xff\xd8\xff\xe0"])
def test_a_file_that_is_no_image_is_named_and_no_manifest_is_written(tree, content):
    (tree / "val/n02/broken.JPEG").write_bytes(content)
    with pytest.raises(Top1Error, match=r"1 of 8 files .*val/n02/broken\.JPEG"):
        prepare_folder(tree)
    assert not (tree / "manifest.json").exists()


def test_paths_read_from_a_slice_of_an_arrow_array():
    paths = Paths.of(pa.array(["a/1", "bb/2", "ccc/3"]).slice(1))
    assert (len(paths), paths[0], paths[1]) == (2, "bb/2", "ccc/3")


def test_a_manifest_of_imagenets_size_opens_in_less_than_500_mb(tmp_path):
    # 1,281,167 and 50,000 images, in a process of its own; `tests/bench_prep.py --manifest` takes the time.
    write_big_manifest(tmp_path, 1_331_167)
    code = (
        "import resource, sys\n"
        "from pipeline.data.manifest import Manifest\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "manifest = Manifest.load(sys.argv[1])\n"
        "splits = [manifest.split(name) for name in ('train', 'val')]\n"
        "peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print(peak - before, splits[0].paths[1_281_166], len(splits[1]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    kilobytes, last, val = done.stdout.split()
    assert last.startswith("train/n01000999/n01000999_")
    assert val == "50000"
    assert int(kilobytes) * 1024 < 500e6
