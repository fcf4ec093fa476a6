"""MNIST, Tiny ImageNet, ImageNet-21K, subsets and minival, each from what is published or prepared."""

import gzip
import hashlib
import io
import os
import shutil
import stat
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from made_archives import add, jpeg, tar_of
from PIL import Image

from data_prep.audit import verify
from data_prep.folder import prepare_folder
from data_prep.imagenet21k import prepare_imagenet21k
from data_prep.minival import make_minival
from data_prep.mnist import SETS, prepare_mnist
from data_prep.pack import pack_folder
from data_prep.published import Published
from data_prep.subset import make_subset
from data_prep.tiny_imagenet import prepare_tiny_imagenet
from data_prep.unpack import unpack
from pipeline.cli import main
from pipeline.data.header import read_header
from pipeline.data.manifest import Manifest
from pipeline.errors import Top1Error

# ---------------------------------------------------------------- MNIST


def idx_bytes(array):
    shape = b"".join(length.to_bytes(4, "big") for length in array.shape)
    return bytes([0, 0, 8, array.ndim]) + shape + array.tobytes()


def digits(count, seed):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, 28, 28), np.uint8), (np.arange(count) % 10).astype(np.uint8)


def write_idx(folder, zipped=True, dotted=False):
    folder.mkdir()
    for name, (pixels, labels) in {"train": digits(60, 1), "t10k": digits(20, 2)}.items():
        for kind, array in (("images-idx3", pixels), ("labels-idx1", labels)):
            stem = f"{name}-{kind}-ubyte"
            content = idx_bytes(array)
            path = folder / (stem.replace("-idx", ".idx") if dotted else stem)
            if zipped:
                path = folder / f"{path.name}.gz"
                content = gzip.compress(content)
            path.write_bytes(content)
    return folder


@pytest.mark.parametrize(("zipped", "dotted"), [(True, False), (False, False), (False, True)])
def test_every_pixel_and_label_of_idx_files_comes_back(zipped, dotted, tmp_path):
    from torchvision.datasets.mnist import read_image_file, read_label_file

    source = write_idx(tmp_path / "idx", zipped, dotted)
    header = prepare_mnist(source, tmp_path / "out", name="mnist")
    assert (header.classes, header.official) == (tuple("0123456789"), None)
    plain = write_idx(tmp_path / "plain", zipped=False)
    for split, named in (("train", "train"), ("val", "t10k")):
        pixels = read_image_file(str(plain / f"{named}-images-idx3-ubyte")).numpy()
        labels = read_label_file(str(plain / f"{named}-labels-idx1-ubyte")).numpy()
        found = Manifest.load(tmp_path / "out").split(split)
        assert len(found) == len(labels)
        for index in range(len(found)):
            number = int(Path(found.paths[index]).stem)
            assert found.labels[index] == labels[number]
            assert np.array_equal(np.asarray(Image.open(found.path(index))), pixels[number])


def test_the_loader_shows_lenet_the_pixels_of_the_idx_file(tmp_path):
    from pipeline.data.loader import EvalLoader
    from recipes.schema import Evaluation

    prepare_mnist(write_idx(tmp_path / "idx"), tmp_path / "out")
    split = Manifest.load(tmp_path / "out").split("val")
    (areas,) = EvalLoader(split, "gray", Evaluation(28, (28,), squash=True), batch=20)
    shown = np.stack([image.numpy() for image in areas.scales[0]])
    numbers = [int(Path(split.paths[i]).stem) for i in range(20)]
    assert np.array_equal(shown[:, 0], digits(20, 2)[0][numbers])


def test_mnist_is_official_when_its_files_have_the_published_sums(tmp_path):
    source = write_idx(tmp_path / "idx")
    md5 = {p.name.removesuffix(".gz"): hashlib.md5(p.read_bytes()).hexdigest() for p in source.iterdir()}
    known = Published("mnist", md5, {"train": 60, "val": 20}, 10)
    header = prepare_mnist(source, tmp_path / "out", sets=(known,))
    assert header.name == "mnist"
    assert md5["t10k-images-idx3-ubyte"] in header.official
    assert prepare_mnist(source, tmp_path / "other", name="digits", sets=(known,)).official is None


def test_the_published_sums_of_mnist_are_those_of_torchvision():
    from torchvision.datasets import mnist

    for ours, theirs in zip(SETS, (mnist.MNIST, mnist.FashionMNIST), strict=True):
        assert {f"{name}.gz": md5 for name, md5 in ours.md5.items()} == dict(theirs.resources)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda content: content[:-100], "cut short"),
        (lambda content: b"\x89PNG" + content, "no IDX file"),
        (lambda content: b"", "no IDX file"),
    ],
)
def test_a_damaged_idx_file_is_named(damage, told, tmp_path):
    source = write_idx(tmp_path / "idx", zipped=False)
    path = source / "t10k-images-idx3-ubyte"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(Top1Error, match=rf"t10k-images-idx3-ubyte .*{told}"):
        prepare_mnist(source, tmp_path / "out")
    path.unlink()
    with pytest.raises(Top1Error, match=r"has no t10k-images-idx3-ubyte\.gz"):
        prepare_mnist(source, tmp_path / "out")


# ---------------------------------------------------------------- Tiny ImageNet

TINY = ("n02124075", "n04067472", "n04540053")


def write_tiny(path, extra=None):
    """Write a zip with the names and lists of tiny-imagenet-200.zip, of three classes."""
    root = "tiny-imagenet-200"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{root}/words.txt", "".join(f"{wnid}\tword\n" for wnid in TINY))
        archive.writestr(f"{root}/wnids.txt", "".join(f"{wnid}\n" for wnid in TINY))
        lines = []
        for n in range(9):
            archive.writestr(f"{root}/val/images/val_{n}.JPEG", jpeg(n))
            lines.append(f"val_{n}.JPEG\t{TINY[(n * 2) % 3]}\t0\t32\t44\t62\n")
            archive.writestr(f"{root}/test/images/test_{n}.JPEG", jpeg(n))
        archive.writestr(f"{root}/val/val_annotations.txt", "".join(lines))
        for wnid in TINY:
            archive.writestr(f"{root}/train/{wnid}/{wnid}_boxes.txt", f"{wnid}_0.JPEG\t0\t10\t63\t58\n")
            for n in range(4):
                archive.writestr(f"{root}/train/{wnid}/images/{wnid}_{n}.JPEG", jpeg(100 + n))
        for name, content in (extra or {}).items():
            archive.writestr(name, content)
    return path


def test_tiny_imagenet_has_its_training_classes_and_annotated_validation(tmp_path):
    header = prepare_tiny_imagenet(write_tiny(tmp_path / "tiny.zip"), tmp_path / "out")
    assert {name: (s.images, s.classes) for name, s in header.splits.items()} == {
        "train": (12, 3),
        "val": (9, 3),
    }
    val = Manifest.load(tmp_path / "out").split("val")
    found = {Path(val.paths[i]).name: val.classes[val.labels[i]] for i in range(9)}
    assert found == {f"val_{n}.JPEG": TINY[(n * 2) % 3] for n in range(9)}
    assert (tmp_path / f"out/train/{TINY[0]}/{TINY[0]}_3.JPEG").read_bytes() == jpeg(103)


def test_a_zip_that_is_hostile_damaged_or_another_is_refused(tmp_path):
    for name in ("tiny-imagenet-200/../../escaped.JPEG", "/escaped.JPEG"):
        with pytest.raises(Top1Error, match=r"escaped\.JPEG' would be written outside"):
            prepare_tiny_imagenet(write_tiny(tmp_path / "a.zip", {name: b"x"}), tmp_path / "out")
    link = zipfile.ZipInfo("tiny-imagenet-200/link.JPEG")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(Top1Error, match=r"link\.JPEG' is a link"):
        prepare_tiny_imagenet(write_tiny(tmp_path / "b.zip", {link: b"/etc/passwd"}), tmp_path / "out")
    content = write_tiny(tmp_path / "c.zip").read_bytes()
    (tmp_path / "c.zip").write_bytes(content[: len(content) // 2])
    with pytest.raises(Top1Error, match=r"c\.zip is not Tiny ImageNet's zip"):
        prepare_tiny_imagenet(tmp_path / "c.zip", tmp_path / "out")
    extra = {"tiny-imagenet-200/val/images/val_99.JPEG": jpeg(1)}
    with pytest.raises(Top1Error, match=r"val_99\.JPEG"):
        prepare_tiny_imagenet(write_tiny(tmp_path / "d.zip", extra), tmp_path / "out")


# ---------------------------------------------------------------- ImageNet-21K

CLASSES_21K = {"n00004475": 3, "n00005787": 12, "n00006024": 15}


def class_tars():
    return {
        f"{wnid}.tar": tar_of({f"{wnid}_{n * 3}.JPEG": jpeg(place * 50 + n) for n in range(count)})
        for place, (wnid, count) in enumerate(CLASSES_21K.items())
    }


def write_21k(release, folder):
    """Write a release as it is published: a tar, a gzipped one with a folder in it, or the tars alone."""
    if release == "class tars":
        for name, content in class_tars().items():
            (folder / name).write_bytes(content)
        return folder
    prefix, mode = ("", "w") if release == "fall11_whole.tar" else ("winter21_whole/", "w:gz")
    with tarfile.open(folder / release, mode) as tar:
        if prefix:
            entry = tarfile.TarInfo(prefix.rstrip("/"))
            entry.type = tarfile.DIRTYPE
            tar.addfile(entry)
        for name, content in class_tars().items():
            add(tar, prefix + name, content)
    return folder / release


def test_every_form_of_a_full_release_gives_the_same_set(tmp_path):
    made = {}
    for release in ("fall11_whole.tar", "winter21_whole.tar.gz", "class tars"):
        (tmp_path / release[:5]).mkdir()
        source = write_21k(release, tmp_path / release[:5])
        out = tmp_path / f"out-{release[:5]}"
        made[release] = prepare_imagenet21k(source, out, held_out=2, held_out_above=10)
    assert len({header.fingerprint for header in made.values()}) == 1
    header = made["fall11_whole.tar"]
    assert header.classes == tuple(CLASSES_21K)
    assert {name: (s.images, s.classes) for name, s in header.splits.items()} == {
        "train": (26, 3),
        "val": (4, 2),
    }


def test_the_processed_release_keeps_its_own_validation_images(tmp_path):
    path = tmp_path / "imagenet21k_resized.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for split, count in (
            ("imagenet21k_train", 4),
            ("imagenet21k_val", 2),
            ("imagenet21k_small_classes", 1),
        ):
            for wnid in CLASSES_21K:
                for n in range(count):
                    add(tar, f"imagenet21k_resized/{split}/{wnid}/{wnid}_{n}.JPEG", jpeg(n))
    header = prepare_imagenet21k(path, tmp_path / "out")
    assert {name: (s.images, s.classes) for name, s in header.splits.items()} == {
        "train": (12, 3),
        "val": (6, 3),
    }


def test_files_of_a_full_release_that_are_no_images_are_left_out_and_listed(tmp_path):
    content = tar_of({"n00004475_1.JPEG": jpeg(1), "n00004475_2.JPEG": b"<html>"})
    (tmp_path / "n00004475.tar").write_bytes(content)
    header = prepare_imagenet21k(tmp_path, tmp_path / "out")
    assert header.splits["train"].images == 1
    assert len(header.repairs) == 1
    assert header.repairs[0].startswith("train/n00004475/n00004475_2.JPEG: no image")


def test_a_source_without_class_tars_is_refused(tmp_path):
    with pytest.raises(Top1Error, match="neither an archive nor a folder of class tars"):
        prepare_imagenet21k(tmp_path, tmp_path / "out")


# ---------------------------------------------------------------- parts of a set


def paths_of(folder, split):
    found = Manifest.load(folder).split(split)
    return {found.paths[i]: found.classes[found.labels[i]] for i in range(len(found))}


def test_a_subset_is_fixed_by_its_seed_and_linked(demo_data, tmp_path):
    options = {"classes": 3, "images": 7, "val_images": 2}
    make_subset(demo_data, tmp_path / "a", **options)
    make_subset(demo_data, tmp_path / "b", **options)
    make_subset(demo_data, tmp_path / "c", **options, seed=1)
    header = read_header(tmp_path / "a")
    assert {name: (s.images, s.classes) for name, s in header.splits.items()} == {
        "train": (21, 3),
        "val": (6, 3),
    }
    assert header.official is None
    assert header.fingerprint == read_header(tmp_path / "b").fingerprint
    assert header.fingerprint != read_header(tmp_path / "c").fingerprint
    chosen = paths_of(tmp_path / "a", "train")
    assert set(chosen.values()) == set(header.classes)
    assert chosen.items() <= paths_of(demo_data, "train").items()
    assert all((tmp_path / "a" / path).samefile(demo_data / path) for path in chosen)
    assert not verify(tmp_path / "a").problems


def test_a_subset_of_a_pack_or_by_copies_is_the_same(demo_data, tmp_path):
    pack_folder(demo_data, tmp_path / "pack")
    options = {"classes": 2, "images": 5}
    linked = make_subset(demo_data, tmp_path / "a", **options)
    copied = make_subset(demo_data, tmp_path / "b", **options, copy=True)
    unpacked = make_subset(tmp_path / "pack", tmp_path / "c", **options)
    assert linked.fingerprint == copied.fingerprint == unpacked.fingerprint
    one = next(iter(paths_of(tmp_path / "b", "val")))
    assert not (tmp_path / "b" / one).samefile(demo_data / one)
    assert not verify(tmp_path / "c").problems
    with pytest.raises(Top1Error, match="has 10 classes where 11 are asked for"):
        make_subset(demo_data, tmp_path / "d", classes=11, images=1)


@pytest.mark.parametrize("packed", [False, True])
def test_minival_holds_training_images_out_and_never_shows_val(packed, demo_data, tmp_path):
    source = demo_data
    if packed:
        source = tmp_path / "pack"
        pack_folder(demo_data, source)
    header = make_minival(source, tmp_path / "out", images=100)
    assert (header.splits["train"].images, header.splits["val"].images) == (1337, 100)
    names = {s: {Path(p).name for p in paths_of(tmp_path / "out", s)} for s in ("train", "val")}
    everything = {Path(path).name for path in paths_of(demo_data, "train")}
    assert names["train"] | names["val"] == everything
    assert not names["train"] & names["val"]
    assert not verify(tmp_path / "out").problems
    assert header.name == "demo-digits-minival"


def test_minival_takes_25000_of_imagenet_unless_told_otherwise(demo_data, tmp_path):
    with pytest.raises(Top1Error, match="1,437 training images, of which 25,000 cannot be held out"):
        make_minival(demo_data, tmp_path / "out")


def test_an_interrupted_set_is_completed(tmp_path):
    source = write_idx(tmp_path / "idx")
    whole = prepare_mnist(source, tmp_path / "whole")
    out = tmp_path / "out"
    prepare_mnist(source, out)
    (out / "manifest.json").unlink()
    shutil.move(out / "val", tmp_path / "val")  # killed before the second split had its place
    (out / ".prep/records").mkdir()
    assert prepare_mnist(source, out).fingerprint == whole.fingerprint
    assert (
        io.BytesIO((out / "val/3/00003.png").read_bytes()).getvalue()
        == (tmp_path / "val/3/00003.png").read_bytes()
    )


# ---------------------------------------------------------------- a folder that holds a set already


def left_alone(out, make):
    """Whether a second making writes nothing, and answers with what is there."""
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.*") if path.is_file()}
    same = make() == read_header(out)
    return same and before == {path: path.stat().st_mtime_ns for path in before}


def test_a_minival_is_not_taken_for_one_of_another_seed_size_or_source(demo_data, tmp_path):
    out, other = tmp_path / "out", tmp_path / "other"
    make_subset(demo_data, other, classes=10, images=100)
    (other / "manifest.json").write_text((other / "manifest.json").read_text().replace("-10x100-seed0", ""))
    make_minival(demo_data, out, images=100)
    assert left_alone(out, lambda: make_minival(demo_data, out, images=100))
    with pytest.raises(Top1Error, match=r"out holds .*-minival' made with --seed 0, and --seed 1 is"):
        make_minival(demo_data, out, images=100, seed=1)
    with pytest.raises(Top1Error, match=r"made with --images 100, and --images 99 is asked for.* another"):
        make_minival(demo_data, out, images=99)
    with pytest.raises(Top1Error, match=r"made with source .*, and source .*other.* is asked for"):
        make_minival(other, out, images=100)


def test_a_link_to_another_source_that_a_killed_run_left_is_replaced(demo_data, tmp_path):
    source, out = tmp_path / "b", tmp_path / "out"
    make_subset(demo_data, source, classes=2, images=20)
    out.mkdir()
    (out / "source").symlink_to(demo_data, target_is_directory=True)
    make_minival(source, out, images=10)
    val = Manifest.load(out).split("val")
    assert all(val.path(i).resolve().is_relative_to(source) for i in range(len(val)))


def test_a_subset_is_not_taken_for_one_that_was_asked_for_otherwise(demo_data, tmp_path):
    out, options = tmp_path / "out", {"classes": 2, "images": 5}
    make_subset(demo_data, out, **options)
    assert left_alone(out, lambda: make_subset(demo_data, out, **options))
    with pytest.raises(Top1Error, match=r"made with no --val-images, and --val-images 3 is asked for"):
        make_subset(demo_data, out, **options, val_images=3)
    with pytest.raises(Top1Error, match=r"made with no --copy, and --copy is asked for"):
        make_subset(demo_data, out, **options, copy=True)
    with pytest.raises(Top1Error, match=r"'demo-digits-2x5-seed0', not 'demo-digits-2x5-seed1'"):
        make_subset(demo_data, out, **options, seed=1)


def test_links_of_a_killed_run_are_not_mixed_with_those_to_another_source(demo_data, tmp_path):
    out, other = tmp_path / "out", tmp_path / "other"
    make_subset(demo_data, out, classes=2, images=5)
    (out / "manifest.json").unlink()  # killed before this was written
    shutil.copytree(demo_data, other)
    with pytest.raises(Top1Error, match=r"unfinished set made with source .*demo .*, and source .*other "):
        make_subset(other, out, classes=2, images=5)
    make_subset(demo_data, out, classes=2, images=5)
    assert not verify(out).problems


def test_a_release_is_not_taken_for_another_or_for_another_part_held_out(tmp_path):
    out, source = tmp_path / "out", write_21k("fall11_whole.tar", tmp_path)
    other = write_21k("winter21_whole.tar.gz", tmp_path)
    prepare_imagenet21k(source, out, held_out=2, held_out_above=10)
    assert left_alone(out, lambda: prepare_imagenet21k(source, out, held_out=2, held_out_above=10))
    with pytest.raises(Top1Error, match=r"made with --val-images 2, and --val-images 3 is asked for"):
        prepare_imagenet21k(source, out, held_out=3, held_out_above=10)
    with pytest.raises(Top1Error, match=r"made with --val-above 10, and --val-above 11 is asked for"):
        prepare_imagenet21k(source, out, held_out=2, held_out_above=11)
    with pytest.raises(Top1Error, match=r"made with source .*fall11_whole.*, and source .*winter21.* is"):
        prepare_imagenet21k(other, out, held_out=2, held_out_above=10)


def test_a_set_is_not_taken_for_one_of_other_files(demo_data, tmp_path):
    idx, out = write_idx(tmp_path / "idx"), tmp_path / "digits"
    prepare_mnist(idx, out, name="mnist")
    assert left_alone(out, lambda: prepare_mnist(idx, out, name="mnist"))
    labels = idx / "t10k-labels-idx1-ubyte.gz"
    labels.write_bytes(gzip.compress(idx_bytes(9 - digits(20, 2)[1])))
    with pytest.raises(Top1Error, match=r"made with t10k-labels-idx1-ubyte [0-9a-f]{32}, and t10k-labels"):
        prepare_mnist(idx, out, name="mnist")
    prepare_tiny_imagenet(write_tiny(tmp_path / "a.zip"), tmp_path / "tiny")
    with pytest.raises(Top1Error, match=r"made with source .*a\.zip, and source .*b\.zip is asked for"):
        prepare_tiny_imagenet(write_tiny(tmp_path / "b.zip"), tmp_path / "tiny")
    for seed in (0, 1):  # the same images in the other split: the fingerprints are equal
        make_minival(demo_data, tmp_path / f"minival{seed}", images=100, seed=seed)
        pack_folder(tmp_path / f"minival{seed}", tmp_path / f"pack{seed}")
    unpack(tmp_path / "pack0", tmp_path / "files")
    with pytest.raises(Top1Error, match=r"made with source .*pack0 .*, and source .*pack1 .* is asked for"):
        unpack(tmp_path / "pack1", tmp_path / "files")


def test_a_set_that_does_not_say_what_it_was_made_with_is_not_taken_for_what_is_asked(demo_data, tmp_path):
    out = tmp_path / "out"
    make_minival(demo_data, out, images=100)
    shutil.rmtree(out / ".prep")  # as `cp out/* elsewhere` leaves it behind
    with pytest.raises(Top1Error, match=r"does not say what it was made with .*--seed 0.* another folder"):
        make_minival(demo_data, out, images=100)
    made = tmp_path / "subset"
    make_subset(demo_data, made, classes=2, images=5)
    prepare_folder(made, name="demo-digits-2x5-seed0")  # indexed as it is now, whatever was changed in it
    with pytest.raises(Top1Error, match="does not say what it was made with"):
        make_subset(demo_data, made, classes=2, images=5)


# ---------------------------------------------------------------- what is typed, and file names


@pytest.mark.parametrize("kind", [["subset", "--classes", "2", "--images", "5"], ["minival"]])
@pytest.mark.parametrize("seed", ["-1", "1.5", str(2**63)])
def test_a_seed_that_is_none_is_a_misuse_told_in_a_sentence(kind, seed, demo_data, tmp_path, capsys):
    assert main(["prep", *kind, str(demo_data), str(tmp_path / "out"), f"--seed={seed}"]) == 2
    assert f"argument --seed: '{seed}' is not a whole number from 0 to" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_fewer_than_no_validation_images_are_a_misuse(tmp_path, capsys):
    source = write_21k("fall11_whole.tar", tmp_path)
    assert main(["prep", "imagenet21k", str(source), str(tmp_path / "out"), "--val-images=-1"]) == 2
    assert "--val-images -1 is negative" in capsys.readouterr().err


@pytest.mark.parametrize("what", [b"train/cat/caf\xe9.png", b"val/caf\xe9/a.png"])
def test_a_name_that_is_not_utf8_is_told_with_what_to_do(what, tmp_path, capsys):
    for path in (b"train/cat/a.png", b"val/cat/a.png", what):
        path = os.path.join(os.fsencode(tmp_path), path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            Image.new("RGB", (8, 8)).save(file, "PNG")
    for command in ("folder", "verify"):
        assert main(["prep", command, str(tmp_path)]) == 1
        told = capsys.readouterr().err
        assert "caf\\xe9" in told
        assert "is not UTF-8" in told
        assert "Rename it" in told
    assert not (tmp_path / "manifest.json").exists()
