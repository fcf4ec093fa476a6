"""Checkpoints: whole or not there, checked when read, the last two and the best kept."""

import os
import pickle
import subprocess
import sys
import time

import pytest
import safetensors.torch
import torch

from pipeline import attempts, checkpoint
from pipeline.checkpoint import BEST, CheckpointWriter, list_checkpoints, load, load_newest
from pipeline.errors import Top1Error

TENSORS = {
    "model/w": torch.arange(6.0).reshape(2, 3),
    "model/n": torch.tensor(7),
    "average/w": torch.ones(3, dtype=torch.bfloat16),
}


def write(folder, *steps, best=()):
    writer = CheckpointWriter(folder)
    for step in steps:
        tensors = {**TENSORS, "model/n": torch.tensor(step)}
        writer.write(step, tensors, {"plan": "p"}, best=step in best)
    writer.wait()


def test_a_checkpoint_gives_back_what_was_written(tmp_path):
    write(tmp_path, 12)
    found = load_newest(tmp_path)
    assert (found.step, found.facts) == (12, {"plan": "p"})
    assert torch.equal(found.part("model")["w"], TENSORS["model/w"])
    assert found.part("model")["n"].item() == 12
    assert found.part("average")["w"].dtype == torch.bfloat16


def test_the_last_two_and_the_best_are_kept(tmp_path):
    write(tmp_path, 1, 2, 3, 4, 5, best=(2,))
    assert [path.name for path in list_checkpoints(tmp_path)] == [
        "step-000000005.safetensors",
        "step-000000004.safetensors",
    ]
    assert load(tmp_path / BEST).step == 2
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "garbage"])
def test_a_damaged_checkpoint_is_skipped_for_the_one_before_with_a_warning(tmp_path, damage):
    write(tmp_path, 1, 2)
    newest = list_checkpoints(tmp_path)[0]
    data = bytearray(newest.read_bytes())
    data[-1] ^= 1
    damaged = {"truncated": data[:-9], "flipped": data, "empty": b"", "garbage": b"\x80\x04" * 99}
    newest.write_bytes(damaged[damage])
    with pytest.warns(UserWarning, match=r"step-000000002.*Using the checkpoint before it"):
        assert load_newest(tmp_path).step == 1


def test_every_flipped_byte_is_noticed(tmp_path):
    write(tmp_path, 1)
    path = list_checkpoints(tmp_path)[0]
    data, whole = path.read_bytes(), checkpoint.checksum(load(path).tensors)
    for position in range(8, len(data), 7):
        changed = bytearray(data)
        changed[position] ^= 4
        path.write_bytes(changed)
        try:
            found = load(path)
        except Top1Error:
            continue
        # Only padding can have changed: what is read is what was written.
        assert (found.step, found.facts) == (1, {"plan": "p"})
        assert checkpoint.checksum(found.tensors) == whole


def test_nothing_pickled_is_executed(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "exploded"),))

    path = tmp_path / "step-000000001.safetensors"
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(Top1Error, match="not a whole checkpoint"):
        load(path)
    torch.save({"x": Bomb()}, path)
    with pytest.raises(Top1Error, match="not a whole checkpoint"):
        load(path)
    assert not (tmp_path / "exploded").exists()


def test_a_failed_write_is_told_and_leaves_the_one_before(tmp_path):
    write(tmp_path, 1)
    writer = CheckpointWriter(tmp_path)
    blocker = tmp_path / f".step-000000002.safetensors.{os.getpid()}.tmp"
    blocker.mkdir()  # a file of this name cannot be made, even by root
    writer.write(2, TENSORS, {}, best=False)
    with pytest.raises(Top1Error, match="The one before it is intact"):
        writer.wait()
    assert load_newest(tmp_path).step == 1


def test_whatever_keeps_a_checkpoint_from_being_written_is_told(tmp_path):
    (tmp_path / "attempts.jsonl").touch()
    writer = CheckpointWriter(tmp_path / "checkpoints", lambda: attempts.check_newest(tmp_path, 1))
    writer.write(1, TENSORS, {}, best=False)
    with pytest.raises(Top1Error, match=r"attempts\.jsonl is gone or empty"):
        writer.wait()
    writer.write(2, TENSORS, {"unwritable": object()}, best=False)
    with pytest.raises(TypeError, match="not JSON serializable"):
        writer.wait()
    assert list_checkpoints(tmp_path / "checkpoints") == []


KILLED = """
import sys, torch
from pathlib import Path
from pipeline.checkpoint import CheckpointWriter
writer = CheckpointWriter(Path(sys.argv[1]))
for step in range(1, 10_000):
    writer.write(step, {"w": torch.full((400_000,), float(step))}, {}, best=step % 3 == 0)
    print(step, flush=True)
"""


def test_a_writer_killed_at_any_moment_leaves_whole_checkpoints(tmp_path):
    for delay in (0.0, 0.003, 0.007, 0.011):
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE)
        for _ in range(3):
            process.stdout.readline()
        time.sleep(delay)  # the moment to be killed at, not a wait for anything
        process.kill()
        process.wait()
        process.stdout.close()
        for path in [*list_checkpoints(tmp_path), tmp_path / BEST]:
            if path.exists():
                found = load(path)
                assert found.tensors["w"][0].item() == found.step
        assert load_newest(tmp_path) is not None


def test_weights_are_plain_safetensors_that_other_programs_read(tmp_path):
    path = checkpoint.write_tensors(tmp_path / "w.safetensors", {"fc.weight": torch.eye(2)}, {"recipe": "x"})
    assert torch.equal(safetensors.torch.load_file(path)["fc.weight"], torch.eye(2))
