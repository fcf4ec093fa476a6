"""The demo set is real, fixed, and may be interrupted."""

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from data_prep.demo import prepare_demo
from pipeline.data.header import read_header
from pipeline.data.manifest import Manifest
from pipeline.errors import Top1Error


def test_every_fifth_digit_is_for_validation_and_the_counts_are_1437_and_360(demo_data):
    header = read_header(demo_data)
    assert header.name == "demo-digits"
    assert (header.splits["train"].images, header.splits["val"].images) == (1437, 360)
    assert header.classes == tuple(f"n9000000{digit}" for digit in range(10))
    assert header.official is None
    val = Manifest.load(demo_data).split("val")
    numbers = [int(val.paths[i][-9:-5]) for i in range(len(val))]
    assert sorted(numbers) == list(range(0, 1797, 5))
    assert val.labels.tolist() == load_digits().target[numbers].tolist()


def test_files_are_jpegs_of_64_pixels_with_white_ink_on_black(demo_data):
    digits = load_digits()
    with Image.open(demo_data / "train" / f"n9000000{digits.target[1]}" / "digit_0001.JPEG") as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "L", (64, 64))
        pixels = np.asarray(image, np.float64)
    blocks = pixels.reshape(8, 8, 8, 8).mean((1, 3))
    assert np.corrcoef(blocks.ravel(), digits.images[1].ravel())[0, 1] > 0.99
    assert pixels[:, 0].max() < 20  # the margin of this digit has no ink: black
    assert pixels.max() > 235


def test_an_interrupted_preparation_is_completed_and_ends_the_same(demo_data, tmp_path):
    folder = tmp_path / "demo"
    header = prepare_demo(folder)
    (folder / "manifest.json").unlink()
    (folder / "manifest.parquet").unlink()
    (folder / "train" / "n90000001" / "digit_0001.JPEG").unlink()
    assert prepare_demo(folder).fingerprint == header.fingerprint == read_header(demo_data).fingerprint


def test_a_finished_set_is_left_alone(demo_data):
    before = (demo_data / "manifest.json").stat().st_mtime_ns
    prepare_demo(demo_data)
    assert (demo_data / "manifest.json").stat().st_mtime_ns == before


def test_another_data_set_is_not_overwritten(tmp_path):
    from data_prep.folder import prepare_folder

    for split in ("train", "val"):
        (tmp_path / split / "cat").mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / split / "cat" / "a.png")
    prepare_folder(tmp_path, name="cats")
    with pytest.raises(Top1Error, match="cats"):
        prepare_demo(tmp_path)
