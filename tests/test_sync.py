"""MLflow as a view of the run folder: real sqlite files, and a real server that hangs and comes back."""

import json
import math
import multiprocessing
import os
import signal
import subprocess
import sys
import time

import pytest
from followers import follow_in_background, log_of, wait_for
from made_runs import (
    PAPER,
    START,
    loss_at,
    make_measurement,
    make_recipe,
    make_result,
    make_run,
    write_records,
    write_status,
)
from mlflow_server import UP, client_of, tracked_runs

import recipes
from pipeline.cli import main
from pipeline.errors import Top1Error
from pipeline.follow import Pace
from pipeline.journal import Journal, cut_back, read, read_json, write_json
from pipeline.plan import make_plan
from pipeline.runs import write_plan
from pipeline.serve import served
from pipeline.show import DEMO

BOOK = {recipe.name: recipe for recipe in (make_recipe(),)}
QUICK = Pace(every=0.2, longest=1.0, patience=2.0)


def sync(folder, uri, **options):
    from pipeline.sync import sync

    return sync(folder, uri, book=BOOK, **({"pace": QUICK} | options))


def points(uri, key, experiment="top1"):
    """Return (step, value) of every point of a metric of the only run, in the order of the steps."""
    (run,) = tracked_runs(uri, experiment)
    history = client_of(uri).get_metric_history(run.info.run_id, key)
    return sorted((point.step, point.value) for point in history)


def shown(uri, key="train/loss"):
    """Return what MLflow shows of a metric, [(step, time, value)]."""
    (run,) = tracked_runs(uri)
    history = client_of(uri).get_metric_history(run.info.run_id, key)
    return sorted((point.step, point.timestamp, point.value) for point in history)


def logged(folder, key="train/loss"):
    """Return the same of the journal."""
    return [(r["step"], round(r["time"] * 1000), r[key]) for r in read(folder)[0]]


def losses(steps):
    return [(step, loss_at(step)) for step in steps]


def finish(folder, result=None):
    write_json(folder / "result.json", result or make_result())
    write_status(folder, "finished", step=1000, durable_step=1000)


# ---------------------------------------------------------------- what is sent


def test_a_finished_run_arrives_whole(tmp_path, database):
    folder = make_run(tmp_path, result=make_result())
    write_records(folder, range(5))
    delivery = sync(folder, database)
    assert points(database, "train/loss") == losses(range(5))
    (run,) = tracked_runs(database)
    history = client_of(database).get_metric_history(run.info.run_id, "train/loss")
    assert [point.timestamp for point in history] == [round((START + step) * 1000) for step in range(5)]
    assert (delivery.run_id, delivery.lines) == (run.info.run_id, 5)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["top1"] == 76.38
    assert run.data.metrics["top1/gap"] == pytest.approx(76.38 - 76.4)
    assert run.data.metrics["top1/target"] == 76.4
    expected = {"recipe": "net50", "family": "Net", "seed": "0", "verdict": "reproduced", "attempts": "1"}
    assert {key: run.data.tags[key] for key in expected} == expected
    assert run.data.tags["commit"] == "c0ffee00" * 5
    assert run.data.tags["data.fingerprint"] == "f00d"
    assert run.data.tags["protocol"] == "single_crop 224/256 bilinear"
    assert run.data.params["recipe.optimizer.lr"] == "0.1"
    assert run.data.params["recipe.schedule.milestones"] == "[30, 60, 80]"
    assert run.data.params["seed"] == "0"


def test_the_description_has_the_citation_and_the_command_and_the_files_are_kept(tmp_path, database):
    folder = make_run(tmp_path, result=make_result())
    sync(folder, database)
    (run,) = tracked_runs(database)
    note = run.data.tags["mlflow.note.content"]
    for part in (f"{PAPER.key} Table 1", PAPER.title, "76.38", "reproduced", "top1 train net50 --data /data"):
        assert part in note
    client = client_of(database)
    kept = sorted(a.path for a in client.list_artifacts(run.info.run_id))
    assert kept == ["attempts.jsonl", "plan.json", "result.json"]
    kept = client.download_artifacts(run.info.run_id, "result.json", str(tmp_path))
    assert read_json(kept) == make_result()


def test_a_run_that_may_not_be_compared_says_so_instead_of_a_verdict(tmp_path, database):
    folder = make_run(tmp_path, data={"name": "demo"}, result=make_result(make_measurement(98.0, images=360)))
    sync(folder, database)
    (run,) = tracked_runs(database)
    assert run.data.tags["verdict"] == "not comparable"
    assert run.data.tags["reason"] == "data set 'demo' instead of imagenet"
    assert run.data.metrics["top1"] == 98.0
    assert "top1/gap" not in run.data.metrics


def test_only_what_a_checkpoint_holds_is_sent_while_the_run_goes_on(tmp_path, database):
    folder = make_run(tmp_path, state="running")
    write_records(folder, range(10))
    write_status(folder, "running", step=9, durable_step=None)
    assert sync(folder, database).points == 3, "of step 0: loss, rate and epoch"
    write_status(folder, "running", step=9, durable_step=5)
    sync(folder, database)
    assert points(database, "train/loss") == losses(range(6))
    assert tracked_runs(database)[0].info.status == "RUNNING"
    finish(folder)
    sync(folder, database)
    assert points(database, "train/loss") == losses(range(10))
    assert tracked_runs(database)[0].info.status == "FINISHED"


def test_a_long_journal_arrives_in_several_calls(tmp_path, database):
    folder = make_run(tmp_path, result=make_result())
    write_records(folder, range(900))
    assert sync(folder, database).points == 900 * 3 > 2 * 1000
    assert points(database, "train/loss") == losses(range(900))


def test_values_that_are_not_finite_and_names_that_mlflow_refuses_arrive(tmp_path, database):
    folder = make_run(tmp_path, result=make_result())
    with Journal(folder) as journal:
        journal.append(1, 0, **{"train/loss": math.nan, "val/top1@ema": 1.0})
        journal.append(2, 0, **{"train/loss": math.inf})
    for _ in range(2):
        sync(folder, database)
    (_, first), (_, second) = points(database, "train/loss")
    assert math.isnan(first)
    assert second == sys.float_info.max, "the largest number stands for infinity in MLflow's tables"
    assert points(database, "val/top1_ema") == [(1, 1.0)]


def test_damaged_lines_are_skipped_named_and_counted(tmp_path, database):
    folder = make_run(tmp_path, result=make_result())
    write_records(folder, [1])
    with (folder / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 2, "tr\n')
    write_records(folder, [3])
    with (folder / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 4')  # torn: the run was killed here
    delivery = sync(folder, database)
    assert points(database, "train/loss") == losses([1, 3])
    assert len(delivery.problems) == 1
    assert f"{folder / 'metrics.jsonl'}, line 2" in delivery.problems[0]
    assert tracked_runs(database)[0].data.tags["journal.damaged_lines"] == "1"


def test_a_result_that_changes_later_is_sent_again(tmp_path, database):
    folder = make_run(tmp_path, result=make_result(make_measurement(76.38, target=None, images=100)))
    sync(folder, database)
    assert "top1/gap" not in tracked_runs(database)[0].data.metrics
    write_json(folder / "result.json", make_result())
    sync(folder, database)
    (run,) = tracked_runs(database)
    assert (run.data.tags["verdict"], run.data.metrics["images"]) == ("reproduced", 50_000)


def test_a_failed_run_is_shown_as_failed_and_as_running_when_it_goes_on(tmp_path, database):
    folder = make_run(tmp_path, state="failed")
    sync(folder, database)
    assert tracked_runs(database)[0].info.status == "FAILED"
    write_status(folder, "running", step=1)
    (folder / "attempts.jsonl").write_text('{"attempt": 1}\n{"attempt": 2}\n')
    sync(folder, database)
    (run,) = tracked_runs(database)
    assert (run.info.status, run.data.tags["attempts"]) == ("RUNNING", "2")


# ---------------------------------------------------------------- sent again


@pytest.mark.parametrize("lost", [None, "sync.json"])
def test_a_replay_makes_no_second_run_and_no_second_point(tmp_path, database, lost):
    folder = make_run(tmp_path, result=make_result())
    write_records(folder, range(400))
    first = sync(folder, database)
    before = tracked_runs(database)[0].to_dictionary()
    if lost:
        (folder / lost).unlink()
    again = sync(folder, database)
    assert points(database, "train/loss") == losses(range(400))
    assert points(database, "top1") == [(399, 76.38)]
    assert tracked_runs(database)[0].to_dictionary() == before
    assert again.run_id == first.run_id
    assert again.lines == (400 if lost else 0)


def test_a_position_that_lags_or_is_damaged_changes_nothing(tmp_path, database):
    folder = make_run(tmp_path, result=make_result())
    write_records(folder, range(20))
    run_id = sync(folder, database).run_id
    for content in ('{"run_id": "' + run_id + '", "offset": 0}', "{", '{"what": 1}', '{"run_id": "other"}'):
        (folder / "sync.json").write_text(content)
        assert sync(folder, database).run_id == run_id
        assert points(database, "train/loss") == losses(range(20))


def test_a_resume_after_a_crash_goes_on_in_the_same_run_without_a_step_twice(tmp_path, database):
    folder = make_run(tmp_path, state="running")
    write_records(folder, range(10))
    write_status(folder, "running", step=9, durable_step=5)
    run_id = sync(folder, database).run_id
    cut_back(folder, 5)
    write_records(folder, range(6, 12), start=START + 1000)
    finish(folder)
    assert sync(folder, database).run_id == run_id
    assert shown(database) == logged(folder)
    assert [step for step, *_ in shown(database)] == list(range(12))


@pytest.mark.parametrize("lost", [None, "sync.json"])
@pytest.mark.parametrize("rerun", [0, 2, 8], ids=["shorter", "as far", "further"])
def test_a_journal_cut_behind_what_was_sent_shows_no_step_twice(tmp_path, database, lost, rerun):
    folder = make_run(tmp_path, state="running")
    write_records(folder, range(10))
    write_status(folder, "running", step=9, durable_step=5)
    sync(folder, database)
    cut_back(folder, 3)  # the checkpoint of step 5 was damaged, that of step 3 was not
    write_records(folder, range(4, 4 + rerun), start=START + 1000)
    write_status(folder, "running", step=4, durable_step=3 + rerun)
    if lost:
        (folder / lost).unlink()
    sync(folder, database)
    assert shown(database) == logged(folder)
    assert [step for step, *_ in shown(database)] == list(range(4 + rerun))


def test_a_second_database_gets_everything_too(tmp_path, database, template_database):
    folder = make_run(tmp_path, result=make_result())
    write_records(folder, range(5))
    sync(folder, database)
    other = tmp_path / "other.db"
    other.write_bytes(template_database.read_bytes())
    sync(folder, f"sqlite:///{other}")
    sync(folder, database)
    for uri in (database, f"sqlite:///{other}"):
        assert points(uri, "train/loss") == losses(range(5))


def test_two_tracked_runs_of_one_plan_become_one(tmp_path, database):
    folder = make_run(tmp_path, result=make_result())
    write_records(folder, range(5))
    run_id = sync(folder, database).run_id
    client = client_of(database)
    experiment = client.get_experiment_by_name("top1").experiment_id
    # What a server does that hung while a run was created, and was given up on.
    client.create_run(experiment, tags={"top1.plan": read_json(folder / "plan.json")["id"]})
    (folder / "result.json").touch()
    assert sync(folder, database).run_id == run_id
    assert points(database, "train/loss") == losses(range(5))


def test_runs_of_other_plans_are_left_alone(tmp_path, database):
    for seed in range(2):
        folder = make_run(tmp_path, seed=seed, result=make_result())
        write_records(folder, range(3))
        sync(folder, database, experiment="mine")
    assert len(tracked_runs(database, "mine")) == 2
    assert tracked_runs(database, "top1") == []


# ---------------------------------------------------------------- several at once


def follow_in_a_process(folder, uri, barrier):
    barrier.wait(UP)
    sync(folder, uri, follow=True, pace=Pace(every=0.2, patience=UP))


def test_three_followers_may_open_one_new_database_at_once(tmp_path):
    uri = f"sqlite:///{tmp_path}/new/mlflow.db"
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(3)
    folders = [make_run(tmp_path, seed=seed, result=make_result()) for seed in range(3)]
    for folder in folders:
        write_records(folder, range(20))
    processes = [context.Process(target=follow_in_a_process, args=(f, uri, barrier)) for f in folders]
    for process in processes:
        process.start()
    for process in processes:
        process.join(2 * UP)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    runs = tracked_runs(uri)
    assert sorted(run.data.tags["seed"] for run in runs) == ["0", "1", "2"]
    for run in runs:
        assert len(client_of(uri).get_metric_history(run.info.run_id, "train/loss")) == 20
    assert "not delivered" not in "".join((f / "logs" / "sync.log").read_text() for f in folders)


# ---------------------------------------------------------------- a server


@pytest.fixture
def short_timeout(monkeypatch):
    """A request that is not answered within a second is given up."""
    import pipeline.tracking  # noqa: F401  sets its own first

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")


def test_a_server_takes_a_run_whole_and_twice_without_duplicates(tmp_path, server):
    folder = make_run(tmp_path, result=make_result())
    with Journal(folder, clock=lambda: START) as journal:
        journal.append(0, 0, **{"train/loss": math.nan})
        journal.append(1, 0, **{"train/loss": math.inf})
    write_records(folder, range(2, 400))
    for _ in range(2):
        sync(folder, server.uri, experiment="whole")
        (folder / "sync.json").unlink()
    found = points(server.uri, "train/loss", "whole")
    assert [step for step, _ in found] == list(range(400))
    assert found[2:] == losses(range(2, 400))
    assert points(server.uri, "top1", "whole") == [(399, 76.38)]
    (run,) = tracked_runs(server.uri, "whole")
    client = client_of(server.uri)
    kept = sorted(a.path for a in client.list_artifacts(run.info.run_id))
    assert kept == ["attempts.jsonl", "plan.json", "result.json"]
    assert (run.info.status, run.data.tags["verdict"]) == ("FINISHED", "reproduced")


def test_a_run_that_ends_while_the_server_hangs_ends_in_bounded_time_and_is_delivered_later(
    tmp_path, server, short_timeout
):
    folder = make_run(tmp_path, state="running")
    write_records(folder, range(10))
    write_status(folder, "running", step=9, durable_step=5)
    sync(folder, server.uri, experiment="hung")
    finish(folder)
    begun = time.monotonic()
    with server.hung(), pytest.raises(Top1Error, match=f"top1 sync {folder}"):
        sync(folder, server.uri, experiment="hung", follow=True)
    assert time.monotonic() - begun < QUICK.patience + 20
    assert len((folder / "logs" / "sync.log").read_text().splitlines()) >= 2
    sync(folder, server.uri, experiment="hung", pace=Pace(patience=30.0))
    assert points(server.uri, "train/loss", "hung") == losses(range(10))


def test_a_run_that_is_created_while_the_server_hangs_is_one_run_in_the_end(tmp_path, server, short_timeout):
    client = client_of(server.uri)
    client.create_experiment("created")
    folder = make_run(tmp_path, result=make_result())
    write_records(folder, range(10))
    with server.hung(), pytest.raises(Top1Error):
        sync(folder, server.uri, experiment="created")
    sync(folder, server.uri, experiment="created", pace=Pace(patience=30.0))
    sync(folder, server.uri, experiment="created")
    assert points(server.uri, "train/loss", "created") == losses(range(10))


def test_a_follower_catches_up_when_a_hung_server_comes_back(tmp_path, server, short_timeout):
    folder = make_run(tmp_path, state="running")
    write_records(folder, range(10))
    write_status(folder, "running", step=9, durable_step=9)
    with server.hung():
        follower = follow_in_background(folder, server.uri, "back", patience=60)
        wait_for(lambda: "not delivered" in log_of(folder), follower)
    wait_for(lambda: "sent 10 lines" in log_of(folder), follower)
    finish(folder)
    assert follower.wait(30) == 0
    assert points(server.uri, "train/loss", "back") == losses(range(10))
    assert tracked_runs(server.uri, "back")[0].info.status == "FINISHED"


def test_a_server_that_is_killed_and_started_again_costs_no_point_and_doubles_none(tmp_path, short_timeout):
    folder = make_run(tmp_path, state="running")
    write_records(folder, range(10))
    write_status(folder, "running", step=9, durable_step=4)
    place = f"sqlite:///{tmp_path}/mlflow.db"
    with served(place, "127.0.0.1", 0, tmp_path / "first.log") as first:
        follower = follow_in_background(folder, first.address, patience=UP)
        wait_for(lambda: "sent 5 lines" in log_of(folder), follower, UP)
    write_status(folder, "running", step=9, durable_step=9)
    wait_for(lambda: "not delivered" in log_of(folder), follower, UP)
    port = int(first.address.rpartition(":")[2])
    with served(place, "127.0.0.1", port, tmp_path / "second.log") as second:
        finish(folder)
        assert follower.wait(UP) == 0, follower.stderr.read()
        assert shown(second.address) == logged(folder)
        assert len(tracked_runs(second.address)) == 1


def test_with_no_server_at_all_one_sentence_says_how_to_deliver_later(tmp_path, database, refused):
    folder = make_run(tmp_path, result=make_result())
    write_records(folder, range(5))
    begun = time.monotonic()
    with pytest.raises(Top1Error) as caught:
        sync(folder, refused.replace("//", "//name:secret@"), follow=True)
    assert time.monotonic() - begun < QUICK.patience + 20
    assert "Connection refused" in str(caught.value)
    assert f"`top1 sync {folder}` delivers it later" in str(caught.value)
    assert "secret" not in str(caught.value) + log_of(folder)
    sync(folder, database)
    assert points(database, "train/loss") == losses(range(5))


# ---------------------------------------------------------------- several runs, as in cron


def planned(folder, **changes):
    """Write a finished run that `top1` itself could go on with."""
    plan = make_plan(recipes.get("lenet5"), DEMO, id=folder.name, seed=0, threads=1, **changes)
    write_plan(folder, plan)
    write_records(folder, range(5))
    finish(folder)
    return folder


def test_all_runs_are_brought_up_to_date_whatever_is_wrong_with_one(tmp_path, database, capsys):
    runs = tmp_path / "runs"
    first, second = planned(runs / "lenet5" / "first"), planned(runs / "second")
    (planned(runs / "torn") / "plan.json").write_text("{")
    arguments = ["sync", "--runs", str(runs), "--tracking", database]
    for sent in (5, 0):
        assert main([*arguments, "--json"]) == 1
        out, err = capsys.readouterr()
        answer = json.loads(out)
        assert [(one["run"], one["lines"]) for one in answer["runs"]] == [
            (str(first), sent), (str(second), sent),
        ]  # fmt: skip
        assert [one["run"] for one in answer["failed"]] == [str(runs / "torn")]
        assert "torn/plan.json" in err
    assert sorted(run.data.tags["top1.plan"] for run in tracked_runs(database)) == ["first", "second"]
    assert main(["sync", str(first), str(second), "--runs", str(runs), "--tracking", database]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_a_server_that_is_gone_is_asked_for_one_run_and_not_for_all(tmp_path, capsys, refused):
    for name in "abc":
        planned(tmp_path / name, tracking=refused)
    assert main(["sync", "--runs", str(tmp_path)]) == 1
    told = capsys.readouterr().err.splitlines()
    assert [f"{refused} did not take the run" in line for line in told] == [True, False]
    assert told[1] == "top1: 2 more runs go there and were not tried"


@pytest.mark.parametrize("which", [(), ("a", "b")])
def test_one_run_is_followed_at_a_time(tmp_path, capsys, which):
    assert main(["sync", *which, "--follow", "--runs", str(tmp_path)]) == 2
    assert "--follow goes with one RUN" in capsys.readouterr().err


# ---------------------------------------------------------------- following


def test_a_follower_ships_each_checkpoint_and_ends_with_the_run(tmp_path, database):
    folder = make_run(tmp_path, state="running")
    write_records(folder, range(4))
    write_status(folder, "running", step=3, durable_step=3)
    follower = follow_in_background(folder, database)
    wait_for(lambda: "sent 4 lines" in log_of(folder), follower)
    write_records(folder, range(4, 8))
    write_status(folder, "running", step=7, durable_step=5)
    wait_for(lambda: "sent 2 lines" in log_of(folder), follower)
    finish(folder)
    assert follower.wait(90) == 0, follower.stderr.read()
    assert points(database, "train/loss") == losses(range(8))
    assert tracked_runs(database)[0].info.status == "FINISHED"


def test_a_follower_ends_soon_after_its_training_process_was_killed(tmp_path, database):
    folder = make_run(tmp_path, state="running")
    write_records(folder, range(10))
    write_status(folder, "running", step=9, durable_step=5)
    training = subprocess.Popen(["sleep", "600"])
    follower = follow_in_background(folder, database, parent=training.pid)
    wait_for(lambda: "sent 6 lines" in log_of(folder), follower)
    training.kill()  # and not waited for: a zombie is gone too
    try:
        assert follower.wait(60) == 0, follower.stderr.read()
    finally:
        training.wait()
    assert points(database, "train/loss") == losses(range(6)), "nothing that a resume will run again"


def test_signals_meant_for_the_training_do_not_end_its_follower(tmp_path, database):
    folder = make_run(tmp_path, state="running")
    write_records(folder, range(5))
    write_status(folder, "running", step=4, durable_step=4)
    follower = follow_in_background(folder, database, parent=os.getpid())
    wait_for(lambda: "sent 5 lines" in log_of(folder), follower)
    for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):
        follower.send_signal(number)
    finish(folder)
    assert follower.wait(90) == 0, follower.stderr.read()
    assert tracked_runs(database)[0].info.status == "FINISHED"


@pytest.mark.parametrize("state", ["failed", "stopped"])
def test_only_this_attempts_end_ends_its_follower_and_not_an_earlier_ones(tmp_path, database, state):
    folder = make_run(tmp_path, state=state)
    write_records(folder, range(5))
    follower = follow_in_background(folder, database, parent=os.getpid())
    wait_for(lambda: "sent 1 line" in log_of(folder), follower)
    time.sleep(1)
    assert follower.poll() is None
    write_status(folder, state, step=4, durable_step=4)
    assert follower.wait(90) == 0, follower.stderr.read()
    assert points(database, "train/loss") == losses(range(5))
    # What was stopped goes on some day; MLflow has no word for that but "running", and the tag says it.
    (run,) = tracked_runs(database)
    assert run.info.status == {"failed": "FAILED", "stopped": "RUNNING"}[state]
    assert run.data.tags["state"] == state


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize("uri", ["./mlruns", "file:///runs/mlruns", "sqlite://", "", "htp://host"])
def test_an_address_that_keeps_no_runs_is_refused_at_once(tmp_path, uri):
    folder = make_run(tmp_path, result=make_result())
    begun = time.monotonic()
    with pytest.raises(Top1Error, match=r"sqlite:////absolute/path/mlflow\.db"):
        sync(folder, uri)
    assert time.monotonic() - begun < 10


def test_a_folder_that_is_no_run_is_refused_at_once(tmp_path, database):
    with pytest.raises(Top1Error, match=r"plan\.json does not exist"):
        sync(tmp_path, database)


def test_a_deleted_experiment_is_told_with_the_way_out(tmp_path, database):
    folder = make_run(tmp_path, result=make_result())
    client = client_of(database)
    client.delete_experiment(client.create_experiment("top1"))
    with pytest.raises(Top1Error, match="mlflow experiments restore"):
        sync(folder, database)


def test_telemetry_is_off_and_no_thread_is_left_behind(tmp_path, database):
    folder = make_run(tmp_path, result=make_result())
    script = (
        "import json, os, sys, threading\n"
        "from pipeline.sync import sync\n"
        "sync(sys.argv[1], sys.argv[2])\n"
        "print(json.dumps([os.environ['MLFLOW_DISABLE_TELEMETRY'], threading.active_count()]))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, str(folder), database], capture_output=True, text=True, check=True
    )
    assert json.loads(run.stdout) == ["true", 1]
    assert run.stderr == "", "only the command speaks"
