"""The run's log: lines that are whole, cut back to a checkpoint, and strict JSON."""

import json
import math
import os
import resource
import signal
import subprocess
import sys
import time

import pytest

from pipeline.errors import Top1Error
from pipeline.journal import Journal, cut_back, lines, read, read_json, read_json_or_none, write_json

NUMPY = pytest.importorskip("numpy")


def log_steps(folder, *steps):
    with Journal(folder) as journal:
        for step in steps:
            journal.append(step, step / 10, **{"train/loss": step * 0.5})


def steps_of(folder):
    return [record["step"] for record in read(folder)[0]]


def test_what_is_appended_is_read_back_with_its_time(tmp_path):
    with Journal(tmp_path, clock=lambda: 1234.5) as journal:
        journal.append(7, 0.25, **{"train/loss": 2.5, "val/top1": NUMPY.float32(0.5)})
    assert read(tmp_path) == (
        [{"step": 7, "epoch": 0.25, "time": 1234.5, "train/loss": 2.5, "val/top1": 0.5}],
        [],
    )


def test_a_folder_without_a_journal_has_no_records(tmp_path):
    assert read(tmp_path) == ([], [])
    assert cut_back(tmp_path, 0) == 0


def test_a_second_attempt_goes_on_in_the_same_file(tmp_path):
    log_steps(tmp_path, 1, 2)
    log_steps(tmp_path, 3)
    assert steps_of(tmp_path) == [1, 2, 3]


def test_every_line_is_strict_json_even_for_values_that_are_not_finite(tmp_path):
    values = {"nan": math.nan, "up": math.inf, "down": -math.inf}
    with Journal(tmp_path) as journal:
        journal.append(1, 0, **values)
    line = (tmp_path / "metrics.jsonl").read_text()

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    json.loads(line, parse_constant=refuse)
    record = read(tmp_path)[0][0]
    assert math.isnan(record["nan"])
    assert (record["up"], record["down"]) == (math.inf, -math.inf)


@pytest.mark.parametrize("cut", [1, 10, 30])
def test_opening_cuts_a_torn_last_line_off(tmp_path, cut):
    log_steps(tmp_path, 1, 2)
    path = tmp_path / "metrics.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + whole.splitlines()[1][:cut])
    assert steps_of(tmp_path) == [1, 2], "a reader does not see the torn line"
    log_steps(tmp_path, 3)
    assert read(tmp_path)[1] == []
    assert steps_of(tmp_path) == [1, 2, 3]


def test_a_last_line_that_lacks_only_its_line_feed_is_kept(tmp_path):
    log_steps(tmp_path, 1, 2)
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(path.read_bytes()[:-1])
    log_steps(tmp_path, 3)
    assert read(tmp_path)[1] == []
    assert steps_of(tmp_path) == [1, 2, 3]


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"\0\0\0",
        b"\xff\xfe",
        b"[1]",
        b"null",
        b'{"epoch": 1, "time": 1}',
        b'{"step": 1.5, "epoch": 1, "time": 1}',
        b'{"step": 1, "epoch": 1}',
        b'{"step": 1, "epoch": "NaN", "time": 1}',
        b'{"step": 1, "epoch": 1, "time": 1, "val/top1": "high"}',
        b'{"step": 1, "epoch": 1, "time": 1, "val/top1": null}',
    ],
)
def test_a_line_that_is_no_record_is_skipped_and_named(tmp_path, line):
    log_steps(tmp_path, 1)
    path = tmp_path / "metrics.jsonl"
    with path.open("ab") as file:
        file.write(line + b"\n")
    log_steps(tmp_path, 2)
    records, problems = read(tmp_path)
    assert [record["step"] for record in records] == [1, 2]
    assert len(problems) == 1
    assert problems[0].startswith(f"{path}, line 2: ")


def test_lines_from_an_offset_are_numbered_from_the_start_of_the_file(tmp_path):
    log_steps(tmp_path, 1)
    path = tmp_path / "metrics.jsonl"
    offset = path.stat().st_size
    path.write_bytes(path.read_bytes() + b"rubbish\n")
    (line,) = lines(path.read_bytes(), offset)
    assert "line 2" in line.problem
    assert line.end == offset + len(b"rubbish\n")


def test_cutting_back_leaves_no_step_that_will_be_run_again(tmp_path):
    log_steps(tmp_path, 1, 2, 3, 4)
    assert cut_back(tmp_path, 2) == 2
    log_steps(tmp_path, 3, 4)
    assert steps_of(tmp_path) == [1, 2, 3, 4]


def test_cutting_back_at_the_last_step_leaves_the_file_untouched(tmp_path):
    log_steps(tmp_path, 1, 2)
    before = (tmp_path / "metrics.jsonl").stat()
    assert cut_back(tmp_path, 2) == 0
    after = (tmp_path / "metrics.jsonl").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_cutting_back_keeps_lines_that_name_a_fault_and_drops_a_torn_one(tmp_path):
    log_steps(tmp_path, 1, 2)
    path = tmp_path / "metrics.jsonl"
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + b"rubbish\n" + second + second[:5])
    cut_back(tmp_path, 1)
    assert path.read_bytes() == first + b"rubbish\n"


def test_a_full_disk_is_told_and_the_next_attempt_goes_on(tmp_path):
    log_steps(tmp_path, 1)
    size = (tmp_path / "metrics.jsonl").stat().st_size
    script = (
        "import resource, signal, sys; from pipeline.journal import Journal\n"
        "from pipeline.errors import Top1Error\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({size + 20}, {size + 20}))\n"
        "journal = Journal(sys.argv[1])\n"
        "try: journal.append(2, 0.2, loss=1.0)\n"
        "except Top1Error as error: print(error)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert "metrics.jsonl does not take another line" in run.stdout
    log_steps(tmp_path, 2)
    assert steps_of(tmp_path) == [1, 2]
    assert read(tmp_path)[1] == []


def test_a_process_that_is_killed_while_logging_leaves_only_whole_lines(tmp_path):
    script = (
        "import sys; from pipeline.journal import Journal\n"
        "journal = Journal(sys.argv[1])\n"
        "values = {f'value{i}': i / 7 for i in range(30)}\n"
        "for step in range(10**9): journal.append(step, step / 10, **values)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)])
    path = tmp_path / "metrics.jsonl"
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and not (path.exists() and path.stat().st_size > 200_000):
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    records, problems = read(tmp_path)
    assert path.read_bytes().endswith(b"\n")
    assert problems == []
    assert [record["step"] for record in records] == list(range(len(records)))
    assert len(records) > 100


def test_a_document_is_read_back_as_it_was_written(tmp_path):
    document = {"state": "running", "step": 3, "stages": [{"image_size": 128}]}
    write_json(tmp_path / "status.json", document)
    assert read_json(tmp_path / "status.json") == document
    assert os.listdir(tmp_path) == ["status.json"], "no temporary file stays behind"


def test_what_is_not_finite_is_not_known_in_a_document(tmp_path):
    write_json(tmp_path / "status.json", {"eta_seconds": math.inf, "list": [math.nan, 1.0]})
    assert read_json(tmp_path / "status.json") == {"eta_seconds": None, "list": [None, 1.0]}


@pytest.mark.parametrize("content", [b"", b'{"step": 3', b"[1, 2]", b"\xff\xff"])
def test_a_damaged_document_is_refused_by_name(tmp_path, content):
    path = tmp_path / "plan.json"
    path.write_bytes(content)
    with pytest.raises(Top1Error, match=rf"{path} is damaged"):
        read_json(path)
    with pytest.raises(Top1Error, match=rf"{path} is damaged"):
        read_json_or_none(path)


def test_a_missing_document_is_told_by_name_or_is_none(tmp_path):
    path = tmp_path / "plan.json"
    with pytest.raises(Top1Error, match=rf"{path} does not exist"):
        read_json(path)
    assert read_json_or_none(path) is None
    assert read_json_or_none(tmp_path / "no folder" / "plan.json") is None


def test_a_document_that_the_disk_does_not_take_leaves_nothing_behind(tmp_path):
    write_json(tmp_path / "status.json", {"state": "before"})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_json(tmp_path / "status.json", {"state": "x" * 100})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in tmp_path.iterdir()] == ["status.json"]
    assert read_json(tmp_path / "status.json") == {"state": "before"}
