"""Packs: tars that others read, and batches that are bit for bit those of the folder."""

import shutil
import tarfile
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from data_prep.audit import verify
from data_prep.cap import Cap
from data_prep.folder import prepare_folder
from data_prep.pack import pack_folder
from data_prep.progress import Quiet
from data_prep.unpack import unpack
from pipeline.data.loader import EvalLoader, Shard, TrainLoader
from pipeline.data.manifest import Manifest
from pipeline.errors import Top1Error
from pipeline.progressive import Stage
from recipes.schema import Data, Evaluation, HorizontalFlip, Normalize, RandomResizedCrop

DATA = Data(16, (RandomResizedCrop(24), HorizontalFlip()), Normalize((120.0,) * 3, (60.0,) * 3))
LONG = "x" * 150  # longer than the name field of a tar's header


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """40 images; among them a GIF, one with a long name, and one with letters beyond ASCII."""
    folder = tmp_path_factory.mktemp("folder")
    photo = load_sample_images().images[0]
    for number in range(40):
        image = Image.fromarray(photo[number : number + 40, number * 9 : number * 9 + 50])
        name = {3: LONG, 4: "žába"}.get(number, f"{number:02d}")
        for split in ("train", "val"):
            path = folder / split / f"n{number % 2}" / f"{name}.JPEG"
            path.parent.mkdir(parents=True, exist_ok=True)
            image.save(path, "GIF" if number == 5 else "JPEG")
    prepare_folder(folder, name="photos")
    return folder


@pytest.fixture(scope="module")
def pack(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("pack") / "out"
    pack_folder(folder, out, shard_bytes=20_000)
    return out


def batches(folder):
    split = Manifest.load(folder).split("train")
    loader = TrainLoader(split, DATA, [Stage(0, 99, 0, 1, 24)], seed=1, batch_size=16, shard=Shard(0, 1, 16))
    return list(loader.batches(0, 6))


def test_batches_from_a_pack_are_those_from_the_folder(folder, pack):
    for one, other in zip(batches(folder), batches(pack), strict=True):
        assert one.images.equal(other.images)
        assert one.labels.equal(other.labels)
        assert one.indices.equal(other.indices)
    sets = [
        list(EvalLoader(Manifest.load(data).split("val"), "rgb", Evaluation(24, (24,)), batch=7))
        for data in (folder, pack)
    ]
    for one, other in zip(*sets, strict=True):
        assert all(a.equal(b) for a, b in zip(one.scales[0], other.scales[0], strict=True))


def test_images_can_be_taken_from_a_pack(folder, pack):
    some = np.array([30, 2, 3])
    sets = [
        list(EvalLoader(Manifest.load(data).split("val").take(some), "rgb", Evaluation(24, (24,)), batch=3))
        for data in (folder, pack)
    ]
    assert all(a.equal(b) for a, b in zip(sets[0][0].scales[0], sets[1][0].scales[0], strict=True))


def test_a_pack_is_the_same_data_set(folder, pack):
    one, other = Manifest.load(folder).header, Manifest.load(pack).header
    assert (one.fingerprint, one.splits, one.classes, one.name) == (
        other.fingerprint,
        other.splits,
        other.classes,
        other.name,
    )
    assert other.command == f"top1 prep pack {folder} {pack}"


def test_shards_are_tars_of_images_and_labels_closed_at_their_size(folder, pack):
    shards = sorted(pack.glob("train-*.tar"))
    assert len(shards) > 2
    assert all(20_000 <= shard.stat().st_size < 25_000 for shard in shards[:-1])
    split, found = Manifest.load(folder).split("train"), {}
    for shard in shards:
        with tarfile.open(shard) as tar:
            for member in tar:
                found[member.name] = tar.extractfile(member).read()
    images = {split.paths[index]: split.path(index).read_bytes() for index in range(40)}
    labels = {split.paths[i].removesuffix(".JPEG") + ".cls": str(split.labels[i]).encode() for i in range(40)}
    assert found == images | labels


def test_dalis_webdataset_reader_reads_a_pack(pack):
    from nvidia.dali import fn, pipeline_def

    @pipeline_def(batch_size=40, num_threads=1, device_id=None)
    def read():
        paths = [str(path) for path in sorted(pack.glob("val-*.tar"))]
        return tuple(fn.readers.webdataset(paths=paths, ext=["jpeg", "cls"]))

    pipeline = read()
    pipeline.build()
    contents, labels = pipeline.run()
    split = Manifest.load(pack).split("val")
    read_labels = [int(np.asarray(labels.at(i)).tobytes()) for i in range(40)]
    assert read_labels == split.labels.tolist()
    assert len(contents) == 40


def test_the_same_images_make_the_same_shards_with_any_number_of_processes(folder, pack, tmp_path):
    pack_folder(folder, tmp_path / "again", shard_bytes=20_000, processes=2)
    for shard in pack.glob("*.tar"):
        assert (tmp_path / "again" / shard.name).read_bytes() == shard.read_bytes()


def test_an_interrupted_packing_is_completed_and_ends_the_same(folder, pack, tmp_path):
    out = shutil.copytree(pack, tmp_path / "out")
    (out / "manifest.json").unlink()
    shards = sorted(out.glob("*.tar"))
    kept = shards[0].stat().st_mtime_ns
    shards[1].write_bytes(shards[1].read_bytes()[:5000])
    damaged = bytearray(shards[2].read_bytes())
    damaged[600] ^= 1  # inside of the first image
    shards[2].write_bytes(damaged)
    shards[3].unlink()
    (out / ".train-000001.tar.4711.tmp").write_bytes(b"unfinished")
    pack_folder(folder, out, shard_bytes=20_000)
    assert shards[0].stat().st_mtime_ns == kept
    assert {path.name: path.read_bytes() for path in out.iterdir() if path.suffix == ".tar"} == {
        path.name: path.read_bytes() for path in pack.glob("*.tar")
    }
    assert not list(out.glob(".*.tmp"))


def test_a_finished_pack_is_left_alone_and_other_data_is_not_overwritten(folder, pack, demo_data):
    before = (pack / "manifest.json").stat().st_mtime_ns
    pack_folder(folder, pack, shard_bytes=20_000)
    assert (pack / "manifest.json").stat().st_mtime_ns == before
    with pytest.raises(Top1Error, match=r"holds the data set 'photos', not 'demo-digits'"):
        pack_folder(demo_data, pack)
    with pytest.raises(Top1Error, match="is what is to be packed"):
        pack_folder(folder, folder)


def test_a_finished_pack_is_not_taken_for_one_that_was_asked_for_otherwise(folder, pack, tmp_path):
    with pytest.raises(Top1Error, match=r"with --shard-mb 0\.02, and --shard-mb 0\.03 is asked for"):
        pack_folder(folder, pack, shard_bytes=30_000)
    with pytest.raises(Top1Error, match=r"with no --short-side, .* and --short-side 20, .* is asked for"):
        pack_folder(folder, pack, cap=Cap(20), shard_bytes=20_000)
    out = tmp_path / "small"
    made = pack_folder(folder, out, cap=Cap(20, 90))
    assert pack_folder(folder, out, cap=Cap(20, 90)) == made
    with pytest.raises(Top1Error, match=r"with --short-side 20, and --short-side 24 is asked for"):
        pack_folder(folder, out, cap=Cap(24, 90))
    with pytest.raises(Top1Error, match=r"with --quality 90, and --quality 95 is asked for"):
        pack_folder(folder, out, cap=Cap(20, 95))
    with pytest.raises(Top1Error, match=r"with --short-side 20, .* and no --short-side, .* is asked for"):
        pack_folder(folder, out)


class Ended(Quiet):
    """A packing that is ended after its second shard."""

    @contextmanager
    def stage(self, what, total):
        with super().stage(what, total) as stage:
            done = []

            def advance(*given):
                done.append(given)
                if len(done) == 2:
                    raise KeyboardInterrupt

            stage.advance = advance
            yield stage


def test_an_ended_packing_goes_on_as_it_was_begun_and_not_otherwise(folder, pack, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        pack_folder(folder, out, shard_bytes=20_000, processes=1, progress=Ended())
    assert len(list(out.glob("*.tar"))) == 2
    with pytest.raises(Top1Error, match=r"unfinished set made with --shard-mb 0\.02, and --shard-mb 0\.05"):
        pack_folder(folder, out, shard_bytes=50_000)
    with pytest.raises(Top1Error, match=r"unfinished set made with no --short-side"):
        pack_folder(folder, out, cap=Cap(20), shard_bytes=20_000)
    pack_folder(folder, out, shard_bytes=20_000)
    assert {path.name: path.read_bytes() for path in out.glob("*.tar")} == {
        path.name: path.read_bytes() for path in pack.glob("*.tar")
    }


def test_a_packing_that_was_refused_before_its_first_shard_may_be_asked_for_otherwise(folder, tmp_path):
    source, out = shutil.copytree(folder, tmp_path / "source"), tmp_path / "out"
    photo = source / "train/n0/00.JPEG"
    photo.rename(tmp_path / "away")
    with pytest.raises(Top1Error, match=r"00\.JPEG cannot be read"):
        pack_folder(source, out)
    (tmp_path / "away").rename(photo)
    assert pack_folder(source, out, cap=Cap(20)).changes


@pytest.mark.parametrize("change", ["content", "vanished"])
def test_a_file_that_changed_after_indexing_is_named_and_no_pack_is_made(change, folder, tmp_path):
    source = shutil.copytree(folder, tmp_path / "source")
    file = source / "val/n0/08.JPEG"
    file.write_bytes(b"other") if change == "content" else file.unlink()
    with pytest.raises(Top1Error, match=r"val/n0/08\.JPEG (is not what|cannot be read)"):
        pack_folder(source, tmp_path / "out")
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_a_pack_that_does_not_fit_is_refused_before_anything_is_written(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 1000))
    with pytest.raises(Top1Error, match=r"the pack needs 0\.\d GB and .* has 0\.0 GB free"):
        pack_folder(folder, tmp_path / "out")
    assert not list((tmp_path / "out").glob("[!.]*"))


def test_a_shard_that_is_missing_or_cut_short_is_named_before_training(pack, tmp_path):
    out = shutil.copytree(pack, tmp_path / "out")
    shard = out / "train-000001.tar"
    content = shard.read_bytes()
    shard.write_bytes(content[:9000])
    with pytest.raises(Top1Error, match=r"train-000001\.tar has 9000 bytes where its index needs"):
        batches(out)
    shard.unlink()
    with pytest.raises(Top1Error, match=r"train-000001\.tar cannot be opened \(No such file"):
        batches(out)


def test_a_damaged_image_of_a_pack_is_replaced_and_named(pack, tmp_path):
    out = shutil.copytree(pack, tmp_path / "out")
    split = Manifest.load(out).split("train")
    shard = out / split.pack.shards[split.pack.shard[7]]
    content = bytearray(shard.read_bytes())
    begin = int(split.pack.offset[7])
    content[begin : begin + 300] = bytes(300)
    shard.write_bytes(content)
    data = [Stage(0, 99, 0, 1, 24)]
    loader = TrainLoader(split, DATA, data, seed=1, batch_size=16, shard=Shard(0, 1, 16))
    seen = np.concatenate([batch.indices.numpy() for batch in loader.batches(0, 6)])
    assert len(seen) == 96
    assert 7 not in seen
    assert loader.bad_files[7].path == f"{shard}/{split.paths[7]}"


# ------------------------------------------------------- other readers, smaller images, back to files


def test_the_webdataset_library_reads_a_pack(folder, pack):
    import webdataset

    split = Manifest.load(folder).split("train")
    urls = [str(path) for path in sorted(pack.glob("train-*.tar"))]
    samples = list(webdataset.WebDataset(urls, shardshuffle=False))
    assert len(samples) == 40
    for index, sample in enumerate(samples):
        path = split.paths[index]
        assert sample["__key__"] == path.removesuffix(".JPEG")
        assert sample["jpeg"] == split.path(index).read_bytes()
        assert int(sample["cls"]) == split.labels[index]


def test_unpacking_gives_the_files_back_byte_for_byte(folder, pack, tmp_path):
    header = unpack(pack, tmp_path / "files")
    split = Manifest.load(folder).split("train")
    for index in range(40):
        assert (tmp_path / "files" / split.paths[index]).read_bytes() == split.path(index).read_bytes()
    assert header.fingerprint == Manifest.load(folder).header.fingerprint
    ours, theirs = (list(Manifest.load(data).entries()) for data in (tmp_path / "files", folder))
    assert ours == theirs
    before = (tmp_path / "files/manifest.json").stat().st_mtime_ns
    unpack(pack, tmp_path / "files")
    assert (tmp_path / "files/manifest.json").stat().st_mtime_ns == before


def test_a_damaged_pack_is_not_unpacked_and_a_folder_is_none(folder, pack, tmp_path):
    out = shutil.copytree(pack, tmp_path / "pack")
    content = bytearray((out / "train-000000.tar").read_bytes())
    content[1000] ^= 255
    (out / "train-000000.tar").write_bytes(content)
    with pytest.raises(Top1Error, match=r"1 images of .* are not what its manifest says"):
        unpack(out, tmp_path / "files")
    assert not (tmp_path / "files/manifest.json").exists()
    with pytest.raises(Top1Error, match="is a folder of files already"):
        unpack(folder, tmp_path / "other")


def test_a_capped_pack_has_smaller_images_and_says_so(folder, tmp_path):
    header = pack_folder(folder, tmp_path / "small", cap=Cap(20, 90), shard_bytes=8_000)
    assert header.changes == (
        "short sides capped at 20 pixels (Pillow, bicubic; JPEG quality 90, 4:2:0): 80 of 80 images",
    )
    assert header.fingerprint != Manifest.load(folder).header.fingerprint
    split = Manifest.load(tmp_path / "small").split("train")
    assert {tuple(size) for size in split.sizes.tolist()} == {(20, 25)}  # of 40 x 50
    assert not verify(tmp_path / "small").problems
    assert len(list((tmp_path / "small").glob("train-*.tar"))) > 1
    for one in batches(tmp_path / "small"):
        assert one.images.shape[1:] == (3, 24, 24)
    shard = tmp_path / "small/train-000000.tar"
    with tarfile.open(shard) as tar:
        member = next(m for m in tar if m.name == split.paths[0])
        made = np.asarray(Image.open(tar.extractfile(member)), int)
    with Image.open(split_path := Manifest.load(folder).split("train").path(0)) as whole:
        assert split_path.exists()
        small = np.asarray(whole.convert("RGB").resize((25, 20), Image.Resampling.BICUBIC), int)
    assert np.abs(made - small).mean() < 6


def test_images_at_or_below_the_cap_stay_as_they_are(folder, tmp_path):
    header = pack_folder(folder, tmp_path / "same", cap=Cap(40, 90))
    assert header.changes == ()
    assert header.fingerprint == Manifest.load(folder).header.fingerprint
