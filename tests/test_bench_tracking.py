"""`top1 bench tracking`: a real loop beside real servers that are up, hung and absent."""

import json
import subprocess
import sys

import pytest

from pipeline.bench.figures import Timing
from pipeline.bench.tracking import Bench, bench_tracking, tracking_text
from pipeline.errors import UsageError


def test_the_loop_goes_on_whatever_the_server_does_and_only_one_that_is_up_gets_anything():
    command = [
        sys.executable,
        "-m",
        "pipeline.cli",
        "bench",
        "tracking",
        "--steps",
        "50",
        "--rounds",
        "6",
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    rows = {row["name"]: row for row in answer["rows"]}
    assert list(rows) == ["no tracking", "server up", "server hung", "server absent"]
    assert rows["server up"]["deliveries"] >= 1
    assert rows["server up"]["failures"] == 0
    for name in ("server hung", "server absent"):
        assert rows[name]["deliveries"] == 0
        assert rows[name]["failures"] >= 1
    # A step of a millisecond that waited for a hung server's 10 s would show, however busy the machine.
    assert all(row["milliseconds_per_step"] < 1000 for row in rows.values())
    assert all(row["rounds"] == 6 for row in rows.values())
    text = tracking_text(answer)
    assert len(text.splitlines()) == 2 + 1 + 4


def test_too_few_rounds_for_a_spread_are_refused_before_anything_starts():
    with pytest.raises(UsageError, match="--rounds 3"):
        bench_tracking(Bench(steps=1, rounds=3), print)


def test_wall_time_is_what_is_compared():
    from pipeline.bench.figures import ratio_of

    slow = [Timing(10, 2.0, 1.0)] * 6
    fast = [Timing(10, 1.0, 1.0)] * 6
    assert ratio_of(slow, fast, lambda timing: timing.seconds).value == 0.5
    assert ratio_of(slow, fast).value == 1.0
