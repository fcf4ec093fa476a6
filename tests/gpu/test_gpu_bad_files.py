"""Odd and damaged files on the GPU's decoder: as on the CPU's."""

import io
import os

import numpy as np
import pytest
from PIL import Image
from test_bad_files import BAD, BATCH, IMAGES, ODD, SIDE, WHOLE, damage, encoded, loader, picture, write_tree

from pipeline.data.loader import EvalLoader
from pipeline.data.manifest import Manifest
from pipeline.errors import Top1Error
from recipes.schema import Evaluation

GPU = None if os.environ.get("TOP1_TEST_DEVICE") == "cpu" else 0
SQUARE = Evaluation(SIDE, (SIDE,))


def evaluated(folder):
    split = Manifest.load(folder).split("val")
    found = {}
    for areas in EvalLoader(split, "rgb", SQUARE, batch=8, device_id=GPU):
        found.update(zip(areas.indices.tolist(), areas.scales[0], strict=True))
    return found


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    contents = [encoded(picture(number), "JPEG", quality=95) for number in range(IMAGES)]
    return write_tree(tmp_path_factory.mktemp("sound"), contents)


@pytest.mark.parametrize("kind", ODD)
def test_what_decodes_is_pils_rgb_to_a_few_levels(kind, tmp_path):
    odd = [ODD[kind](picture(number)) for number in range(2)]
    folder = write_tree(tmp_path, odd)
    (trained,) = loader(folder, WHOLE, batch_size=2, device_id=GPU).batches(0, 1)
    own = dict(zip(trained.indices.tolist(), trained.images, strict=True))
    for found in (own, evaluated(folder)):
        assert found.keys() == {0, 1}
        for index, pixels in found.items():
            theirs = np.asarray(Image.open(io.BytesIO(odd[index])).convert("RGB"), np.float32)
            ours = pixels.float().cpu().numpy().transpose(1, 2, 0)
            apart = min(np.abs(one - theirs).max() for one in (ours, ours[:, ::-1]))  # or mirrored
            assert apart <= 4, apart


@pytest.mark.parametrize("kind", BAD)
def test_what_does_not_decode_is_replaced_in_training_and_refused_in_evaluation(kind, sound, tmp_path):
    contents = [path.read_bytes() for path in sorted(sound.glob("train/*/*"), key=lambda path: path.name)]
    folder = write_tree(tmp_path, contents)
    damage(folder, BAD[kind], 5, 20, 21)
    seen = []
    for where in (GPU, None):
        run = loader(folder, WHOLE, device_id=where)
        seen.append([batch.indices.tolist() for batch in run.batches(0, IMAGES // BATCH)])
        assert set(run.bad_files) == {5, 20, 21}
    assert seen[0] == seen[1]
    BAD[kind](Manifest.load(folder).split("val").path(17))
    with pytest.raises(Top1Error, match="cannot be read as an image"):
        evaluated(folder)


def test_mutated_jpegs_neither_end_nor_shorten_an_epoch(tmp_path):
    rng = np.random.default_rng(0)
    folder = write_tree(tmp_path, [encoded(picture(number), "JPEG", quality=80) for number in range(300)])
    split = Manifest.load(folder).split("train")
    for index in range(300):
        content = bytearray(split.path(index).read_bytes())
        for _ in range(rng.integers(1, 3)):
            content[int(rng.integers(2, len(content)))] = int(rng.integers(256))
        split.path(index).write_bytes(content)
    bad = []
    for where in (GPU, None):
        run = loader(folder, WHOLE, batch_size=50, device_id=where)
        assert sum(len(batch.indices) for batch in run.batches(0, 6)) == 300
        bad.append(set(run.bad_files))
    print(
        f"not decoded: {len(bad[0])} on the GPU, {len(bad[1])} on the CPU, {len(bad[0] ^ bad[1])} by one only"
    )
