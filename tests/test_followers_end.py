"""A follower ends: soon after what it follows whatever the server does, and at once when a person says so."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

import pytest
from followers import follow_in_background, log_of, wait_for
from made_runs import make_run, write_records, write_status
from mlflow_server import client_of, tracked_runs

from pipeline.follow import start_of


@pytest.fixture
def endless_requests(monkeypatch):
    """What a person may have set: requests that wait for ten minutes, and are tried again seven times."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "600")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "7")


@pytest.fixture
def follow():
    """What starts a follower, which does not outlive the test."""
    started = []

    def start(*arguments, **options):
        started.append(follow_in_background(*arguments, **options))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@contextmanager
def training():
    """A process to be followed."""
    process = subprocess.Popen(["sleep", "600"])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def running(tmp_path):
    folder = make_run(tmp_path, state="running")
    write_records(folder, range(10))
    write_status(folder, "running", step=9, durable_step=5)
    return folder


def more(folder):
    """Log more steps, so that there is something to send."""
    write_records(folder, range(10, 12))
    write_status(folder, "running", step=11, durable_step=9)


def lies_unread(address):
    """Whether a server has a request that it has not read: Linux' table of sockets (proc(5))."""
    port = f":{int(address.rpartition(':')[2]):04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(
        row[1].endswith(port) and row[3] == "01" and row[4].split(":")[1] != "00000000" for row in rows
    )


def test_the_death_of_what_it_follows_ends_a_follower_though_its_request_hangs(
    tmp_path, server, follow, endless_requests
):
    folder = running(tmp_path)
    with training() as followed:
        follower = follow(folder, server.uri, "dead", parent=followed.pid, patience=1, limit=3.0)
        wait_for(lambda: "sent 6 lines" in log_of(folder), follower)
        with server.hung():
            more(folder)
            wait_for(lambda: lies_unread(server.uri), follower)
            followed.kill()
            begun = time.monotonic()
            assert follower.wait(30) == 1
    assert 3 <= time.monotonic() - begun < 3 + 25
    assert f"`top1 sync {folder}` delivers the rest" in log_of(folder)


def test_what_was_followed_to_its_death_is_delivered_where_the_server_answers(tmp_path, server, follow):
    folder = running(tmp_path)
    with training() as followed:
        follower = follow(folder, server.uri, "killed", parent=followed.pid)
        wait_for(lambda: "sent 6 lines" in log_of(folder), follower)
        followed.kill()
        more(folder)
        assert follower.wait(30) == 0, follower.stderr.read()
    (run,) = tracked_runs(server.uri, "killed")
    assert len(client_of(server.uri).get_metric_history(run.info.run_id, "train/loss")) == 10


@pytest.mark.parametrize("state", ["idle", "hung", "refused"])
def test_sigterm_ends_a_follower_at_once_in_any_state(
    tmp_path, server, refused, follow, endless_requests, monkeypatch, state
):
    folder = running(tmp_path)
    uri = refused if state == "refused" else server.uri
    if state == "refused":  # it says so before it waits for the next try
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with training() as followed:
        follower = follow(folder, uri, f"told-{state}", parent=followed.pid, patience=60)
        said = "not delivered" if state == "refused" else "sent 6 lines"
        wait_for(lambda: said in log_of(folder), follower)
        with server.hung() if state == "hung" else nullcontext():
            if state == "hung":
                more(folder)
                wait_for(lambda: lies_unread(server.uri), follower)
            follower.terminate()
            assert follower.wait(2) == -signal.SIGTERM


def test_an_address_that_refuses_ends_with_what_was_followed(tmp_path, refused, follow):
    folder = running(tmp_path)
    with training() as followed:
        follower = follow(folder, refused, parent=followed.pid, patience=1)
        wait_for(lambda: "not delivered" in log_of(folder), follower)
        followed.kill()
        assert follower.wait(15) == 1
    assert "Connection refused" in log_of(folder)


def state_of(pid):
    """Return a process's state, parent and group: fields 3 to 5 (proc(5)), behind the name in parentheses."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:3]


def follower_of(pid):
    """Return the child of a process that is a follower."""
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # gone meanwhile
            if state_of(path.name)[1] == str(pid) and "--follow" in (path / "cmdline").read_text():
                return int(path.name)
    pytest.fail("no follower")


def test_a_follower_that_the_bench_has_stopped_does_not_outlive_it(tmp_path, refused):
    told = {"folder": str(tmp_path / "run"), "uri": refused, "steps": 50, "patience": 120.0}
    loop = subprocess.Popen(
        [sys.executable, "-m", "pipeline.bench.tracked_loop"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        print(json.dumps(told), file=loop.stdin, flush=True)
        assert loop.stdout.readline()  # its first round is over
        follower = follower_of(loop.pid)
        begun = start_of(follower)
        assert soon(lambda: state_of(follower)[0] == "T")
    finally:
        loop.kill()
        loop.wait()
    gone = soon(lambda: start_of(follower) != begun)
    if not gone:
        os.kill(follower, signal.SIGKILL)
    assert gone


def soon(condition, seconds=60):
    gives_up = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < gives_up:
        time.sleep(0.05)
    return found


def group_lives(group):
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, _, of = state_of(path.name)
            if of == str(group) and state not in "ZX":
                return True
    return False


SERVE = """
import sys, time
from pathlib import Path
from pipeline.serve import served
with served(f"sqlite:///{sys.argv[1]}/mlflow.db", "127.0.0.1", 0, Path(sys.argv[1]) / "log") as server:
    print(server.group, flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("hung", [False, True])
def test_a_server_ends_with_the_command_that_was_killed(tmp_path, hung):
    command = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    group = int(command.stdout.readline())
    if hung:
        os.killpg(group, signal.SIGSTOP)
    command.kill()
    command.wait()
    gone = soon(lambda: not group_lives(group))  # its worker too
    if not gone:
        os.killpg(group, signal.SIGKILL)
    assert gone
