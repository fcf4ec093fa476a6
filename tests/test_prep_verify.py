"""Verification: every damage is found and told, what can be mended is, and an ended run goes on."""

import hashlib
import json
import shutil

import numpy as np
import pytest
from made_archives import jpeg, odd_cmyk, odd_exif, odd_png
from PIL import Image

from data_prep import check
from data_prep.audit import verify
from data_prep.check import problem_of
from data_prep.folder import prepare_folder
from data_prep.mend import mend_damage
from data_prep.pack import pack_folder
from pipeline.cli import main
from pipeline.data.header import read_header
from pipeline.data.manifest import Manifest
from pipeline.data.split import Flag
from pipeline.errors import Top1Error


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Two classes of six images, an indexed tree; three training images are odd."""
    folder = tmp_path_factory.mktemp("sound") / "photos"
    odd = {1: odd_png, 2: odd_cmyk, 3: odd_exif}
    for split in ("train", "val"):
        for number in range(12):
            path = folder / split / f"n{number % 2}" / f"{split}_{number:02d}.JPEG"
            path.parent.mkdir(parents=True, exist_ok=True)
            make = odd.get(number, jpeg) if split == "train" else jpeg
            path.write_bytes(make(number + 50 * (split == "val")))
    prepare_folder(folder)
    return folder


@pytest.fixture
def tree(sound, tmp_path):
    return shutil.copytree(sound, tmp_path / "photos")


DAMAGES = {
    "truncated": ("truncated", lambda path: path.write_bytes(path.read_bytes()[:-40])),
    "cut in its last bytes": ("truncated", lambda path: path.write_bytes(path.read_bytes()[:-2])),
    "empty": ("empty", lambda path: path.write_bytes(b"")),
    "a web page": ("no image", lambda path: path.write_bytes(b"<html>Not found</html>")),
    "vanished": ("missing", lambda path: path.unlink()),
    "another image": ("changed", lambda path: path.write_bytes(jpeg(77))),
    "of another size": ("size", lambda path: Image.new("RGB", (5, 6)).save(path, "JPEG")),
    "a folder": ("unreadable", lambda path: (path.unlink(), path.mkdir())),
}


@pytest.mark.parametrize("what", DAMAGES)
def test_each_damage_is_found_and_named(what, tree):
    kind, damage = DAMAGES[what]
    damage(tree / "val/n0/val_04.JPEG")
    (problem,) = verify(tree).problems
    assert (problem.kind, problem.path) == (kind, "val/n0/val_04.JPEG")


def test_a_sound_set_has_no_problems_and_its_oddities_are_listed(sound):
    report = verify(sound)
    assert (report.images, report.problems) == (24, [])
    assert [path for path, _ in report.oddities] == [
        "train/n0/train_02.JPEG",
        "train/n1/train_01.JPEG",
        "train/n1/train_03.JPEG",
    ]
    assert not list((sound / ".prep").glob("verify*"))


def test_files_beside_the_manifest_are_told(tree):
    (tree / "train/n1/copy.JPEG").write_bytes(jpeg(3))
    (tree / "train/n9").mkdir()
    (tree / "train/n9/x.JPEG").write_bytes(jpeg(4))
    assert {(p.kind, p.path) for p in verify(tree).problems} == {
        ("extra", "train/n1/copy.JPEG"),
        ("extra", "train/n9/x.JPEG"),
    }


def test_a_tree_without_a_manifest_is_verified_too(tree):
    (tree / "manifest.json").unlink()
    (tree / "val/n0/val_04.JPEG").write_bytes(b"")
    (tree / "train/n2").mkdir()
    found = {(p.kind, p.path, p.what) for p in verify(tree).problems}
    assert found == {
        ("empty", "val/n0/val_04.JPEG", "has no bytes"),
        ("class", "train/n2", "holds no image"),
        ("class", "val/n2", "is missing"),
    }


def test_a_set_that_bears_imagenets_name_must_have_its_numbers(tree):
    prepare_folder(tree, name="imagenet")
    told = [p.what for p in verify(tree).problems if p.kind == "count"]
    assert told[0] == "has 12 images of 2 classes where 1,281,167 of 1,000 were published"


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(Top1Error, match=r"neither a manifest\.json nor images"):
        verify(tmp_path)


def test_a_damaged_image_in_a_pack_is_found(sound, tmp_path):
    pack_folder(sound, tmp_path / "pack")
    split = Manifest.load(tmp_path / "pack").split("val")
    content = bytearray((tmp_path / "pack/val-000000.tar").read_bytes())
    begin = int(split.pack.offset[3])
    content[begin + 400 : begin + 420] = bytes(20)
    (tmp_path / "pack/val-000000.tar").write_bytes(content)
    (problem,) = verify(tmp_path / "pack").problems
    assert problem.path == split.paths[3]
    with pytest.raises(Top1Error, match="is a pack"):
        verify(tmp_path / "pack", mend=True)


def test_the_command_prints_a_table_and_json_and_exits_with_1(tree, capsys):
    assert main(["prep", "verify", str(tree)]) == 0
    (tree / "val/n0/val_04.JPEG").write_bytes(b"")
    capsys.readouterr()
    assert main(["prep", "verify", str(tree)]) == 1
    out, err = capsys.readouterr()
    assert "empty      val/n0/val_04.JPEG  it has no bytes" in out
    assert "24 images looked at, 1 problems" in out
    assert "\x1b" not in out + err  # no colour, no bar
    assert "decoding 100%" in err
    assert main(["prep", "verify", str(tree), "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["problems"] == [{"path": "val/n0/val_04.JPEG", "what": "has no bytes", "kind": "empty"}]
    assert answer["split"]["val"] == {"images": 12, "classes": 2}
    assert answer["fingerprint"] == read_header(tree).fingerprint


# ---------------------------------------------------------------- repair


def test_repair_writes_anew_what_decodes_keeps_the_original_and_says_so(tree):
    cut = tree / "train/n0/train_04.JPEG"
    whole = np.asarray(Image.open(cut), int)
    cut.write_bytes(cut.read_bytes()[:-40])
    broken = cut.read_bytes()
    (tree / "train/n0/train_06.JPEG").write_bytes(b"")
    report = verify(tree, mend=True)
    assert [(p.kind, p.path) for p in report.problems] == [("empty", "train/n0/train_06.JPEG")]
    assert len(report.repaired) == 4  # the cut one and three oddities
    with Image.open(cut) as image:
        image.load()
        assert image.size == (64, 48)
        assert np.abs(np.asarray(image, int)[:14] - whole[:14]).max() <= 6  # above the cut
    assert (tree / ".prep/originals/train/n0/train_04.JPEG").read_bytes() == broken
    header = read_header(tree)
    assert len(header.repairs) == 4
    assert header.changes == ("1 damaged images were written anew from what decoded: train/n0/train_04.JPEG",)
    rows = {row["path"]: row for row in Manifest.load(tree).entries()}
    for path, _ in report.repaired:
        assert rows[path]["sha256"] == hashlib.sha256((tree / path).read_bytes()).digest()
        assert rows[path]["flags"] == Flag.REPAIRED
    again = verify(tree)
    assert [p.kind for p in again.problems] == ["empty"]
    assert again.oddities == []


def test_repair_leaves_other_names_of_a_hard_link_as_they_were(tree, tmp_path):
    odd = tree / "train/n0/train_02.JPEG"
    (tmp_path / "theirs").hardlink_to(odd)
    before = odd.read_bytes()
    verify(tree, mend=True)
    assert odd.read_bytes() != before
    assert (tmp_path / "theirs").read_bytes() == before


def test_validation_images_of_imagenet_are_restored_not_repaired(tree):
    prepare_folder(tree, name="imagenet")
    cut = tree / "val/n0/val_04.JPEG"
    cut.write_bytes(broken := cut.read_bytes()[:-40])
    report = verify(tree, mend=True)
    assert ("truncated", "val/n0/val_04.JPEG") in {(p.kind, p.path) for p in report.problems}
    assert cut.read_bytes() == broken


def test_what_is_no_image_cannot_be_mended():
    assert mend_damage(b"<html>") is None
    assert mend_damage(b"") is None


# ---------------------------------------------------------------- an ended run


def test_a_verification_that_was_ended_goes_on_and_looks_again_at_what_changed(tree, monkeypatch):
    from data_prep import verify as module

    monkeypatch.setattr(module, "TOGETHER", 4)
    looked = []

    def slow(content, expected):
        looked.append(expected.sha256)
        if len(looked) == 15:
            raise KeyboardInterrupt
        return check.problem_of(content, expected)

    monkeypatch.setattr(module, "problem_of", slow)
    with pytest.raises(KeyboardInterrupt):
        verify(tree, processes=1)
    first = looked[:12]  # three parts of four
    looked.clear()
    (tree / "train/n0/train_00.JPEG").write_bytes(jpeg(500))
    monkeypatch.setattr(
        module, "problem_of", lambda *given: looked.append(given[1].sha256) or problem_of(*given)
    )
    (problem,) = verify(tree, processes=1).problems
    assert (problem.kind, problem.path) == ("changed", "train/n0/train_00.JPEG")
    assert len(looked) == 4 + 12  # the part of the changed file, and the three that were left
    assert not set(first[4:]) & set(looked)


def test_a_scaled_decode_finds_what_a_full_one_finds():
    rng = np.random.default_rng(0)
    originals = [jpeg(n, quality=90) for n in range(8)] + [jpeg(n, progressive=True) for n in range(4)]
    verdicts = []
    for number in range(600):
        content = bytearray(originals[number % len(originals)])
        if number % 3 == 0:
            del content[int(rng.integers(20, len(content))) :]
        for _ in range(number % 3):
            content[int(rng.integers(2, len(content)))] = int(rng.integers(256))
        verdicts.append((problem_of(bytes(content), None) is None, _decodes(bytes(content))))
    assert all(ours == theirs for ours, theirs in verdicts)
    assert 100 < sum(not ours for ours, _ in verdicts) < 500


def _decodes(content):
    import io

    try:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
    except (OSError, SyntaxError, ValueError):
        return False
    return True
