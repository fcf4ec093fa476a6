"""Shards of a pack are copied to a disk of the node while they are read: the same batches all the time."""

import shutil
import threading
import time

import pytest
from commands import Started
from few_digits import few_digits
from run_results import weights

from data_prep.pack import pack_folder
from pipeline.data import copies, patience
from pipeline.data.loader import Shard, TrainLoader
from pipeline.data.manifest import Manifest
from pipeline.progressive import Stage
from recipes.schema import Data, HorizontalFlip, Normalize, RandomCrop

STEPS = 40
DATA = Data(16, (RandomCrop(28, resize=(32, 32)), HorizontalFlip()), Normalize((0.0,) * 3, (1.0,) * 3))


@pytest.fixture(scope="module")
def pack(demo_data, tmp_path_factory):
    home = tmp_path_factory.mktemp("pack")
    pack_folder(few_digits(demo_data, home / "digits", train=8, val=8), home / "pack", shard_bytes=20_000)
    return home / "pack"


@pytest.fixture(scope="module")
def undisturbed(pack):
    return [content(batch) for batch in batches(pack)]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(copies, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(patience, "PAUSES", (0.01,) * 3)


@pytest.fixture
def said(monkeypatch):
    told = []
    monkeypatch.setattr(copies, "_say", told.append)
    return told


def opened(pack, disk=None):
    manifest = Manifest.load(pack)
    manifest.copy_to = disk
    return manifest


def batches(pack, disk=None):
    return loader(opened(pack, disk)).batches(0, STEPS)


def loader(manifest):
    return TrainLoader(
        manifest.split("train"),
        DATA,
        [Stage(0, STEPS, 0, STEPS, 28)],
        seed=0,
        batch_size=16,
        shard=Shard(0, 1, 16),
    )


def content(batch):
    return batch.indices.tolist(), batch.images.numpy().tobytes()


def shards_in(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.tar")}


def wait_until(reached):
    gives_up = time.monotonic() + 20
    while not reached():
        assert time.monotonic() < gives_up
        time.sleep(0.01)


def no_thread_copies():
    return all(thread.name != "copy-shards" for thread in threading.enumerate())


@pytest.fixture
def own_pack(pack, tmp_path):
    return shutil.copytree(pack, tmp_path / "pack")


@pytest.fixture
def disk(tmp_path):
    (tmp_path / "disk").mkdir()
    return tmp_path / "disk"


def test_from_one_batch_to_the_next_the_copies_are_read_and_nothing_else_changes(
    own_pack, disk, undisturbed, said
):
    made = batches(own_pack, disk)
    seen = [content(next(made))]
    wait_until(no_thread_copies)
    (folder,) = disk.iterdir()
    shards = shards_in(own_pack)
    assert len(shards) > 3
    assert shards_in(folder) == shards
    assert [text.split(",")[0] for text in said] == [f"copying {len(shards)} shards", said[1]]
    for name in shards:  # nobody reads them any more
        (own_pack / name).write_bytes(b"")
    seen += [content(batch) for batch in made]
    assert seen == undisturbed


def test_of_the_processes_of_a_node_one_copies_and_all_read(own_pack, disk, undisturbed, said):
    one, other = batches(own_pack, disk), batches(own_pack, disk)
    seen = [content(next(one))], [content(next(other))]
    wait_until(no_thread_copies)
    for name in shards_in(own_pack):
        (own_pack / name).write_bytes(b"")
    for made, found in zip((one, other), seen, strict=True):
        found += [content(batch) for batch in made]
        assert found == undisturbed
    assert [text.split()[0] for text in said].count("copying") == 1


def test_a_copy_that_cannot_be_read_is_thrown_away_and_the_data_read(own_pack, disk, undisturbed, said):
    made = batches(own_pack, disk)
    seen = [content(next(made))]
    wait_until(no_thread_copies)
    (folder,) = disk.iterdir()
    broken = folder / sorted(shards_in(folder))[0]
    with broken.open("r+b") as file:
        file.truncate(600)
    seen += [content(batch) for batch in made]
    assert seen == undisturbed
    assert any(text.startswith(f"{broken} cannot be read; {own_pack / broken.name} is") for text in said)
    assert not broken.exists()


def test_what_an_earlier_job_left_is_taken_where_it_is_whole(own_pack, disk, undisturbed, said):
    list(batches(own_pack, disk))
    wait_until(no_thread_copies)
    (folder,) = disk.iterdir()
    shards = shards_in(own_pack)
    first, second, *_ = sorted(shards)
    before = (folder / second).stat().st_mtime_ns
    (folder / first).write_bytes(shards[first][:700])
    (folder / f".{first}.part").write_bytes(bytes(10**6))  # of a process that was killed
    said.clear()
    assert [content(batch) for batch in batches(own_pack, disk)] == undisturbed
    wait_until(no_thread_copies)
    assert said[0].startswith("copying 1 shards, ")
    assert shards_in(folder) == shards
    assert not list(folder.glob("*.part"))
    assert (folder / second).stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("hinder", "reason"),
    [
        (lambda disk, patch: patch.setattr(copies, "SPARED", 1.0), "no room for "),
        (lambda disk, patch: disk.rmdir(), "No such file or directory"),
        (lambda disk, patch: patch.setattr("os.geteuid", lambda: 4711), "another user's folder"),
    ],
)
def test_where_no_copy_can_be_made_the_data_is_read_where_it_is(
    hinder, reason, own_pack, disk, undisturbed, said, monkeypatch
):
    hinder(disk, monkeypatch)
    assert [content(batch) for batch in batches(own_pack, disk)] == undisturbed
    wait_until(no_thread_copies)
    assert reason in said[-1]
    assert said[-1].endswith("shards are read where the data is")


def test_the_same_images_in_other_shards_have_copies_of_their_own(pack, own_pack, disk, tmp_path):
    from data_prep.unpack import unpack

    unpack(own_pack, tmp_path / "files")
    pack_folder(tmp_path / "files", tmp_path / "other", shard_bytes=40_000)
    folders = [opened(one, disk).split("train").copies for one in (pack, own_pack, tmp_path / "other")]
    assert folders[0] == folders[1] != folders[2]
    assert opened(pack, disk).split("val").copies == folders[0]
    assert opened(tmp_path / "files", disk).split("train").copies is None


def test_a_run_copies_as_it_is_told_to_and_ends_with_the_same_weights(pack, demo_data, disk, tmp_path):
    def train(name, data, *options):
        command = ["train", "alexnet+tiny", "--data", data, "--run", tmp_path / name, "--tracking", "none",
                   "--device", "cpu", "--threads", 1, "--set", "schedule.epochs=2", *options]  # fmt: skip
        return Started(command, tmp_path / "output", variables={"SCRATCH": str(disk)}).wait()

    code, plain = train("plain", pack)
    assert code == 0, plain
    assert "copies:" not in plain
    code, copying = train("copying", pack, "--copy-to", "$SCRATCH")
    assert code == 0, copying
    assert f"copies: copying 24 shards, 0.000516 GB, to {disk}/top1-" in copying
    (folder,) = disk.iterdir()
    assert shards_in(folder) == shards_in(pack)
    assert weights(tmp_path / "copying") == weights(tmp_path / "plain")

    code, refused = train("refused", pack, "--copy-to", "$NOWHERE/x")
    assert code == 1
    assert "copy_to is '$NOWHERE/x', and on " in refused
    code, no_pack = train("no-pack", demo_data, "--copy-to", "$SCRATCH", "--set", "schedule.epochs=1")
    assert code == 0, no_pack
    assert f"copies: {demo_data} is no pack and is read where it is; `top1 prep pack" in no_pack
