"""`top1 ui`: MLflow's own pages with our columns, from the installed MLflow in a real Chromium."""

import json
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest
from browser import opened_browser, opened_page
from made_runs import make_measurement, make_recipe, make_result, make_run
from mlflow_server import client_of

from pipeline.errors import Top1Error

EXPERIMENT = "board"
REACHED = {"far": 70.0, "near": 76.5, "beyond": 77.0}


@pytest.fixture(scope="module")
def synced(server, tmp_path_factory):
    """A server that has three judged runs."""
    from pipeline.sync import sync

    runs = tmp_path_factory.mktemp("runs")
    for name, top1 in REACHED.items():
        folder = make_run(runs, make_recipe(name=name), result=make_result(make_measurement(top1)))
        sync(folder, server.uri, experiment=EXPERIMENT)
    return server.uri


def store(uri, experiment=EXPERIMENT):
    from pipeline.view import store_view

    return store_view(uri, experiment, uri)


def shown_recipes(page):
    """Return the recipes of MLflow's table, from the top."""
    page.wait_for_function(f"document.body.innerText.includes('{next(iter(REACHED))} ')", timeout=90_000)
    page.wait_for_timeout(1000)
    names = page.locator("a", has_text="20260101-000000-seed0").all_inner_texts()
    return [name.split()[0] for name in dict.fromkeys(names)]


def test_the_view_has_our_columns_and_the_best_gap_first(synced):
    with opened_browser() as browser:
        with opened_page(browser, store(synced).view, viewport={"width": 2200, "height": 900}) as page:
            assert shown_recipes(page) == ["beyond", "near", "far"]
            text = page.locator("body").inner_text()
            for heading in (
                "recipe",
                "target",
                "reached",
                "gap",
                "verdict",
                "protocol",
                "epochs",
                "gpu_hours",
            ):
                assert heading in text
            for value in ("76.4", "76.5", "0.1", "reproduced", "above", "short", "single_crop"):
                assert value in text
        with opened_page(browser, store(synced).plain, viewport={"width": 2200, "height": 900}) as page:
            assert shown_recipes(page) == ["beyond", "near", "far"], "the plain address sorts as well"


def test_an_experiment_that_is_not_there_is_told_with_those_that_are(synced):
    with pytest.raises(
        Top1Error, match=r"no experiment 'bord' on http://127\.0\.0\.1:\d+, which has .*board"
    ):
        store(synced, "bord")


def test_a_server_that_does_not_answer_is_told(refused):
    with pytest.raises(Top1Error, match=r"does not answer: .*Connection refused"):
        store(refused)


def test_a_view_that_cannot_be_stored_leaves_the_plain_address(synced, monkeypatch):
    from pipeline.tracking import MlflowClient, MlflowException

    def refuse(*_):
        raise MlflowException("PERMISSION_DENIED: read only")

    monkeypatch.setattr(MlflowClient, "set_experiment_tag", refuse)
    found = store(synced)
    assert (found.view, "read only" in found.problem) == ("", True)
    assert "orderByKey=metrics.%60gap%60" in found.plain


def test_the_command_serves_a_database_until_it_is_interrupted(tmp_path, database):
    folder = make_run(tmp_path / "runs", result=make_result())
    from pipeline.sync import sync

    sync(folder, database)
    command = [sys.executable, "-m", "pipeline.cli", "ui", "--tracking", database, "--port", "0", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        answer = json.loads("".join(iter_object(process.stdout)))
        base = answer["view"].partition("/#/")[0]
        assert urllib.request.urlopen(f"{base}/health", timeout=10).read() == b"OK"
        tags = client_of(database).get_experiment_by_name("top1").tags
        assert tags["mlflow.sharedViewState.leaderboard"].startswith("deflate;")
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0, process.stderr.read()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"{base}/health", timeout=10)


def iter_object(lines):
    for line in lines:
        yield line
        if line.rstrip() == "}":
            return


def test_what_cannot_be_served_is_told(tmp_path, database):
    def ui(*options):
        command = [sys.executable, "-m", "pipeline.cli", "ui", *options]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)

    missing = ui("--runs", "nowhere")
    assert missing.returncode == 1
    assert "there is no database" in missing.stderr
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        busy = ui("--tracking", database, "--port", port)
    assert busy.returncode == 1
    assert f"port {port} of 127.0.0.1 cannot be served on: Address already in use" in busy.stderr
