"""Many files in one call, and which are plain JPEGs: beside Python's own reading and DALI's parser."""

import io
import os
import random

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from pipeline.data import bulk_read
from pipeline.data.manifest import Manifest
from pipeline.data.parser import parsed_size
from pipeline.data.storage import Storage

SIDE = 64


def pixels(number):
    return Image.fromarray(load_sample_images().images[number % 2][number * 7 :][:SIDE, :SIDE])


def jpeg(image, **options):
    content = io.BytesIO()
    image.save(content, "JPEG", **options)
    return content.getvalue()


ORIGINALS = [
    jpeg(pixels(0), quality=95),
    jpeg(pixels(1), quality=80, progressive=True),
    jpeg(pixels(2).convert("L")),
    jpeg(pixels(3), comment=b"a comment", icc_profile=b"profile", restart_marker_blocks=2),
]


def plain(content, height=SIDE, width=SIDE):
    return bulk_read.is_plain_jpeg(np.frombuffer(content, np.uint8), height, width)


@pytest.mark.parametrize("content", ORIGINALS)
def test_jpegs_as_encoders_write_them_are_plain(content):
    assert plain(content)
    assert not plain(content, height=SIDE + 1)
    assert not plain(content, width=SIDE - 1)


def test_what_is_odd_is_not_plain():
    exif = Image.Exif()
    exif[0x0112] = 6
    png = io.BytesIO()
    pixels(0).save(png, "PNG")
    odd = [jpeg(pixels(0).convert("CMYK")), jpeg(pixels(0), exif=exif), png.getvalue(), b"", b"\xff\xd8"]
    assert not any(map(plain, odd))


def mutated(content, rng):
    content = bytearray(content)
    top = rng.choice([len(content), 700])  # as often in the header as anywhere
    for _ in range(rng.choice([1, 2, 8])):
        place = rng.randrange(min(top, len(content)))
        match rng.randrange(6):
            case 0:
                del content[place + 4 :]
            case 1:
                del content[place : place + rng.randrange(40)]
            case 2:
                content[place:place] = rng.randbytes(rng.randrange(20))
            case 3:
                content[place] = rng.choice([0x00, 0xFF, 0xD8, 0xD9, 0xDA, 0xC0, 0xE1])
            case _:
                content[place] ^= 1 << rng.randrange(8)
        if len(content) < 8:
            break
    return bytes(content)


def test_of_ten_thousand_mutated_files_no_plain_one_is_refused_by_the_parser():
    rng = random.Random(0)
    found = [content for _ in range(10_000) if plain(content := mutated(rng.choice(ORIGINALS), rng))]
    assert len(found) > 2000
    assert all(parsed_size(np.frombuffer(content, np.uint8)) == (SIDE, SIDE) for content in found)


def test_files_are_read_as_python_reads_them(small_data):
    split = Manifest.load(small_data).split("train")
    indices = np.array([5, 3, 60, 3, 17, 0, 1, 2, 4, 11])
    contents = Storage(split).read_ahead(indices).contents()
    assert [c.tobytes() for c in contents] == [split.path(int(i)).read_bytes() for i in indices]


SIZE = np.array([[SIDE, SIDE]], np.int32)


def test_what_cannot_be_opened_has_no_file_and_is_no_plain_image(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").touch()
    (tmp_path / "whole").write_bytes(ORIGINALS[0])
    names = [b"folder", b"empty", b"missing", b"whole"]
    offsets = np.cumsum([0, *map(len, names)])
    text = np.frombuffer(b"".join(names), np.uint8)
    root = np.frombuffer(f"{tmp_path}/".encode(), np.uint8)
    files, counts = bulk_read.open_files(root, text, offsets, np.arange(4))
    assert counts[1:].tolist() == [0, 0, len(ORIGINALS[0])]
    assert files[1:3].tolist() == [bulk_read.NO_FILE] * 2
    into, sizes = np.zeros(counts.sum(), np.uint8), SIZE.repeat(4, 0)
    plain = bulk_read.read_pieces(files, np.zeros(4, np.int64), counts, sizes, True, into)
    assert plain.tolist() == [False, False, False, True]
    assert into[-len(ORIGINALS[0]) :].tobytes() == ORIGINALS[0]
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(files[3])  # it was closed


def test_a_file_that_is_shorter_than_its_index_says_is_no_plain_image(tmp_path):
    content, path = ORIGINALS[0], tmp_path / "pack"
    path.write_bytes(3 * content[:-1])
    count = len(content) - 1
    with path.open("rb") as pack:
        files = np.array([pack.fileno()] * 3)
        offsets, counts, into = (
            count * np.arange(3),
            np.array([count, count, count + 1]),
            np.zeros(3 * count + 1, np.uint8),
        )
        plain = bulk_read.read_pieces(files, offsets, counts, SIZE.repeat(3, 0), False, into)
        os.fstat(pack.fileno())  # it was not closed
    assert plain.tolist() == [True, True, False]
    assert into[: 2 * count].tobytes() == 2 * content[:-1]
