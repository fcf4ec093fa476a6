"""An error of the storage is waited for: no image is taken for damaged then, and none seen in its place."""

import contextlib
import itertools
import os
import resource

import pytest
from few_digits import few_digits

from data_prep.pack import pack_folder
from pipeline.data import patience
from pipeline.data.loader import EvalLoader, Shard, TrainLoader
from pipeline.data.manifest import Manifest
from pipeline.errors import PassingError
from pipeline.progressive import Stage
from recipes.schema import Data, Evaluation, HorizontalFlip, Normalize, RandomCrop

STEPS = 12  # each a chunk of its own, more than are read ahead
DATA = Data(64, (RandomCrop(28, resize=(32, 32)), HorizontalFlip()), Normalize((0.0,) * 3, (1.0,) * 3))


@contextlib.contextmanager
def no_more_files(_):
    """As where a process has opened all the files that it may."""
    free = os.open(os.devnull, os.O_RDONLY)
    os.close(free)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextlib.contextmanager
def folder_away(folder):
    """As where a file system is not mounted for a while."""
    folder.rename(folder.with_name("away"))
    try:
        yield
    finally:
        folder.with_name("away").rename(folder)


FAULTS = {no_more_files: "Too many open files", folder_away: "No such file or directory"}


@pytest.fixture
def digits(demo_data, tmp_path, monkeypatch):
    monkeypatch.setattr(patience, "PAUSES", (0.01,) * 3)
    return few_digits(demo_data, tmp_path / "digits", train=8, val=2)


def loader(folder):
    return TrainLoader(
        Manifest.load(folder).split("train"), DATA, [Stage(0, STEPS, 0, STEPS, 28)],
        seed=0, batch_size=64, shard=Shard(0, 1, 64),
    )  # fmt: skip


def batches(run):
    """A run's batches, the first made: DALI itself opens files while it is built."""
    made = run.batches(0, STEPS)
    return itertools.chain([next(made)], made)


def content(made):
    return [(batch.indices.tolist(), batch.images.numpy().tobytes()) for batch in made]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_moment_of_it_changes_no_pixel_of_a_run(fault, digits, monkeypatch):
    undisturbed = content(batches(loader(digits)))
    run, told, over = loader(digits), [], contextlib.ExitStack()
    monkeypatch.setattr(patience, "_say", lambda text: (told.append(text), over.close()))
    made = batches(run)
    with over:
        over.enter_context(fault(digits))
        assert content(made) == undisturbed
    assert not run.bad_files
    assert f"cannot be read ({FAULTS[fault]}); trying again" in told[0]
    assert told[-1].endswith("answers again")


@pytest.mark.parametrize("fault", FAULTS)
def test_what_lasts_ends_the_run_as_something_that_may_pass(fault, digits):
    run = loader(digits)
    made = batches(run)
    with fault(digits), pytest.raises(PassingError, match=f"could not be read for .*{FAULTS[fault]}"):
        content(made)
    assert not run.bad_files
    split = Manifest.load(digits).split("val")
    measured = iter(EvalLoader(split, "rgb", Evaluation(32, (32,)), batch=2))
    next(measured)
    with fault(digits), pytest.raises(PassingError, match="no fault of the image"):
        list(measured)


def test_a_shard_that_is_cut_short_while_it_is_open_ends_the_run_and_no_image_is_replaced(digits, tmp_path):
    packed = tmp_path / "packed"
    pack_folder(digits, packed)
    run = loader(packed)
    made = batches(run)
    (shard,) = packed.glob("train-*.tar")
    os.truncate(shard, 1024)
    with pytest.raises(PassingError, match=r"train-000000\.tar/.* could not be read .*ends before the image"):
        content(made)
    assert not run.bad_files
