"""A full disk, files that may not grow, Ctrl-C, a clock that jumps: one sentence, and nothing is lost."""

import os
import resource
import signal
import subprocess
from contextlib import contextmanager

import pytest
from commands import Started, wait_until
from run_results import weights


def sentence(found):
    """The one sentence of a command that was refused."""
    code, text = found
    assert "Traceback" not in text, text
    (said,) = [line for line in text.splitlines() if line.startswith("top1: ")]
    assert code == 1, text
    return said


@contextmanager
def small_disk(folder, size):
    """A file system of `size` bytes in memory, which root may mount."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "top1-test", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture(scope="module")
def whole(train_of, tmp_path_factory):
    """(the weights of an undisturbed run, the bytes of its folder)."""
    home = tmp_path_factory.mktemp("whole")
    code, text = Started(train_of("PLAIN", home / "run"), home / "output").wait()
    assert code == 0, text
    size = sum(path.stat().st_size for path in (home / "run").rglob("*") if path.is_file())
    return weights(home / "run"), size


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
@pytest.mark.parametrize("share", [0.02, 0.3, 0.8])
def test_a_full_disk_ends_in_a_sentence_and_the_run_goes_on_with_more_room(whole, share, train_of, tmp_path):
    expected, size = whole
    disk = tmp_path / "disk"
    with small_disk(disk, int(size * share)):
        command = train_of("PLAIN", disk / "run")
        said = sentence(Started(command, tmp_path / "output").wait())
        assert "No space left" in said or "space" in said
        subprocess.run(["mount", "-o", f"remount,size={4 * size}", disk], check=True)
        code, text = Started(command, tmp_path / "output").wait()
        assert code == 0, text
        assert weights(disk / "run") == expected


def small_files():
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))


def test_files_that_may_not_grow_end_in_a_sentence_and_the_run_goes_on_without_the_limit(
    whole, train_of, tmp_path
):
    command = train_of("PLAIN", tmp_path / "run")
    said = sentence(Started(command, tmp_path / "output", before=small_files).wait())
    assert "File too large" in said
    code, text = Started(command, tmp_path / "output").wait()
    assert code == 0, text
    assert weights(tmp_path / "run") == whole[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a disk that is read only")
def test_a_run_folder_that_may_not_be_written_is_refused(train_of, tmp_path):
    disk = tmp_path / "disk"
    with small_disk(disk, 1_000_000):
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        said = sentence(Started(train_of("PLAIN", disk / "run"), tmp_path / "output").wait())
        assert "Read-only file system" in said


def logged(run, what):
    return (run / "metrics.jsonl").exists() and what in (run / "metrics.jsonl").read_bytes()


MOMENTS = {
    "start": lambda run: run.exists(),
    "data": lambda run: (run / "attempts.jsonl").exists(),
    "training": lambda run: logged(run, b"train/loss"),
    "checkpoint": lambda run: any((run / "checkpoints").glob("step-*")),
    "validation": lambda run: logged(run, b"val/top1"),
    "measuring": lambda run: (run / "weights.safetensors").exists(),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_ctrl_c_at_every_stage_leaves_a_run_that_goes_on(moment, whole, train_of, tmp_path):
    run, command = tmp_path / "run", train_of("PLAIN", tmp_path / "run")
    started = Started(command, tmp_path / "output")
    if wait_until(lambda: MOMENTS[moment](run), started) and started.is_alive():
        started.send_signal(signal.SIGINT)
    _, text = started.wait()
    assert "Traceback" not in text, text
    code, text = Started(command, tmp_path / "output").wait()
    assert code == 0, text
    assert weights(run) == whole[0]


def test_a_folder_whose_plan_was_being_written_is_not_taken_for_somebody_elses(whole, train_of, tmp_path):
    run = tmp_path / "run"
    (run / "logs").mkdir(parents=True)
    (run / ".plan.json.123.tmp").write_text("{")
    code, text = Started(train_of("PLAIN", run), tmp_path / "output").wait()
    assert code == 0, text
    assert weights(run) == whole[0]


def test_a_clock_that_jumps_changes_no_weight(whole, train_of, tmp_path):
    command = train_of("PLAIN", tmp_path / "run")
    code, text = Started(command, tmp_path / "output", before=jumping_clock).wait()
    assert code == 0, text
    assert weights(tmp_path / "run") == whole[0]


def jumping_clock():
    """Have the wall clock go back an hour, and then on by a day, every few looks at it."""
    import itertools
    import time

    real, jumps = time.time, itertools.cycle([0.0] * 5 + [-3600.0] * 5 + [86400.0] * 5)
    time.time = lambda: real() + next(jumps)
